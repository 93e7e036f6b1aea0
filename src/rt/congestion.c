#include "rt/congestion.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

struct block4 {
    uint32_t address, mask;
};

static bool is_near4(uint32_t address)
{
    static const struct block4 near[] = {
        {0x7f000000, 0xff000000}, /* 127/8 */
        {0x0a000000, 0xff000000}, /* 10/8 */
        {0xac100000, 0xfff00000}, /* 172.16/12 */
        {0xc0a80000, 0xffff0000}, /* 192.168/16 */
        {0xa9fe0000, 0xffff0000}, /* 169.254/16 */
        {0x64400000, 0xffc00000}, /* 100.64/10 */
    };
    for (unsigned i = 0; i < sizeof near / sizeof *near; i++)
        if ((address & near[i].mask) == near[i].address)
            return true;
    return false;
}

static uint32_t mapped4(const struct in6_addr *a)
{
    uint32_t network_order;
    memcpy(&network_order, a->s6_addr + 12, sizeof network_order);
    return ntohl(network_order);
}

static bool is_near6(const struct in6_addr *a)
{
    if (IN6_IS_ADDR_V4MAPPED(a))
        return is_near4(mapped4(a));
    bool is_unique_local = (a->s6_addr[0] & 0xfe) == 0xfc;
    return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_LINKLOCAL(a) || is_unique_local;
}

bool congestion_is_near(const struct sockaddr *peer)
{
    if (peer->sa_family == AF_INET)
        return is_near4(ntohl(((const struct sockaddr_in *)peer)->sin_addr.s_addr));
    return peer->sa_family == AF_INET6 && is_near6(&((const struct sockaddr_in6 *)peer)->sin6_addr);
}

static bool set_name(int fd, const char *name)
{
    return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) == 0;
}

void congestion_choose(int fd, const struct sockaddr *peer, const char *choice)
{
    if (!choice || strcmp(choice, "system") == 0)
        return;
    if (strcmp(choice, "auto") != 0)
        set_name(fd, choice);
    else if (congestion_is_near(peer) && !set_name(fd, "cubic"))
        set_name(fd, "reno"); /* every process may */
}

bool congestion_is_available(const char *choice)
{
    if (strcmp(choice, "system") == 0 || strcmp(choice, "auto") == 0)
        return true;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool fine = fd >= 0 && set_name(fd, choice);
    if (fd >= 0)
        close(fd);
    return fine;
}

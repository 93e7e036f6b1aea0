/* Who gets which congestion control. */
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "echo.h"
#include "rt/congestion.h"

static bool is_near(const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return congestion_is_near((struct sockaddr *)&in);
    CHECK(inet_pton(AF_INET6, text, &in6.sin6_addr) == 1);
    return congestion_is_near((struct sockaddr *)&in6);
}

TEST(hosts_of_this_network_are_near)
{
    static const char *const near[] = {"127.0.0.1",    "127.255.0.9", "10.1.2.3",       "172.16.0.1", "172.31.255.255",
                                       "192.168.7.7",  "169.254.1.1", "100.64.0.1",     "::1",        "fe80::1",
                                       "fd12:3456::1", "fc00::1",     "::ffff:10.0.0.1"};
    for (unsigned i = 0; i < sizeof near / sizeof *near; i++)
        CHECK(is_near(near[i]));
}

TEST(hosts_of_the_internet_are_not)
{
    static const char *const far[] = {"8.8.8.8",      "172.32.0.1",  "172.15.0.1", "192.169.0.1",      "100.128.0.1",
                                      "11.0.0.1",     "126.0.0.1",   "2001:db8::", "::ffff:8.8.8.8",   "ff02::1",
                                      "2606:4700::1", "169.253.1.1", "128.0.0.1",  "::ffff:172.32.0.1"};
    for (unsigned i = 0; i < sizeof far / sizeof *far; i++)
        CHECK(!is_near(far[i]));
}

TEST(a_unix_socket_has_none)
{
    struct sockaddr_storage local = {.ss_family = AF_UNIX};
    CHECK(!congestion_is_near((struct sockaddr *)&local));
}

TEST(what_is_available)
{
    CHECK(congestion_is_available("auto"));
    CHECK(congestion_is_available("system"));
    CHECK(congestion_is_available("reno")); /* the kernel's own, for everybody */
    CHECK(!congestion_is_available("renno"));
    CHECK(!congestion_is_available(""));
}

static void name_of(int fd, char out[16])
{
    socklen_t size = 16;
    memset(out, 0, 16);
    CHECK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, out, &size) == 0);
}

static uint16_t port_of(int fd, int (*side)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_in a = {0};
    socklen_t size = sizeof a;
    return side(fd, (struct sockaddr *)&a, &size) == 0 && a.sin_family == AF_INET ? ntohs(a.sin_port) : 0;
}

/* The server's end of the one connection: our port is the listener's, and there is a peer. */
static int accepted_fd(uint16_t port)
{
    int found = -1;
    DIR *fds = opendir("/proc/self/fd");
    CHECK(fds);
    for (const struct dirent *d; (d = readdir(fds));) {
        int fd = atoi(d->d_name);
        if (*d->d_name != '.' && port_of(fd, getsockname) == port && port_of(fd, getpeername))
            found = fd;
    }
    closedir(fds);
    CHECK(found >= 0);
    return found;
}

/* What a connection over loopback gets. */
static void chosen(const char *choice, char out[16])
{
    struct echo e = {0};
    CHECK_ERR(loop_new(env_real(), 0, &e.loop), OK);
    struct listen_options o = {.address = "127.0.0.1:0", .on_accept = echo_accept, .context = &e, .congestion = choice};
    CHECK_ERR(listener_open(e.loop, &o, NULL, &e.listener), OK);
    CHECK_ERR(echo_dial(&e, listener_address(e.listener)), OK);
    UNTIL(&e, e.opened && e.server);
    name_of(accepted_fd((uint16_t)atoi(strrchr(listener_address(e.listener), ':') + 1)), out);
    conn_close(e.client);
    UNTIL(&e, e.client_closed && e.server_closed);
    echo_end(&e);
}

TEST(connections_get_what_was_chosen)
{
    char system[16], name[16];
    chosen(NULL, system);
    chosen("system", name);
    CHECK_STR(name, system);
    chosen("reno", name);
    CHECK_STR(name, "reno");
    chosen("nonsense", name);
    CHECK_STR(name, system);
}

TEST(loopback_gets_no_pacing)
{
    char name[16];
    chosen("auto", name);
    CHECK(strcmp(name, "cubic") == 0 || strcmp(name, "reno") == 0);
}

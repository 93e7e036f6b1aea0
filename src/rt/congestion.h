/* Which congestion control a TCP connection uses: who decides how fast the kernel may send.
 *
 *   system    what the machine is set to
 *   auto      a peer on this host or in a private network gets cubic, or reno where cubic is not allowed; others: system. bbr,
 *             which many machines are set to for the wide area, paces packets by timers, though between hosts that are
 *             microseconds apart there is no bottleneck for it to find. What that gains depends on the load: docs/adr/017
 *   a name    that one for all: reno, cubic, bbr, dctcp, as the kernel has it
 *
 * Thread: any. Source: tcp(7), TCP_CONGESTION; RFC 1918, RFC 4193, RFC 6598 for what is private. */
#ifndef PRISM_RT_CONGESTION_H
#define PRISM_RT_CONGESTION_H

#include <stdbool.h>
#include <sys/socket.h>

/* choice: NULL is system. A name that the kernel refuses leaves the socket as it is. */
void congestion_choose(int fd, const struct sockaddr *peer, const char *choice);
/* This host, or a private, link-local or shared network. Also IPv4 within IPv6. */
bool congestion_is_near(const struct sockaddr *peer);
/* Whether congestion_choose can follow it on this machine. */
bool congestion_is_available(const char *choice);

#endif

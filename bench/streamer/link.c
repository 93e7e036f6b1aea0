/* Sockets of the generator: what is queued goes out in few calls, what comes lies in one piece. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "load.h"

enum { IN_BYTES = 1 << 20, PIECES = 256 };

void link_connect(struct link *l)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)l->load->port)};
    if (inet_pton(AF_INET, l->load->host, &a.sin_addr) != 1)
        die("%s is not an IPv4 address", l->load->host);
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&a, sizeof a) != 0)
        die("cannot connect to %s:%u: %s", l->load->host, l->load->port, strerror(errno));
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    l->in_capacity = IN_BYTES;
    l->in = malloc(IN_BYTES);
    if (!l->in)
        die("out of memory");
}

void link_consume(struct link *l, size_t size)
{
    l->in_size -= size;
    memmove(l->in, l->in + size, l->in_size);
}

static void make_room(struct link *l)
{
    if (l->in_size < l->in_capacity)
        return;
    l->in_capacity *= 2;
    l->in = l->in_capacity <= (size_t)64 << 20 ? realloc(l->in, l->in_capacity) : NULL;
    if (!l->in)
        die("an answer is larger than 64 MiB, or memory is out");
}

/* One recv. false: nothing there. */
static bool receive_once(struct link *l, int flags)
{
    make_room(l);
    ssize_t n = recv(l->fd, l->in + l->in_size, l->in_capacity - l->in_size, flags);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        die("the broker closed a connection: %s", n ? strerror(errno) : "end of stream");
    if (n > 0)
        l->in_size += (size_t)n;
    return n > 0;
}

/* A buffer full of answers is taken before more is read: what waits in the socket is told again (level-triggered). */
void link_receive(struct link *l)
{
    receive_once(l, MSG_DONTWAIT);
}

void link_send_all(struct link *l, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    while (size) {
        ssize_t n = send(l->fd, at, size, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            die("the connection is lost: %s", strerror(errno));
        at += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
}

const uint8_t *link_call(struct link *l, const void *bytes, size_t size, size_t (*whole)(const uint8_t *, size_t),
                         size_t *ret_size)
{
    struct pollfd readable = {l->fd, POLLIN, 0};
    link_send_all(l, bytes, size);
    while (!(*ret_size = whole(l->in, l->in_size))) {
        if (poll(&readable, 1, LOAD_PATIENCE_S * 1000) != 1)
            die("no answer within %d s", LOAD_PATIENCE_S);
        receive_once(l, 0);
    }
    return l->in;
}

/* --- writing ----------------------------------------------------------------------------------------------------------------- */

static void add_piece(struct iovec *pieces, int *count, const uint8_t *data, size_t size, size_t *skip)
{
    size_t skipped = *skip < size ? *skip : size;
    *skip -= skipped;
    if (size > skipped)
        pieces[(*count)++] = (struct iovec){(void *)(uintptr_t)(data + skipped), size - skipped};
}

static int gather(const struct link *l, struct iovec *pieces)
{
    size_t skip = l->written;
    int count = 0;
    for (uint64_t n = l->unwritten; n < l->tail && count + 2 <= PIECES; n++) {
        const struct request *r = &l->ring[n % LOAD_DEPTH];
        add_piece(pieces, &count, r->head, r->head_size, &skip);
        add_piece(pieces, &count, r->body, r->body_size, &skip);
    }
    return count;
}

static void note_written(struct link *l, size_t size)
{
    l->written += size;
    while (l->unwritten < l->tail) {
        const struct request *r = &l->ring[l->unwritten % LOAD_DEPTH];
        size_t whole = r->head_size + r->body_size;
        if (l->written < whole)
            return;
        l->written -= whole;
        l->unwritten++;
    }
}

void link_flush(struct link *l)
{
    while (l->unwritten < l->tail) {
        struct iovec pieces[PIECES];
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)gather(l, pieces)};
        ssize_t n = sendmsg(l->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            die("the connection is lost: %s", strerror(errno));
        note_written(l, (size_t)n);
    }
}

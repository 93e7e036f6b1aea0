/* The yardstick: the least that an HTTP/2 server on nghttp2 can be. One thread, epoll, one answer of fixed bytes to every
 * request, as one gRPC message: no routing, no protobuf, no limits. What prism-proxy needs beyond it is what Prism costs.
 *
 *   bare_http2 PORT [BODY_BYTES]     listens on 127.0.0.1:PORT (0: a free one), prints the port; ends on SIGTERM */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY_MAX = 1 << 20, INPUT_BYTES = 64 << 10, OUTPUT_BYTES = 256 << 10, EVENTS = 64, PREFIX_BYTES = 5 };

struct peer {
    int fd;
    nghttp2_session *session;
    size_t pending; /* bytes of out that the socket did not take */
    uint8_t out[OUTPUT_BYTES];
};

static uint8_t body[BODY_MAX];
static size_t body_bytes;
static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

/* The offset into the body lies in the source's pointer: no allocation a stream. */
static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *to, size_t size, uint32_t *flags,
                         nghttp2_data_source *source, void *user)
{
    (void)user;
    size_t offset = (size_t)(uintptr_t)source->ptr;
    size_t n = body_bytes - offset < size ? body_bytes - offset : size;
    memcpy(to, body + offset, n);
    source->ptr = (void *)(uintptr_t)(offset + n);
    if (offset + n == body_bytes) {
        static const nghttp2_nv trailer = {(uint8_t *)"grpc-status", (uint8_t *)"0", 11, 1,
                                           NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, stream, &trailer, 1);
    }
    return (ssize_t)n;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)user;
    bool request = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (!request || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    static const nghttp2_nv headers[] = {
        {(uint8_t *)":status", (uint8_t *)"200", 7, 3, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE},
        {(uint8_t *)"content-type", (uint8_t *)"application/grpc", 12, 16,
         NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE},
    };
    nghttp2_data_provider provider = {.source.ptr = NULL, .read_callback = read_body};
    return nghttp2_submit_response(session, frame->hd.stream_id, headers, 2, &provider);
}

static void drop(struct peer *p)
{
    nghttp2_session_del(p->session);
    close(p->fd);
    free(p);
}

/* false: the peer is gone. */
static bool flush(struct peer *p)
{
    for (;;) {
        const uint8_t *bytes;
        while (p->pending < OUTPUT_BYTES / 2) {
            ssize_t n = nghttp2_session_mem_send(p->session, &bytes);
            if (n < 0)
                return false;
            if (n == 0)
                break;
            memcpy(p->out + p->pending, bytes, (size_t)n);
            p->pending += (size_t)n;
        }
        if (p->pending == 0)
            return nghttp2_session_want_read(p->session) || nghttp2_session_want_write(p->session);
        ssize_t sent = send(p->fd, p->out, p->pending, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN;
        p->pending -= (size_t)sent;
        memmove(p->out, p->out + sent, p->pending);
    }
}

static bool receive(struct peer *p)
{
    static uint8_t input[INPUT_BYTES];
    ssize_t n;
    do { /* edge-triggered: until the socket is empty */
        n = recv(p->fd, input, sizeof input, 0);
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        if (nghttp2_session_mem_recv(p->session, input, (size_t)n) != n)
            return false;
    } while (n == sizeof input);
    return true;
}

static void accept_peers(int listener, int poll, nghttp2_session_callbacks *callbacks)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct peer *p = calloc(1, sizeof *p);
        if (!p)
            abort();
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        p->fd = fd;
        nghttp2_session_server_new(&p->session, callbacks, p);
        nghttp2_submit_settings(p->session, NGHTTP2_FLAG_NONE, NULL, 0);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = p};
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
    }
}

/* A gRPC message of zeros: five bytes in front, the last four its length. */
static void make_body(size_t size)
{
    body_bytes = size < PREFIX_BYTES ? PREFIX_BYTES : size < BODY_MAX ? size : BODY_MAX;
    uint32_t length = htonl((uint32_t)(body_bytes - PREFIX_BYTES));
    memcpy(body + 1, &length, sizeof length);
}

static int listen_on(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&address, size) || listen(fd, 1024) ||
        getsockname(fd, (struct sockaddr *)&address, &size)) {
        perror("bare_http2: listen");
        exit(1);
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bare_http2 PORT [BODY_BYTES]\n");
        return 2;
    }
    make_body(argc > 2 ? (size_t)atol(argv[2]) : 0);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    nghttp2_session_callbacks *callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    int listener = listen_on((uint16_t)atoi(argv[1]));
    int poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    struct epoll_event events[EVENTS];
    while (!stopped) {
        int n = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct peer *p = events[i].data.ptr;
            if (!p)
                accept_peers(listener, poll, callbacks);
            else if (((events[i].events & EPOLLIN) && !receive(p)) || !flush(p))
                drop(p);
        }
    }
    nghttp2_session_callbacks_del(callbacks);
    return 0;
}

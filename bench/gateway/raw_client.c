/* A client that costs little: one request, encoded once, over many connections and streams; answers checked by their frames
 * (raw_h2.h). Where h2load takes 1 to 2 µs a call, this takes a tenth of that, so that the server is the limit.
 *
 *   raw_client PORT --path P --message FILE [OPTION]...      results as one line of JSON; see options[] below
 *
 *   closed loop:  each stream sends its next call as soon as it is answered; what one read answered leaves in one write
 *   open loop:    --rate R: calls are due by a schedule, and latency counts from then (base/pace.h), not from the sending
 *
 * One thread, epoll. With --spin it never sleeps: then the time between two looks at the clock shows when the machine was taken
 * away from it ("gaps": the control of a latency measurement), and its own wake-up is not part of the latency. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/hdr.h"
#include "base/pace.h"
#include "raw_h2.h"

enum { EVENTS = 256, INPUT_BYTES = 256 << 10, OUTPUT_BYTES = 512 << 10, GAP_NS = 20000, DRAIN_SECONDS = 20 };
#define SECOND UINT64_C(1000000000)

struct link {
    int fd;
    struct raw_peer *peer;
    uint8_t *pending; /* what the socket did not take */
    size_t pending_size;
};

struct client {
    unsigned port, connections, streams;
    double seconds, warmup, rate;
    bool spin;
    uint32_t answer_bytes;
    struct raw_request request;
    struct link *links;
    int poll;
    struct pace pace;
    unsigned turn; /* open loop: the connection that is asked first */
    uint64_t now_ns, measure_ns, end_ns;
    uint64_t calls, sent; /* calls 0: until the time is over */
    uint64_t failed, answers_at_measure, all_answers;
    uint64_t cpu_at_measure_ns;
    struct hdr *latency, *gaps;
    uint8_t input[RAW_FRAME_MAX + INPUT_BYTES], output[OUTPUT_BYTES];
};

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("raw_client: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

/* --- one connection -------------------------------------------------------------------------------------------------------- */

static void on_answer(void *user, uint64_t from_ns, bool fine)
{
    struct client *c = user;
    c->all_answers++;
    if (!fine)
        c->failed++;
    else if (from_ns >= c->measure_ns)
        hdr_add(c->latency, c->now_ns > from_ns ? c->now_ns - from_ns : 0);
}

static int connect_to(unsigned port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
        die("cannot connect to port %u: %s", port, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

static void open_link(struct client *c, struct link *l)
{
    l->fd = connect_to(c->port);
    l->peer = raw_peer_new(&c->request, c->streams, on_answer, c);
    l->pending = malloc(OUTPUT_BYTES);
    if (!l->peer || !l->pending)
        die("out of memory");
    l->peer->answer_bytes = c->answer_bytes;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = l};
    epoll_ctl(c->poll, EPOLL_CTL_ADD, l->fd, &event);
}

static size_t transmit(struct link *l, const uint8_t *bytes, size_t size)
{
    ssize_t n = send(l->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN)
        die("the connection is lost: %s", strerror(errno));
    return n > 0 ? (size_t)n : 0;
}

static void send_pending(struct link *l)
{
    size_t n = l->pending_size ? transmit(l, l->pending, l->pending_size) : 0;
    l->pending_size -= n;
    memmove(l->pending, l->pending + n, l->pending_size);
}

/* Sends what has been put into output. Nothing may be pending. */
static void send_output(struct client *c, struct link *l, size_t size)
{
    size_t sent = size ? transmit(l, c->output, size) : 0;
    l->pending_size = size - sent;
    memcpy(l->pending, c->output + sent, l->pending_size);
}

static bool has_room(const struct link *l, size_t used)
{
    return raw_can_send(l->peer) && used + raw_bytes_max(l->peer) <= OUTPUT_BYTES;
}

static bool may_begin(const struct client *c)
{
    return !c->rate && c->now_ns < c->end_ns && (!c->calls || c->sent < c->calls);
}

/* Closed loop: as many calls as there are free streams. */
static void fill_link(struct client *c, struct link *l)
{
    send_pending(l);
    if (l->pending_size)
        return;
    size_t used = raw_control(l->peer, c->output);
    while (may_begin(c) && has_room(l, used)) {
        used += raw_send(l->peer, c->now_ns, c->output + used);
        c->sent++;
    }
    send_output(c, l, used);
}

/* Until the socket is empty: events come by edges. */
static void receive(struct client *c, struct link *l)
{
    ssize_t n;
    do {
        n = recv(l->fd, c->input + RAW_FRAME_MAX, INPUT_BYTES, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            die("the server closed a connection: %s", n ? strerror(errno) : "end of stream");
        c->now_ns = clock_ns(CLOCK_MONOTONIC);
        if (n > 0 && !raw_feed(l->peer, c->input + RAW_FRAME_MAX, (size_t)n))
            die("%s", l->peer->error);
    } while (n == INPUT_BYTES);
}

/* --- open loop ------------------------------------------------------------------------------------------------------------- */

/* A connection in turn that can take a call now. NULL: none. */
static struct link *next_link(struct client *c)
{
    for (unsigned i = 0; i < c->connections; i++) {
        struct link *l = &c->links[(c->turn + i) % c->connections];
        if (!l->pending_size && raw_can_send(l->peer)) {
            c->turn = (c->turn + i + 1) % c->connections;
            return l;
        }
    }
    return NULL;
}

static void send_due(struct client *c)
{
    struct link *l;
    while (pace_next(&c->pace) <= c->now_ns && pace_next(&c->pace) < c->end_ns && (l = next_link(c))) {
        size_t used = raw_control(l->peer, c->output);
        used += raw_send(l->peer, pace_take(&c->pace), c->output + used);
        send_output(c, l, used);
    }
}

/* --- the run --------------------------------------------------------------------------------------------------------------- */

static int wait_for_events(struct client *c, struct epoll_event *events)
{
    if (c->spin)
        return epoll_wait(c->poll, events, EVENTS, 0);
    uint64_t until = c->now_ns + SECOND / 10;
    if (c->rate && pace_next(&c->pace) < until)
        until = pace_next(&c->pace);
    uint64_t wait = until > c->now_ns ? until - c->now_ns : 0;
    struct timespec t = {(time_t)(wait / SECOND), (long)(wait % SECOND)};
    return epoll_pwait2(c->poll, events, EVENTS, &t, NULL);
}

static void turn(struct client *c)
{
    struct epoll_event events[EVENTS];
    int n = wait_for_events(c, events);
    uint64_t before = c->now_ns;
    c->now_ns = clock_ns(CLOCK_MONOTONIC);
    if (c->spin && n == 0 && c->now_ns - before > GAP_NS && before >= c->measure_ns)
        hdr_add(c->gaps, c->now_ns - before);
    for (int i = 0; i < n; i++) {
        struct link *l = events[i].data.ptr;
        if (events[i].events & EPOLLIN)
            receive(c, l);
        fill_link(c, l);
    }
    if (c->rate)
        send_due(c);
}

static void run_until(struct client *c, uint64_t end_ns)
{
    while (c->now_ns < end_ns && (!c->calls || c->all_answers < c->calls))
        turn(c);
}

static uint64_t in_flight(const struct client *c)
{
    uint64_t open = 0;
    for (unsigned i = 0; i < c->connections; i++)
        open += c->links[i].peer->open;
    return open;
}

/* What is in flight at the end is waited for, and long: answers that never come are failures, slow ones of a busy machine are not. */
static void drain(struct client *c)
{
    uint64_t end_ns = c->now_ns + DRAIN_SECONDS * SECOND;
    while (in_flight(c) && c->now_ns < end_ns)
        turn(c);
    c->failed += in_flight(c);
}

static void run(struct client *c)
{
    c->now_ns = clock_ns(CLOCK_MONOTONIC);
    c->measure_ns = c->now_ns + (uint64_t)(c->warmup * 1e9);
    c->end_ns = c->measure_ns + (uint64_t)(c->seconds * 1e9);
    if (c->calls)
        c->measure_ns = c->now_ns, c->end_ns = c->now_ns + 100 * SECOND;
    if (c->rate)
        pace_init(&c->pace, c->rate, c->rate, 0, c->now_ns);
    run_until(c, c->measure_ns);
    c->answers_at_measure = c->all_answers;
    c->cpu_at_measure_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    c->measure_ns = c->now_ns;
    run_until(c, c->end_ns);
}

/* --- results --------------------------------------------------------------------------------------------------------------- */

static void print_latency(const struct hdr *h)
{
    static const struct {
        const char *name;
        double part;
    } quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99_9", 0.999}, {"p99_99", 0.9999}, {"max", 1}};
    for (unsigned i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
        printf("%s\"%s\": %.3f", i ? ", " : "", quantiles[i].name, (double)hdr_quantile(h, quantiles[i].part) / 1000);
}

static void report(const struct client *c, uint64_t answers, double seconds, uint64_t cpu_ns)
{
    printf("{\"calls\": %llu, \"failed\": %llu, \"rate\": %.1f, \"answer_bytes\": %u, \"client_cpu_us\": %.4f, "
           "\"latency_us\": {",
           (unsigned long long)answers, (unsigned long long)c->failed, seconds > 0 ? (double)answers / seconds : 0,
           c->links[0].peer->answer_bytes, answers ? (double)cpu_ns / 1000 / (double)answers : 0);
    print_latency(c->latency);
    printf("}");
    if (c->spin) {
        printf(", \"gaps\": %llu, \"gap_us\": {", (unsigned long long)hdr_count(c->gaps));
        print_latency(c->gaps);
        printf("}");
    }
    puts("}");
}

/* --- the command line ------------------------------------------------------------------------------------------------------ */

static const struct option options[] = {
    {"path", required_argument, NULL, 'p'},        /* /prism.keyvalue.v1.KeyValueBasic/Get */
    {"namespace", required_argument, NULL, 'n'},   /* memory */
    {"message", required_argument, NULL, 'b'},     /* file: a request with gRPC's five bytes in front */
    {"connections", required_argument, NULL, 'c'}, /* 1 */
    {"streams", required_argument, NULL, 'm'},     /* calls in flight on each: 1 */
    {"seconds", required_argument, NULL, 's'},     /* measured: 1 */
    {"calls", required_argument, NULL, 'l'},       /* closed loop: or after so many, all of them measured */
    {"warmup", required_argument, NULL, 'w'},      /* seconds before: 0.1 */
    {"rate", required_argument, NULL, 'r'},        /* open loop: calls a second */
    {"keys", required_argument, NULL, 'k'},        /* the first six zeros of the message become numbers below this */
    {"answer", required_argument, NULL, 'a'},      /* DATA bytes of each answer; else those of the first */
    {"spin", no_argument, NULL, 'i'},              /* never sleeps */
    {0},
};

static void read_message(struct client *c, const char *path, const char *name_space, const char *file, uint32_t keys)
{
    uint8_t message[RAW_REQUEST_MAX];
    FILE *f = file ? fopen(file, "rb") : NULL;
    if (!f)
        die("--message: no file %s", file ? file : "given");
    size_t size = fread(message, 1, sizeof message, f);
    fclose(f);
    if (!raw_request_make(&c->request, path, name_space, message, size, keys))
        die("the request is too long, or --keys finds no 000000 in it");
}

static void parse(struct client *c, int argc, char **argv)
{
    const char *path = "/", *name_space = "memory", *file = NULL;
    uint32_t keys = 0;
    c->connections = c->streams = 1, c->seconds = 1, c->warmup = 0.1;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'p':
            path = optarg;
            break;
        case 'n':
            name_space = optarg;
            break;
        case 'b':
            file = optarg;
            break;
        case 'c':
            c->connections = (unsigned)atoi(optarg);
            break;
        case 'm':
            c->streams = (unsigned)atoi(optarg);
            break;
        case 's':
            c->seconds = atof(optarg);
            break;
        case 'w':
            c->warmup = atof(optarg);
            break;
        case 'r':
            c->rate = atof(optarg);
            break;
        case 'l':
            c->calls = strtoull(optarg, NULL, 10);
            break;
        case 'k':
            keys = (uint32_t)atoi(optarg);
            break;
        case 'a':
            c->answer_bytes = (uint32_t)atoi(optarg);
            break;
        case 'i':
            c->spin = true;
            break;
        default:
            exit(2);
        }
    }
    if (optind != argc - 1 || !c->connections || !c->streams || c->streams >= RAW_RING)
        die("usage: raw_client PORT --path P --message FILE [--connections N] [--streams N, below %d] ...", RAW_RING);
    c->port = (unsigned)atoi(argv[optind]);
    read_message(c, path, name_space, file, keys);
}

static void open_links(struct client *c)
{
    c->links = calloc(c->connections, sizeof *c->links);
    c->poll = epoll_create1(EPOLL_CLOEXEC);
    if (!c->links || c->poll < 0)
        die("out of memory or descriptors");
    for (unsigned i = 0; i < c->connections; i++)
        open_link(c, &c->links[i]);
}

int main(int argc, char **argv)
{
    struct client *c = calloc(1, sizeof *c);
    if (!c || hdr_new(&c->latency) != OK || hdr_new(&c->gaps) != OK)
        die("out of memory");
    parse(c, argc, argv);
    prctl(PR_SET_TIMERSLACK, 1);
    open_links(c);
    run(c);
    uint64_t answers = c->all_answers - c->answers_at_measure;
    uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - c->cpu_at_measure_ns;
    double seconds = (double)(c->now_ns - c->measure_ns) / 1e9;
    drain(c);
    report(c, answers, seconds, cpu_ns);
    for (unsigned i = 0; i < c->connections; i++) {
        close(c->links[i].fd);
        free(c->links[i].pending);
        raw_peer_free(c->links[i].peer);
    }
    free(c->links);
    hdr_free(c->latency);
    hdr_free(c->gaps);
    int failed = c->failed != 0;
    free(c);
    return failed;
}

#include "direct.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

#include "base/hdr.h"

enum { CALLERS_MAX = 1024 };

struct caller {
    void *connection;
    uint64_t sent_ns;
};

struct run {
    const struct direct_driver *driver;
    enum direct_method method;
    struct caller callers[CALLERS_MAX];
    unsigned count;
    int epoll;
    uint64_t random;
    char value[DIRECT_VALUE_BYTES + 1];
    struct hdr *latency;
};

void direct_fail(const char *what, const char *why)
{
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static double cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void send_next(struct run *r, struct caller *c)
{
    char key[DIRECT_KEY_BYTES + 1];
    r->random = r->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    snprintf(key, sizeof key, "bench/%06u", (unsigned)((r->random >> 33) % DIRECT_KEYS));
    c->sent_ns = now_ns();
    r->driver->send(c->connection, r->method, key, r->value);
}

static void open_all(struct run *r, const char *url)
{
    for (unsigned i = 0; i < r->count; i++) {
        struct caller *c = &r->callers[i];
        c->connection = r->driver->connect(url);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, r->driver->fd(c->connection), &event) != 0)
            direct_fail("epoll_ctl", "failed");
    }
}

/* Until the time is over and every answer is there. Answers after warm_ns count. */
static uint64_t serve(struct run *r, uint64_t warm_ns, uint64_t end_ns)
{
    uint64_t calls = 0;
    unsigned waiting = r->count;
    for (unsigned i = 0; i < r->count; i++)
        send_next(r, &r->callers[i]);
    while (waiting) {
        struct epoll_event events[64];
        int n = epoll_wait(r->epoll, events, 64, 10000);
        if (n <= 0)
            direct_fail("epoll_wait", "no answer within 10 s");
        for (int i = 0; i < n; i++) {
            struct caller *c = events[i].data.ptr;
            if (!r->driver->receive(c->connection, r->method))
                continue;
            uint64_t now = now_ns();
            if (now >= warm_ns && now < end_ns) {
                hdr_add(r->latency, now - c->sent_ns);
                calls++;
            }
            if (now < end_ns)
                send_next(r, c);
            else
                waiting--;
        }
    }
    return calls;
}

static void report(const struct run *r, uint64_t calls, double seconds, double cpu)
{
    printf("{\"calls\":%llu,\"seconds\":%.3f,\"calls_per_second\":%.1f,\"cpu_us_a_call\":%.3f,\"latency_ms\":{",
           (unsigned long long)calls, seconds, (double)calls / seconds, cpu / (double)calls);
    static const struct {
        const char *name;
        double part;
    } quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99_9", 0.999}};
    for (unsigned i = 0; i < 4; i++)
        printf("%s\"%s\":%.6f", i ? "," : "", quantiles[i].name,
               (double)hdr_quantile(r->latency, quantiles[i].part) / 1e6);
    printf("}}\n");
}

int direct_main(int argc, char **argv, const struct direct_driver *driver)
{
    static struct run r;
    if (argc != 5)
        direct_fail("usage", "URL get|set CALLERS SECONDS");
    r = (struct run){.driver = driver,
                     .method = strcmp(argv[2], "set") == 0 ? DIRECT_SET : DIRECT_GET,
                     .count = (unsigned)atoi(argv[3]),
                     .random = 1,
                     .epoll = epoll_create1(EPOLL_CLOEXEC)};
    double seconds = atof(argv[4]);
    if (r.count < 1 || r.count > CALLERS_MAX || seconds <= 0 || hdr_new(&r.latency))
        direct_fail("usage", "CALLERS is 1 to 1024, SECONDS above 0");
    memset(r.value, 'v', DIRECT_VALUE_BYTES);
    open_all(&r, argv[1]);
    double cpu = cpu_us();
    uint64_t warm = now_ns() + 200000000, end = warm + (uint64_t)(seconds * 1e9);
    uint64_t calls = serve(&r, warm, end);
    report(&r, calls, seconds, (cpu_us() - cpu) * seconds / (seconds + 0.2));
    for (unsigned i = 0; i < r.count; i++)
        driver->close(r.callers[i].connection);
    hdr_free(r.latency);
    return 0;
}

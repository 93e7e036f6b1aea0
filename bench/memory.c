/* Nanoseconds an operation of the memory driver, from the call to its answer, without encoding: make bench-memory. Best of several
 * rounds, warm. One thread in processor time, so that a busy machine disturbs little; two in time of the clock on the wall. Prints what
 * heap allocations a call makes, too. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/hash.h"
#include "base/mem.h"
#include "data/keyvalue.h"
#include "drivers/memory/memory.h"
#include "prism/keyvalue/v1/keyvalue_basic.ops.h"
#include "rt/env.h"

enum { ROUNDS = 5, KEYS = 100000, THREADS_MAX = 8 };

struct bench {
    struct namespace ns;
    const struct keyvalue_basic_ops *basic;
    size_t value_size;
    unsigned keys;  /* of which the operations choose */
    unsigned calls; /* a round */
};

struct caller {
    const struct bench *bench;
    void (*one)(struct caller *, uint64_t n);
    struct arena arena;
    struct call call;
    uint64_t answers; /* nothing may be optimized away */
    pthread_t thread;
};

static enum call_flow take(struct call *call, const void *message)
{
    (void)message;
    ((struct caller *)call->sink_context)->answers++;
    return CALL_GO;
}

static void end(struct call *call, enum err e)
{
    if (e) {
        fprintf(stderr, "%s: %s\n", err_name(e), diag_message(&call->diag));
        exit(1);
    }
    ((struct caller *)call->sink_context)->answers++;
}

static const struct call_sink sink = {.send = take, .end = end};

static struct call *prepare(struct caller *c, enum method_id method, const void *request)
{
    arena_reset(&c->arena);
    c->call.method = &methods[method];
    c->call.request = request;
    c->call.ended = false;
    return &c->call;
}

static struct slice key_of(uint64_t n, char memory[32])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++, n >>= 4)
        memory[i] = digits[n & 15];
    return slice_of(memory, 16);
}

static uint8_t value[1 << 20];

static void set(struct caller *c, uint64_t n)
{
    char memory[32];
    struct keyvalue_set_request r = {.key = key_of(hash_mix(n) % c->bench->keys, memory),
                                     .value = slice_of(value, c->bench->value_size)};
    c->bench->basic->set(c->bench->ns.backend, prepare(c, METHOD_KEYVALUE_BASIC_SET, &r), &r);
}

static void get(struct caller *c, uint64_t n)
{
    char memory[32];
    struct keyvalue_get_request r = {.key = key_of(hash_mix(n) % c->bench->keys, memory)};
    c->bench->basic->get(c->bench->ns.backend, prepare(c, METHOD_KEYVALUE_BASIC_GET, &r), &r);
}

static double now_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void *run(void *argument)
{
    struct caller *c = argument;
    for (unsigned i = 0; i < c->bench->calls; i++)
        c->one(c, i + c->answers);
    return NULL;
}

static void caller_init(struct caller *c, struct bench *b, void (*one)(struct caller *, uint64_t))
{
    *c = (struct caller){.bench = b, .one = one};
    arena_init(&c->arena, LIMIT_CALL_ARENA_BYTES);
    c->call = (struct call){.ns = &b->ns,
                            .who = {.name = ""},
                            .arena = &c->arena,
                            .deadline_ns = UINT64_MAX,
                            .sink = &sink,
                            .sink_context = c};
    diag_init(&c->call.diag, &c->arena);
}

static double measure(struct bench *b, unsigned threads, void (*one)(struct caller *, uint64_t))
{
    static struct caller callers[THREADS_MAX];
    double best = 1e30;
    clockid_t clock = threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
    for (unsigned i = 0; i < threads; i++)
        caller_init(&callers[i], b, one);
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns(clock);
        for (unsigned i = 1; i < threads; i++)
            pthread_create(&callers[i].thread, NULL, run, &callers[i]);
        run(&callers[0]);
        for (unsigned i = 1; i < threads; i++)
            pthread_join(callers[i].thread, NULL);
        double each = (now_ns(clock) - start) / b->calls;
        best = each < best ? each : best;
    }
    for (unsigned i = 0; i < threads; i++)
        arena_fini(&callers[i].arena);
    return best;
}

static double allocations(struct bench *b, void (*one)(struct caller *, uint64_t))
{
    struct caller c;
    caller_init(&c, b, one);
    run(&c);
    uint64_t before = mem_thread_count();
    run(&c);
    double each = (double)(mem_thread_count() - before) / b->calls;
    arena_fini(&c.arena);
    return each;
}

static void report(struct bench *b, const char *name, unsigned keys, size_t value_size, unsigned calls)
{
    b->keys = keys;
    b->value_size = value_size;
    b->calls = calls;
    double set_1 = measure(b, 1, set), get_1 = measure(b, 1, get), set_2 = measure(b, 2, set),
           get_2 = measure(b, 2, get);
    printf("%-28s %8.0f %8.0f %12.0f %8.0f %10.2f %6.2f\n", name, set_1, get_1, set_2, get_2, allocations(b, set),
           allocations(b, get));
}

int main(void)
{
    struct bench b = {.ns = {.name = "bench", .ttl_allow_infinite = true, .message_bytes = LIMIT_MESSAGE_BYTES},
                      .basic = driver_memory.implements[INTERFACE_KEYVALUE_BASIC]};
    struct config_namespace config = {0};
    struct backend_open o = {.namespace_name = "bench", .ns = &config, .env = env_real(), .loops = 1};
    if (driver_memory.open(&o, &b.ns.backend))
        return 1;
    printf("%-28s %8s %8s %12s %8s %10s %6s\n", "ns a call", "set", "get", "set, 2 thr.", "get", "mallocs set", "get");
    report(&b, "100,000 keys of 100 B", KEYS, 100, 200000);
    report(&b, "1,000 keys of 100 B", 1000, 100, 100000);
    report(&b, "one key of 100 B", 1, 100, 100000);
    report(&b, "one key of 1,000 B", 1, 1000, 50000);
    report(&b, "one key of 4 KiB", 1, 4096, 20000);
    report(&b, "one key of 16 KiB", 1, 16384, 10000);
    report(&b, "one key of 64 KiB", 1, 65536, 2000);
    report(&b, "1,000 keys of 16 KiB", 1000, 16384, 10000);
    driver_memory.close(b.ns.backend);
    return 0;
}

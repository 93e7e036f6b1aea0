/* Nanoseconds a message for the protobuf runtime: make bench-pb. Best of several rounds, one core, warm. */
#include <stdio.h>
#include <time.h>

#include "pb/pb.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"

enum { ROUNDS = 7, CALLS = 200000 };

struct bench {
    const struct pb_message *table;
    struct slice binary, json;
    void *message;
    struct arena arena;
    struct buf out;
    uint64_t bytes; /* that the calls made: nothing may be optimized away */
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void decode(struct bench *b)
{
    void *message;
    arena_reset(&b->arena);
    if (pb_decode(b->table, b->binary, &b->arena, NULL, &message) == OK)
        b->bytes += b->binary.size;
}

static void encode(struct bench *b)
{
    buf_reset(&b->out);
    if (pb_encode_buf(b->table, b->message, &b->out) == OK)
        b->bytes += b->out.size;
}

static void read_json(struct bench *b)
{
    void *message;
    arena_reset(&b->arena);
    if (pb_json_read(b->table, b->json, NULL, &b->arena, NULL, &message) == OK)
        b->bytes += b->json.size;
}

static void write_json(struct bench *b)
{
    buf_reset(&b->out);
    if (pb_json_write(b->table, b->message, NULL, &b->out) == OK)
        b->bytes += b->out.size;
}

static double measure(struct bench *b, void (*call)(struct bench *))
{
    double best = 1e30;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns();
        for (int i = 0; i < CALLS; i++)
            call(b);
        double each = (now_ns() - start) / CALLS;
        best = each < best ? each : best;
    }
    return best;
}

static void run(const char *name, const struct pb_message *table, struct slice json)
{
    struct bench b = {.table = table, .json = json};
    struct arena kept;
    struct buf binary;
    arena_init(&kept, 1 << 20);
    arena_init(&b.arena, 1 << 20);
    buf_init(&b.out, 1 << 20);
    buf_init(&binary, 1 << 20);
    if (pb_json_read(table, json, NULL, &kept, NULL, &b.message) == OK &&
        pb_encode_buf(table, b.message, &binary) == OK) {
        b.binary = buf_slice(&binary);
        double times[] = {measure(&b, decode), measure(&b, encode), measure(&b, read_json), measure(&b, write_json)};
        printf("%-14s %5zu bytes  decode %6.1f ns  encode %6.1f ns  JSON read %7.1f ns  write %7.1f ns\n", name,
               b.binary.size, times[0], times[1], times[2], times[3]);
    }
    buf_fini(&binary);
    buf_fini(&b.out);
    arena_fini(&b.arena);
    arena_fini(&kept);
}

int main(void)
{
    run("GetRequest", &keyvalue_get_request_pb, SLICE("{\"key\":\"dXNlcjoxMjM0NTY=\"}"));
    run("GetResponse", &keyvalue_get_response_pb,
        SLICE("{\"found\":true,\"value\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v\","
              "\"version\":\"AAAAAAAAAQI=\",\"expiresAt\":\"2030-01-02T03:04:05.678Z\"}"));
    run("SetRequest+2", &keyvalue_set_request_pb,
        SLICE("{\"key\":\"dXNlcjoxMjM0NTY=\",\"value\":\"AAECAwQFBgcICQoLDA0ODw==\",\"ttl\":\"3600s\","
              "\"tags\":{\"team\":\"orders\",\"tier\":\"gold\"}}"));
    return 0;
}

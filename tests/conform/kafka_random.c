/* usage: kafka_random SEED ROUNDS     random messages of every API at every version, a line each: "FetchRequest 12 hex" */
#include <stdio.h>
#include <stdlib.h>

#include "../unit/kafka/random.h"
#include "kafka/api.h"

enum { ARENA_MAX = 64 << 20, ITEMS_MAX = 3 };

static void print_message(struct random *r, const struct kafka_message *m, int16_t version)
{
    struct kafka_out out;
    void *in = arena_zalloc(r->arena, m->size);
    kafka_out_init(&out, ARENA_MAX);
    if (in)
        random_message(r, m, version, in);
    if (!in || r->failed || kafka_encode(m, version, in, &out))
        exit(1);
    printf("%s %d ", m->name, version);
    for (size_t i = 0; i < out.buf.size; i++)
        printf("%02x", out.buf.data[i]);
    putchar('\n');
    kafka_out_fini(&out);
    arena_reset(r->arena);
}

static void print_versions(struct random *r, const struct kafka_message *m)
{
    for (int16_t version = m->version_min; version <= m->version_max; version++)
        print_message(r, m, version);
}

int main(int argc, char **argv)
{
    struct arena arena;
    if (argc != 3)
        return 2;
    arena_init(&arena, ARENA_MAX);
    struct random r = {strtoull(argv[1], NULL, 10) * 2 + 1, &arena, ITEMS_MAX, false};
    for (int round = atoi(argv[2]); round > 0; round--) {
        for (uint32_t i = 0; i < kafka_api_count; i++) {
            print_versions(&r, kafka_apis[i].request);
            print_versions(&r, kafka_apis[i].response);
        }
        print_versions(&r, &kafka_consumer_protocol_subscription_message);
        print_versions(&r, &kafka_consumer_protocol_assignment_message);
    }
    arena_fini(&arena);
    return 0;
}

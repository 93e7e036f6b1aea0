/* The queue of what is to be sent, against a flat copy of it. */
#include <stdlib.h>

#include "../harness.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"
#include "rt/output.h"

enum { MODEL_BYTES = 1 << 20, FILES = 2000 };

struct model {
    struct output output;
    uint64_t random;
    uint8_t bytes[MODEL_BYTES]; /* as they were put */
    size_t put, sent;
    uint32_t files;
    uint8_t released[FILES];
};

static uint64_t choose(struct model *m, uint64_t n)
{
    m->random = hash_mix(m->random + 1);
    return m->random % n;
}

static void note_release(void *owner)
{
    (*(uint8_t *)owner)++;
}

/* A range whose bytes are those at its offset in the model. */
static void put_file(struct model *m, size_t size)
{
    struct conn_file f = {.offset = m->put, .size = size, .release = note_release, .owner = &m->released[m->files++]};
    output_put_file(&m->output, &f);
}

static enum err put_block(struct model *m, size_t size)
{
    struct block *b = block_new((uint32_t)size + 1);
    if (!b)
        return ERR_NOMEM;
    memcpy(b->bytes, m->bytes + m->put, size);
    output_put_block(&m->output, b, slice_of(b->bytes, size));
    block_unref(b);
    return OK;
}

static enum err put_one(struct model *m)
{
    enum err e = OK;
    size_t size = choose(m, 8) ? choose(m, 300) : 0;
    for (size_t i = 0; i < size; i++)
        m->bytes[m->put + i] = (uint8_t)choose(m, 256);
    switch (choose(m, 3)) {
    case 0:
        output_put_bytes(&m->output, slice_of(m->bytes + m->put, size));
        break;
    case 1:
        e = put_block(m, size);
        break;
    default:
        put_file(m, size);
    }
    m->put += size;
    return e ? e : m->output.err;
}

static size_t check_memory(const struct model *m)
{
    struct slice parts[5];
    size_t count = output_memory(&m->output, parts, 1 + m->random % 5), at = m->sent;
    for (size_t i = 0; i < count; i++) {
        CHECK_SLICE(parts[i], slice_of(m->bytes + at, parts[i].size));
        at += parts[i].size;
    }
    return at - m->sent;
}

static void send_some(struct model *m)
{
    const struct conn_file *f = output_file(&m->output);
    size_t offered = f ? f->size : check_memory(m);
    if (f)
        CHECK_EQ(f->offset, m->sent);
    CHECK(offered > 0 || m->output.size == 0);
    size_t n = choose(m, 2) ? offered : choose(m, offered + 1);
    output_sent(&m->output, n);
    m->sent += n;
    CHECK_EQ(m->output.size, m->put - m->sent);
}

static void end_model(struct model *m)
{
    output_fini(&m->output);
    for (uint32_t i = 0; i < m->files; i++)
        CHECK_EQ(m->released[i], 1);
    mem_free(m);
}

static enum err random_course(uint64_t seed, int steps)
{
    struct model *m = mem_zalloc(sizeof *m);
    enum err e = m ? OK : ERR_NOMEM;
    if (e)
        return e;
    output_init(&m->output);
    m->random = seed;
    for (int i = 0; i < steps && !e; i++) {
        if (choose(m, 2))
            e = put_one(m);
        else
            send_some(m);
    }
    while (!e && m->output.size)
        send_some(m);
    end_model(m);
    return e;
}

TEST(what_is_put_is_sent_in_order_and_released_once)
{
    for (uint64_t seed = 1; seed <= 50; seed++)
        CHECK_ERR(random_course(seed, 1500), OK);
}

SCENARIO(a_queue_without_memory_releases_what_it_holds)
{
    return random_course(7, 60);
}

TEST(what_waits_in_blocks_is_bounded_too)
{
    struct output o;
    struct block *b = block_new(1 << 20);
    output_init(&o);
    for (int i = 0; i < LIMIT_OUTPUT_QUEUE_BYTES_MAX >> 20; i++)
        output_put_block(&o, b, slice_of(b->bytes, b->size));
    CHECK_ERR(o.err, OK);
    output_put_bytes(&o, SLICE("x"));
    CHECK_ERR(o.err, ERR_MESSAGE_TOO_LARGE);
    output_fini(&o);
    CHECK_EQ(atomic_load(&b->refs), 1);
    block_unref(b);
}

#include "../harness.h"
#include "base/limits.h"
#include "streamer/producer.h"

enum { LAST = INT32_MAX };

static struct producer_pool new_pool(void)
{
    struct producer_pool pool;
    producer_pool_init(&pool, &(struct hash_key){1, 2});
    return pool;
}

struct world {
    struct producer_pool pool;
    struct producers producers;
    int64_t end, now_ms;
};

static void world_init(struct world *w)
{
    *w = (struct world){.pool = new_pool(), .now_ms = 1000000};
    producers_init(&w->producers, &w->pool);
}

/* As a partition does: checks, and stores what may be stored. */
static enum producer_verdict send(struct world *w, struct producer_claim claim, struct producer_batch *ret_old)
{
    enum producer_verdict verdict = producers_check(&w->producers, &claim, w->now_ms, ret_old);
    if (verdict != PRODUCER_APPEND)
        return verdict;
    producers_note(&w->producers, &claim, w->end, -1, w->now_ms);
    w->end += claim.delta + 1;
    return verdict;
}

static struct producer_claim claim_of(int64_t id, int16_t epoch, int32_t first, int32_t records)
{
    return (struct producer_claim){.id = id, .epoch = epoch, .first_sequence = first, .delta = records - 1};
}

/* --- the rules, as scripts -------------------------------------------------------------------------------------------------- */

struct row {
    const char *why; /* NULL: the previous row goes on */
    int64_t id;
    int16_t epoch;
    int32_t first, records;
    enum producer_verdict expected;
    int64_t old_offset; /* of a duplicate */
};

static const struct row rows[] = {
    {"in sequence", 7, 0, 0, 10, PRODUCER_APPEND, 0},
    {NULL, 7, 0, 10, 1, PRODUCER_APPEND, 0},
    {NULL, 7, 0, 11, 100, PRODUCER_APPEND, 0},

    {"a gap", 7, 0, 0, 10, PRODUCER_APPEND, 0},
    {NULL, 7, 0, 11, 1, PRODUCER_OUT_OF_ORDER, 0},
    {NULL, 7, 0, 10, 1, PRODUCER_APPEND, 0},
    {NULL, 7, 0, 11, 1, PRODUCER_APPEND, 0},

    {"each of the last five is found, the sixth is not", 7, 0, 0, 2, PRODUCER_APPEND, 0},
    {NULL, 7, 0, 2, 2, PRODUCER_APPEND, 0},
    {NULL, 7, 0, 4, 2, PRODUCER_APPEND, 0},
    {NULL, 7, 0, 6, 2, PRODUCER_APPEND, 0},
    {NULL, 7, 0, 8, 2, PRODUCER_APPEND, 0},
    {NULL, 7, 0, 0, 2, PRODUCER_DUPLICATE, 0},
    {NULL, 7, 0, 10, 2, PRODUCER_APPEND, 0},
    {NULL, 7, 0, 0, 2, PRODUCER_OUT_OF_ORDER, 0},
    {NULL, 7, 0, 2, 2, PRODUCER_DUPLICATE, 2},
    {NULL, 7, 0, 6, 2, PRODUCER_DUPLICATE, 6},
    {NULL, 7, 0, 10, 2, PRODUCER_DUPLICATE, 10},

    {"half a duplicate is none", 7, 0, 0, 10, PRODUCER_APPEND, 0},
    {NULL, 7, 0, 0, 9, PRODUCER_OUT_OF_ORDER, 0},
    {NULL, 7, 0, 5, 5, PRODUCER_OUT_OF_ORDER, 0},
    {NULL, 7, 0, 5, 10, PRODUCER_OUT_OF_ORDER, 0},
    {NULL, 7, 0, 0, 11, PRODUCER_OUT_OF_ORDER, 0},

    {"a new epoch begins with 0", 7, 0, 0, 10, PRODUCER_APPEND, 0},
    {NULL, 7, 1, 10, 1, PRODUCER_OUT_OF_ORDER, 0},
    {NULL, 7, 1, 0, 1, PRODUCER_APPEND, 0},
    {NULL, 7, 1, 1, 1, PRODUCER_APPEND, 0},

    {"an old epoch is fenced, its duplicates too", 7, 0, 0, 10, PRODUCER_APPEND, 0},
    {NULL, 7, 3, 0, 10, PRODUCER_APPEND, 0},
    {NULL, 7, 2, 10, 1, PRODUCER_FENCED, 0},
    {NULL, 7, 0, 0, 10, PRODUCER_FENCED, 0},

    {"the same numbers of a new epoch are no duplicate", 7, 0, 0, 10, PRODUCER_APPEND, 0},
    {NULL, 7, 1, 0, 10, PRODUCER_APPEND, 0},
    {NULL, 7, 1, 0, 10, PRODUCER_DUPLICATE, 10},

    {"an unknown producer may begin anywhere", 7, 5, 1000, 10, PRODUCER_APPEND, 0},
    {NULL, 7, 5, 1000, 10, PRODUCER_DUPLICATE, 0},
    {NULL, 7, 5, 1011, 10, PRODUCER_OUT_OF_ORDER, 0},
    {NULL, 7, 5, 1010, 10, PRODUCER_APPEND, 0},

    {"0 follows 2^31 - 1, at the end of a batch", 7, 0, LAST - 9, 10, PRODUCER_APPEND, 0},
    {NULL, 7, 0, 1, 10, PRODUCER_OUT_OF_ORDER, 0},
    {NULL, 7, 0, 0, 10, PRODUCER_APPEND, 0},
    {NULL, 7, 0, LAST - 9, 10, PRODUCER_DUPLICATE, 0},
    {NULL, 7, 0, 10, 1, PRODUCER_APPEND, 0},

    {"0 follows 2^31 - 1, inside of a batch", 7, 0, LAST - 4, 10, PRODUCER_APPEND, 0},
    {NULL, 7, 0, 0, 1, PRODUCER_OUT_OF_ORDER, 0},
    {NULL, 7, 0, 4, 1, PRODUCER_OUT_OF_ORDER, 0},
    {NULL, 7, 0, 5, 1, PRODUCER_APPEND, 0},
    {NULL, 7, 0, LAST - 4, 10, PRODUCER_DUPLICATE, 0},

    {"one record at 2^31 - 1", 7, 0, LAST, 1, PRODUCER_APPEND, 0},
    {NULL, 7, 0, 0, 1, PRODUCER_APPEND, 0},

    {"producers do not know of each other", 7, 0, 0, 10, PRODUCER_APPEND, 0},
    {NULL, 8, 0, 0, 10, PRODUCER_APPEND, 0},
    {NULL, 7, 0, 10, 10, PRODUCER_APPEND, 0},
    {NULL, 8, 0, 0, 10, PRODUCER_DUPLICATE, 10},
    {NULL, 7, 0, 0, 10, PRODUCER_DUPLICATE, 0},

    {"the last epoch there is", 7, INT16_MAX, 0, 1, PRODUCER_APPEND, 0},
    {NULL, 7, INT16_MAX - 1, 1, 1, PRODUCER_FENCED, 0},
};

static void play(struct world *w, const struct row *row)
{
    struct producer_batch old = {.first_offset = -1};
    enum producer_verdict verdict = send(w, claim_of(row->id, row->epoch, row->first, row->records), &old);
    if (verdict != row->expected)
        test_fail(__FILE__, __LINE__, "row %zu: verdict %d, expected %d", (size_t)(row - rows), verdict, row->expected);
    if (verdict == PRODUCER_DUPLICATE)
        CHECK_EQ(old.first_offset, row->old_offset);
}

TEST(producer_sequences_follow_the_rules)
{
    struct world w;
    world_init(&w);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].why) {
            producers_fini(&w.producers);
            world_init(&w);
        }
        play(&w, &rows[i]);
    }
    producers_fini(&w.producers);
}

TEST(producer_errors_are_those_of_kafka)
{
    CHECK_EQ(producer_error(PRODUCER_APPEND), 0);
    CHECK_EQ(producer_error(PRODUCER_DUPLICATE), 0);
    CHECK_EQ(producer_error(PRODUCER_OUT_OF_ORDER), 45);
    CHECK_EQ(producer_error(PRODUCER_FENCED), 47);
    CHECK_EQ(producer_error(PRODUCER_NO_ROOM), 89);
}

/* --- going back ------------------------------------------------------------------------------------------------------------- */

TEST(producer_expects_again_what_was_not_stored)
{
    struct world w;
    struct producer_batch old;
    world_init(&w);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(send(&w, claim_of(7, 0, i * 10, 10), &old), PRODUCER_APPEND);
    producers_cut_end(&w.producers, 60);
    CHECK_EQ(send(&w, claim_of(7, 0, 70, 10), &old), PRODUCER_OUT_OF_ORDER);
    CHECK_EQ(send(&w, claim_of(7, 0, 50, 10), &old), PRODUCER_DUPLICATE);
    CHECK_EQ(send(&w, claim_of(7, 0, 60, 10), &old), PRODUCER_APPEND);
    producers_cut_end(&w.producers, 0); /* more than is remembered */
    CHECK_EQ(producers_find(&w.producers, 7)->count, 0);
    CHECK_EQ(send(&w, claim_of(7, 0, 60, 10), &old), PRODUCER_OUT_OF_ORDER);
    CHECK_EQ(send(&w, claim_of(7, 0, 30, 10), &old), PRODUCER_APPEND);
    producers_fini(&w.producers);
}

TEST(producer_of_which_nothing_was_stored_begins_where_it_began)
{
    struct world w;
    struct producer_batch old;
    world_init(&w);
    CHECK_EQ(send(&w, claim_of(7, 2, 100, 10), &old), PRODUCER_APPEND);
    producers_cut_end(&w.producers, 0);
    CHECK_EQ(send(&w, claim_of(7, 2, 110, 10), &old), PRODUCER_OUT_OF_ORDER);
    CHECK_EQ(send(&w, claim_of(7, 2, 100, 10), &old), PRODUCER_APPEND);
    producers_fini(&w.producers);
}

/* --- bounds ----------------------------------------------------------------------------------------------------------------- */

TEST(producers_are_bounded)
{
    struct world w;
    struct producer_batch old;
    world_init(&w);
    w.pool.partition_max = 3;
    producers_init(&w.producers, &w.pool);
    for (int id = 0; id < 3; id++, w.now_ms++)
        CHECK_EQ(send(&w, claim_of(id, 0, 0, 1), &old), PRODUCER_APPEND);
    CHECK_EQ(send(&w, claim_of(0, 0, 1, 1), &old), PRODUCER_APPEND); /* 1 is now the one idle for longest */
    CHECK_EQ(send(&w, claim_of(3, 0, 0, 1), &old), PRODUCER_NO_ROOM);
    w.now_ms += LIMIT_PRODUCER_FRESH_MS - 1;
    CHECK_EQ(send(&w, claim_of(3, 0, 0, 1), &old), PRODUCER_APPEND);
    CHECK(!producers_find(&w.producers, 1) && producers_find(&w.producers, 2));
    CHECK_EQ(w.pool.count, 3);
    producers_fini(&w.producers);
    CHECK_EQ(w.pool.count, 0);
}

TEST(producers_of_a_shard_are_bounded)
{
    struct world w;
    struct producer_batch old;
    world_init(&w);
    w.pool.count_max = 2;
    struct producers other;
    producers_init(&other, &w.pool);
    CHECK_EQ(send(&w, claim_of(1, 0, 0, 1), &old), PRODUCER_APPEND);
    CHECK_EQ(send(&w, claim_of(2, 0, 0, 1), &old), PRODUCER_APPEND);
    struct producer_claim third = claim_of(3, 0, 0, 1);
    CHECK_EQ(producers_check(&other, &third, w.now_ms + 2 * (int64_t)LIMIT_PRODUCER_FRESH_MS, &old), PRODUCER_NO_ROOM);
    CHECK_ERR(producers_learn(&other, &third, 0, -1, w.now_ms), OK);
    CHECK(!producers_find(&other, 3));
    producers_fini(&w.producers);
    CHECK_EQ(producers_check(&other, &third, w.now_ms, &old), PRODUCER_APPEND);
    producers_fini(&other);
    CHECK_EQ(w.pool.count, 0);
}

TEST(producers_that_are_idle_expire)
{
    struct world w;
    struct producer_batch old;
    world_init(&w);
    for (int id = 0; id < 10; id++, w.now_ms += 10)
        CHECK_EQ(send(&w, claim_of(id, 0, 0, 1), &old), PRODUCER_APPEND);
    CHECK_EQ(send(&w, claim_of(0, 0, 1, 1), &old), PRODUCER_APPEND);
    producers_expire(&w.producers, 1000050);
    for (int id = 0; id < 10; id++)
        CHECK_EQ(producers_find(&w.producers, id) != NULL, id == 0 || id >= 5);
    CHECK_EQ(send(&w, claim_of(1, 0, 50, 1), &old), PRODUCER_APPEND); /* forgotten: it may go on anywhere */
    producers_fini(&w.producers);
}

/* --- on disk ---------------------------------------------------------------------------------------------------------------- */

static void fill(struct world *w)
{
    struct producer_batch old;
    for (int i = 0; i < 7; i++)
        CHECK_EQ(send(w, claim_of(7, 3, i * 10, 10), &old), PRODUCER_APPEND);
    w->now_ms += 500;
    CHECK_EQ(send(w, claim_of(8, 0, LAST, 2), &old), PRODUCER_APPEND);
}

TEST(producers_survive_being_saved)
{
    struct world w, again;
    struct producer_batch old;
    struct buf bytes;
    int64_t offset = 0;
    world_init(&w);
    fill(&w);
    struct producer_claim never_stored = claim_of(9, 0, 0, 1);
    CHECK_EQ(producers_check(&w.producers, &never_stored, w.now_ms, &old), PRODUCER_APPEND);
    buf_init(&bytes, 1 << 20);
    producers_save(&w.producers, w.end, &bytes);
    CHECK_ERR(buf_err(&bytes), OK);
    world_init(&again);
    CHECK_ERR(producers_load(&again.producers, buf_slice(&bytes), &offset), OK);
    CHECK_EQ(offset, 72);
    CHECK_EQ(again.pool.count, 2);
    CHECK_EQ(again.producers.oldest->id, 7);
    CHECK_EQ(again.producers.oldest->used_ms, 1000000);
    CHECK_EQ(again.producers.latest->used_ms, 1000500);
    again.end = offset;
    CHECK_EQ(send(&again, claim_of(7, 2, 0, 1), &old), PRODUCER_FENCED);
    CHECK_EQ(send(&again, claim_of(7, 3, 10, 10), &old), PRODUCER_OUT_OF_ORDER);
    CHECK_EQ(send(&again, claim_of(7, 3, 20, 10), &old), PRODUCER_DUPLICATE);
    CHECK_EQ(old.first_offset, 20);
    CHECK_EQ(send(&again, claim_of(7, 3, 70, 10), &old), PRODUCER_APPEND);
    CHECK_EQ(send(&again, claim_of(8, 0, 1, 1), &old), PRODUCER_APPEND);
    producers_fini(&again.producers);
    producers_fini(&w.producers);
    buf_fini(&bytes);
}

TEST(producers_of_damaged_bytes_are_not_taken)
{
    struct world w, again;
    struct buf bytes;
    int64_t offset = -5;
    world_init(&w);
    fill(&w);
    buf_init(&bytes, 1 << 20);
    producers_save(&w.producers, w.end, &bytes);
    world_init(&again);
    for (size_t i = 0; i < bytes.size; i++) {
        bytes.data[i] ^= 0x10;
        CHECK_ERR(producers_load(&again.producers, buf_slice(&bytes), &offset), ERR_CORRUPT);
        bytes.data[i] ^= 0x10;
        CHECK_ERR(producers_load(&again.producers, slice_of(bytes.data, i), &offset), ERR_CORRUPT);
        CHECK(!again.producers.oldest && again.pool.count == 0 && offset == -5);
    }
    producers_fini(&again.producers);
    producers_fini(&w.producers);
    buf_fini(&bytes);
}

SCENARIO(producers_without_memory)
{
    struct world w;
    struct producer_batch old;
    world_init(&w);
    struct producer_claim claims[] = {claim_of(1, 0, 0, 1), claim_of(2, 0, 0, 1)};
    enum err e = OK;
    for (int i = 0; i < 2 && e == OK; i++) {
        enum producer_verdict verdict = producers_check(&w.producers, &claims[i], w.now_ms, &old);
        e = verdict == PRODUCER_NO_MEMORY ? ERR_NOMEM : OK;
        if (e == OK)
            producers_note(&w.producers, &claims[i], i, -1, w.now_ms);
    }
    struct producer_claim third = claim_of(3, 0, 0, 1);
    if (e == OK)
        e = producers_learn(&w.producers, &third, 2, -1, w.now_ms);
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    producers_save(&w.producers, 3, &bytes);
    producers_fini(&w.producers);
    world_init(&w);
    int64_t offset;
    if (e == OK)
        e = buf_err(&bytes);
    if (e == OK)
        e = producers_load(&w.producers, buf_slice(&bytes), &offset);
    producers_fini(&w.producers);
    buf_fini(&bytes);
    return e;
}

/* What the model does not cover: limits of memory, sweeping, idempotency, walks while the store changes, cancelling. */
#include <stdio.h>

#include "../../harness.h"
#include "memory_fixture.h"

static struct slice number_key(unsigned i, char memory[16])
{
    return slice_of(memory, (size_t)snprintf(memory, 16, "k%05u", i));
}

/* --- memory ------------------------------------------------------------------------------------------------------------------ */

TEST(a_full_store_refuses_until_something_goes)
{
    static uint8_t value[1000];
    struct memory_fixture f;
    char memory[16];
    unsigned stored = 0;
    CHECK_ERR(memory_fixture_init(&f, 100000), OK);
    for (; !f.call.err && stored < 1000; stored++)
        memory_fixture_set(&f, number_key(stored, memory), slice_of(value, sizeof value));
    CHECK_ERR(f.call.err, ERR_STORE_FULL);
    CHECK(stored > 80 && stored < 100);
    CHECK(memory_fixture_stat(&f, "bytes") <= 100000);
    memory_fixture_set(&f, number_key(3, memory), slice_of(value, sizeof value));
    CHECK_ERR(f.call.err, OK);
    CHECK(memory_fixture_delete(&f, number_key(3, memory)));
    memory_fixture_set(&f, SLICE("new"), slice_of(value, 900));
    CHECK_ERR(f.call.err, OK);
    memory_fixture_fini(&f);
}

TEST(a_full_store_sweeps_what_has_expired_before_it_refuses)
{
    static uint8_t value[1000];
    struct memory_fixture f;
    char memory[16];
    CHECK_ERR(memory_fixture_init(&f, 100000), OK);
    for (unsigned i = 0; !f.call.err; i++)
        memory_fixture_set_for(&f, number_key(i, memory), slice_of(value, sizeof value), 100);
    CHECK_ERR(f.call.err, ERR_STORE_FULL);
    fake_env_advance(&f.env, 100);
    static uint8_t large[90000]; /* more than what lies in the shard of this key */
    memory_fixture_set(&f, SLICE("new"), slice_of(large, sizeof large));
    CHECK_ERR(f.call.err, OK);
    CHECK_EQ(memory_fixture_stat(&f, "keys"), 1);
    memory_fixture_fini(&f);
}

TEST(nothing_stays_charged)
{
    struct memory_fixture f;
    char memory[16];
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    for (unsigned i = 0; i < 1000; i++)
        memory_fixture_set(&f, number_key(i, memory), SLICE("value"));
    CHECK_EQ(memory_fixture_stat(&f, "keys_without_ttl"), 1000);
    for (unsigned i = 0; i < 1000; i++)
        CHECK(memory_fixture_delete(&f, number_key(i, memory)));
    CHECK_EQ(memory_fixture_stat(&f, "bytes"), 0);
    memory_fixture_fini(&f);
}

TEST(writes_sweep_what_has_expired)
{
    struct memory_fixture f;
    char memory[16];
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    for (unsigned i = 0; i < 1000; i++)
        memory_fixture_set_for(&f, number_key(i, memory), SLICE("value"), 10);
    fake_env_advance(&f.env, 11);
    for (unsigned i = 0; i < 1000; i++)
        memory_fixture_set(&f, SLICE("another"), SLICE("value"));
    struct store *s = &((struct memory *)f.ns.backend)->store;
    uint64_t keys = 0;
    for (unsigned i = 0; i < 1000; i++)
        memory_fixture_delete(&f, number_key(5000 + i, memory));
    for (unsigned i = 0; i < SHARDS; i++)
        keys += s->shards[i].table.count;
    CHECK_EQ(keys, 1);
    memory_fixture_fini(&f);
}

TEST(expired_keys_are_not_there)
{
    struct memory_fixture f;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    memory_fixture_set_for(&f, SLICE("k"), SLICE("value"), 10);
    fake_env_advance(&f.env, 9);
    CHECK(memory_fixture_get(&f, SLICE("k"))->found);
    fake_env_advance(&f.env, 1);
    CHECK(!memory_fixture_get(&f, SLICE("k"))->found);
    struct keyvalue_set_request r = {.key = SLICE("k"), .has_if_version = true};
    fake_call(&f.call, METHOD_KEYVALUE_BASIC_SET, &r);
    CHECK_ERR(f.call.err, OK);
    memory_fixture_fini(&f);
}

/* --- versions ---------------------------------------------------------------------------------------------------------------- */

TEST(a_mismatch_says_both_versions)
{
    struct memory_fixture f;
    uint8_t version[64];
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    const struct keyvalue_set_response *first = memory_fixture_set(&f, SLICE("k"), SLICE("1"));
    size_t size = first->version.size;
    memcpy(version, first->version.data, size);
    memory_fixture_set(&f, SLICE("k"), SLICE("2"));
    struct keyvalue_set_request r = {.key = SLICE("k"), .has_if_version = true, .if_version = slice_of(version, size)};
    fake_call(&f.call, METHOD_KEYVALUE_BASIC_SET, &r);
    CHECK_ERR(f.call.err, ERR_VERSION_MISMATCH);
    CHECK_STR(f.call.call.diag.preconditions->name, "VERSION_CONFLICT");
    CHECK(strstr(f.call.call.diag.preconditions->value, "01, actual ") != NULL);
    CHECK_SLICE(memory_fixture_get(&f, SLICE("k"))->value, SLICE("2"));
    memory_fixture_fini(&f);
}

/* --- batches ----------------------------------------------------------------------------------------------------------------- */

TEST(batch_get_stays_within_the_message_limit)
{
    static uint8_t value[40000];
    struct memory_fixture f;
    struct slice keys[3] = {SLICE("a"), SLICE("b"), SLICE("c")};
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    for (unsigned i = 0; i < 3; i++)
        memory_fixture_set(&f, keys[i], slice_of(value, i == 2 ? 10 : sizeof value));
    f.ns.message_bytes = 60000;
    struct keyvalue_batch_get_request r = {.keys = {.items = keys, .count = 3}};
    const struct keyvalue_batch_get_response *answer = fake_call(&f.call, METHOD_KEYVALUE_BATCH_BATCH_GET, &r);
    CHECK_ERR(f.call.err, OK);
    CHECK(f.call.bytes_max <= 60000);
    static const int codes[] = {0, 8, 0};
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(PB_AT(answer->results, struct keyvalue_batch_get_result *, i)->status->code, codes[i]);
    CHECK_EQ(answer->found, 2);
    memory_fixture_fini(&f);
}

TEST(batches_have_1_to_1000_items)
{
    static struct slice keys[LIMIT_BATCH_ITEMS + 1];
    struct memory_fixture f;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    struct keyvalue_batch_get_request r = {.keys = {.items = keys, .count = LIMIT_BATCH_ITEMS + 1}};
    fake_call(&f.call, METHOD_KEYVALUE_BATCH_BATCH_GET, &r);
    CHECK_ERR(f.call.err, ERR_FIELD_INVALID);
    r.keys.count = 0;
    fake_call(&f.call, METHOD_KEYVALUE_BATCH_BATCH_GET, &r);
    CHECK_ERR(f.call.err, ERR_FIELD_INVALID);
    memory_fixture_fini(&f);
}

/* --- idempotency ------------------------------------------------------------------------------------------------------------- */

static const struct keyvalue_set_response *set_once(struct memory_fixture *f, struct slice key, struct slice value)
{
    f->call.idempotency_key = SLICE("order 17");
    return memory_fixture_set(f, key, value);
}

TEST(a_retry_writes_once)
{
    struct memory_fixture f;
    uint8_t version[64];
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    const struct keyvalue_set_response *first = set_once(&f, SLICE("k"), SLICE("v"));
    size_t size = first->version.size;
    memcpy(version, first->version.data, size);
    CHECK_SLICE(set_once(&f, SLICE("k"), SLICE("v"))->version, slice_of(version, size));
    set_once(&f, SLICE("k"), SLICE("other"));
    CHECK_ERR(f.call.err, ERR_IDEMPOTENCY_REUSED);
    CHECK_SLICE(memory_fixture_get(&f, SLICE("k"))->version, slice_of(version, size));
    f.call.who = "somebody else";
    CHECK(!slice_eq(set_once(&f, SLICE("k"), SLICE("other"))->version, slice_of(version, size)));
    f.call.who = "";
    fake_env_advance(&f.env, LIMIT_IDEMPOTENCY_RETENTION_MS);
    CHECK(!slice_eq(set_once(&f, SLICE("k"), SLICE("v"))->version, slice_of(version, size)));
    memory_fixture_fini(&f);
}

TEST(failed_calls_are_not_kept)
{
    struct memory_fixture f;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    struct keyvalue_set_request r = {.key = SLICE("k"), .has_if_version = true, .if_version = SLICE("nonsense")};
    f.call.idempotency_key = SLICE("key");
    fake_call(&f.call, METHOD_KEYVALUE_BASIC_SET, &r);
    CHECK_ERR(f.call.err, ERR_VERSION_MISMATCH);
    CHECK_EQ(memory_fixture_stat(&f, "idempotency_records"), 0);
    memory_fixture_fini(&f);
}

TEST(records_are_bounded)
{
    struct memory_fixture f;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    struct memory *m = (struct memory *)f.ns.backend;
    for (unsigned i = 0; i < STRIPES; i++)
        m->records.stripes[i].by_key.count_max = 3;
    for (unsigned i = 0; i < 1000; i++) {
        char memory[16];
        f.call.idempotency_key = number_key(i, memory);
        memory_fixture_set(&f, SLICE("k"), SLICE("v"));
        CHECK_ERR(f.call.err, OK);
    }
    CHECK_EQ(memory_fixture_stat(&f, "idempotency_records"), 3 * STRIPES);
    memory_fixture_fini(&f);
}

/* --- walks ------------------------------------------------------------------------------------------------------------------- */

enum { WALKED = 2000 };

static void fill(struct memory_fixture *f)
{
    char memory[16];
    for (unsigned i = 0; i < WALKED; i++)
        memory_fixture_set(f, number_key(i, memory), SLICE("v"));
}

/* Between two pages every odd key is removed or written again, and others come. Even keys must come once each, in order. */
static void check_walk_under_change(bool reverse)
{
    struct memory_fixture f;
    struct fake_call writer;
    char memory[16];
    unsigned round = 0, even = 0;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    fill(&f);
    fake_call_init(&writer, &f.ns, NULL);
    f.call.hold = true;
    struct keyvalue_scan_request r = {.page_size = 50, .reverse = reverse};
    fake_call_start(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &r);
    for (; !f.call.ended; round++) {
        for (unsigned i = 1; i < WALKED; i += 2) {
            struct keyvalue_delete_request d = {.key = number_key(i, memory)};
            struct keyvalue_set_request s = {.key = d.key};
            fake_call(&writer, round % 2 ? METHOD_KEYVALUE_BASIC_SET : METHOD_KEYVALUE_BASIC_DELETE,
                      round % 2 ? (void *)&s : (void *)&d);
        }
        f.call.holding = false;
        f.call.call.on_resume(&f.call.call);
    }
    CHECK_ERR(f.call.err, OK);
    struct slice last = SLICE_EMPTY;
    for (unsigned p = 0; p < f.call.count; p++) {
        const struct keyvalue_scan_response *page = f.call.messages[p];
        for (unsigned i = 0; i < page->items.count; i++) {
            struct slice key = PB_AT(page->items, struct keyvalue_key_value_item *, i)->key;
            int order = slice_cmp(last, key);
            CHECK(!last.size || (reverse ? order > 0 : order < 0));
            last = key;
            if (key.data[key.size - 1] % 2)
                continue;
            unsigned expected = reverse ? WALKED - 2 - 2 * even : 2 * even;
            CHECK_SLICE(key, number_key(expected, memory));
            even++;
        }
    }
    CHECK_EQ(even, WALKED / 2);
    fake_call_fini(&writer);
    memory_fixture_fini(&f);
}

TEST(keys_that_stay_come_once_while_others_change)
{
    check_walk_under_change(false);
    check_walk_under_change(true);
}

TEST(a_held_walk_can_be_cancelled)
{
    struct memory_fixture f;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    fill(&f);
    f.call.hold = true;
    f.call.cancel_after = 3;
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &(struct keyvalue_scan_request){0});
    CHECK_ERR(f.call.err, ERR_CANCELLED);
    CHECK_EQ(f.call.count, 3);
    memory_fixture_fini(&f);
}

TEST(keys_that_expire_while_a_walk_waits_do_not_come)
{
    struct memory_fixture f;
    char memory[16];
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    for (unsigned i = 0; i < 200; i++)
        memory_fixture_set_for(&f, number_key(i, memory), SLICE("v"), 10);
    f.call.hold = true;
    fake_call_start(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &(struct keyvalue_scan_request){0});
    fake_env_advance(&f.env, 10);
    fake_call_finish(&f.call);
    CHECK_ERR(f.call.err, OK);
    CHECK_EQ(f.call.count, 1);
    memory_fixture_fini(&f);
}

/* The index is built by the first scan, and kept right by what comes after. */
TEST(scans_see_what_came_before_and_after_the_index)
{
    struct memory_fixture f;
    char memory[16];
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    fill(&f);
    const struct keyvalue_count_response *r =
        fake_call(&f.call, METHOD_KEYVALUE_SCAN_COUNT, &(struct keyvalue_count_request){0});
    CHECK_EQ(r->count, WALKED);
    for (unsigned i = 0; i < 100; i++) {
        memory_fixture_set(&f, number_key(50000 + i, memory), SLICE("v"));
        memory_fixture_delete(&f, number_key(i, memory));
    }
    struct keyvalue_count_request tail = {.start = SLICE("k50000")}, head = {.end = SLICE("k00150")};
    r = fake_call(&f.call, METHOD_KEYVALUE_SCAN_COUNT, &tail);
    CHECK_EQ(r->count, 100);
    r = fake_call(&f.call, METHOD_KEYVALUE_SCAN_COUNT, &head);
    CHECK_EQ(r->count, 50);
    memory_fixture_fini(&f);
}

/* More keys than one turn counts: the loop gets its turn in between. */
TEST(counting_much_lets_the_loop_breathe)
{
    struct memory_fixture f;
    char memory[16];
    struct loop *loop;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    for (unsigned i = 0; i < 99999; i++)
        memory_fixture_set(&f, number_key(i, memory), SLICE_EMPTY);
    CHECK_ERR(loop_new(env_real(), 0, &loop), OK);
    f.call.loop = loop;
    fake_call_start(&f.call, METHOD_KEYVALUE_SCAN_COUNT, &(struct keyvalue_count_request){0});
    CHECK(!f.call.ended);
    fake_call_finish(&f.call);
    CHECK_EQ(((const struct keyvalue_count_response *)f.call.messages[0])->count, 99999);
    fake_call_start(&f.call, METHOD_KEYVALUE_SCAN_COUNT, &(struct keyvalue_count_request){0});
    call_cancel(&f.call.call);
    fake_call_finish(&f.call);
    CHECK_ERR(f.call.err, ERR_CANCELLED);
    loop_free(loop);
    memory_fixture_fini(&f);
}

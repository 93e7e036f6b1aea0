/* The six interfaces, one call after the other. */
#include "fixture.h"

#include <stdio.h>

#include "data/keyvalue.h"
#include "google/protobuf/duration.pb.h"

TEST(sets_gets_and_deletes)
{
    struct fixture f;
    fixture_begin(&f);
    uint8_t version[64];
    struct slice v = fixture_set(&f, "a", "one");
    CHECK_EQ(v.size, 16);
    memcpy(version, v.data, v.size);
    const struct keyvalue_get_response *r = fixture_get(&f, "a");
    CHECK(r->found);
    CHECK_SLICE(r->value, SLICE("one"));
    CHECK_SLICE(r->version, slice_of(version, 16));
    CHECK(!r->expires_at);
    CHECK(!slice_eq(fixture_set(&f, "a", ""), slice_of(version, 16)));
    r = fixture_get(&f, "a");
    CHECK(r->found && r->value.size == 0);
    CHECK(!fixture_get(&f, "b")->found);
    CHECK_EQ(fixture_stat(&f, "keys"), 1);
    const struct keyvalue_delete_response *d =
        fake_call(&f.call, METHOD_KEYVALUE_BASIC_DELETE, &(struct keyvalue_delete_request){.key = SLICE("a")});
    CHECK(d->existed);
    CHECK_EQ(fixture_stat(&f, "keys"), 0);
    d = fake_call(&f.call, METHOD_KEYVALUE_BASIC_DELETE, &(struct keyvalue_delete_request){.key = SLICE("a")});
    CHECK(!d->existed);
    CHECK(!fixture_get(&f, "a")->found);
    fixture_fini(&f);
}

TEST(keeps_any_byte_of_key_and_value)
{
    struct fixture f;
    uint8_t bytes[256];
    fixture_begin(&f);
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    struct slice all = slice_of(bytes, 256), head = slice_of(bytes, 1);
    fake_call(&f.call, METHOD_KEYVALUE_BASIC_SET, &(struct keyvalue_set_request){.key = all, .value = all});
    CHECK_ERR(f.call.err, OK);
    fake_call(&f.call, METHOD_KEYVALUE_BASIC_SET, &(struct keyvalue_set_request){.key = head, .value = head});
    const struct keyvalue_get_response *r =
        fake_call(&f.call, METHOD_KEYVALUE_BASIC_GET, &(struct keyvalue_get_request){.key = all});
    CHECK_SLICE(r->value, all);
    r = fake_call(&f.call, METHOD_KEYVALUE_BASIC_GET, &(struct keyvalue_get_request){.key = head});
    CHECK_SLICE(r->value, head);
    fixture_fini(&f);
}

TEST(refuses_broken_keys_at_once)
{
    struct fixture f;
    uint8_t long_key[LIMIT_KEY_BYTES + 1] = {1};
    fixture_begin(&f);
    CHECK_ERR(fixture_set_err(&f, "", "x"), ERR_KEY_INVALID);
    struct slice key = slice_of(long_key, sizeof long_key);
    fake_call(&f.call, METHOD_KEYVALUE_BASIC_GET, &(struct keyvalue_get_request){.key = key});
    CHECK_ERR(f.call.err, ERR_KEY_INVALID);
    fake_call(&f.call, METHOD_KEYVALUE_BASIC_GET,
              &(struct keyvalue_get_request){.key = slice_take(key, LIMIT_KEY_BYTES)});
    CHECK_ERR(f.call.err, OK);
    fixture_fini(&f);
}

static enum err set_if(struct fixture *f, const char *key, struct slice version)
{
    struct keyvalue_set_request r = {
        .key = slice_str(key), .value = SLICE("new"), .has_if_version = true, .if_version = version};
    fake_call(&f->call, METHOD_KEYVALUE_BASIC_SET, &r);
    return f->call.err;
}

TEST(compares_versions)
{
    struct fixture f;
    uint8_t old[16];
    fixture_begin(&f);
    CHECK_ERR(set_if(&f, "k", SLICE("nonsense")), ERR_VERSION_MISMATCH);
    CHECK_ERR(set_if(&f, "k", SLICE_EMPTY), OK);
    CHECK_ERR(set_if(&f, "k", SLICE_EMPTY), ERR_VERSION_MISMATCH);
    memcpy(old, fixture_set(&f, "k", "x").data, sizeof old);
    CHECK_ERR(set_if(&f, "k", slice_of(old, 16)), OK);
    CHECK_ERR(set_if(&f, "k", slice_of(old, 16)), ERR_VERSION_MISMATCH);
    CHECK(f.call.call.diag.preconditions != NULL);
    CHECK_SLICE(fixture_get(&f, "k")->value, SLICE("new"));
    fixture_fini(&f);
}

TEST(swaps_and_deletes_by_comparison)
{
    struct fixture f;
    fixture_begin(&f);
    struct keyvalue_compare_and_swap_request swap = {
        .key = SLICE("k"), .expected_case = 4, .expected_absent = true, .value = SLICE("1")};
    const struct keyvalue_compare_and_swap_response *s =
        fake_call(&f.call, METHOD_KEYVALUE_CAS_COMPARE_AND_SWAP, &swap);
    CHECK(s->swapped && s->version.size == 16);
    s = fake_call(&f.call, METHOD_KEYVALUE_CAS_COMPARE_AND_SWAP, &swap);
    CHECK(!s->swapped && s->found);
    CHECK_SLICE(s->current_value, SLICE("1"));
    swap = (struct keyvalue_compare_and_swap_request){
        .key = SLICE("k"), .expected_case = 3, .expected_value = SLICE("1"), .value = SLICE("2")};
    s = fake_call(&f.call, METHOD_KEYVALUE_CAS_COMPARE_AND_SWAP, &swap);
    CHECK(s->swapped);
    struct keyvalue_compare_and_delete_request del = {
        .key = SLICE("k"), .expected_case = 3, .expected_value = SLICE("1")};
    const struct keyvalue_compare_and_delete_response *d =
        fake_call(&f.call, METHOD_KEYVALUE_CAS_COMPARE_AND_DELETE, &del);
    CHECK(!d->deleted && d->found && d->version.size == 16);
    del.expected_value = SLICE("2");
    d = fake_call(&f.call, METHOD_KEYVALUE_CAS_COMPARE_AND_DELETE, &del);
    CHECK(d->deleted);
    d = fake_call(&f.call, METHOD_KEYVALUE_CAS_COMPARE_AND_DELETE, &del);
    CHECK(!d->deleted && !d->found);
    swap.expected_case = 0;
    fake_call(&f.call, METHOD_KEYVALUE_CAS_COMPARE_AND_SWAP, &swap);
    CHECK_ERR(f.call.err, ERR_FIELD_INVALID);
    fixture_fini(&f);
}

static void set_for(struct fixture *f, const char *key, int64_t ms)
{
    struct google_protobuf_duration ttl = {.seconds = ms / 1000, .nanos = (int32_t)(ms % 1000) * 1000000};
    struct keyvalue_set_request r = {.key = slice_str(key), .value = SLICE("v"), .ttl = &ttl};
    fake_call(&f->call, METHOD_KEYVALUE_BASIC_SET, &r);
    CHECK_ERR(f->call.err, OK);
}

TEST(expired_keys_are_gone_at_once_and_swept_later)
{
    struct fixture f;
    fixture_begin(&f);
    for (int i = 0; i < 50; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%02d", i);
        set_for(&f, key, 1000);
    }
    fixture_set(&f, "stays", "x");
    fake_env_advance(&f.env, 999);
    CHECK(fixture_get(&f, "k00")->found);
    fake_env_advance(&f.env, 1);
    CHECK(!fixture_get(&f, "k00")->found);
    CHECK_EQ(fixture_stat(&f, "keys"), 51);
    CHECK_EQ(fixture_stat(&f, "writes_without_ttl"), 1);
    CHECK_ERR(set_if(&f, "k01", SLICE_EMPTY), OK); /* absent; and the writer sweeps after it */
    fixture_set(&f, "k01", "again");
    CHECK_EQ(fixture_stat(&f, "keys"), 2);
    CHECK_EQ(fixture_stat(&f, "expired_rows_swept"), 49);
    CHECK(fixture_get(&f, "stays")->found);
    fixture_fini(&f);
}

TEST(changes_times_to_live)
{
    struct fixture f;
    fixture_begin(&f);
    struct google_protobuf_duration ttl = {.seconds = 5};
    struct keyvalue_expire_request expire = {.key = SLICE("k"), .ttl = &ttl};
    const struct keyvalue_expire_response *e = fake_call(&f.call, METHOD_KEYVALUE_TTL_EXPIRE, &expire);
    CHECK(!e->existed && !e->expires_at);
    uint8_t version[16];
    memcpy(version, fixture_set(&f, "k", "v").data, 16);
    e = fake_call(&f.call, METHOD_KEYVALUE_TTL_EXPIRE, &expire);
    CHECK(e->existed && e->expires_at);
    CHECK_SLICE(fixture_get(&f, "k")->version, slice_of(version, 16));
    struct keyvalue_get_ttl_request get = {.key = SLICE("k")};
    const struct keyvalue_get_ttl_response *g = fake_call(&f.call, METHOD_KEYVALUE_TTL_GET_TTL, &get);
    CHECK(g->exists && g->expires_at);
    struct keyvalue_persist_request persist = {.key = SLICE("k")};
    const struct keyvalue_persist_response *p = fake_call(&f.call, METHOD_KEYVALUE_TTL_PERSIST, &persist);
    CHECK(p->existed && p->removed);
    p = fake_call(&f.call, METHOD_KEYVALUE_TTL_PERSIST, &persist);
    CHECK(p->existed && !p->removed);
    g = fake_call(&f.call, METHOD_KEYVALUE_TTL_GET_TTL, &get);
    CHECK(g->exists && !g->expires_at);
    ttl.seconds = 0;
    e = fake_call(&f.call, METHOD_KEYVALUE_TTL_EXPIRE, &expire);
    CHECK(e->existed && !e->expires_at);
    CHECK(!fixture_get(&f, "k")->found);
    f.ns.ttl_allow_infinite = false;
    fake_call(&f.call, METHOD_KEYVALUE_TTL_PERSIST, &persist);
    CHECK_ERR(f.call.err, ERR_TTL_REQUIRED);
    fixture_fini(&f);
}

TEST(answers_batches_item_by_item)
{
    struct fixture f;
    fixture_begin(&f);
    struct keyvalue_batch_set_item good = {.key = SLICE("a"), .value = SLICE("1")}, bad = {.key = SLICE_EMPTY},
                                   late = {.key = SLICE("a"), .value = SLICE("2"), .has_if_version = true};
    struct keyvalue_batch_set_item *items[] = {&good, &bad, &late};
    struct keyvalue_batch_set_request set = {.items = {.items = items, .count = 3}};
    const struct keyvalue_batch_set_response *s = fake_call(&f.call, METHOD_KEYVALUE_BATCH_BATCH_SET, &set);
    CHECK_ERR(f.call.err, OK);
    CHECK_EQ(s->succeeded, 1);
    CHECK_EQ(PB_AT(s->results, struct keyvalue_batch_set_result *, 0)->status->code, 0);
    CHECK_EQ(PB_AT(s->results, struct keyvalue_batch_set_result *, 1)->status->code, 3);
    CHECK_EQ(PB_AT(s->results, struct keyvalue_batch_set_result *, 2)->status->code, 10);
    CHECK_EQ(PB_AT(s->results, struct keyvalue_batch_set_result *, 2)->status->index, 2);
    struct slice keys[] = {SLICE("a"), SLICE("none")};
    struct keyvalue_batch_get_request get = {.keys = {.items = keys, .count = 2}};
    const struct keyvalue_batch_get_response *g = fake_call(&f.call, METHOD_KEYVALUE_BATCH_BATCH_GET, &get);
    CHECK_EQ(g->found, 1);
    CHECK_SLICE(PB_AT(g->results, struct keyvalue_batch_get_result *, 0)->item->value, SLICE("1"));
    CHECK(!PB_AT(g->results, struct keyvalue_batch_get_result *, 1)->item->found);
    struct keyvalue_batch_delete_request del = {.keys = {.items = keys, .count = 2}};
    const struct keyvalue_batch_delete_response *d = fake_call(&f.call, METHOD_KEYVALUE_BATCH_BATCH_DELETE, &del);
    CHECK_EQ(d->succeeded, 2);
    CHECK(PB_AT(d->results, struct keyvalue_batch_delete_result *, 0)->existed);
    CHECK(!PB_AT(d->results, struct keyvalue_batch_delete_result *, 1)->existed);
    fixture_fini(&f);
}

TEST(a_batch_answer_stays_below_the_message_limit)
{
    struct fixture f;
    fixture_begin(&f);
    char value[1001];
    memset(value, 'v', 1000);
    value[1000] = 0;
    fixture_set(&f, "a", value);
    fixture_set(&f, "b", value);
    fixture_set(&f, "c", "small");
    f.ns.message_bytes = 1200;
    struct slice keys[] = {SLICE("a"), SLICE("b"), SLICE("c")};
    struct keyvalue_batch_get_request get = {.keys = {.items = keys, .count = 3}};
    const struct keyvalue_batch_get_response *g = fake_call(&f.call, METHOD_KEYVALUE_BATCH_BATCH_GET, &get);
    CHECK_EQ(g->found, 2);
    CHECK_EQ(PB_AT(g->results, struct keyvalue_batch_get_result *, 1)->status->code, 8);
    CHECK_SLICE(PB_AT(g->results, struct keyvalue_batch_get_result *, 2)->item->value, SLICE("small"));
    fixture_fini(&f);
}

/* --- scans ------------------------------------------------------------------------------------------------------------------ */

static void fill(struct fixture *f, int count)
{
    for (int i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%04d", i);
        fixture_set(f, key, "v");
    }
}

TEST(scans_in_order_page_by_page)
{
    struct fixture f;
    fixture_begin(&f);
    fill(&f, 25);
    f.call.hold = true;
    struct keyvalue_scan_request r = {.prefix = SLICE("k"), .page_size = 10};
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &r);
    CHECK_ERR(f.call.err, OK);
    CHECK_EQ(f.call.count, 3);
    int n = 0;
    for (unsigned i = 0; i < f.call.count; i++) {
        const struct keyvalue_scan_response *page = f.call.messages[i];
        CHECK(page->ordered);
        for (uint32_t j = 0; j < page->items.count; j++, n++) {
            char key[16];
            snprintf(key, sizeof key, "k%04d", n);
            CHECK_SLICE(PB_AT(page->items, struct keyvalue_key_value_item *, j)->key, slice_str(key));
        }
        CHECK((page->next_cursor.size == 0) == (i == 2));
    }
    CHECK_EQ(n, 25);
    fixture_fini(&f);
}

TEST(scans_backwards_keys_alone_and_from_a_cursor)
{
    struct fixture f;
    fixture_begin(&f);
    fill(&f, 9);
    struct keyvalue_scan_keys_request r = {.reverse = true, .limit = 5, .page_size = 3};
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN_KEYS, &r);
    CHECK_EQ(f.call.count, 2);
    const struct keyvalue_scan_keys_response *page = f.call.messages[0];
    CHECK_SLICE(PB_AT(page->keys, struct slice, 0), SLICE("k0008"));
    CHECK_SLICE(PB_AT(page->keys, struct slice, 2), SLICE("k0006"));
    char cursor[512];
    CHECK(page->next_cursor.size > 0 && page->next_cursor.size < sizeof cursor);
    memcpy(cursor, page->next_cursor.data, page->next_cursor.size);
    r.cursor = slice_of(cursor, page->next_cursor.size);
    fixture_close(&f);
    CHECK_ERR(fixture_open(&f), OK); /* cursors survive restarts */
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN_KEYS, &r);
    CHECK_ERR(f.call.err, OK);
    page = f.call.messages[0];
    CHECK_EQ(page->keys.count, 2);
    CHECK_SLICE(PB_AT(page->keys, struct slice, 0), SLICE("k0005"));
    fixture_fini(&f);
}

TEST(counts_ranges_without_what_has_expired)
{
    struct fixture f;
    fixture_begin(&f);
    fill(&f, 20);
    set_for(&f, "k9999", 10);
    struct keyvalue_count_request r = {.start = SLICE("k0005"), .end = SLICE("l")};
    const struct keyvalue_count_response *c = fake_call(&f.call, METHOD_KEYVALUE_SCAN_COUNT, &r);
    CHECK_EQ(c->count, 16);
    fake_env_advance(&f.env, 10);
    c = fake_call(&f.call, METHOD_KEYVALUE_SCAN_COUNT, &r);
    CHECK_EQ(c->count, 15);
    fixture_fini(&f);
}

TEST(a_cancelled_scan_ends)
{
    struct fixture f;
    fixture_begin(&f);
    fill(&f, 30);
    f.call.hold = true;
    f.call.cancel_after = 2;
    struct keyvalue_scan_request r = {.page_size = 5};
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &r);
    CHECK_ERR(f.call.err, ERR_CANCELLED);
    CHECK_EQ(f.call.count, 2);
    fixture_fini(&f);
}

TEST(late_and_cancelled_calls_are_not_run)
{
    struct fixture f;
    struct calls calls;
    fixture_begin(&f);
    calls_init(&calls, &f, 3);
    struct keyvalue_set_request r[3] = {{.key = SLICE("first")}, {.key = SLICE("cancelled")}, {.key = SLICE("late")}};
    struct sqlite3 *blocker = blocker_begin(&f);
    for (int i = 0; i < 2; i++)
        fake_call_start(&calls.items[i], METHOD_KEYVALUE_BASIC_SET, &r[i]);
    call_cancel(&calls.items[1].call);
    blocker_end(blocker);
    calls.items[2].deadline_ns = 1; /* the clock is past it */
    fake_call_start(&calls.items[2], METHOD_KEYVALUE_BASIC_SET, &r[2]);
    calls_finish(&calls);
    CHECK_ERR(calls.items[0].err, OK);
    CHECK_ERR(calls.items[1].err, ERR_CANCELLED);
    CHECK_ERR(calls.items[2].err, ERR_DEADLINE_EXCEEDED);
    calls_fini(&calls);
    CHECK(fixture_get(&f, "first")->found);
    CHECK(!fixture_get(&f, "cancelled")->found);
    CHECK(!fixture_get(&f, "late")->found);
    fixture_fini(&f);
}

/* --- idempotency ------------------------------------------------------------------------------------------------------------ */

TEST(a_repeated_call_answers_as_the_first)
{
    struct fixture f;
    fixture_begin(&f);
    uint8_t version[16];
    f.call.idempotency_key = SLICE("once");
    memcpy(version, fixture_set(&f, "k", "1").data, 16);
    fixture_set(&f, "k", "2");
    f.call.idempotency_key = SLICE("once");
    CHECK_SLICE(fixture_set(&f, "k", "1"), slice_of(version, 16));
    CHECK_SLICE(fixture_get(&f, "k")->value, SLICE("2"));
    f.call.idempotency_key = SLICE("once");
    CHECK_ERR(fixture_set_err(&f, "k", "other"), ERR_IDEMPOTENCY_REUSED);
    fixture_close(&f);
    CHECK_ERR(fixture_open(&f), OK);
    f.call.idempotency_key = SLICE("once");
    CHECK_SLICE(fixture_set(&f, "k", "1"), slice_of(version, 16));
    fake_env_advance(&f.env, LIMIT_IDEMPOTENCY_RETENTION_MS);
    f.call.idempotency_key = SLICE("once");
    CHECK(!slice_eq(fixture_set(&f, "k", "1"), slice_of(version, 16)));
    fixture_fini(&f);
}

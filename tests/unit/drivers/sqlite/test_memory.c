/* A call's arena that ends anywhere: on the loop, on the writer's or on a reader's thread. The answer is OK or ERR_NOMEM, and the
 * data agree with it. (SCENARIO cannot fail allocations of other threads; opening is in test_open.c.) */
#include "fixture.h"

#include <stdio.h>

#include "data/keyvalue.h"

enum { BYTES_MAX = 4096, STEP = 16 };

/* Runs one call with so many bytes. true: it was done. */
static bool call_in(struct fixture *f, size_t bytes, enum method_id id, const void *request)
{
    f->call.arena.bytes_max = bytes;
    fake_call(&f->call, id, request);
    enum err e = f->call.err;
    f->call.arena.bytes_max = LIMIT_CALL_ARENA_BYTES;
    if (e && e != ERR_NOMEM)
        test_fail(__FILE__, __LINE__, "%s with %zu bytes: %s", methods[id].pb->path, bytes, err_name(e));
    return !e;
}

/* A request that must fail with little memory, work with enough, and never stop working once it has worked. */
static void check_sizes(struct fixture *f, enum method_id id, const void *request)
{
    unsigned done = 0, failed = 0;
    for (size_t bytes = 0; bytes <= BYTES_MAX; bytes += STEP) {
        bool ok = call_in(f, bytes, id, request);
        CHECK(ok || !done);
        done += ok;
        failed += !ok;
    }
    CHECK(done > 0 && failed > 0);
}

static bool exists(struct fixture *f, const char *key)
{
    return fixture_get(f, key)->found;
}

TEST(reads_with_too_little_memory)
{
    struct fixture f;
    fixture_begin(&f);
    fixture_set(&f, "a", "a value of some bytes");
    struct slice keys[] = {SLICE("a"), SLICE("b")};
    check_sizes(&f, METHOD_KEYVALUE_BASIC_GET, &(struct keyvalue_get_request){.key = SLICE("a")});
    check_sizes(&f, METHOD_KEYVALUE_BASIC_EXISTS, &(struct keyvalue_exists_request){.key = SLICE("a")});
    check_sizes(&f, METHOD_KEYVALUE_TTL_GET_TTL, &(struct keyvalue_get_ttl_request){.key = SLICE("a")});
    check_sizes(&f, METHOD_KEYVALUE_SCAN_SCAN, &(struct keyvalue_scan_request){.prefix = SLICE("a")});
    check_sizes(&f, METHOD_KEYVALUE_SCAN_COUNT, &(struct keyvalue_count_request){.prefix = SLICE("a")});
    check_sizes(&f, METHOD_KEYVALUE_BATCH_BATCH_GET,
                &(struct keyvalue_batch_get_request){.keys = {.items = keys, .count = 2}});
    f.ns.transactions_max = LIMIT_TRANSACTIONS_OPEN_MAX;
    check_sizes(&f, METHOD_KEYVALUE_TRANSACTIONAL_BEGIN_TRANSACTION, &(struct keyvalue_begin_transaction_request){0});
    fixture_fini(&f);
}

/* Each size writes a key of its own, so that what was left behind shows. */
TEST(writes_with_too_little_memory_leave_nothing)
{
    struct fixture f;
    unsigned done = 0, failed = 0;
    fixture_init(&f);
    f.options.synchronous = CONFIG_SQLITE_OPTIONS_SYNCHRONOUS_OFF;
    CHECK_ERR(fixture_open(&f), OK);
    for (size_t bytes = 0; bytes <= BYTES_MAX; bytes += STEP) {
        char key[16], other[16];
        snprintf(key, sizeof key, "k%zu", bytes);
        snprintf(other, sizeof other, "o%zu", bytes);
        struct keyvalue_set_request set = {.key = slice_str(key), .value = SLICE("v")};
        f.call.idempotency_key = slice_str(key);
        bool ok = call_in(&f, bytes, METHOD_KEYVALUE_BASIC_SET, &set);
        CHECK_EQ(exists(&f, key), ok);
        struct keyvalue_batch_set_item one = {.key = slice_str(other)}, two = {.key = slice_str(key)};
        struct keyvalue_batch_set_item *items[] = {&one, &two};
        struct keyvalue_batch_set_request batch = {.items = {.items = items, .count = 2}};
        bool both = call_in(&f, bytes, METHOD_KEYVALUE_BATCH_BATCH_SET, &batch);
        CHECK_EQ(exists(&f, other), both);
        CHECK_EQ(exists(&f, key), ok || both);
        struct keyvalue_delete_request del = {.key = slice_str(other)};
        bool deleted = call_in(&f, bytes, METHOD_KEYVALUE_BASIC_DELETE, &del);
        CHECK_EQ(exists(&f, other), both && !deleted);
        done += ok + both + deleted;
        failed += !ok + !both + !deleted;
    }
    CHECK(done > 0 && failed > 0);
    fixture_fini(&f);
}

TEST(a_commit_with_too_little_memory_ends_the_transaction_or_leaves_it)
{
    struct fixture f;
    unsigned done = 0, failed = 0;
    fixture_begin(&f);
    for (size_t bytes = 0; bytes <= 512; bytes += STEP) {
        uint8_t id[16];
        char key[16];
        snprintf(key, sizeof key, "k%zu", bytes);
        struct keyvalue_begin_transaction_request begin = {0};
        const struct keyvalue_begin_transaction_response *b =
            fake_call(&f.call, METHOD_KEYVALUE_TRANSACTIONAL_BEGIN_TRANSACTION, &begin);
        struct slice t = slice_of(memcpy(id, b->transaction_id.data, 16), 16);
        struct keyvalue_set_in_transaction_request set = {.transaction_id = t, .key = slice_str(key)};
        fake_call(&f.call, METHOD_KEYVALUE_TRANSACTIONAL_SET_IN_TRANSACTION, &set);
        CHECK_ERR(f.call.err, OK);
        struct keyvalue_commit_request commit = {.transaction_id = t};
        bool ok = call_in(&f, bytes, METHOD_KEYVALUE_TRANSACTIONAL_COMMIT, &commit);
        CHECK_EQ(exists(&f, key), ok);
        struct keyvalue_rollback_request rollback = {.transaction_id = t};
        fake_call(&f.call, METHOD_KEYVALUE_TRANSACTIONAL_ROLLBACK, &rollback);
        CHECK(f.call.err == ERR_TRANSACTION_UNKNOWN || (f.call.err == OK && !ok));
        done += ok;
        failed += !ok;
    }
    CHECK(done > 0 && failed > 0);
    CHECK_EQ(fixture_stat(&f, "transactions_open"), 0);
    fixture_fini(&f);
}

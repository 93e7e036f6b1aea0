#include <stdio.h>

#include "../../harness.h"
#include "google/protobuf/duration.pb.h"
#include "memory_fixture.h"

struct id {
    uint8_t bytes[64];
    struct slice slice;
};

static struct id begin(struct memory_fixture *f)
{
    struct id id = {0};
    const struct keyvalue_begin_transaction_response *r = fake_call(
        &f->call, METHOD_KEYVALUE_TRANSACTIONAL_BEGIN_TRANSACTION, &(struct keyvalue_begin_transaction_request){0});
    if (r) {
        memcpy(id.bytes, r->transaction_id.data, r->transaction_id.size);
        id.slice.size = r->transaction_id.size;
    }
    return id;
}

static struct slice slice_of_id(const struct id *id)
{
    return slice_of(id->bytes, id->slice.size);
}

static enum err set_in(struct memory_fixture *f, const struct id *id, struct slice key, struct slice value)
{
    struct keyvalue_set_in_transaction_request r = {.transaction_id = slice_of_id(id), .key = key, .value = value};
    fake_call(&f->call, METHOD_KEYVALUE_TRANSACTIONAL_SET_IN_TRANSACTION, &r);
    return f->call.err;
}

static const struct keyvalue_get_in_transaction_response *get_in(struct memory_fixture *f, const struct id *id,
                                                                 struct slice key)
{
    struct keyvalue_get_in_transaction_request r = {.transaction_id = slice_of_id(id), .key = key};
    return fake_call(&f->call, METHOD_KEYVALUE_TRANSACTIONAL_GET_IN_TRANSACTION, &r);
}

static bool delete_in(struct memory_fixture *f, const struct id *id, struct slice key)
{
    struct keyvalue_delete_in_transaction_request r = {.transaction_id = slice_of_id(id), .key = key};
    const struct keyvalue_delete_in_transaction_response *answer =
        fake_call(&f->call, METHOD_KEYVALUE_TRANSACTIONAL_DELETE_IN_TRANSACTION, &r);
    return answer && answer->existed;
}

static enum err commit(struct memory_fixture *f, const struct id *id)
{
    struct keyvalue_commit_request r = {.transaction_id = slice_of_id(id)};
    fake_call(&f->call, METHOD_KEYVALUE_TRANSACTIONAL_COMMIT, &r);
    return f->call.err;
}

static enum err rollback(struct memory_fixture *f, const struct id *id)
{
    struct keyvalue_rollback_request r = {.transaction_id = slice_of_id(id)};
    fake_call(&f->call, METHOD_KEYVALUE_TRANSACTIONAL_ROLLBACK, &r);
    return f->call.err;
}

TEST(reads_are_of_the_snapshot_and_of_own_writes)
{
    struct memory_fixture f;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    memory_fixture_set(&f, SLICE("old"), SLICE("1"));
    memory_fixture_set(&f, SLICE("gone"), SLICE("1"));
    struct id x = begin(&f);
    memory_fixture_set(&f, SLICE("old"), SLICE("2"));
    memory_fixture_set(&f, SLICE("old"), SLICE("3"));
    memory_fixture_set(&f, SLICE("new"), SLICE("1"));
    memory_fixture_delete(&f, SLICE("gone"));
    CHECK_SLICE(get_in(&f, &x, SLICE("old"))->value, SLICE("1"));
    CHECK_SLICE(get_in(&f, &x, SLICE("gone"))->value, SLICE("1"));
    CHECK(!get_in(&f, &x, SLICE("new"))->found);
    CHECK_ERR(set_in(&f, &x, SLICE("mine"), SLICE("m")), OK);
    CHECK_SLICE(get_in(&f, &x, SLICE("mine"))->value, SLICE("m"));
    CHECK_EQ(get_in(&f, &x, SLICE("mine"))->version.size, 0);
    CHECK(delete_in(&f, &x, SLICE("mine")) && !delete_in(&f, &x, SLICE("mine")));
    CHECK(!get_in(&f, &x, SLICE("mine"))->found);
    CHECK(!memory_fixture_get(&f, SLICE("mine"))->found);
    CHECK_ERR(rollback(&f, &x), OK);
    memory_fixture_fini(&f);
}

TEST(history_is_kept_only_while_a_snapshot_needs_it)
{
    struct memory_fixture f;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    memory_fixture_set(&f, SLICE("k"), SLICE("1"));
    uint64_t bytes = memory_fixture_stat(&f, "bytes");
    struct id x = begin(&f);
    for (unsigned i = 0; i < 100; i++)
        memory_fixture_set(&f, SLICE("k"), SLICE("2"));
    CHECK(memory_fixture_stat(&f, "bytes") < 3 * bytes);
    CHECK_EQ(memory_fixture_stat(&f, "keys_with_history"), 1);
    struct id y = begin(&f);
    CHECK(memory_fixture_delete(&f, SLICE("k")));
    CHECK_SLICE(get_in(&f, &x, SLICE("k"))->value, SLICE("1"));
    CHECK_SLICE(get_in(&f, &y, SLICE("k"))->value, SLICE("2"));
    CHECK_ERR(rollback(&f, &x), OK);
    CHECK_SLICE(get_in(&f, &y, SLICE("k"))->value, SLICE("2"));
    CHECK_ERR(rollback(&f, &y), OK);
    CHECK_EQ(memory_fixture_stat(&f, "keys_with_history"), 0);
    CHECK_EQ(memory_fixture_stat(&f, "bytes"), 0);
    memory_fixture_fini(&f);
}

static uint64_t history_of(struct memory_fixture *f)
{
    const struct store *s = &((struct memory *)f->ns.backend)->store;
    uint64_t count = 0;
    for (unsigned i = 0; i < SHARDS; i++)
        count += s->shards[i].history_count;
    return count;
}

TEST(the_end_of_a_transaction_clears_its_history)
{
    struct memory_fixture f;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    memory_fixture_set(&f, SLICE("a"), SLICE("1"));
    memory_fixture_set(&f, SLICE("b"), SLICE("1"));
    struct id x = begin(&f);
    memory_fixture_set(&f, SLICE("a"), SLICE("2"));
    memory_fixture_delete(&f, SLICE("b"));
    CHECK_EQ(history_of(&f), 2);
    CHECK_ERR(rollback(&f, &x), OK);
    CHECK_EQ(history_of(&f), 0);
    memory_fixture_fini(&f);
}

TEST(the_first_committer_wins)
{
    struct memory_fixture f;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    struct id x = begin(&f), y = begin(&f), z = begin(&f);
    CHECK_ERR(set_in(&f, &x, SLICE("k"), SLICE("x")), OK);
    CHECK_ERR(set_in(&f, &x, SLICE("other"), SLICE("x")), OK);
    CHECK_ERR(set_in(&f, &y, SLICE("k"), SLICE("y")), OK);
    CHECK_ERR(set_in(&f, &y, SLICE("third"), SLICE("y")), OK);
    CHECK_ERR(set_in(&f, &z, SLICE("unrelated"), SLICE("z")), OK);
    CHECK_ERR(commit(&f, &x), OK);
    CHECK_ERR(commit(&f, &y), ERR_TRANSACTION_CONFLICT);
    CHECK(f.call.call.diag.retry_after_ms > 0);
    CHECK_ERR(commit(&f, &y), ERR_TRANSACTION_UNKNOWN);
    CHECK_ERR(commit(&f, &z), OK);
    CHECK_SLICE(memory_fixture_get(&f, SLICE("k"))->value, SLICE("x"));
    CHECK(!memory_fixture_get(&f, SLICE("third"))->found);
    CHECK_EQ(memory_fixture_stat(&f, "transaction_conflicts"), 1);
    memory_fixture_fini(&f);
}

/* The key comes and goes between Begin and Commit: nothing is left of it but the conflict. */
TEST(a_write_that_left_no_trace_still_conflicts)
{
    struct memory_fixture f;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    struct id x = begin(&f), y = begin(&f);
    memory_fixture_set(&f, SLICE("k"), SLICE("1"));
    memory_fixture_delete(&f, SLICE("k"));
    memory_fixture_set_for(&f, SLICE("e"), SLICE("1"), 5);
    fake_env_advance(&f.env, 5);
    CHECK_EQ(memory_fixture_stat(&f, "keys"), 0);
    CHECK_ERR(set_in(&f, &x, SLICE("k"), SLICE("x")), OK);
    CHECK_ERR(commit(&f, &x), ERR_TRANSACTION_CONFLICT);
    CHECK_ERR(set_in(&f, &y, SLICE("e"), SLICE("y")), OK);
    CHECK_ERR(commit(&f, &y), ERR_TRANSACTION_CONFLICT);
    CHECK_EQ(memory_fixture_stat(&f, "bytes"), 0);
    memory_fixture_fini(&f);
}

TEST(a_commit_gives_all_keys_one_version)
{
    struct memory_fixture f;
    uint8_t version[64];
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    struct id x = begin(&f), empty = begin(&f);
    set_in(&f, &x, SLICE("a"), SLICE("1"));
    set_in(&f, &x, SLICE("b"), SLICE("2"));
    CHECK_ERR(commit(&f, &x), OK);
    const struct keyvalue_commit_response *r = f.call.messages[0];
    size_t size = r->version.size;
    memcpy(version, r->version.data, size);
    CHECK_SLICE(memory_fixture_get(&f, SLICE("a"))->version, slice_of(version, size));
    CHECK_SLICE(memory_fixture_get(&f, SLICE("b"))->version, slice_of(version, size));
    CHECK_ERR(commit(&f, &empty), OK);
    CHECK_EQ(((const struct keyvalue_commit_response *)f.call.messages[0])->version.size, 0);
    memory_fixture_fini(&f);
}

TEST(transactions_belong_to_their_caller)
{
    struct memory_fixture f;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    f.call.who = "alice";
    struct id x = begin(&f);
    f.call.who = "bob";
    CHECK_ERR(set_in(&f, &x, SLICE("k"), SLICE("v")), ERR_TRANSACTION_NOT_OWNER);
    CHECK_ERR(commit(&f, &x), ERR_TRANSACTION_NOT_OWNER);
    CHECK_ERR(rollback(&f, &x), ERR_TRANSACTION_NOT_OWNER);
    f.call.who = "alice";
    CHECK_ERR(set_in(&f, &x, SLICE("k"), SLICE("v")), OK);
    CHECK_ERR(commit(&f, &x), OK);
    memory_fixture_fini(&f);
}

TEST(idle_transactions_are_rolled_back)
{
    struct memory_fixture f;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    struct id x = begin(&f);
    fake_env_advance(&f.env, LIMIT_TRANSACTION_IDLE_MS - 1);
    CHECK_ERR(set_in(&f, &x, SLICE("k"), SLICE("v")), OK);
    fake_env_advance(&f.env, LIMIT_TRANSACTION_IDLE_MS - 1);
    CHECK_ERR(set_in(&f, &x, SLICE("k"), SLICE("v")), OK);
    fake_env_advance(&f.env, LIMIT_TRANSACTION_IDLE_MS);
    CHECK_ERR(set_in(&f, &x, SLICE("k"), SLICE("v")), ERR_TRANSACTION_UNKNOWN);
    CHECK_EQ(memory_fixture_stat(&f, "transactions_timed_out"), 1);
    CHECK_EQ(memory_fixture_stat(&f, "bytes"), 0);
    memory_fixture_fini(&f);
}

/* Nobody asks for them any more: a writer who finds history clears it away. */
TEST(writers_roll_back_idle_transactions)
{
    struct memory_fixture f;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    for (unsigned i = 0; i < 64; i++)
        begin(&f);
    begin(&f);
    CHECK_ERR(f.call.err, ERR_TRANSACTION_LIMIT);
    fake_env_advance(&f.env, LIMIT_TRANSACTION_IDLE_MS);
    memory_fixture_set(&f, SLICE("k"), SLICE("v"));
    CHECK_EQ(((struct memory *)f.ns.backend)->transactions.by_id.count, 0);
    begin(&f);
    CHECK_ERR(f.call.err, OK);
    memory_fixture_fini(&f);
}

TEST(transactions_have_a_size)
{
    static uint8_t value[1 << 20];
    struct memory_fixture f;
    char memory[16];
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    struct id x = begin(&f);
    for (unsigned i = 0; i < 15; i++)
        CHECK_ERR(set_in(&f, &x, slice_of(memory, (size_t)snprintf(memory, sizeof memory, "%u", i)),
                         slice_of(value, 1 << 20)),
                  OK);
    CHECK_ERR(set_in(&f, &x, SLICE("too much"), slice_of(value, 1 << 20)), ERR_TRANSACTION_TOO_LARGE);
    CHECK_ERR(set_in(&f, &x, SLICE("0"), slice_of(value, 1 << 20)), OK);
    CHECK_ERR(commit(&f, &x), OK);
    CHECK_EQ(memory_fixture_stat(&f, "keys"), 15);
    struct id y = begin(&f);
    for (unsigned i = 0; i < LIMIT_TRANSACTION_KEYS; i++)
        delete_in(&f, &y, slice_of(memory, (size_t)snprintf(memory, sizeof memory, "%u", i)));
    CHECK_ERR(f.call.err, OK);
    CHECK_ERR(set_in(&f, &y, SLICE("one more"), SLICE("v")), ERR_TRANSACTION_TOO_LARGE);
    CHECK_ERR(commit(&f, &y), OK);
    CHECK_EQ(memory_fixture_stat(&f, "bytes"), 0);
    memory_fixture_fini(&f);
}

TEST(what_a_transaction_writes_counts)
{
    static uint8_t value[1000];
    struct memory_fixture f;
    CHECK_ERR(memory_fixture_init(&f, 3000), OK);
    struct id x = begin(&f);
    CHECK_ERR(set_in(&f, &x, SLICE("a"), slice_of(value, 1000)), OK);
    CHECK_ERR(set_in(&f, &x, SLICE("b"), slice_of(value, 1000)), OK);
    CHECK_ERR(set_in(&f, &x, SLICE("c"), slice_of(value, 1000)), ERR_STORE_FULL);
    CHECK(!get_in(&f, &x, SLICE("c"))->found);
    CHECK_ERR(commit(&f, &x), OK);
    CHECK_EQ(memory_fixture_stat(&f, "keys"), 2);
    memory_fixture_fini(&f);
}

TEST(a_commit_that_is_retried_answers_as_the_first_time)
{
    struct memory_fixture f;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    struct id x = begin(&f);
    set_in(&f, &x, SLICE("a"), SLICE("1"));
    f.call.idempotency_key = SLICE("key");
    CHECK_ERR(commit(&f, &x), OK);
    f.call.idempotency_key = SLICE("key");
    CHECK_ERR(commit(&f, &x), OK);
    CHECK_ERR(commit(&f, &x), ERR_TRANSACTION_UNKNOWN);
    memory_fixture_fini(&f);
}

TEST(a_transaction_that_was_never_begun_is_unknown)
{
    struct memory_fixture f;
    struct id x = {.bytes = "0123456789abcdef", .slice.size = 16}, empty = {0};
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    CHECK_ERR(commit(&f, &x), ERR_TRANSACTION_UNKNOWN);
    CHECK_ERR(rollback(&f, &empty), ERR_TRANSACTION_UNKNOWN);
    memory_fixture_fini(&f);
}

/* Transactions: snapshot, own writes, conflicts, owners, limits. */
#include "fixture.h"

#include <stdio.h>

#include "data/keyvalue.h"
#include "google/protobuf/duration.pb.h"

struct id {
    uint8_t bytes[64];
    size_t size;
};

static struct slice id_slice(const struct id *id)
{
    return slice_of(id->bytes, id->size);
}

static struct id begin(struct fixture *f)
{
    struct id id;
    struct keyvalue_begin_transaction_request r = {0};
    const struct keyvalue_begin_transaction_response *b =
        fake_call(&f->call, METHOD_KEYVALUE_TRANSACTIONAL_BEGIN_TRANSACTION, &r);
    CHECK_ERR(f->call.err, OK);
    id.size = b->transaction_id.size;
    memcpy(id.bytes, b->transaction_id.data, id.size);
    return id;
}

static enum err tx_set(struct fixture *f, const struct id *id, const char *key, const char *value)
{
    struct keyvalue_set_in_transaction_request r = {
        .transaction_id = id_slice(id), .key = slice_str(key), .value = slice_str(value)};
    fake_call(&f->call, METHOD_KEYVALUE_TRANSACTIONAL_SET_IN_TRANSACTION, &r);
    return f->call.err;
}

static const struct keyvalue_get_in_transaction_response *tx_get(struct fixture *f, const struct id *id,
                                                                 const char *key)
{
    struct keyvalue_get_in_transaction_request r = {.transaction_id = id_slice(id), .key = slice_str(key)};
    const void *g = fake_call(&f->call, METHOD_KEYVALUE_TRANSACTIONAL_GET_IN_TRANSACTION, &r);
    CHECK_ERR(f->call.err, OK);
    return g;
}

static bool tx_delete(struct fixture *f, const struct id *id, const char *key)
{
    struct keyvalue_delete_in_transaction_request r = {.transaction_id = id_slice(id), .key = slice_str(key)};
    const struct keyvalue_delete_in_transaction_response *d =
        fake_call(&f->call, METHOD_KEYVALUE_TRANSACTIONAL_DELETE_IN_TRANSACTION, &r);
    CHECK_ERR(f->call.err, OK);
    return d->existed;
}

static enum err tx_commit(struct fixture *f, const struct id *id)
{
    struct keyvalue_commit_request r = {.transaction_id = id_slice(id)};
    fake_call(&f->call, METHOD_KEYVALUE_TRANSACTIONAL_COMMIT, &r);
    return f->call.err;
}

static enum err tx_rollback(struct fixture *f, const struct id *id)
{
    struct keyvalue_rollback_request r = {.transaction_id = id_slice(id)};
    fake_call(&f->call, METHOD_KEYVALUE_TRANSACTIONAL_ROLLBACK, &r);
    return f->call.err;
}

TEST(a_transaction_sees_its_snapshot_and_itself)
{
    struct fixture f;
    fixture_begin(&f);
    fixture_set(&f, "a", "old");
    fixture_set(&f, "b", "old");
    struct id t = begin(&f);
    fixture_set(&f, "a", "new");
    CHECK_SLICE(tx_get(&f, &t, "a")->value, SLICE("old"));
    CHECK_ERR(tx_set(&f, &t, "b", "mine"), OK);
    CHECK_SLICE(tx_get(&f, &t, "b")->value, SLICE("mine"));
    CHECK_EQ(tx_get(&f, &t, "b")->version.size, 0);
    CHECK_SLICE(fixture_get(&f, "b")->value, SLICE("old"));
    CHECK(tx_delete(&f, &t, "b"));
    CHECK(!tx_get(&f, &t, "b")->found);
    CHECK(!tx_delete(&f, &t, "b"));
    CHECK_ERR(tx_set(&f, &t, "c", "mine"), OK);
    CHECK_ERR(tx_commit(&f, &t), OK);
    const struct keyvalue_commit_response *c = f.call.messages[0];
    CHECK_EQ(c->version.size, 16);
    CHECK(!fixture_get(&f, "b")->found);
    CHECK_SLICE(fixture_get(&f, "c")->value, SLICE("mine"));
    CHECK_SLICE(fixture_get(&f, "a")->value, SLICE("new"));
    CHECK_ERR(tx_commit(&f, &t), ERR_TRANSACTION_UNKNOWN);
    CHECK_EQ(fixture_stat(&f, "transactions_open"), 0);
    CHECK_EQ(fixture_stat(&f, "keys"), 2);
    fixture_fini(&f);
}

TEST(the_first_committer_wins)
{
    struct fixture f;
    fixture_begin(&f);
    fixture_set(&f, "a", "0");
    struct id one = begin(&f), two = begin(&f), three = begin(&f);
    CHECK_ERR(tx_set(&f, &one, "a", "1"), OK);
    CHECK_ERR(tx_set(&f, &one, "n", "1"), OK);
    CHECK_ERR(tx_set(&f, &two, "x", "2"), OK);
    CHECK_ERR(tx_set(&f, &two, "a", "2"), OK);
    CHECK_ERR(tx_set(&f, &three, "n", "3"), OK);
    CHECK_ERR(tx_commit(&f, &one), OK);
    CHECK_ERR(tx_commit(&f, &two), ERR_TRANSACTION_CONFLICT);
    CHECK_EQ(f.call.call.diag.retry_after_ms, 10);
    CHECK_ERR(tx_commit(&f, &three), ERR_TRANSACTION_CONFLICT);
    CHECK(!fixture_get(&f, "x")->found);
    CHECK_SLICE(fixture_get(&f, "a")->value, SLICE("1"));
    CHECK_SLICE(fixture_get(&f, "n")->value, SLICE("1"));
    CHECK_EQ(fixture_stat(&f, "keys"), 2);
    fixture_fini(&f);
}

TEST(transactions_belong_to_their_caller_and_end_when_idle)
{
    struct fixture f;
    fixture_begin(&f);
    f.call.who = "alice";
    struct id t = begin(&f), other = begin(&f);
    f.call.who = "bob";
    CHECK_ERR(tx_set(&f, &t, "k", "v"), ERR_TRANSACTION_NOT_OWNER);
    CHECK_ERR(tx_rollback(&f, &t), ERR_TRANSACTION_NOT_OWNER);
    f.call.who = "alice";
    CHECK_ERR(tx_set(&f, &t, "k", "v"), OK);
    CHECK_ERR(tx_rollback(&f, &t), OK);
    CHECK_ERR(tx_rollback(&f, &t), ERR_TRANSACTION_UNKNOWN);
    fake_env_advance(&f.env, LIMIT_TRANSACTION_IDLE_MS - 1000);
    CHECK_ERR(tx_set(&f, &other, "k", "v"), OK);
    fake_env_advance(&f.env, LIMIT_TRANSACTION_IDLE_MS - 1000);
    fixture_set(&f, "wakes", "the writer");
    CHECK_ERR(tx_set(&f, &other, "k", "v"), OK);
    fake_env_advance(&f.env, LIMIT_TRANSACTION_IDLE_MS + 1);
    fixture_set(&f, "wakes", "the writer");
    fixture_set(&f, "and is", "behind it");
    CHECK_ERR(tx_set(&f, &other, "k", "v"), ERR_TRANSACTION_UNKNOWN);
    CHECK_EQ(fixture_stat(&f, "transactions_open"), 0);
    CHECK(!fixture_get(&f, "k")->found);
    fixture_fini(&f);
}

TEST(open_transactions_have_limits)
{
    struct fixture f;
    fixture_begin(&f);
    f.ns.transactions_max = 2;
    struct id a = begin(&f), b = begin(&f);
    struct keyvalue_begin_transaction_request r = {0};
    fake_call(&f.call, METHOD_KEYVALUE_TRANSACTIONAL_BEGIN_TRANSACTION, &r);
    CHECK_ERR(f.call.err, ERR_TRANSACTION_LIMIT);
    CHECK_ERR(tx_rollback(&f, &a), OK);
    a = begin(&f);
    static char big[1 << 20];
    memset(big, 'x', sizeof big - 1);
    for (int i = 1; i < 16; i++) {
        char key[8];
        snprintf(key, sizeof key, "%d", i);
        CHECK_ERR(tx_set(&f, &b, key, big), OK);
    }
    CHECK_ERR(tx_set(&f, &b, "more than sixteen bytes", big), ERR_TRANSACTION_TOO_LARGE);
    CHECK_ERR(tx_commit(&f, &b), OK);
    CHECK(fixture_get(&f, "15")->found);
    fixture_fini(&f); /* with a transaction open */
}

static void set_for_a_moment(struct fixture *f, const char *key)
{
    struct google_protobuf_duration ttl = {.nanos = 1000000};
    struct keyvalue_set_request r = {.key = slice_str(key), .value = SLICE("v"), .ttl = &ttl};
    fake_call(&f->call, METHOD_KEYVALUE_BASIC_SET, &r);
    CHECK_ERR(f->call.err, OK);
}

TEST(rows_that_a_snapshot_has_not_seen_are_not_swept)
{
    struct fixture f;
    fixture_begin(&f);
    set_for_a_moment(&f, "seen");
    struct id t = begin(&f), u = begin(&f);
    set_for_a_moment(&f, "unseen");
    fake_env_advance(&f.env, 2000);
    fixture_set(&f, "wakes", "the writer");
    fixture_set(&f, "and is", "behind it");
    CHECK_EQ(fixture_stat(&f, "expired_rows_swept"), 1);
    CHECK(!fixture_get(&f, "unseen")->found);
    CHECK_ERR(tx_set(&f, &t, "seen", "mine"), OK); /* swept: nobody has written it */
    CHECK_ERR(tx_commit(&f, &t), OK);
    CHECK_ERR(tx_set(&f, &u, "unseen", "mine"), OK); /* written, though it has expired since */
    CHECK_ERR(tx_commit(&f, &u), ERR_TRANSACTION_CONFLICT);
    fake_env_advance(&f.env, 2000);
    fixture_set(&f, "wakes", "the writer");
    fixture_set(&f, "and is", "behind it");
    CHECK_EQ(fixture_stat(&f, "expired_rows_swept"), 2);
    fixture_fini(&f);
}

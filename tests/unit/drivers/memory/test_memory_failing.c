/* Every allocation failing in turn, in every operation. Afterwards the store must be sound: everything can be removed, and then
 * not a byte is charged. */
#include "../../harness.h"
#include "base/mem.h"
#include "google/protobuf/duration.pb.h"
#include "memory_fixture.h"

enum { KEYS = 12, VALUE_BYTES = 3000 };

static const char *const names[KEYS] = {"a", "ab", "abc", "b", "ba", "c", "d", "e", "f", "g", "h", "i"};
static uint8_t value[VALUE_BYTES];

static struct slice key(unsigned i)
{
    return slice_str(names[i]);
}

static void check(const struct memory_fixture *f)
{
    CHECK(f->call.err == OK || f->call.err == ERR_NOMEM);
}

static const void *run(struct memory_fixture *f, enum method_id method, const void *request)
{
    const void *answer = fake_call(&f->call, method, request);
    check(f);
    return f->call.err ? NULL : answer;
}

/* Memory is there again. */
static enum err tidy_up(struct memory_fixture *f)
{
    mem_fail_at(0, false);
    fake_env_advance(&f->env, LIMIT_TRANSACTION_IDLE_MS_MAX + 1);
    for (unsigned i = 0; i < KEYS; i++)
        memory_fixture_delete(f, key(i));
    CHECK_EQ(memory_fixture_stat(f, "transactions_open"), 0);
    CHECK_EQ(memory_fixture_stat(f, "keys"), 0);
    CHECK_EQ(memory_fixture_stat(f, "keys_without_ttl"), 0);
    CHECK_EQ(memory_fixture_stat(f, "keys_with_history"), 0);
    CHECK_EQ(memory_fixture_stat(f, "bytes"), 0);
    memory_fixture_fini(f);
    return OK;
}

static enum err begin(struct memory_fixture *f)
{
    enum err e = memory_fixture_init(f, 0);
    if (e)
        memory_fixture_fini(f);
    return e;
}

static void fill(struct memory_fixture *f)
{
    for (unsigned i = 0; i < KEYS; i++) {
        memory_fixture_set(f, key(i), slice_of(value, i % 2 ? VALUE_BYTES : i));
        check(f);
    }
}

SCENARIO(set_get_delete)
{
    struct memory_fixture f;
    if (begin(&f))
        return ERR_NOMEM;
    fill(&f);
    fill(&f);
    for (unsigned i = 0; i < KEYS; i++) {
        const struct keyvalue_get_response *r = memory_fixture_get(&f, key(i));
        check(&f);
        CHECK(f.call.err || !r->found || r->value.size == (i % 2 ? VALUE_BYTES : i));
    }
    run(&f, METHOD_KEYVALUE_BASIC_DELETE, &(struct keyvalue_delete_request){.key = key(0)});
    run(&f, METHOD_KEYVALUE_BASIC_EXISTS, &(struct keyvalue_exists_request){.key = key(1)});
    return tidy_up(&f);
}

SCENARIO(expire_and_persist)
{
    struct memory_fixture f;
    if (begin(&f))
        return ERR_NOMEM;
    struct google_protobuf_duration ttl = {.seconds = 10};
    memory_fixture_set_for(&f, key(0), slice_of(value, 5), 1000);
    check(&f);
    memory_fixture_set(&f, key(1), slice_of(value, 5));
    check(&f);
    for (unsigned i = 0; i < 2; i++) {
        run(&f, METHOD_KEYVALUE_TTL_EXPIRE, &(struct keyvalue_expire_request){.key = key(i), .ttl = &ttl});
        run(&f, METHOD_KEYVALUE_TTL_GET_TTL, &(struct keyvalue_get_ttl_request){.key = key(i)});
        run(&f, METHOD_KEYVALUE_TTL_PERSIST, &(struct keyvalue_persist_request){.key = key(i)});
    }
    return tidy_up(&f);
}

SCENARIO(compare_and_swap)
{
    struct memory_fixture f;
    if (begin(&f))
        return ERR_NOMEM;
    struct keyvalue_compare_and_swap_request r = {.key = key(0),
                                                  .value = slice_of(value, VALUE_BYTES),
                                                  .expected_absent = true,
                                                  .expected_case = KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_ABSENT};
    run(&f, METHOD_KEYVALUE_CAS_COMPARE_AND_SWAP, &r);
    run(&f, METHOD_KEYVALUE_CAS_COMPARE_AND_SWAP, &r);
    struct keyvalue_compare_and_delete_request d = {.key = key(0),
                                                    .expected_value = SLICE("no"),
                                                    .expected_case =
                                                        KEYVALUE_COMPARE_AND_DELETE_REQUEST_EXPECTED_VALUE};
    run(&f, METHOD_KEYVALUE_CAS_COMPARE_AND_DELETE, &d);
    return tidy_up(&f);
}

SCENARIO(batches)
{
    struct memory_fixture f;
    struct keyvalue_batch_set_item items[KEYS];
    void *pointers[KEYS];
    struct slice keys[KEYS];
    if (begin(&f))
        return ERR_NOMEM;
    for (unsigned i = 0; i < KEYS; i++) {
        keys[i] = key(i);
        items[i] = (struct keyvalue_batch_set_item){.key = key(i), .value = slice_of(value, VALUE_BYTES)};
        pointers[i] = &items[i];
    }
    run(&f, METHOD_KEYVALUE_BATCH_BATCH_SET,
        &(struct keyvalue_batch_set_request){.items = {.items = pointers, .count = KEYS}});
    run(&f, METHOD_KEYVALUE_BATCH_BATCH_GET,
        &(struct keyvalue_batch_get_request){.keys = {.items = keys, .count = KEYS}});
    run(&f, METHOD_KEYVALUE_BATCH_BATCH_DELETE,
        &(struct keyvalue_batch_delete_request){.keys = {.items = keys, .count = KEYS}});
    return tidy_up(&f);
}

SCENARIO(scans)
{
    struct memory_fixture f;
    if (begin(&f))
        return ERR_NOMEM;
    fill(&f);
    f.call.hold = true;
    run(&f, METHOD_KEYVALUE_SCAN_SCAN, &(struct keyvalue_scan_request){.page_size = 5});
    run(&f, METHOD_KEYVALUE_SCAN_SCAN_KEYS, &(struct keyvalue_scan_keys_request){.reverse = true, .page_size = 5});
    run(&f, METHOD_KEYVALUE_SCAN_COUNT, &(struct keyvalue_count_request){.prefix = SLICE("a")});
    memory_fixture_set(&f, key(0), slice_of(value, 1));
    return tidy_up(&f);
}

SCENARIO(transactions)
{
    struct memory_fixture f;
    if (begin(&f))
        return ERR_NOMEM;
    memory_fixture_set(&f, key(0), slice_of(value, 10));
    const struct keyvalue_begin_transaction_response *answer =
        run(&f, METHOD_KEYVALUE_TRANSACTIONAL_BEGIN_TRANSACTION, &(struct keyvalue_begin_transaction_request){0});
    uint8_t memory[64];
    if (!answer)
        return tidy_up(&f);
    struct slice id = slice_of(memory, answer->transaction_id.size);
    memcpy(memory, answer->transaction_id.data, id.size);
    struct google_protobuf_duration ttl = {.seconds = 1000};
    for (unsigned i = 0; i < KEYS; i++)
        run(&f, METHOD_KEYVALUE_TRANSACTIONAL_SET_IN_TRANSACTION,
            &(struct keyvalue_set_in_transaction_request){
                .transaction_id = id, .key = key(i), .ttl = i % 2 ? &ttl : NULL});
    run(&f, METHOD_KEYVALUE_TRANSACTIONAL_GET_IN_TRANSACTION,
        &(struct keyvalue_get_in_transaction_request){.transaction_id = id, .key = key(0)});
    run(&f, METHOD_KEYVALUE_TRANSACTIONAL_DELETE_IN_TRANSACTION,
        &(struct keyvalue_delete_in_transaction_request){.transaction_id = id, .key = key(0)});
    run(&f, METHOD_KEYVALUE_TRANSACTIONAL_COMMIT, &(struct keyvalue_commit_request){.transaction_id = id});
    return tidy_up(&f);
}

/* History: a snapshot is open while its keys are overwritten, given an expiry, deleted. */
SCENARIO(versions_for_a_snapshot)
{
    struct memory_fixture f;
    if (begin(&f))
        return ERR_NOMEM;
    fill(&f);
    run(&f, METHOD_KEYVALUE_TRANSACTIONAL_BEGIN_TRANSACTION, &(struct keyvalue_begin_transaction_request){0});
    fill(&f);
    struct google_protobuf_duration ttl = {.seconds = 10};
    for (unsigned i = 0; i < KEYS; i++) {
        run(&f, METHOD_KEYVALUE_TTL_EXPIRE, &(struct keyvalue_expire_request){.key = key(i), .ttl = &ttl});
        run(&f, METHOD_KEYVALUE_BASIC_DELETE, &(struct keyvalue_delete_request){.key = key(i)});
    }
    return tidy_up(&f);
}

/* The records are charged too: they go by time. */
SCENARIO(idempotency_records)
{
    struct memory_fixture f;
    if (begin(&f))
        return ERR_NOMEM;
    struct keyvalue_compare_and_swap_request r = {.key = key(0),
                                                  .value = slice_of(value, VALUE_BYTES),
                                                  .expected_absent = true,
                                                  .expected_case = KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_ABSENT};
    for (unsigned i = 0; i < 2; i++) {
        f.call.idempotency_key = i ? SLICE("first") : SLICE("second");
        run(&f, METHOD_KEYVALUE_CAS_COMPARE_AND_SWAP, &r);
        f.call.idempotency_key = SLICE("first");
        run(&f, METHOD_KEYVALUE_CAS_COMPARE_AND_SWAP, &r);
    }
    mem_fail_at(0, false);
    struct memory *m = (struct memory *)f.ns.backend;
    memory_fixture_delete(&f, key(0));
    memory_records_fini(&m->records);
    memory_records_init(&m->records, &m->store);
    return tidy_up(&f);
}

/* Several threads on one store (also under TSan). Threads count what is wrong; the test looks at the end. */
#include <pthread.h>
#include <stdio.h>

#include "../../harness.h"
#include "base/hash.h"
#include "google/protobuf/duration.pb.h"
#include "memory_fixture.h"

enum { THREADS = 4, ACCOUNTS = 12, BALANCE = 100, TRANSFERS = 300, COUNTS = 500, SCANS = 30, STEADY = 300 };

struct worker {
    pthread_t thread;
    struct memory_fixture *fixture;
    struct fake_call call;
    unsigned number;
    unsigned wrong;
    uint64_t random;
};

static unsigned run_threads(struct memory_fixture *f, void *(*const bodies[THREADS])(void *))
{
    static struct worker workers[THREADS];
    unsigned wrong = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        struct worker *w = &workers[i];
        *w = (struct worker){.fixture = f, .number = i, .random = (uint64_t)i << 32};
        fake_call_init(&w->call, &f->ns, NULL);
        pthread_create(&w->thread, NULL, bodies[i], w);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        wrong += workers[i].wrong;
        fake_call_fini(&workers[i].call);
    }
    return wrong;
}

static uint64_t roll(struct worker *w, uint64_t sides)
{
    return hash_mix(w->random++) % sides;
}

static struct slice key_of(const char *name, unsigned i, char memory[24])
{
    return slice_of(memory, (size_t)snprintf(memory, 24, "%s%05u", name, i));
}

static int read_number(struct slice s)
{
    int n = 0;
    memcpy(&n, s.data, s.size < sizeof n ? s.size : sizeof n);
    return n;
}

/* --- money moves between accounts in transactions: whoever looks, in a snapshot, sees all of it -------------------------------- */

struct id {
    uint8_t bytes[64];
    size_t size;
};

static struct id begin(struct worker *w)
{
    struct id id = {0};
    const struct keyvalue_begin_transaction_response *r = fake_call(
        &w->call, METHOD_KEYVALUE_TRANSACTIONAL_BEGIN_TRANSACTION, &(struct keyvalue_begin_transaction_request){0});
    id.size = r ? r->transaction_id.size : 0;
    memcpy(id.bytes, r ? r->transaction_id.data : id.bytes, id.size);
    w->wrong += !r;
    return id;
}

static int balance(struct worker *w, const struct id *id, unsigned account)
{
    char memory[24];
    struct keyvalue_get_in_transaction_request r = {.transaction_id = slice_of(id->bytes, id->size),
                                                    .key = key_of("account", account, memory)};
    const struct keyvalue_get_in_transaction_response *answer =
        fake_call(&w->call, METHOD_KEYVALUE_TRANSACTIONAL_GET_IN_TRANSACTION, &r);
    w->wrong += !answer || !answer->found;
    return answer ? read_number(answer->value) : 0;
}

static void set_balance(struct worker *w, const struct id *id, unsigned account, int amount)
{
    char memory[24];
    struct keyvalue_set_in_transaction_request r = {.transaction_id = slice_of(id->bytes, id->size),
                                                    .key = key_of("account", account, memory),
                                                    .value = slice_of(&amount, sizeof amount)};
    fake_call(&w->call, METHOD_KEYVALUE_TRANSACTIONAL_SET_IN_TRANSACTION, &r);
    w->wrong += w->call.err != OK;
}

static bool commit(struct worker *w, const struct id *id)
{
    struct keyvalue_commit_request r = {.transaction_id = slice_of(id->bytes, id->size)};
    fake_call(&w->call, METHOD_KEYVALUE_TRANSACTIONAL_COMMIT, &r);
    w->wrong += w->call.err && w->call.err != ERR_TRANSACTION_CONFLICT;
    return !w->call.err;
}

static void *transfer(void *argument)
{
    struct worker *w = argument;
    for (unsigned done = 0; done < TRANSFERS && !w->wrong;) {
        unsigned from = (unsigned)roll(w, ACCOUNTS), to = (from + 1 + (unsigned)roll(w, ACCOUNTS - 1)) % ACCOUNTS;
        struct id id = begin(w);
        int amount = (int)roll(w, 10), a = balance(w, &id, from), b = balance(w, &id, to);
        set_balance(w, &id, from, a - amount);
        set_balance(w, &id, to, b + amount);
        done += commit(w, &id);
    }
    return NULL;
}

static void *audit(void *argument)
{
    struct worker *w = argument;
    for (unsigned i = 0; i < TRANSFERS && !w->wrong; i++) {
        struct id id = begin(w);
        int sum = 0;
        for (unsigned account = 0; account < ACCOUNTS; account++)
            sum += balance(w, &id, account);
        w->wrong += sum != ACCOUNTS * BALANCE;
        w->wrong += !commit(w, &id);
    }
    return NULL;
}

TEST(snapshots_never_see_half_a_commit)
{
    struct memory_fixture f;
    char memory[24];
    int start = BALANCE;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    for (unsigned i = 0; i < ACCOUNTS; i++)
        memory_fixture_set(&f, key_of("account", i, memory), slice_of(&start, sizeof start));
    CHECK_EQ(run_threads(&f, (void *(*const[THREADS])(void *)){transfer, transfer, audit, transfer}), 0);
    int sum = 0;
    for (unsigned i = 0; i < ACCOUNTS; i++)
        sum += read_number(memory_fixture_get(&f, key_of("account", i, memory))->value);
    CHECK_EQ(sum, ACCOUNTS * BALANCE);
    CHECK_EQ(memory_fixture_stat(&f, "keys_with_history"), 0);
    CHECK_EQ(memory_fixture_stat(&f, "transactions_open"), 0);
    memory_fixture_fini(&f);
}

/* --- a counter, swapped by all ------------------------------------------------------------------------------------------------ */

static bool increment(struct worker *w)
{
    struct keyvalue_get_request g = {.key = SLICE("counter")};
    const struct keyvalue_get_response *now = fake_call(&w->call, METHOD_KEYVALUE_BASIC_GET, &g);
    uint8_t version[64];
    size_t size = now->version.size;
    int number = read_number(now->value) + 1;
    memcpy(version, now->version.data, size);
    struct keyvalue_compare_and_swap_request r = {.key = g.key,
                                                  .value = slice_of(&number, sizeof number),
                                                  .expected_version = slice_of(version, size),
                                                  .expected_case = KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_VERSION};
    const struct keyvalue_compare_and_swap_response *answer =
        fake_call(&w->call, METHOD_KEYVALUE_CAS_COMPARE_AND_SWAP, &r);
    w->wrong += !answer;
    return answer && answer->swapped;
}

static void *count_up(void *argument)
{
    struct worker *w = argument;
    for (unsigned done = 0; done < COUNTS && !w->wrong;)
        done += increment(w);
    return NULL;
}

TEST(no_increment_is_lost)
{
    struct memory_fixture f;
    int zero = 0;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    memory_fixture_set(&f, SLICE("counter"), slice_of(&zero, sizeof zero));
    CHECK_EQ(run_threads(&f, (void *(*const[THREADS])(void *)){count_up, count_up, count_up, count_up}), 0);
    CHECK_EQ(read_number(memory_fixture_get(&f, SLICE("counter"))->value), THREADS * COUNTS);
    memory_fixture_fini(&f);
}

/* --- walks while others write, delete, expire ---------------------------------------------------------------------------------- */

static void *write_others(void *argument)
{
    static uint8_t value[5000];
    struct worker *w = argument;
    char memory[24];
    for (unsigned i = 0; i < 8000; i++) {
        struct slice key = key_of("other", (unsigned)roll(w, 2000), memory);
        struct google_protobuf_duration ttl = {.nanos = 3000000};
        struct keyvalue_set_request s = {
            .key = key, .value = slice_of(value, roll(w, 10) ? 10 : sizeof value), .ttl = roll(w, 2) ? &ttl : NULL};
        struct keyvalue_delete_request d = {.key = key};
        struct keyvalue_persist_request p = {.key = key};
        switch (roll(w, 4)) {
        case 0:
            fake_call(&w->call, METHOD_KEYVALUE_BASIC_DELETE, &d);
            break;
        case 1:
            fake_call(&w->call, METHOD_KEYVALUE_TTL_PERSIST, &p);
            break;
        default:
            fake_call(&w->call, METHOD_KEYVALUE_BASIC_SET, &s);
        }
        w->wrong += w->call.err != OK;
        if (i % 100 == 0)
            fake_env_advance(&w->fixture->env, 1);
    }
    return NULL;
}

/* Reads what is overwritten, large values too: all bytes of one are of one write. */
static void *read_others(void *argument)
{
    struct worker *w = argument;
    char memory[24];
    for (unsigned i = 0; i < 8000; i++) {
        struct keyvalue_get_request r = {.key = key_of("other", (unsigned)roll(w, 2000), memory)};
        const struct keyvalue_get_response *answer = fake_call(&w->call, METHOD_KEYVALUE_BASIC_GET, &r);
        w->wrong += !answer || (answer->found && answer->value.size != 10 && answer->value.size != 5000);
    }
    return NULL;
}

static void scan_once(struct worker *w, bool reverse)
{
    struct keyvalue_scan_request r = {.page_size = 97, .reverse = reverse};
    unsigned steady = 0;
    struct slice last = SLICE_EMPTY;
    w->call.hold = !reverse;
    fake_call(&w->call, METHOD_KEYVALUE_SCAN_SCAN, &r);
    w->wrong += w->call.err != OK;
    for (unsigned p = 0; p < w->call.count; p++) {
        const struct keyvalue_scan_response *page = w->call.messages[p];
        for (unsigned i = 0; i < page->items.count; i++) {
            struct slice key = PB_AT(page->items, struct keyvalue_key_value_item *, i)->key;
            int order = last.size ? slice_cmp(last, key) : 0;
            w->wrong += reverse ? order < 0 : order > 0;
            w->wrong += last.size && order == 0;
            steady += slice_starts_with(key, SLICE("steady"));
            last = key;
        }
    }
    w->wrong += steady != STEADY;
}

static void *walk(void *argument)
{
    struct worker *w = argument;
    for (unsigned i = 0; i < SCANS; i++)
        scan_once(w, i % 2);
    return NULL;
}

TEST(walks_are_complete_while_others_write)
{
    struct memory_fixture f;
    char memory[24];
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    for (unsigned i = 0; i < STEADY; i++)
        memory_fixture_set(&f, key_of("steady", i, memory), SLICE("v"));
    CHECK_EQ(run_threads(&f, (void *(*const[THREADS])(void *)){write_others, walk, read_others, write_others}), 0);
    for (unsigned i = 0; i < 2000; i++)
        memory_fixture_delete(&f, key_of("other", i, memory));
    for (unsigned i = 0; i < STEADY; i++)
        memory_fixture_delete(&f, key_of("steady", i, memory));
    CHECK_EQ(memory_fixture_stat(&f, "bytes"), 0);
    memory_fixture_fini(&f);
}

/* --- one idempotency key, all at once ------------------------------------------------------------------------------------------ */

static void *set_with_one_key(void *argument)
{
    struct worker *w = argument;
    char memory[24], name[24];
    for (unsigned i = 0; i < 300; i++) {
        w->call.idempotency_key = key_of("retry", i, memory);
        struct keyvalue_set_request r = {.key = key_of("key", i, name), .has_if_version = true};
        fake_call(&w->call, METHOD_KEYVALUE_BASIC_SET, &r);
        w->wrong += w->call.err != OK; /* the condition holds once: whoever comes later gets the first one's answer */
    }
    return NULL;
}

TEST(retries_at_the_same_time_write_once)
{
    struct memory_fixture f;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    CHECK_EQ(run_threads(&f, (void *(*const[THREADS])(void *)){set_with_one_key, set_with_one_key, set_with_one_key,
                                                               set_with_one_key}),
             0);
    CHECK_EQ(memory_fixture_stat(&f, "keys"), 300);
    memory_fixture_fini(&f);
}

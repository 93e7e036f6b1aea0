/* Several loops at once on one backend, as in the proxy; also run under ThreadSanitizer. */
#include "fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "data/keyvalue.h"

enum { LOOPS = 3 };

struct worker {
    struct fixture *fixture;
    struct loop *loop;
    struct fake_call call;
    pthread_t thread;
    unsigned number;
    unsigned conflicts;
};

static void run_workers(struct fixture *f, struct worker *workers, void *(*main)(void *))
{
    for (unsigned i = 0; i < LOOPS; i++) {
        workers[i] = (struct worker){.fixture = f, .number = i};
        CHECK_ERR(loop_new(env_real(), i + 1, &workers[i].loop), OK);
        fake_call_init(&workers[i].call, &f->ns, workers[i].loop);
        CHECK_EQ(pthread_create(&workers[i].thread, NULL, main, &workers[i]), 0);
    }
    for (unsigned i = 0; i < LOOPS; i++) {
        pthread_join(workers[i].thread, NULL);
        fake_call_fini(&workers[i].call);
        loop_free(workers[i].loop);
    }
}

static long value_of(struct slice value)
{
    char text[32] = "";
    memcpy(text, value.data, value.size < 31 ? value.size : 31);
    return strtol(text, NULL, 10);
}

/* Errors in a thread cannot end the test: they end the process. */
static const void *must(struct worker *w, enum method_id id, const void *request)
{
    const void *answer = fake_call(&w->call, id, request);
    if (w->call.err) {
        fprintf(stderr, "%s: %s\n", methods[id].pb->path, err_name(w->call.err));
        abort();
    }
    return answer;
}

/* --- one counter, incremented by everybody ---------------------------------------------------------------------------------- */

enum { INCREMENTS = 300 };

static bool increment(struct worker *w)
{
    struct keyvalue_get_request get = {.key = SLICE("counter")};
    const struct keyvalue_get_response *g = must(w, METHOD_KEYVALUE_BASIC_GET, &get);
    char text[32];
    uint8_t version[16];
    snprintf(text, sizeof text, "%ld", value_of(g->value) + 1);
    memcpy(version, g->version.data, sizeof version);
    struct keyvalue_compare_and_swap_request swap = {.key = SLICE("counter"),
                                                     .expected_case = 2,
                                                     .expected_version = slice_of(version, sizeof version),
                                                     .value = slice_str(text)};
    const struct keyvalue_compare_and_swap_response *s = must(w, METHOD_KEYVALUE_CAS_COMPARE_AND_SWAP, &swap);
    return s->swapped;
}

static void *increment_many(void *context)
{
    struct worker *w = context;
    for (int i = 0; i < INCREMENTS;)
        i += increment(w);
    return NULL;
}

TEST(no_increment_is_lost)
{
    struct fixture f;
    static struct worker workers[LOOPS];
    fixture_init(&f);
    f.options.synchronous = CONFIG_SQLITE_OPTIONS_SYNCHRONOUS_OFF;
    CHECK_ERR(fixture_open(&f), OK);
    fixture_set(&f, "counter", "0");
    run_workers(&f, workers, increment_many);
    CHECK_EQ(value_of(fixture_get(&f, "counter")->value), LOOPS * INCREMENTS);
    fixture_fini(&f);
}

/* --- transfers between accounts; scans see every key once ------------------------------------------------------------------- */

enum { ACCOUNTS = 10, TRANSFERS = 100, START = 1000 };

static const char *account(unsigned i, char text[32])
{
    snprintf(text, 32, "account%02u", i);
    return text;
}

static long balance_in(struct worker *w, struct slice id, unsigned i)
{
    char key[32];
    struct keyvalue_get_in_transaction_request r = {.transaction_id = id, .key = slice_str(account(i, key))};
    const struct keyvalue_get_in_transaction_response *g =
        must(w, METHOD_KEYVALUE_TRANSACTIONAL_GET_IN_TRANSACTION, &r);
    return value_of(g->value);
}

static void set_balance_in(struct worker *w, struct slice id, unsigned i, long balance)
{
    char key[32], value[32];
    snprintf(value, sizeof value, "%ld", balance);
    struct keyvalue_set_in_transaction_request r = {
        .transaction_id = id, .key = slice_str(account(i, key)), .value = slice_str(value)};
    must(w, METHOD_KEYVALUE_TRANSACTIONAL_SET_IN_TRANSACTION, &r);
}

static bool transfer(struct worker *w, unsigned from, unsigned to)
{
    uint8_t bytes[16];
    struct keyvalue_begin_transaction_request begin = {0};
    const struct keyvalue_begin_transaction_response *b =
        must(w, METHOD_KEYVALUE_TRANSACTIONAL_BEGIN_TRANSACTION, &begin);
    struct slice id = slice_of(memcpy(bytes, b->transaction_id.data, 16), 16);
    long total = 0;
    for (unsigned i = 0; i < ACCOUNTS; i++)
        total += balance_in(w, id, i);
    if (total != ACCOUNTS * START)
        abort(); /* a snapshot in the middle of a commit */
    set_balance_in(w, id, from, balance_in(w, id, from) - 1);
    set_balance_in(w, id, to, balance_in(w, id, to) + 1);
    struct keyvalue_commit_request commit = {.transaction_id = id};
    fake_call(&w->call, METHOD_KEYVALUE_TRANSACTIONAL_COMMIT, &commit);
    if (w->call.err && w->call.err != ERR_TRANSACTION_CONFLICT)
        abort();
    return !w->call.err;
}

static void scan_all(struct worker *w)
{
    struct keyvalue_scan_request r = {.prefix = SLICE("account"), .page_size = 3};
    must(w, METHOD_KEYVALUE_SCAN_SCAN, &r);
    unsigned n = 0;
    for (unsigned i = 0; i < w->call.count; i++)
        n += ((const struct keyvalue_scan_response *)w->call.messages[i])->items.count;
    if (n != ACCOUNTS)
        abort();
}

static void *transfer_many(void *context)
{
    struct worker *w = context;
    for (unsigned i = 0; i < TRANSFERS;) {
        unsigned from = (i * 7 + w->number) % ACCOUNTS, to = (from + 1 + i % 3) % ACCOUNTS;
        bool done = transfer(w, from, to);
        i += done;
        w->conflicts += !done;
        if (i % 10 == 0)
            scan_all(w);
    }
    return NULL;
}

TEST(money_is_neither_made_nor_lost)
{
    struct fixture f;
    static struct worker workers[LOOPS];
    char key[32];
    fixture_init(&f);
    f.options.synchronous = CONFIG_SQLITE_OPTIONS_SYNCHRONOUS_OFF;
    CHECK_ERR(fixture_open(&f), OK);
    for (unsigned i = 0; i < ACCOUNTS; i++)
        fixture_set(&f, account(i, key), "1000");
    run_workers(&f, workers, transfer_many);
    long total = 0;
    for (unsigned i = 0; i < ACCOUNTS; i++)
        total += value_of(fixture_get(&f, account(i, key))->value);
    CHECK_EQ(total, ACCOUNTS * START);
    CHECK_EQ(fixture_stat(&f, "transactions_open"), 0);
    CHECK_EQ(fixture_stat(&f, "keys"), ACCOUNTS);
    fixture_fini(&f);
}

/* --- a full queue ----------------------------------------------------------------------------------------------------------- */

/* Fake calls would take 300 MB. */
struct small_call {
    struct call call;
    struct arena arena;
    struct keyvalue_set_request set;
    char key[16];
    enum err err;
    bool ended;
};

static enum call_flow small_take(struct call *call, const void *message)
{
    (void)call, (void)message;
    return CALL_GO;
}

static void small_ended(struct call *call, enum err e)
{
    struct small_call *c = call->sink_context;
    c->err = e;
    c->ended = true;
}

static void start_small(struct fixture *f, struct small_call *c, unsigned number)
{
    static const struct call_sink sink = {.send = small_take, .end = small_ended};
    arena_init(&c->arena, 1 << 20);
    snprintf(c->key, sizeof c->key, "%u", number);
    c->set = (struct keyvalue_set_request){.key = slice_str(c->key), .value = SLICE("v")};
    c->call = (struct call){.method = &methods[METHOD_KEYVALUE_BASIC_SET],
                            .ns = &f->ns,
                            .who = {.name = ""},
                            .loop = f->loop,
                            .arena = &c->arena,
                            .deadline_ns = UINT64_MAX,
                            .request = &c->set,
                            .sink = &sink,
                            .sink_context = c};
    diag_init(&c->call.diag, &c->arena);
    c->call.method->invoke(driver_sqlite.implements[INTERFACE_KEYVALUE_BASIC], f->ns.backend, &c->call, &c->set);
}

TEST(a_full_queue_refuses_at_once_and_does_the_rest)
{
    enum { CALLS = LIMIT_WRITE_QUEUE + LIMIT_GROUP_COMMIT + 100 };
    struct fixture f;
    unsigned refused = 0, done = 0;
    fixture_begin(&f);
    struct small_call *calls = mem_zalloc(CALLS * sizeof *calls);
    CHECK(calls != NULL);
    struct sqlite3 *blocker = blocker_begin(&f);
    for (unsigned i = 0; i < CALLS; i++)
        start_small(&f, &calls[i], i);
    CHECK_EQ(fixture_stat(&f, "writes_queued"), LIMIT_WRITE_QUEUE);
    for (unsigned i = 0; i < CALLS; i++) {
        refused += calls[i].ended;
        CHECK(!calls[i].ended || (calls[i].err == ERR_BACKEND_BUSY && calls[i].call.diag.retry_after_ms > 0));
    }
    blocker_end(blocker);
    for (unsigned i = 0; i < CALLS; i++) {
        while (!calls[i].ended)
            loop_turn(f.loop, true);
        done += calls[i].err == OK;
        arena_fini(&calls[i].arena);
    }
    CHECK(refused >= 100);
    CHECK_EQ(done + refused, CALLS);
    CHECK_EQ(fixture_stat(&f, "keys"), done);
    CHECK(fixture_stat(&f, "commits") <= 2 + LIMIT_WRITE_QUEUE / LIMIT_GROUP_COMMIT);
    mem_free(calls);
    fixture_fini(&f);
}

/* --- a key that comes and goes within the life of a transaction -------------------------------------------------------------- */

static struct slice begin(struct fixture *f, uint8_t bytes[16])
{
    struct keyvalue_begin_transaction_request r = {0};
    const struct keyvalue_begin_transaction_response *b =
        fake_call(&f->call, METHOD_KEYVALUE_TRANSACTIONAL_BEGIN_TRANSACTION, &r);
    CHECK_ERR(f->call.err, OK);
    return slice_of(memcpy(bytes, b->transaction_id.data, 16), 16);
}

static enum err set_and_commit(struct fixture *f, struct slice id, const char *key)
{
    struct keyvalue_set_in_transaction_request set = {.transaction_id = id, .key = slice_str(key)};
    struct keyvalue_commit_request commit = {.transaction_id = id};
    fake_call(&f->call, METHOD_KEYVALUE_TRANSACTIONAL_SET_IN_TRANSACTION, &set);
    CHECK_ERR(f->call.err, OK);
    fake_call(&f->call, METHOD_KEYVALUE_TRANSACTIONAL_COMMIT, &commit);
    return f->call.err;
}

static void delete_key(struct fixture *f, const char *key)
{
    struct keyvalue_delete_request r = {.key = slice_str(key)};
    fake_call(&f->call, METHOD_KEYVALUE_BASIC_DELETE, &r);
    CHECK_ERR(f->call.err, OK);
}

TEST(a_key_that_came_and_went_is_a_conflict)
{
    struct fixture f;
    uint8_t one[16], two[16];
    fixture_begin(&f);
    struct slice before = begin(&f, one);
    fixture_set(&f, "k", "v");
    delete_key(&f, "k");
    struct slice after = begin(&f, two);
    CHECK_ERR(set_and_commit(&f, before, "k"), ERR_TRANSACTION_CONFLICT);
    CHECK_ERR(set_and_commit(&f, after, "k"), OK);
    fixture_fini(&f);
}

/* A thousand keys, set and deleted again. */
static void come_and_go(struct fixture *f, int round)
{
    static char texts[LIMIT_BATCH_ITEMS][16];
    static struct keyvalue_batch_set_item items[LIMIT_BATCH_ITEMS], *pointers[LIMIT_BATCH_ITEMS];
    static struct slice keys[LIMIT_BATCH_ITEMS];
    for (int i = 0; i < LIMIT_BATCH_ITEMS; i++) {
        snprintf(texts[i], sizeof texts[i], "%d.%d", round, i);
        keys[i] = slice_str(texts[i]);
        items[i] = (struct keyvalue_batch_set_item){.key = keys[i]};
        pointers[i] = &items[i];
    }
    struct keyvalue_batch_set_request set = {.items = {.items = pointers, .count = LIMIT_BATCH_ITEMS}};
    struct keyvalue_batch_delete_request del = {.keys = {.items = keys, .count = LIMIT_BATCH_ITEMS}};
    fake_call(&f->call, METHOD_KEYVALUE_BATCH_BATCH_SET, &set);
    CHECK_ERR(f->call.err, OK);
    fake_call(&f->call, METHOD_KEYVALUE_BATCH_BATCH_DELETE, &del);
    CHECK_ERR(f->call.err, OK);
}

TEST(more_deletions_than_are_remembered_conflict_with_all_that_are_open)
{
    struct fixture f;
    uint8_t one[16], two[16];
    fixture_begin(&f);
    struct slice before = begin(&f, one);
    for (int round = 0; round * LIMIT_BATCH_ITEMS <= LIMIT_TOUCHED_KEYS; round++)
        come_and_go(&f, round);
    struct slice after = begin(&f, two);
    CHECK_ERR(set_and_commit(&f, before, "untouched"), ERR_TRANSACTION_CONFLICT);
    CHECK_ERR(set_and_commit(&f, after, "untouched"), OK);
    fixture_fini(&f);
}

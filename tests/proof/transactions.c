/* usage: build/proof/transactions [--namespace memory|sqlite] [--histories N] [--operations M] [--seed S] [--proxy BINARY]
 *        build/proof/transactions --address HOST:PORT --namespace NAME …      a gateway that runs
 *
 * Transactions of several callers on few keys of a running gateway, over several connections, all at once, with single reads in
 * between; each history is then checked by snapshot.h. Some calls are cancelled and some connections dropped: where that hits a
 * commit nobody knows whether it happened.
 *
 *   begin ─▶ { get a key ─▶ set it, once or twice, or not }* ─▶ commit, or roll back
 *
 * The last line is a JSON object with what was counted. Exit code 0: all histories are snapshot-isolated. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"
#include "google/protobuf/duration.pb.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"
#include "prism/keyvalue/v1/keyvalue_transactional.pb.h"
#include "rt/loop.h"
#include "snapshot.h"
#include "value.h"
#include "world.h"

enum {
    CONNECTIONS = 6,
    CALLERS = 14,
    KEYS = 8,
    ID_BYTES = 64,
    OPS_WANTED_MAX = 7,
    CANCELLED_IN = 150,
    DROPPED_IN = 200,
};
static const uint64_t TIMEOUT_NS = UINT64_C(30000000000);
#define SERVICE "/prism.keyvalue.v1.KeyValueTransactional/"

struct totals {
    uint64_t histories, operations, answered, unanswered, cancelled, dropped, committed, conflicts, rolled_back,
        unknown, full, violations, undecided, torn, refused;
};

enum step { BEGIN, GET, SET, COMMIT, ROLLBACK, SINGLE_GET, STEPS };

struct caller {
    struct run *run;
    unsigned id;
    struct rpc_client_call *call; /* NULL: idle */
    enum step step;               /* the call in flight, or the last one */
    bool answered;                /* that one */
    bool running;                 /* a transaction is open */
    bool cleaning;                /* one that is over may be open there: roll it back, whatever that answers */
    struct snapshot_transaction now;
    struct snapshot_op op; /* of the call in flight */
    unsigned ops_wanted, sets_left;
    uint64_t began_ns;
    uint8_t transaction_id[ID_BYTES];
    size_t transaction_id_size;
    unsigned turns_to_cancel; /* 0: not */
};

struct run {
    struct loop *loop;
    const char *address;
    struct slice ns;
    uint64_t random;
    uint64_t next_value;
    struct rpc_client *clients[CONNECTIONS];
    struct caller callers[CALLERS];
    char keys[KEYS][64];
    struct snapshot_transaction *all;
    size_t count;
    struct arena arena; /* of one answer */
    struct totals *totals;
};

static uint64_t roll(struct run *run, uint64_t sides)
{
    return hash_mix(run->random++) % sides;
}

/* --- answers ----------------------------------------------------------------------------------------------------------------- */

static uint64_t value_number(struct run *run, bool found, struct slice bytes)
{
    uint64_t value = 0;
    run->totals->torn += found && !value_read(bytes, &value);
    return value;
}

static void take_begin(struct caller *c, const void *message)
{
    const struct keyvalue_begin_transaction_response *r = message;
    c->transaction_id_size = r->transaction_id.size < ID_BYTES ? r->transaction_id.size : 0;
    memcpy(c->transaction_id, r->transaction_id.data, c->transaction_id_size);
}

static void take_get(struct caller *c, const void *message)
{
    const struct keyvalue_get_in_transaction_response *r = message;
    c->op.value = value_number(c->run, r->found, r->value);
}

static void take_single_get(struct caller *c, const void *message)
{
    const struct keyvalue_get_response *r = message;
    c->op.value = value_number(c->run, r->found, r->value);
}

static void take_nothing(struct caller *c, const void *message)
{
    (void)c, (void)message;
}

static const struct {
    const char *path;
    const struct pb_message *request, *response;
    void (*take)(struct caller *, const void *message);
} methods[STEPS] = {
    [BEGIN] = {SERVICE "BeginTransaction", &keyvalue_begin_transaction_request_pb,
               &keyvalue_begin_transaction_response_pb, take_begin},
    [GET] = {SERVICE "GetInTransaction", &keyvalue_get_in_transaction_request_pb,
             &keyvalue_get_in_transaction_response_pb, take_get},
    [SET] = {SERVICE "SetInTransaction", &keyvalue_set_in_transaction_request_pb,
             &keyvalue_set_in_transaction_response_pb, take_nothing},
    [COMMIT] = {SERVICE "Commit", &keyvalue_commit_request_pb, &keyvalue_commit_response_pb, take_nothing},
    [ROLLBACK] = {SERVICE "Rollback", &keyvalue_rollback_request_pb, &keyvalue_rollback_response_pb, take_nothing},
    [SINGLE_GET] = {"/prism.keyvalue.v1.KeyValueBasic/Get", &keyvalue_get_request_pb, &keyvalue_get_response_pb,
                    take_single_get},
};

static void on_message(struct rpc_client_call *call, struct slice bytes)
{
    struct caller *c = rpc_client_call_user(call);
    void *message;
    arena_reset(&c->run->arena);
    if (pb_decode(methods[c->step].response, bytes, &c->run->arena, &pb_limits_default, &message))
        return;
    methods[c->step].take(c, message);
    c->answered = true;
}

/* The transaction is over, and part of the history. */
static void end_transaction(struct caller *c, enum snapshot_outcome outcome)
{
    c->running = false;
    c->now.outcome = outcome;
    c->now.caller = c->id;
    c->run->all[c->run->count++] = c->now;
}

static void end_commit(struct caller *c, unsigned status)
{
    enum { ABORTED = 10 };
    struct totals *t = c->run->totals;
    struct snapshot_interval call = {c->began_ns, value_now_ns()};
    c->now.commit = call;
    t->committed += c->answered;
    t->conflicts += status == ABORTED;
    t->unknown += !c->answered && status != ABORTED;
    c->cleaning = !c->answered && status != ABORTED;
    end_transaction(c, c->answered ? SNAPSHOT_COMMITTED : status == ABORTED ? SNAPSHOT_ABORTED : SNAPSHOT_UNKNOWN);
}

/* A call without an answer leaves a transaction that nobody commits. */
static void end_step(struct caller *c, unsigned status)
{
    if (c->cleaning) {
        c->cleaning = false;
        return;
    }
    if (c->step == COMMIT) {
        end_commit(c, status);
        return;
    }
    if (c->step == BEGIN || c->step == SINGLE_GET)
        c->now.begin = (struct snapshot_interval){c->began_ns, value_now_ns()};
    if ((c->step == GET || c->step == SET || c->step == SINGLE_GET) && c->answered)
        c->now.ops[c->now.count++] = c->op;
    c->running = c->step == BEGIN ? c->answered : c->running;
    c->cleaning = c->running && !c->answered;
    c->run->totals->rolled_back += c->step == ROLLBACK;
    if (c->step == ROLLBACK || c->step == SINGLE_GET || c->cleaning)
        end_transaction(c, SNAPSHOT_ABORTED);
}

/* Transactions whose begin nobody heard of count until their idle time is over: then there may be too many for a while. */
static bool is_full(struct caller *c, unsigned status)
{
    enum { RESOURCE_EXHAUSTED = 8 };
    bool full = c->step == BEGIN && status == RESOURCE_EXHAUSTED;
    c->run->totals->full += full;
    return full;
}

static void on_end(struct rpc_client_call *call, unsigned status, const struct diag *diag)
{
    enum { CANCELLED = 1, ABORTED = 10, UNAVAILABLE = 14 };
    struct caller *c = rpc_client_call_user(call);
    struct totals *t = c->run->totals;
    bool conflict = c->step == COMMIT && status == ABORTED;
    c->call = NULL;
    c->answered = c->answered && status == 0;
    t->answered += c->answered || conflict;
    t->unanswered += !c->answered && !conflict;
    bool fine = !status || conflict || status == CANCELLED || status == UNAVAILABLE || c->cleaning;
    if (!fine && !is_full(c, status)) {
        fprintf(stderr, "%s ended with status %u: %s\n", methods[c->step].path, status, diag_message(diag));
        t->refused++;
    }
    end_step(c, status);
}

/* --- questions --------------------------------------------------------------------------------------------------------------- */

union request {
    struct keyvalue_begin_transaction_request begin;
    struct keyvalue_get_in_transaction_request get;
    struct keyvalue_set_in_transaction_request set;
    struct keyvalue_commit_request commit;
    struct keyvalue_rollback_request rollback;
    struct keyvalue_get_request single;
};

static void fill_request(struct caller *c, union request *r, struct google_protobuf_duration *idle, char *value)
{
    struct slice id = slice_of(c->transaction_id, c->transaction_id_size), key = slice_str(c->run->keys[c->op.key]);
    switch (c->step) {
    case BEGIN:
        *idle = (struct google_protobuf_duration){.seconds = 3}; /* one that is forgotten is gone soon */
        r->begin.idle_timeout = idle;
        break;
    case GET:
        r->get = (struct keyvalue_get_in_transaction_request){.transaction_id = id, .key = key};
        break;
    case SET:
        r->set = (struct keyvalue_set_in_transaction_request){
            .transaction_id = id, .key = key, .value = value_bytes(c->op.value, value)};
        break;
    case COMMIT:
        r->commit.transaction_id = id;
        break;
    case ROLLBACK:
        r->rollback.transaction_id = id;
        break;
    default:
        r->single.key = key;
    }
}

static enum err ask(struct caller *c)
{
    static const struct rpc_client_events events = {.on_message = on_message, .on_end = on_end};
    struct run *run = c->run;
    struct http_header metadata = {SLICE("prism-namespace"), run->ns};
    struct rpc_client_call_options options = {
        .path = methods[c->step].path, .metadata = &metadata, .metadata_count = 1, .timeout_ns = TIMEOUT_NS};
    struct google_protobuf_duration idle;
    char value[VALUE_BYTES_MAX];
    union request request;
    memset(&request, 0, sizeof request);
    fill_request(c, &request, &idle, value);
    c->answered = false;
    bool may_cancel = c->step != BEGIN && !c->cleaning;
    c->turns_to_cancel = may_cancel && roll(run, CANCELLED_IN) == 0 ? 1 + (unsigned)roll(run, 3) : 0;
    c->began_ns = value_now_ns();
    run->totals->operations++;
    return world_call(run->clients[c->id % CONNECTIONS], &options, methods[c->step].request, &request, &events, c,
                      &c->call);
}

/* A transaction of few keys, so that many of them meet; one in five is a single read. */
static enum step first_step(struct caller *c)
{
    struct run *run = c->run;
    c->now = (struct snapshot_transaction){.count = 0};
    c->ops_wanted = 1 + (unsigned)roll(run, OPS_WANTED_MAX);
    c->sets_left = 0;
    c->op = (struct snapshot_op){.key = (unsigned)roll(run, KEYS)};
    return roll(run, 5) ? BEGIN : SINGLE_GET;
}

static enum step next_step(struct caller *c)
{
    struct run *run = c->run;
    if (c->cleaning)
        return ROLLBACK;
    if (!c->running)
        return first_step(c);
    if (c->sets_left) {
        c->sets_left--;
        c->op = (struct snapshot_op){true, c->op.key, ++run->next_value};
        return SET;
    }
    if (c->now.count >= c->ops_wanted)
        return roll(run, 10) ? COMMIT : ROLLBACK;
    uint64_t kind = roll(run, 10);
    c->op = (struct snapshot_op){.key = (unsigned)roll(run, KEYS)};
    c->sets_left = kind < 5 ? 0 : kind < 9 ? 1 : 2;
    return GET;
}

/* --- a history --------------------------------------------------------------------------------------------------------------- */

/* A begin whose answer is lost leaves a transaction that only its idle time ends; there is room for few of them. */
static bool is_beginning(const struct run *run, unsigned connection)
{
    for (unsigned i = connection; i < CALLERS; i += CONNECTIONS)
        if (run->callers[i].call && run->callers[i].step == BEGIN)
            return true;
    return false;
}

static bool drop_one(struct run *run)
{
    unsigned i = (unsigned)roll(run, CONNECTIONS);
    if (is_beginning(run, i))
        return true;
    run->totals->dropped++;
    rpc_client_free(run->clients[i]);
    return world_connect(run->address, run->loop, &run->clients[i]);
}

static bool is_busy(const struct run *run)
{
    for (unsigned i = 0; i < CALLERS; i++)
        if (run->callers[i].call)
            return true;
    return false;
}

static void cancel_due(struct run *run)
{
    for (unsigned i = 0; i < CALLERS; i++) {
        struct caller *c = &run->callers[i];
        if (!c->call || !c->turns_to_cancel || --c->turns_to_cancel)
            continue;
        run->totals->cancelled++;
        rpc_client_cancel(c->call);
    }
}

static bool is_amid(const struct run *run)
{
    for (unsigned i = 0; i < CALLERS; i++)
        if (run->callers[i].running || run->callers[i].cleaning)
            return true;
    return false;
}

/* What is running when enough has been asked is brought to its end. */
static bool drive(struct run *run, uint64_t operations)
{
    for (uint64_t asked = 0; asked < operations || is_busy(run) || is_amid(run);) {
        for (unsigned i = 0; i < CALLERS; i++) {
            struct caller *c = &run->callers[i];
            if (c->call || (asked >= operations && !c->running && !c->cleaning))
                continue;
            c->step = next_step(c);
            if (ask(c) || (++asked % DROPPED_IN == 0 && !drop_one(run)))
                return false;
        }
        cancel_due(run);
        if (is_busy(run))
            loop_turn(run->loop, true);
    }
    return true;
}

static void check(struct run *run, uint64_t seed)
{
    struct snapshot_report r = snapshot_check(run->all, run->count, run->next_value);
    run->totals->undecided += r.verdict == SNAPSHOT_UNDECIDED;
    run->totals->violations += r.verdict != SNAPSHOT_UNDECIDED && r.verdict != SNAPSHOT_KEPT;
    if (r.verdict == SNAPSHOT_KEPT)
        return;
    fprintf(stderr, "seed %" PRIu64 ": ", seed);
    snapshot_print(stderr, run->all, &r);
}

static bool one_history(struct run *run, uint64_t seed, uint64_t operations)
{
    bool ok = true;
    run->random = seed << 24;
    run->next_value = run->count = 0;
    run->all = mem_zalloc((operations + CALLERS) * sizeof *run->all);
    for (unsigned i = 0; i < CALLERS; i++)
        run->callers[i] = (struct caller){.run = run, .id = i};
    for (unsigned i = 0; i < KEYS; i++)
        snprintf(run->keys[i], sizeof run->keys[i], "transactions/%" PRIu64 "/%u", seed, i);
    for (unsigned i = 0; i < CONNECTIONS && ok; i++)
        ok = world_connect(run->address, run->loop, &run->clients[i]);
    ok = ok && run->all && drive(run, operations);
    if (ok)
        check(run, seed);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        rpc_client_free(run->clients[i]);
    while (loop_turn(run->loop, false))
        ;
    mem_free(run->all);
    run->totals->histories++;
    return ok;
}

static void report(const char *ns, uint64_t seed, const struct totals *t, bool ok)
{
    printf("{\"proof\": \"transactions\", \"namespace\": \"%s\", \"seed\": %" PRIu64
           ", \"ok\": %s, \"histories\": %" PRIu64 ", \"operations\": %" PRIu64 ", \"answered\": %" PRIu64
           ", \"unanswered\": %" PRIu64 ", \"cancelled\": %" PRIu64 ", \"connections_dropped\": %" PRIu64
           ", \"committed\": %" PRIu64 ", \"conflicts\": %" PRIu64 ", \"rolled_back\": %" PRIu64
           ", \"commits_without_answer\": %" PRIu64 ", \"too_many_open\": %" PRIu64 ", \"refused\": %" PRIu64
           ", \"torn\": %" PRIu64 ", \"violations\": %" PRIu64 ", \"undecided\": %" PRIu64 "}\n",
           ns, seed, ok ? "true" : "false", t->histories, t->operations, t->answered, t->unanswered, t->cancelled,
           t->dropped, t->committed, t->conflicts, t->rolled_back, t->unknown, t->full, t->refused, t->torn,
           t->violations, t->undecided);
}

int main(int argc, char **argv)
{
    const char *ns = "memory", *proxy = "build/prism-proxy", *address = NULL;
    uint64_t histories = 10, operations = 500, seed = 1;
    const struct setting settings[] = {{"namespace", &ns, NULL},          {"proxy", &proxy, NULL},
                                       {"address", &address, NULL},       {"histories", NULL, &histories},
                                       {"operations", NULL, &operations}, {"seed", NULL, &seed}};
    struct totals totals = {0};
    struct world world;
    if (!settings_read(argc, argv, settings, sizeof settings / sizeof *settings) ||
        (!address && !world_start(&world, proxy, NULL)))
        return 1;
    struct run run = {.address = address ? address : world.address, .totals = &totals};
    run.ns = strcmp(ns, "sqlite") == 0 ? SLICE("default") : slice_str(ns);
    bool ok = loop_new(env_real(), 0, &run.loop) == OK;
    arena_init(&run.arena, LIMIT_CALL_ARENA_BYTES);
    for (uint64_t i = 0; ok && i < histories; i++) {
        ok = one_history(&run, seed + i, operations);
        if (i % 10 == 9)
            fprintf(stderr, "%s: %" PRIu64 " of %" PRIu64 " histories of transactions\n", ns, i + 1, histories);
    }
    arena_fini(&run.arena);
    loop_free(run.loop);
    ok = (address || world_stop(&world) == 0) && ok &&
         totals.violations + totals.undecided + totals.torn + totals.refused == 0;
    report(ns, seed, &totals, ok);
    return !ok;
}

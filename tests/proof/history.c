/* usage: build/proof/history [--namespace memory|sqlite] [--histories N] [--operations M] [--seed S] [--proxy BINARY]
 *        build/proof/history --address HOST:PORT --namespace NAME …      a gateway that runs, whose backend may fail meanwhile
 *
 * Random operations of several callers on few keys of a running gateway, over several connections, all at once; each key's
 * history is then checked by linear.h. Some calls are cancelled and some connections dropped with calls in flight: nobody knows
 * whether those operations happened. The seed decides what is asked; when it is answered decides the machine.
 *
 * Of a backend that fails, errors that say that nothing was executed are held to it: such an operation is no part of the history,
 * so a trace of it is a value that nobody wrote. After an error that leaves it open (UNKNOWN, deadline, connection lost) it may have
 * happened at any time since, or not at all.
 *
 * The last line is a JSON object with what was counted. Exit code 0: all histories are linearizable. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"
#include "linear.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"
#include "prism/keyvalue/v1/keyvalue_cas.pb.h"
#include "rt/loop.h"
#include "value.h"
#include "world.h"

enum {
    CONNECTIONS = 6,
    CALLERS = 18,
    KEYS = 4,
    VERSION_BYTES = 64,
    CANCELLED_IN = 40,     /* one call of so many */
    DROPPED_IN = 150,      /* one connection for so many calls */
    UNANSWERED_A_KEY = 20, /* no more is cancelled then: what has no answer stays open for ever */
    UNANSWERED_MAX = 40,   /* no more is written then: the checker knows 64 open operations of a key */
};
static const uint64_t TIMEOUT_NS = UINT64_C(30000000000);

struct totals {
    uint64_t histories, operations, answered, unanswered, cancelled, dropped, violations, undecided, torn, refused;
    uint64_t not_executed;
};

struct key {
    struct linear_op *ops;
    size_t count;
    unsigned unanswered;
    char name[64];
};

struct known {
    uint64_t value;
    uint8_t version[VERSION_BYTES];
    size_t version_size;
};

struct caller {
    struct run *run;
    unsigned id;
    struct rpc_client_call *call; /* NULL: idle */
    unsigned key;
    struct linear_op op;
    bool has_answer;
    unsigned turns_to_cancel; /* 0: not */
    struct known known[KEYS]; /* what it saw last */
};

struct run {
    struct loop *loop;
    const char *address;
    bool backend_fails;
    struct slice ns;
    uint64_t random;
    uint64_t next_value;
    struct rpc_client *clients[CONNECTIONS];
    struct caller callers[CALLERS];
    struct key keys[KEYS];
    struct arena arena; /* of one answer */
    struct totals *totals;
};

static uint64_t roll(struct run *run, uint64_t sides)
{
    return hash_mix(run->random++) % sides;
}

/* --- values ------------------------------------------------------------------------------------------------------------------ */

static uint64_t value_number(struct run *run, struct slice bytes)
{
    uint64_t value;
    run->totals->torn += !value_read(bytes, &value);
    return value;
}

static void remember(struct caller *c, uint64_t value, struct slice version)
{
    struct known *known = &c->known[c->key];
    known->value = value;
    known->version_size = version.size < VERSION_BYTES ? version.size : 0;
    if (known->version_size)
        memcpy(known->version, version.data, known->version_size);
}

/* --- answers ----------------------------------------------------------------------------------------------------------------- */

static void take_get(struct caller *c, const void *message)
{
    const struct keyvalue_get_response *r = message;
    c->op.seen = r->found ? value_number(c->run, r->value) : 0;
    remember(c, c->op.seen, r->version);
}

static void take_set(struct caller *c, const void *message)
{
    const struct keyvalue_set_response *r = message;
    c->op.done = true;
    remember(c, c->op.value, r->version);
}

static void take_delete(struct caller *c, const void *message)
{
    const struct keyvalue_delete_response *r = message;
    c->op.done = r->existed;
    remember(c, 0, SLICE_EMPTY);
}

static void take_cas(struct caller *c, const void *message)
{
    const struct keyvalue_compare_and_swap_response *r = message;
    c->op.done = r->swapped;
    c->op.seen = !r->swapped && r->found ? value_number(c->run, r->current_value) : 0;
    remember(c, r->swapped ? c->op.value : c->op.seen, r->version);
}

static const struct {
    const char *path;
    const struct pb_message *request, *response;
    void (*take)(struct caller *, const void *message);
} methods[] = {
    [LINEAR_GET] = {"/prism.keyvalue.v1.KeyValueBasic/Get", &keyvalue_get_request_pb, &keyvalue_get_response_pb,
                    take_get},
    [LINEAR_SET] = {"/prism.keyvalue.v1.KeyValueBasic/Set", &keyvalue_set_request_pb, &keyvalue_set_response_pb,
                    take_set},
    [LINEAR_DELETE] = {"/prism.keyvalue.v1.KeyValueBasic/Delete", &keyvalue_delete_request_pb,
                       &keyvalue_delete_response_pb, take_delete},
    [LINEAR_CAS] = {"/prism.keyvalue.v1.KeyValueCas/CompareAndSwap", &keyvalue_compare_and_swap_request_pb,
                    &keyvalue_compare_and_swap_response_pb, take_cas},
};

static void on_message(struct rpc_client_call *call, struct slice bytes)
{
    struct caller *c = rpc_client_call_user(call);
    void *message;
    arena_reset(&c->run->arena);
    if (pb_decode(methods[c->op.kind].response, bytes, &c->run->arena, &pb_limits_default, &message))
        return;
    methods[c->op.kind].take(c, message);
    c->has_answer = true;
}

/* Errors that promise that nothing was executed. */
static bool not_executed(const struct diag *diag)
{
    static const enum err errors[] = {ERR_BACKEND_UNREACHABLE, ERR_BACKEND_REFUSED, ERR_BACKEND_DENIED,
                                      ERR_BREAKER_OPEN, ERR_BACKEND_BUSY};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (diag->err == errors[i])
            return true;
    return false;
}

static bool may_be_open(const struct run *run, unsigned status)
{
    enum { CANCELLED = 1, UNKNOWN = 2, DEADLINE = 4, UNAVAILABLE = 14 };
    return status == CANCELLED || status == UNAVAILABLE ||
           (run->backend_fails && (status == UNKNOWN || status == DEADLINE));
}

static void on_end(struct rpc_client_call *call, unsigned status, const struct diag *diag)
{
    struct caller *c = rpc_client_call_user(call);
    struct run *run = c->run;
    struct key *key = &run->keys[c->key];
    c->call = NULL;
    if (run->backend_fails && status && not_executed(diag)) {
        run->totals->not_executed++;
        run->totals->operations--;
        return;
    }
    c->op.unknown = status != 0 || !c->has_answer;
    c->op.ended_ns = value_now_ns();
    if (c->op.unknown && !may_be_open(run, status)) {
        fprintf(stderr, "%s ended with status %u: %s\n", methods[c->op.kind].path, status, diag_message(diag));
        run->totals->refused++;
    }
    key->ops[key->count++] = c->op;
    key->unanswered += c->op.unknown && c->op.kind != LINEAR_GET;
    run->totals->unanswered += c->op.unknown;
    run->totals->answered += !c->op.unknown;
}

/* --- questions --------------------------------------------------------------------------------------------------------------- */

static enum linear_kind choose_kind(struct run *run)
{
    static const enum linear_kind kinds[] = {LINEAR_GET, LINEAR_GET, LINEAR_GET, LINEAR_GET, LINEAR_SET,
                                             LINEAR_SET, LINEAR_CAS, LINEAR_CAS, LINEAR_CAS, LINEAR_DELETE};
    return kinds[roll(run, sizeof kinds / sizeof *kinds)];
}

union request {
    struct keyvalue_get_request get;
    struct keyvalue_set_request set;
    struct keyvalue_delete_request delete;
    struct keyvalue_compare_and_swap_request cas;
};

static void expect(struct caller *c, struct keyvalue_compare_and_swap_request *cas, char *expected)
{
    enum { BY_VERSION = 2, BY_VALUE = 3, BY_ABSENCE = 4 };
    const struct known *known = &c->known[c->key];
    c->op.expected = known->value;
    if (!known->value) {
        cas->expected_case = BY_ABSENCE;
        cas->expected_absent = true;
    } else if (known->version_size && roll(c->run, 2)) {
        cas->expected_case = BY_VERSION;
        cas->expected_version = slice_of(known->version, known->version_size);
    } else {
        cas->expected_case = BY_VALUE;
        cas->expected_value = value_bytes(known->value, expected);
    }
}

static enum err ask(struct caller *c, struct rpc_client *client)
{
    static const struct rpc_client_events events = {.on_message = on_message, .on_end = on_end};
    struct run *run = c->run;
    struct http_header metadata = {SLICE("prism-namespace"), run->ns};
    struct rpc_client_call_options options = {
        .path = methods[c->op.kind].path, .metadata = &metadata, .metadata_count = 1, .timeout_ns = TIMEOUT_NS};
    char value[VALUE_BYTES_MAX], expected[VALUE_BYTES_MAX];
    union request request = {.get = {.key = slice_str(run->keys[c->key].name)}};
    if (c->op.kind == LINEAR_SET)
        request.set = (struct keyvalue_set_request){.key = request.get.key, .value = value_bytes(c->op.value, value)};
    if (c->op.kind == LINEAR_DELETE)
        request.delete = (struct keyvalue_delete_request){.key = request.get.key};
    if (c->op.kind == LINEAR_CAS) {
        request.cas = (struct keyvalue_compare_and_swap_request){.key = request.get.key,
                                                                 .value = value_bytes(c->op.value, value)};
        expect(c, &request.cas, expected);
    }
    c->op.began_ns = value_now_ns();
    return world_call(client, &options, methods[c->op.kind].request, &request, &events, c, &c->call);
}

static bool begin(struct caller *c)
{
    struct run *run = c->run;
    c->key = (unsigned)roll(run, KEYS);
    bool full = run->keys[c->key].unanswered >= UNANSWERED_MAX;
    c->op =
        (struct linear_op){.kind = full ? LINEAR_GET : choose_kind(run), .value = ++run->next_value, .caller = c->id};
    c->has_answer = false;
    bool may_cancel = run->keys[c->key].unanswered < UNANSWERED_A_KEY && roll(run, CANCELLED_IN) == 0;
    c->turns_to_cancel = may_cancel ? 1 + (unsigned)roll(run, 4) : 0;
    run->totals->operations++;
    return ask(c, run->clients[c->id % CONNECTIONS]) == OK;
}

/* --- a history --------------------------------------------------------------------------------------------------------------- */

static bool drop_one(struct run *run)
{
    unsigned i = (unsigned)roll(run, CONNECTIONS);
    run->totals->dropped++;
    rpc_client_free(run->clients[i]);
    return world_connect(run->address, run->loop, &run->clients[i]);
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

static bool in_flight(const struct run *run)
{
    for (unsigned i = 0; i < CALLERS; i++)
        if (run->callers[i].call)
            return true;
    return false;
}

static bool drive(struct run *run, uint64_t operations)
{
    uint64_t before = run->totals->operations, asked = 0;
    while (run->totals->operations - before < operations || in_flight(run)) {
        for (unsigned i = 0; i < CALLERS && run->totals->operations - before < operations; i++) {
            if (run->callers[i].call)
                continue;
            if (!begin(&run->callers[i]))
                return false;
            if (++asked % DROPPED_IN == 0 && !drop_one(run))
                return false;
        }
        cancel_due(run);
        if (in_flight(run))
            loop_turn(run->loop, true);
    }
    return true;
}

static void check_key(struct run *run, const struct key *key, uint64_t seed)
{
    static const uint64_t absent[] = {0};
    struct linear_core core;
    enum linear_verdict verdict = linear_check(key->ops, key->count, absent, 1);
    run->totals->undecided += verdict == LINEAR_UNDECIDED;
    run->totals->violations += verdict == LINEAR_NO;
    if (verdict == LINEAR_NO && linear_shrink(key->ops, key->count, &core)) {
        fprintf(stderr, "seed %" PRIu64 ", key %s: ", seed, key->name);
        linear_print(stderr, &core);
        linear_core_fini(&core);
    }
}

static bool begin_history(struct run *run, uint64_t seed, uint64_t operations)
{
    for (unsigned i = 0; i < CALLERS; i++)
        run->callers[i] = (struct caller){.run = run, .id = i};
    for (unsigned i = 0; i < KEYS; i++) {
        run->keys[i] = (struct key){.ops = mem_zalloc(operations * sizeof(struct linear_op))};
        snprintf(run->keys[i].name, sizeof run->keys[i].name, "history/%" PRIu64 "/%u", seed, i);
        if (!run->keys[i].ops)
            return false;
    }
    for (unsigned i = 0; i < CONNECTIONS; i++)
        if (!world_connect(run->address, run->loop, &run->clients[i]))
            return false;
    return true;
}

static void end_history(struct run *run)
{
    for (unsigned i = 0; i < CONNECTIONS; i++)
        rpc_client_free(run->clients[i]);
    while (loop_turn(run->loop, false))
        ;
    for (unsigned i = 0; i < KEYS; i++)
        mem_free(run->keys[i].ops);
}

static bool one_history(struct run *run, uint64_t seed, uint64_t operations)
{
    run->random = seed << 24;
    run->next_value = 0;
    bool ok = begin_history(run, seed, operations) && drive(run, operations);
    for (unsigned i = 0; ok && i < KEYS; i++)
        check_key(run, &run->keys[i], seed);
    end_history(run);
    run->totals->histories++;
    return ok;
}

static void report(const char *ns, uint64_t seed, const struct totals *t, bool ok)
{
    printf("{\"proof\": \"history\", \"namespace\": \"%s\", \"seed\": %" PRIu64 ", \"ok\": %s, \"histories\": %" PRIu64
           ", \"operations\": %" PRIu64 ", \"answered\": %" PRIu64 ", \"unanswered\": %" PRIu64
           ", \"cancelled\": %" PRIu64 ", \"connections_dropped\": %" PRIu64 ", \"refused\": %" PRIu64
           ", \"not_executed\": %" PRIu64 ", \"torn\": %" PRIu64 ", \"violations\": %" PRIu64
           ", \"undecided\": %" PRIu64 "}\n",
           ns, seed, ok ? "true" : "false", t->histories, t->operations, t->answered, t->unanswered, t->cancelled,
           t->dropped, t->refused, t->not_executed, t->torn, t->violations, t->undecided);
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
        (!address && !world_start(&world, proxy)))
        return 1;
    struct run run = {.address = address ? address : world.address, .backend_fails = address, .totals = &totals};
    run.ns = strcmp(ns, "sqlite") == 0 ? SLICE("default") : slice_str(ns);
    bool ok = loop_new(env_real(), 0, &run.loop) == OK;
    arena_init(&run.arena, LIMIT_CALL_ARENA_BYTES);
    for (uint64_t i = 0; ok && i < histories; i++) {
        ok = one_history(&run, seed + i, operations);
        if (i % 10 == 9)
            fprintf(stderr, "%s: %" PRIu64 " of %" PRIu64 " histories\n", ns, i + 1, histories);
    }
    arena_fini(&run.arena);
    loop_free(run.loop);
    ok = (address || world_stop(&world) == 0) && ok &&
         totals.violations + totals.undecided + totals.torn + totals.refused == 0;
    report(ns, seed, &totals, ok);
    return !ok;
}

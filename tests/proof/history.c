/* usage: build/proof/history [--namespace memory|sqlite] [--histories N] [--operations M] [--seed S] [--proxy BINARY]
 *        build/proof/history --address HOST:PORT --namespace NAME …      a gateway that runs, whose backend may fail meanwhile
 *
 * Random operations of several callers on few keys of a running gateway, single ones and batches, some of them on values that live
 * for milliseconds, over several connections, all at once; each key's history is then checked by linear.h. Some calls are cancelled and some connections dropped with calls in flight: nobody knows
 * whether those operations happened. The seed decides what is asked; when it is answered decides the machine.
 *
 * --expiry 0 leaves out values that expire.
 *
 * Of a backend that fails, errors that say that nothing was executed are held to it: such an operation is no part of the history,
 * so a trace of it is a value that nobody wrote. After an error that leaves it open (UNKNOWN, deadline, connection lost) it may have
 * happened at any time since, or not at all.
 *
 * The last line is a JSON object with what was counted. Exit code 0: all histories are linearizable. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ask.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"
#include "linear.h"
#include "rt/loop.h"
#include "value.h"

enum {
    CONNECTIONS = 6,
    CALLERS = 12,
    KEYS = ASK_KEYS_MAX,
    MORTAL_KEYS = 2,
    BATCH = 2,
    TTL_MAX_MS = 12,
    CLOCK_SLACK_MS = 2,
    CANCELLED_IN = 40,     /* one call of so many */
    DROPPED_IN = 150,      /* one connection for so many calls */
    UNANSWERED_A_KEY = 12, /* no more is cancelled then: what has no answer stays open for ever */
    UNANSWERED_MAX = 40,   /* no more is written then: the checker knows 64 open operations of a key */
};
#define NS_PER_MS UINT64_C(1000000)
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

struct caller {
    struct run *run;
    unsigned id;
    struct rpc_client_call *call; /* NULL: idle */
    struct ask ask;
    unsigned turns_to_cancel; /* 0: not */
    struct ask_known known[KEYS];
};

struct run {
    struct loop *loop;
    const char *address;
    bool backend_fails;
    bool expiry; /* values with short lives are in the histories */
    struct slice ns;
    uint64_t random;
    uint64_t next_value;
    struct rpc_client *clients[CONNECTIONS];
    struct caller callers[CALLERS];
    struct key keys[KEYS];
    struct slice names[KEYS];
    struct arena arena; /* of one answer */
    struct totals *totals;
};

static uint64_t roll(struct run *run, uint64_t sides)
{
    return hash_mix(run->random++) % sides;
}

/* --- answers ----------------------------------------------------------------------------------------------------------------- */

static void on_message(struct rpc_client_call *call, struct slice bytes)
{
    struct caller *c = rpc_client_call_user(call);
    arena_reset(&c->run->arena);
    ask_take(&c->ask, c->known, bytes, &c->run->arena, &c->run->totals->torn);
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

static void add_op(struct key *key, const struct linear_op *op)
{
    key->ops[key->count++] = *op;
}

/* Gone so long after the set as its time to live says, by a clock that ticks in milliseconds. */
static void add_expiry(struct key *key, const struct linear_op *set, uint32_t ttl_ms)
{
    struct linear_op gone = *set;
    gone.kind = LINEAR_EXPIRES;
    gone.done = true;
    gone.began_ns += (ttl_ms > CLOCK_SLACK_MS ? ttl_ms - CLOCK_SLACK_MS : 0) * NS_PER_MS;
    gone.ended_ns += (ttl_ms + CLOCK_SLACK_MS) * NS_PER_MS;
    add_op(key, &gone);
}

static void add_ops(struct caller *c, bool unknown)
{
    uint64_t now = value_now_ns();
    for (unsigned i = 0; i < c->ask.count; i++) {
        struct key *key = &c->run->keys[c->ask.keys[i]];
        struct linear_op *op = &c->ask.ops[i];
        op->unknown = unknown;
        op->ended_ns = now;
        add_op(key, op);
        if (op->kind == LINEAR_SET && c->ask.ttl_ms)
            add_expiry(key, op, c->ask.ttl_ms);
        if (unknown && !ask_is_read(c->ask.kind))
            key->unanswered += c->ask.ttl_ms ? 2 : 1;
    }
}

static void on_end(struct rpc_client_call *call, unsigned status, const struct diag *diag)
{
    struct caller *c = rpc_client_call_user(call);
    struct run *run = c->run;
    c->call = NULL;
    if (run->backend_fails && status && not_executed(diag)) {
        run->totals->not_executed++;
        run->totals->operations--;
        return;
    }
    bool unknown = status != 0 || !c->ask.has_answer;
    if (unknown && !may_be_open(run, status)) {
        fprintf(stderr, "%s ended with status %u: %s\n", ask_path(c->ask.kind), status, diag_message(diag));
        run->totals->refused++;
    }
    add_ops(c, unknown);
    run->totals->unanswered += unknown;
    run->totals->answered += !unknown;
}

/* --- questions --------------------------------------------------------------------------------------------------------------- */

static enum ask_kind choose_kind(struct run *run)
{
    static const enum ask_kind kinds[] = {ASK_GET,       ASK_GET,          ASK_GET,    ASK_GET,    ASK_GET,
                                          ASK_SET,       ASK_SET,          ASK_SET,    ASK_CAS,    ASK_CAS,
                                          ASK_CAS,       ASK_CAS,          ASK_DELETE, ASK_EXISTS, ASK_BATCH_GET,
                                          ASK_BATCH_SET, ASK_BATCH_DELETE, ASK_EXPIRE, ASK_PERSIST};
    return kinds[roll(run, sizeof kinds / sizeof *kinds)];
}

static bool is_batch(enum ask_kind kind)
{
    return kind == ASK_BATCH_GET || kind == ASK_BATCH_SET || kind == ASK_BATCH_DELETE;
}

/* Values of the first keys have short lives; on the others expire and persist are asked, which would lengthen them. */
static bool is_mortal(unsigned key)
{
    return key < MORTAL_KEYS;
}

/* One key; in a batch that one and the next. */
static void choose_keys(struct run *run, struct ask *ask)
{
    unsigned first = (unsigned)roll(run, KEYS);
    if (ask->kind == ASK_EXPIRE || ask->kind == ASK_PERSIST)
        first = MORTAL_KEYS + (unsigned)roll(run, KEYS - MORTAL_KEYS);
    for (unsigned i = 0; i < (is_batch(ask->kind) ? BATCH : 1); i++) {
        unsigned key = (first + i) % KEYS;
        ask->ops[ask->count].value = ++run->next_value;
        ask->keys[ask->count++] = key;
    }
}

static unsigned most_unanswered(const struct run *run, const struct ask *ask)
{
    unsigned most = 0;
    for (unsigned i = 0; i < ask->count; i++)
        if (run->keys[ask->keys[i]].unanswered > most)
            most = run->keys[ask->keys[i]].unanswered;
    return most;
}

static void choose(struct caller *c)
{
    struct run *run = c->run;
    struct ask ask = {.kind = choose_kind(run)};
    choose_keys(run, &ask);
    bool mortal = true;
    for (unsigned i = 0; i < ask.count; i++) {
        ask.ops[i].caller = c->id;
        mortal = mortal && is_mortal(ask.keys[i]);
    }
    if (most_unanswered(run, &ask) >= UNANSWERED_MAX)
        ask.kind = ask.count > 1 ? ASK_BATCH_GET : ASK_GET;
    bool may_cancel = most_unanswered(run, &ask) < UNANSWERED_A_KEY && roll(run, CANCELLED_IN) == 0;
    c->turns_to_cancel = may_cancel ? 1 + (unsigned)roll(run, 4) : 0;
    /* A set without answer and its end without answer can explain too much, and are much work to check. */
    if (run->expiry && mortal && !may_cancel && (ask.kind == ASK_SET || ask.kind == ASK_BATCH_SET) && roll(run, 2))
        ask.ttl_ms = 1 + (uint32_t)roll(run, TTL_MAX_MS);
    c->ask = ask;
}

static bool begin(struct caller *c)
{
    static const struct rpc_client_events events = {.on_message = on_message, .on_end = on_end};
    struct run *run = c->run;
    struct http_header metadata = {SLICE("prism-namespace"), run->ns};
    struct rpc_client_call_options options = {.metadata = &metadata, .metadata_count = 1, .timeout_ns = TIMEOUT_NS};
    choose(c);
    run->totals->operations++;
    return ask_send(&c->ask, run->names, c->known, roll(run, 2), run->clients[c->id % CONNECTIONS], &options, &events,
                    c, &c->call) == OK;
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
        run->keys[i] = (struct key){.ops = mem_zalloc(2 * operations * sizeof(struct linear_op))};
        snprintf(run->keys[i].name, sizeof run->keys[i].name, "history/%" PRIu64 "/%u", seed, i);
        run->names[i] = slice_str(run->keys[i].name);
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
    uint64_t histories = 10, operations = 500, seed = 1, expiry = 1;
    const struct setting settings[] = {{"namespace", &ns, NULL},          {"proxy", &proxy, NULL},
                                       {"address", &address, NULL},       {"histories", NULL, &histories},
                                       {"operations", NULL, &operations}, {"seed", NULL, &seed},
                                       {"expiry", NULL, &expiry}};
    struct totals totals = {0};
    struct world world;
    if (!settings_read(argc, argv, settings, sizeof settings / sizeof *settings) ||
        (!address && !world_start(&world, proxy, NULL)))
        return 1;
    struct run run = {
        .address = address ? address : world.address, .backend_fails = address, .expiry = expiry, .totals = &totals};
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

/* Walk of the events of a history with the set of all configurations that explain it so far.
 *
 *   invocation: the operation gets a free bit; one that changes nothing happens at once where it fits
 *   answer:     each configuration where it has not happened is replaced by all that let it happen now, after any sequence of
 *               open writes; its bit is free again
 *
 * Invariant after each event: the set holds a configuration for every way to explain the history up to here, up to dominance.
 * An empty set is a violation. */
#include "linear.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct configuration {
    uint64_t state;
    uint64_t happened; /* bits of open operations */
};

struct set {
    struct configuration *items;
    size_t count;
    size_t capacity;
};

struct event {
    uint64_t time_ns;
    bool answer;
    uint32_t op;
};

struct walk {
    const struct linear_op *ops;
    struct event *events;
    size_t event_count;
    uint8_t *bit_of;                               /* operation to bit */
    const struct linear_op *open[LINEAR_OPEN_MAX]; /* bit to operation; NULL: free */
    uint64_t without_answer;                       /* bits */
    struct set now;
    struct set next;
    bool undecided;
};

/* --- the register ------------------------------------------------------------------------------------------------------------ */

/* Whether the operation fits the state with the answer that it gave. */
static bool fits(const struct linear_op *op, uint64_t state)
{
    if (op->unknown && op->kind != LINEAR_EXPIRES)
        return op->kind != LINEAR_CAS || state == op->expected;
    switch (op->kind) {
    case LINEAR_GET:
        return op->seen == state;
    case LINEAR_SET:
        return true;
    case LINEAR_DELETE:
        return op->done == (state != 0);
    case LINEAR_CAS:
        return op->done ? state == op->expected : state != op->expected && state == op->seen;
    case LINEAR_EXISTS:
        return op->done == (state != 0);
    case LINEAR_EXPIRES:
        return op->value == state; /* behind its set: where the value has gone already it is idle */
    }
    return false;
}

static bool is_read(const struct linear_op *op)
{
    return op->kind == LINEAR_GET || op->kind == LINEAR_EXISTS;
}

static bool changes(const struct linear_op *op)
{
    return !is_read(op) && (op->unknown || op->kind == LINEAR_SET || op->done);
}

static uint64_t after(const struct linear_op *op, uint64_t state)
{
    if (!changes(op) || (op->kind == LINEAR_EXPIRES && state != op->value))
        return state;
    if (op->kind == LINEAR_EXPIRES)
        return 0;
    return op->kind == LINEAR_DELETE ? 0 : op->value;
}

/* --- configurations ---------------------------------------------------------------------------------------------------------- */

/* Whether a explains all that b can: same state, same answered operations done, no more of the unanswered ones used. */
static bool dominates(const struct walk *w, struct configuration a, struct configuration b)
{
    uint64_t unanswered = w->without_answer;
    return a.state == b.state && (a.happened & ~unanswered) == (b.happened & ~unanswered) &&
           (a.happened & unanswered & ~b.happened) == 0;
}

static bool grow(struct set *set)
{
    size_t capacity = set->capacity ? set->capacity * 2 : 64;
    if (capacity > LINEAR_CONFIGURATIONS_MAX)
        return false;
    struct configuration *items = mem_realloc(set->items, capacity * sizeof *items);
    if (!items)
        return false;
    set->items = items;
    set->capacity = capacity;
    return true;
}

/* Whether the register may still come to have the value that op ends. */
static bool may_come(const struct walk *w, struct configuration c, const struct linear_op *op)
{
    for (unsigned bit = 0; bit < LINEAR_OPEN_MAX; bit++) {
        const struct linear_op *other = w->open[bit];
        if (other && (other->kind == LINEAR_SET || other->kind == LINEAR_CAS) && other->value == op->value &&
            !(c.happened >> bit & 1))
            return true;
    }
    return c.state == op->value;
}

/* It changes nothing here, and would not later. */
static bool is_idle(const struct walk *w, struct configuration c, const struct linear_op *op)
{
    if (op->kind == LINEAR_EXPIRES)
        return !may_come(w, c, op);
    return !changes(op) && fits(op, c.state);
}

/* Open operations that are idle have happened: it can only help. */
static struct configuration settled(const struct walk *w, struct configuration c)
{
    for (unsigned bit = 0; bit < LINEAR_OPEN_MAX; bit++)
        if (w->open[bit] && is_idle(w, c, w->open[bit]))
            c.happened |= UINT64_C(1) << bit;
    return c;
}

static void add(struct walk *w, struct set *set, struct configuration c)
{
    c = settled(w, c);
    for (size_t i = 0; i < set->count; i++)
        if (dominates(w, set->items[i], c))
            return;
    if (set->count == set->capacity && !grow(set)) {
        w->undecided = true;
        return;
    }
    set->items[set->count++] = c;
}

/* Makes room for c; not while the set is walked. */
static void add_instead(struct walk *w, struct set *set, struct configuration c)
{
    struct configuration better = settled(w, c);
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++)
        if (!dominates(w, better, set->items[i]) || dominates(w, set->items[i], better))
            set->items[kept++] = set->items[i];
    set->count = kept;
    add(w, set, c);
}

static bool has(struct configuration c, unsigned bit)
{
    return c.happened >> bit & 1;
}

/* Every open write that fits c, in turn, as a configuration of its own. */
static void add_successors(struct walk *w, struct set *set, struct configuration c)
{
    for (unsigned bit = 0; bit < LINEAR_OPEN_MAX && !w->undecided; bit++) {
        const struct linear_op *op = w->open[bit];
        if (op && changes(op) && !has(c, bit) && fits(op, c.state))
            add(w, set, (struct configuration){after(op, c.state), c.happened | UINT64_C(1) << bit});
    }
}

static void swap_sets(struct walk *w)
{
    struct set old = w->now;
    w->now = w->next;
    w->next = old;
    w->next.count = 0;
}

/* --- events ------------------------------------------------------------------------------------------------------------------ */

/* The set grows while it is walked: what is added is expanded in its turn, until the operation has happened. */
static void answer(struct walk *w, unsigned bit)
{
    for (size_t i = 0; i < w->now.count && !w->undecided; i++)
        if (!has(w->now.items[i], bit))
            add_successors(w, &w->now, w->now.items[i]);
    w->open[bit] = NULL;
    for (size_t i = 0; i < w->now.count && !w->undecided; i++) {
        struct configuration c = w->now.items[i];
        if (has(c, bit))
            add_instead(w, &w->next, (struct configuration){c.state, c.happened & ~(UINT64_C(1) << bit)});
    }
    swap_sets(w);
}

static void invoke(struct walk *w, uint32_t op)
{
    unsigned bit = 0;
    while (bit < LINEAR_OPEN_MAX && w->open[bit])
        bit++;
    if (bit == LINEAR_OPEN_MAX) {
        w->undecided = true;
        return;
    }
    w->bit_of[op] = (uint8_t)bit;
    w->open[bit] = &w->ops[op];
    w->without_answer &= ~(UINT64_C(1) << bit);
    if (w->ops[op].unknown)
        w->without_answer |= UINT64_C(1) << bit;
    for (size_t i = 0; i < w->now.count; i++)
        w->now.items[i] = settled(w, w->now.items[i]);
}

static int in_time(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? -1 : 1;
    if (x->answer != y->answer)
        return x->answer ? 1 : -1; /* at the same time: concurrent */
    return (x->op > y->op) - (x->op < y->op);
}

static bool walk_init(struct walk *w, const struct linear_op *ops, size_t count, const uint64_t *states,
                      size_t state_count)
{
    *w = (struct walk){.ops = ops};
    w->events = mem_zalloc((2 * count + 1) * sizeof *w->events);
    w->bit_of = mem_zalloc(count + 1);
    if (!w->events || !w->bit_of)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (ops[i].unknown && is_read(&ops[i]))
            continue;
        w->events[w->event_count++] = (struct event){ops[i].began_ns, false, i};
        if (!ops[i].unknown)
            w->events[w->event_count++] = (struct event){ops[i].ended_ns, true, i};
    }
    qsort(w->events, w->event_count, sizeof *w->events, in_time);
    for (size_t i = 0; i < state_count; i++)
        add(w, &w->now, (struct configuration){states[i], 0});
    return !w->undecided;
}

static void walk_fini(struct walk *w)
{
    mem_free(w->events);
    mem_free(w->bit_of);
    mem_free(w->now.items);
    mem_free(w->next.items);
}

static void step(struct walk *w, const struct event *event)
{
    if (event->answer)
        answer(w, w->bit_of[event->op]);
    else
        invoke(w, event->op);
}

static void walk_all(struct walk *w)
{
    for (size_t i = 0; i < w->event_count && w->now.count && !w->undecided; i++)
        step(w, &w->events[i]);
}

enum linear_verdict linear_check(const struct linear_op *ops, size_t count, const uint64_t *states, size_t state_count)
{
    struct walk w;
    bool ready = walk_init(&w, ops, count, states, state_count);
    if (ready)
        walk_all(&w);
    enum linear_verdict verdict = !ready || w.undecided ? LINEAR_UNDECIDED : w.now.count ? LINEAR_YES : LINEAR_NO;
    walk_fini(&w);
    return verdict;
}

static size_t add_number(uint64_t *numbers, size_t count, uint64_t number)
{
    for (size_t i = 0; i < count; i++)
        if (numbers[i] == number)
            return count;
    numbers[count] = number;
    return count + 1;
}

size_t linear_ends(const struct linear_op *ops, size_t count, const uint64_t *states, size_t state_count,
                   uint64_t *ret_states)
{
    struct walk w;
    size_t ends = 0;
    if (walk_init(&w, ops, count, states, state_count)) {
        walk_all(&w);
        for (size_t i = 0; i < w.now.count && !w.undecided; i++)
            add_successors(&w, &w.now, w.now.items[i]);
        for (size_t i = 0; i < w.now.count && !w.undecided; i++)
            ends = add_number(ret_states, ends, w.now.items[i].state);
    }
    walk_fini(&w);
    return ends;
}

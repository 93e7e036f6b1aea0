/* Makes a violation small enough to read. Each step gives a history whose violation implies that of the one before:
 *
 *   cut the end     what begins after the failing answer goes; what was open then has no answer
 *   cut the begin   the rest, from the states that the part before can end in; writes that are open at that moment may have
 *                   happened or not: they have no answer from here
 *   drop            an operation that changes nothing; and a write whose value nobody has seen or ended, while no delete or
 *                   exists claims to have found something: whatever explains the history with it explains it without */
#include "linear.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool is_violation(const struct linear_core *core)
{
    return linear_check(core->ops, core->count, core->states, core->state_count) == LINEAR_NO;
}

static void core_remove(struct linear_core *core, size_t i)
{
    memmove(&core->ops[i], &core->ops[i + 1], (core->count - i - 1) * sizeof *core->ops);
    core->count--;
}

static int in_order(const void *a, const void *b)
{
    const struct linear_op *x = a, *y = b;
    return (x->began_ns > y->began_ns) - (x->began_ns < y->began_ns);
}

static bool core_init(struct linear_core *core, const struct linear_op *ops, size_t count, size_t state_count)
{
    *core = (struct linear_core){.count = count, .state_count = state_count};
    core->ops = mem_zalloc((count + 1) * sizeof *core->ops);
    core->states = mem_zalloc((state_count + 1) * sizeof *core->states);
    if (!core->ops || !core->states) {
        linear_core_fini(core);
        return false;
    }
    if (count)
        memcpy(core->ops, ops, count * sizeof *ops);
    return true;
}

void linear_core_fini(struct linear_core *core)
{
    mem_free(core->ops);
    mem_free(core->states);
    *core = (struct linear_core){.ops = NULL};
}

/* --- the end ----------------------------------------------------------------------------------------------------------------- */

/* The history as it was known at end_ns. */
static void cut_end(struct linear_core *core, uint64_t end_ns)
{
    size_t kept = 0;
    for (size_t i = 0; i < core->count; i++) {
        if (core->ops[i].began_ns > end_ns)
            continue;
        core->ops[kept] = core->ops[i];
        core->ops[kept].unknown |= core->ops[i].ended_ns > end_ns;
        kept++;
    }
    core->count = kept;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Times of all answers, in order. */
static uint64_t *answer_times(const struct linear_core *core, size_t *ret_count)
{
    uint64_t *times = mem_zalloc((core->count + 1) * sizeof *times);
    size_t count = 0;
    for (size_t i = 0; times && i < core->count; i++)
        if (!core->ops[i].unknown)
            times[count++] = core->ops[i].ended_ns;
    if (times)
        qsort(times, count, sizeof *times, by_number);
    *ret_count = count;
    return times;
}

static bool fails_until(const struct linear_core *core, uint64_t end_ns)
{
    struct linear_core part;
    if (!core_init(&part, core->ops, core->count, core->state_count))
        return false;
    memcpy(part.states, core->states, core->state_count * sizeof *core->states);
    cut_end(&part, end_ns);
    bool fails = is_violation(&part);
    linear_core_fini(&part);
    return fails;
}

/* Bisection: a history that fails until t fails until any later time. */
static void shrink_end(struct linear_core *core)
{
    size_t count, low = 0;
    uint64_t *times = answer_times(core, &count);
    for (size_t high = count; times && low < high;) {
        size_t middle = low + (high - low) / 2;
        if (fails_until(core, times[middle]))
            high = middle;
        else
            low = middle + 1;
    }
    if (times && low < count)
        cut_end(core, times[low]);
    mem_free(times);
}

/* --- the begin --------------------------------------------------------------------------------------------------------------- */

static bool writes_something(const struct linear_op *op)
{
    return op->kind == LINEAR_SET || op->kind == LINEAR_CAS;
}

static bool changes_nothing(const struct linear_op *op)
{
    return op->kind == LINEAR_GET || op->kind == LINEAR_EXISTS || (!op->unknown && op->kind != LINEAR_SET && !op->done);
}

/* The states that the register can be in at time_ns. */
static void states_at(const struct linear_core *core, uint64_t time_ns, struct linear_core *rest)
{
    struct linear_core before;
    if (!core_init(&before, core->ops, core->count, core->state_count))
        return;
    memcpy(before.states, core->states, core->state_count * sizeof *core->states);
    cut_end(&before, time_ns - 1);
    rest->state_count = linear_ends(before.ops, before.count, before.states, before.state_count, rest->states);
    linear_core_fini(&before);
}

/* What is left from time_ns on, and the states that it can begin in. */
static bool core_from(const struct linear_core *core, uint64_t time_ns, struct linear_core *ret_rest)
{
    struct linear_core rest;
    if (!core_init(&rest, core->ops, core->count, core->count + core->state_count + 1))
        return false;
    rest.count = 0;
    for (size_t i = 0; i < core->count; i++) {
        struct linear_op op = core->ops[i];
        bool open = op.began_ns < time_ns;
        if (open && ((!op.unknown && op.ended_ns < time_ns) || changes_nothing(&op)))
            continue;
        op.unknown |= open;
        rest.ops[rest.count++] = op;
    }
    states_at(core, time_ns, &rest);
    *ret_rest = rest;
    return true;
}

/* The latest moment that still leaves a violation. */
static void shrink_begin(struct linear_core *core)
{
    for (size_t i = core->count; i-- > 1;) {
        struct linear_core rest;
        if (core->ops[i].unknown || !core->ops[i].began_ns || !core_from(core, core->ops[i].began_ns, &rest))
            continue;
        if (rest.state_count && rest.count < core->count && is_violation(&rest)) {
            linear_core_fini(core);
            *core = rest;
            return;
        }
        linear_core_fini(&rest);
    }
}

/* --- single operations ------------------------------------------------------------------------------------------------------- */

static bool is_seen(const struct linear_core *core, uint64_t value)
{
    for (size_t i = 0; i < core->count; i++) {
        const struct linear_op *op = &core->ops[i];
        if ((op->kind == LINEAR_CAS && op->expected == value) || (op->kind == LINEAR_EXPIRES && op->value == value))
            return true;
        if (!op->unknown && op->seen == value && (op->kind == LINEAR_GET || op->kind == LINEAR_CAS))
            return true;
    }
    return false;
}

static bool anything_was_found(const struct linear_core *core)
{
    for (size_t i = 0; i < core->count; i++) {
        const struct linear_op *op = &core->ops[i];
        if ((op->kind == LINEAR_DELETE || op->kind == LINEAR_EXISTS) && !op->unknown && op->done)
            return true;
    }
    return false;
}

static bool may_go(const struct linear_core *core, size_t i)
{
    const struct linear_op *op = &core->ops[i];
    if (changes_nothing(op))
        return true;
    return op->kind == LINEAR_SET && !is_seen(core, op->value) && !anything_was_found(core);
}

/* Once through; true: something went. */
static bool drop_some(struct linear_core *core)
{
    size_t before = core->count;
    for (size_t i = core->count; i-- > 0;) {
        if (!may_go(core, i))
            continue;
        struct linear_op op = core->ops[i];
        core_remove(core, i);
        if (is_violation(core))
            continue;
        memmove(&core->ops[i + 1], &core->ops[i], (core->count - i) * sizeof op);
        core->ops[i] = op;
        core->count++;
    }
    return core->count < before;
}

bool linear_shrink(const struct linear_op *ops, size_t count, struct linear_core *ret_core)
{
    struct linear_core core;
    if (!core_init(&core, ops, count, 1))
        return false;
    if (!is_violation(&core)) {
        linear_core_fini(&core);
        return false;
    }
    qsort(core.ops, core.count, sizeof *core.ops, in_order);
    shrink_end(&core);
    shrink_begin(&core);
    while (drop_some(&core))
        ;
    *ret_core = core;
    return true;
}

/* --- for people -------------------------------------------------------------------------------------------------------------- */

static void print_value(FILE *out, uint64_t value)
{
    if (value)
        fprintf(out, "%" PRIu64, value);
    else
        fputs("absent", out);
}

static void print_answer(FILE *out, const struct linear_op *op)
{
    if (op->unknown) {
        fputs("no answer", out);
    } else if (op->kind == LINEAR_GET || (op->kind == LINEAR_CAS && !op->done)) {
        fputs(op->kind == LINEAR_GET ? "" : "not swapped, is ", out);
        print_value(out, op->seen);
    } else if (op->kind == LINEAR_DELETE) {
        fputs(op->done ? "deleted" : "was absent", out);
    } else if (op->kind == LINEAR_EXISTS) {
        fputs(op->done ? "yes" : "no", out);
    } else {
        fputs(op->kind == LINEAR_CAS ? "swapped" : "ok", out);
    }
}

static void print_op(FILE *out, const struct linear_op *op, uint64_t zero_ns)
{
    static const char *const names[] = {"get", "set", "delete", "cas", "exists", "expires"};
    fprintf(out, "  caller %-3u %10.1f .. ", op->caller, (double)(op->began_ns - zero_ns) / 1000);
    if (op->unknown)
        fprintf(out, "%10s us  %s", "?", names[op->kind]);
    else
        fprintf(out, "%10.1f us  %s", (double)(op->ended_ns - zero_ns) / 1000, names[op->kind]);
    if (op->kind == LINEAR_CAS) {
        fputc(' ', out);
        print_value(out, op->expected);
        fputs(" ->", out);
    }
    if (writes_something(op) || op->kind == LINEAR_EXPIRES)
        fprintf(out, " %" PRIu64, op->value);
    fputs(": ", out);
    print_answer(out, op);
    fputc('\n', out);
}

void linear_print(FILE *out, const struct linear_core *core)
{
    fputs("not linearizable; the register begins as", out);
    for (size_t i = 0; i < core->state_count; i++) {
        fputs(i ? " or " : " ", out);
        print_value(out, core->states[i]);
    }
    fputs(":\n", out);
    for (size_t i = 0; i < core->count; i++)
        print_op(out, &core->ops[i], core->ops[0].began_ns);
}

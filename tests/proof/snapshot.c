/* Two passes. The first gives each value its writer, each read its rule, and each version the one that follows it; what it finds is
 * told by name. The second makes a graph of moments and looks for a circle:
 *
 *   moments:   2 i: b of transaction i, 2 i + 1: its c; then the clock's own, one for each call's begin and end, in a row
 *   edges:     kept in one list, sorted by where they begin
 *
 * A transaction without answer has committed if somebody has seen what it wrote; otherwise it never counts. */
#include "snapshot.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { NOBODY = UINT32_MAX };

struct edge {
    uint32_t from, to;
};

struct check {
    const struct snapshot_transaction *all;
    size_t count;
    uint64_t value_max;
    uint32_t *writer;    /* of a value */
    uint32_t *successor; /* of a value: who has overwritten it; behind value_max, of each key's absence */
    bool *committed;     /* by transaction */
    struct edge *edges;
    size_t edge_count;
    uint32_t *first_edge; /* by moment; one more at the end */
    uint32_t moments;
    struct snapshot_report report;
};

static bool says(struct check *c, enum snapshot_verdict verdict, size_t a, size_t b)
{
    c->report = (struct snapshot_report){.verdict = verdict, .witnesses = {{.transaction = a}, {.transaction = b}}};
    c->report.count = a == b ? 1 : 2;
    return false;
}

/* --- one transaction --------------------------------------------------------------------------------------------------------- */

/* What it read of a key from its snapshot. false: it did not. */
static bool first_read(const struct snapshot_transaction *t, unsigned key, uint64_t *ret_value)
{
    for (unsigned i = 0; i < t->count && !(t->ops[i].write && t->ops[i].key == key); i++) {
        if (t->ops[i].key != key)
            continue;
        *ret_value = t->ops[i].value;
        return true;
    }
    return false;
}

static bool last_write(const struct snapshot_transaction *t, unsigned key, uint64_t *ret_value)
{
    bool found = false;
    for (unsigned i = 0; i < t->count; i++)
        if (t->ops[i].write && t->ops[i].key == key) {
            *ret_value = t->ops[i].value;
            found = true;
        }
    return found;
}

/* Reads of one transaction against its own earlier operations. */
static bool is_consistent(struct check *c, size_t i)
{
    const struct snapshot_transaction *t = &c->all[i];
    for (unsigned a = 0; a < t->count; a++) {
        for (unsigned b = a; b-- > 0 && !t->ops[a].write;) {
            if (t->ops[b].key != t->ops[a].key)
                continue;
            if (t->ops[b].value != t->ops[a].value)
                return says(c, t->ops[b].write ? SNAPSHOT_OWN_WRITE : SNAPSHOT_UNREPEATABLE, i, i);
            break;
        }
    }
    return true;
}

/* --- who wrote what, and who read it ----------------------------------------------------------------------------------------- */

static bool note_writer(struct check *c, size_t i)
{
    const struct snapshot_transaction *t = &c->all[i];
    uint64_t before;
    for (unsigned k = 0; k < t->count; k++) {
        const struct snapshot_op *op = &t->ops[k];
        if (!op->write)
            continue;
        if (op->value < 1 || op->value > c->value_max || c->writer[op->value] != NOBODY ||
            !first_read(t, op->key, &before))
            return says(c, SNAPSHOT_UNDECIDED, i, i);
        c->writer[op->value] = (uint32_t)i;
    }
    c->committed[i] |= t->outcome == SNAPSHOT_COMMITTED;
    return true;
}

static bool check_read(struct check *c, size_t i, const struct snapshot_op *read)
{
    uint64_t last = 0;
    if (!read->value)
        return true;
    uint32_t writer = read->value <= c->value_max ? c->writer[read->value] : NOBODY;
    if (writer == NOBODY || writer == i || !last_write(&c->all[writer], read->key, &last))
        return says(c, SNAPSHOT_GARBAGE, i, writer == NOBODY ? i : writer);
    if (c->all[writer].outcome == SNAPSHOT_ABORTED)
        return says(c, SNAPSHOT_ABORTED_READ, i, writer);
    if (last != read->value)
        return says(c, SNAPSHOT_INTERMEDIATE, i, writer);
    c->committed[writer] = true;
    return true;
}

static bool is_of_snapshot(const struct snapshot_transaction *t, unsigned op)
{
    uint64_t value;
    if (t->ops[op].write)
        return false;
    for (unsigned k = 0; k < op; k++)
        if (t->ops[k].key == t->ops[op].key)
            return false;
    return first_read(t, t->ops[op].key, &value);
}

static bool check_reads(struct check *c, size_t i)
{
    const struct snapshot_transaction *t = &c->all[i];
    for (unsigned k = 0; k < t->count; k++)
        if (is_of_snapshot(t, k) && !check_read(c, i, &t->ops[k]))
            return false;
    return true;
}

static uint32_t *successor_of(struct check *c, unsigned key, uint64_t value)
{
    return &c->successor[value ? value : c->value_max + 1 + key];
}

static bool note_successors(struct check *c, size_t i)
{
    const struct snapshot_transaction *t = &c->all[i];
    uint64_t last, before;
    for (unsigned k = 0; k < t->count && c->committed[i]; k++) {
        if (!is_of_snapshot(t, k) || !last_write(t, t->ops[k].key, &last) || !first_read(t, t->ops[k].key, &before))
            continue;
        uint32_t *next = successor_of(c, t->ops[k].key, before);
        if (*next != NOBODY)
            return says(c, SNAPSHOT_LOST_UPDATE, *next, i);
        *next = (uint32_t)i;
    }
    return true;
}

static bool each(struct check *c, bool (*fn)(struct check *, size_t))
{
    for (size_t i = 0; i < c->count; i++)
        if (!fn(c, i))
            return false;
    return true;
}

/* --- moments ----------------------------------------------------------------------------------------------------------------- */

static uint32_t moment(size_t transaction, bool commit)
{
    return (uint32_t)(2 * transaction + commit);
}

static void add_edge(struct check *c, uint32_t from, uint32_t to)
{
    c->edges[c->edge_count++] = (struct edge){from, to};
}

static void add_dependencies(struct check *c, size_t i)
{
    const struct snapshot_transaction *t = &c->all[i];
    if (c->committed[i])
        add_edge(c, moment(i, false), moment(i, true));
    for (unsigned k = 0; k < t->count; k++) {
        if (!is_of_snapshot(t, k))
            continue;
        uint32_t next = *successor_of(c, t->ops[k].key, t->ops[k].value);
        if (t->ops[k].value)
            add_edge(c, moment(c->writer[t->ops[k].value], true), moment(i, false));
        if (next != NOBODY && next != i)
            add_edge(c, moment(i, false), moment(next, true));
    }
}

struct tick {
    uint64_t time_ns;
    bool end;
    uint32_t moment;
};

/* At the same time: a begin is first, so the two are concurrent. */
static int in_time(const void *a, const void *b)
{
    const struct tick *x = a, *y = b;
    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? -1 : 1;
    return (int)x->end - (int)y->end;
}

static size_t add_call(struct tick *ticks, size_t count, const struct snapshot_interval *call, uint32_t of,
                       bool answered)
{
    ticks[count++] = (struct tick){call->began_ns, false, of};
    if (answered)
        ticks[count++] = (struct tick){call->ended_ns, true, of};
    return count;
}

/* The clock is a row of moments: each call's lies behind the one of its begin, and before the one of its end. */
static bool add_clock(struct check *c)
{
    struct tick *ticks = mem_alloc((4 * c->count + 1) * sizeof *ticks);
    size_t count = 0;
    if (!ticks)
        return false;
    for (size_t i = 0; i < c->count; i++) {
        const struct snapshot_transaction *t = &c->all[i];
        count = add_call(ticks, count, &t->begin, moment(i, false), true);
        if (c->committed[i])
            count = add_call(ticks, count, &t->commit, moment(i, true), t->outcome == SNAPSHOT_COMMITTED);
    }
    qsort(ticks, count, sizeof *ticks, in_time);
    for (size_t i = 0; i < count; i++) {
        uint32_t now = (uint32_t)(2 * c->count + i);
        if (i)
            add_edge(c, now - 1, now);
        if (ticks[i].end)
            add_edge(c, ticks[i].moment, now);
        else
            add_edge(c, now, ticks[i].moment);
    }
    c->moments = (uint32_t)(2 * c->count + count);
    mem_free(ticks);
    return true;
}

static int by_begin(const void *a, const void *b)
{
    const struct edge *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

static bool make_graph(struct check *c)
{
    c->edges = mem_alloc((c->count * (2 * SNAPSHOT_OPS_MAX + 1) + 8 * c->count + 1) * sizeof *c->edges);
    if (!c->edges)
        return false;
    for (size_t i = 0; i < c->count; i++)
        add_dependencies(c, i);
    if (!add_clock(c))
        return false;
    qsort(c->edges, c->edge_count, sizeof *c->edges, by_begin);
    c->first_edge = mem_zalloc((c->moments + 1) * sizeof *c->first_edge);
    for (size_t i = 0; c->first_edge && i < c->edge_count; i++)
        c->first_edge[c->edges[i].from + 1]++;
    for (uint32_t m = 0; c->first_edge && m < c->moments; m++)
        c->first_edge[m + 1] += c->first_edge[m];
    return c->first_edge;
}

/* --- circles ----------------------------------------------------------------------------------------------------------------- */

/* Takes away moments that nothing is before, over and over (A. Kahn, 1962). What is left contains every circle; before[m] > 0
 * marks it. */
static uint32_t peel(const struct check *c, uint32_t *before, uint32_t *queue)
{
    uint32_t head = 0, tail = 0;
    for (size_t i = 0; i < c->edge_count; i++)
        before[c->edges[i].to]++;
    for (uint32_t m = 0; m < c->moments; m++)
        if (!before[m])
            queue[tail++] = m;
    while (head < tail) {
        uint32_t m = queue[head++];
        for (uint32_t e = c->first_edge[m]; e < c->first_edge[m + 1]; e++)
            if (--before[c->edges[e].to] == 0)
                queue[tail++] = c->edges[e].to;
    }
    return c->moments - tail;
}

/* Breadth first from start through what is left, back to start: its length, 0 where there is no way. parent leads back. */
static unsigned walk_back(const struct check *c, const uint32_t *left, uint32_t start, uint32_t *queue,
                          uint32_t *parent, uint32_t *depth)
{
    uint32_t head = 0, tail = 0;
    memset(depth, 0, c->moments * sizeof *depth);
    queue[tail++] = start;
    depth[start] = 1;
    while (head < tail) {
        uint32_t m = queue[head++];
        for (uint32_t e = c->first_edge[m]; e < c->first_edge[m + 1]; e++) {
            uint32_t to = c->edges[e].to;
            if (to == start) {
                parent[start] = m;
                return depth[m];
            }
            if (!left[to] || depth[to])
                continue;
            depth[to] = depth[m] + 1;
            parent[to] = m;
            queue[tail++] = to;
        }
    }
    return 0;
}

/* The moments of transactions on the way; those of the clock say nothing. */
static void tell_circle(struct check *c, uint32_t start, const uint32_t *parent)
{
    struct snapshot_report *r = &c->report;
    uint32_t m = start;
    *r = (struct snapshot_report){.verdict = SNAPSHOT_CIRCLE};
    do {
        if (m < 2 * c->count && r->count < SNAPSHOT_WITNESSES_MAX)
            r->witnesses[r->count++] = (struct snapshot_witness){m / 2, m % 2};
        m = parent[m];
    } while (m != start);
    for (unsigned i = 0; i < r->count / 2; i++) {
        struct snapshot_witness swap = r->witnesses[i];
        r->witnesses[i] = r->witnesses[r->count - 1 - i];
        r->witnesses[r->count - 1 - i] = swap;
    }
}

/* The shortest circle through a transaction. */
static void find_circle(struct check *c, const uint32_t *left, uint32_t *queue, uint32_t *parent, uint32_t *depth)
{
    unsigned best = 0;
    for (uint32_t m = 0; m < 2 * c->count; m++) {
        unsigned length = left[m] ? walk_back(c, left, m, queue, parent, depth) : 0;
        if (!length || (best && length >= best))
            continue;
        best = length;
        tell_circle(c, m, parent);
    }
}

static bool has_no_circle(struct check *c)
{
    uint32_t *numbers = make_graph(c) ? mem_zalloc(4 * (size_t)c->moments * sizeof *numbers) : NULL;
    if (!numbers)
        return says(c, SNAPSHOT_UNDECIDED, 0, 0);
    uint32_t *left = numbers, *queue = left + c->moments, *parent = queue + c->moments, *depth = parent + c->moments;
    bool none = peel(c, left, queue) == 0;
    if (!none)
        find_circle(c, left, queue, parent, depth);
    mem_free(numbers);
    return none;
}

/* --- all of it --------------------------------------------------------------------------------------------------------------- */

static bool check_init(struct check *c)
{
    size_t versions = c->value_max + 1 + SNAPSHOT_KEYS_MAX;
    c->writer = mem_alloc(versions * sizeof *c->writer);
    c->successor = mem_alloc(versions * sizeof *c->successor);
    c->committed = mem_zalloc(c->count + 1);
    if (!c->writer || !c->successor || !c->committed)
        return says(c, SNAPSHOT_UNDECIDED, 0, 0);
    memset(c->writer, 0xff, versions * sizeof *c->writer);
    memset(c->successor, 0xff, versions * sizeof *c->successor);
    return true;
}

struct snapshot_report snapshot_check(const struct snapshot_transaction *all, size_t count, uint64_t value_max)
{
    struct check c = {.all = all, .count = count, .value_max = value_max};
    bool kept = check_init(&c) && each(&c, is_consistent) && each(&c, note_writer) && each(&c, check_reads) &&
                each(&c, note_successors) && has_no_circle(&c);
    if (kept)
        c.report.verdict = SNAPSHOT_KEPT;
    mem_free(c.writer);
    mem_free(c.successor);
    mem_free(c.committed);
    mem_free(c.edges);
    mem_free(c.first_edge);
    return c.report;
}

/* --- for people -------------------------------------------------------------------------------------------------------------- */

const char *snapshot_verdict_name(enum snapshot_verdict verdict)
{
    static const char *const names[] = {
        [SNAPSHOT_KEPT] = "snapshot-isolated",
        [SNAPSHOT_GARBAGE] = "a value that nobody had written",
        [SNAPSHOT_ABORTED_READ] = "a read of a transaction that did not commit (G1a)",
        [SNAPSHOT_INTERMEDIATE] = "a read of a value that its transaction overwrote (G1b)",
        [SNAPSHOT_OWN_WRITE] = "a transaction does not see what it wrote",
        [SNAPSHOT_UNREPEATABLE] = "two reads of a key differ in one transaction",
        [SNAPSHOT_LOST_UPDATE] = "two transactions overwrote the same version",
        [SNAPSHOT_CIRCLE] = "no order of snapshots and commits explains it",
        [SNAPSHOT_UNDECIDED] = "undecided",
    };
    return names[verdict];
}

static void print_ops(FILE *out, const struct snapshot_transaction *t)
{
    for (unsigned i = 0; i < t->count; i++)
        fprintf(out, " %s k%u %" PRIu64 ";", t->ops[i].write ? "set" : "get", t->ops[i].key, t->ops[i].value);
}

static void print_interval(FILE *out, const struct snapshot_interval *call, uint64_t zero_ns, bool answered)
{
    fprintf(out, "%.1f .. ", (double)(call->began_ns - zero_ns) / 1000);
    if (answered)
        fprintf(out, "%.1f us", (double)(call->ended_ns - zero_ns) / 1000);
    else
        fputs("? us", out);
}

static void print_witness(FILE *out, const struct snapshot_transaction *t, size_t number, uint64_t zero_ns)
{
    static const char *const outcomes[] = {"committed", "did not commit", "no answer to commit"};
    fprintf(out, "  T%zu, caller %u, begin ", number, t->caller);
    print_interval(out, &t->begin, zero_ns, true);
    if (t->outcome != SNAPSHOT_ABORTED) {
        fputs(", commit ", out);
        print_interval(out, &t->commit, zero_ns, t->outcome == SNAPSHOT_COMMITTED);
    }
    fprintf(out, ", %s:", outcomes[t->outcome]);
    print_ops(out, t);
    fputc('\n', out);
}

void snapshot_print(FILE *out, const struct snapshot_transaction *all, const struct snapshot_report *r)
{
    uint64_t zero_ns = UINT64_MAX;
    fprintf(out, "%s:\n", snapshot_verdict_name(r->verdict));
    for (unsigned i = 0; i < r->count; i++)
        if (all[r->witnesses[i].transaction].begin.began_ns < zero_ns)
            zero_ns = all[r->witnesses[i].transaction].begin.began_ns;
    for (unsigned i = 0; i < r->count; i++)
        print_witness(out, &all[r->witnesses[i].transaction], r->witnesses[i].transaction, zero_ns);
    if (r->verdict != SNAPSHOT_CIRCLE)
        return;
    fputs("  each of these would lie before the next, and the last before the first:", out);
    for (unsigned i = 0; i < r->count; i++)
        fprintf(out, " %s of T%zu;", r->witnesses[i].commit ? "commit" : "begin", r->witnesses[i].transaction);
    fputc('\n', out);
}

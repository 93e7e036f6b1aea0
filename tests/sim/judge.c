/* The judge: what must hold after each turn, when the server has come back, and over the whole history, which is that of
 * tests/proof/stream.h. A log without flush may lose its end with the machine; from then on its history is not that of one log,
 * and only what holds for what is there is asked of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/run.h"

enum { FINAL_READER = 300, FINAL_BYTES = 100000, EVENTS_MAX = 1 << 20 };

struct watch {
    int64_t acked_end;  /* behind the last offset that was acknowledged */
    int64_t stable;     /* in this life */
    bool forgiven;      /* it has lost its end, and may */
    int64_t start, end; /* at the end of the run */
    uint64_t *values;   /* from start on */
};

struct judge {
    struct run *run;
    struct stream_event *events;
    size_t count, capacity;
    struct watch watches[PARTITIONS_MAX];
};

enum err judge_new(struct run *r, struct judge **ret_judge)
{
    struct judge *j = mem_zalloc(sizeof *j);
    if (!j)
        return ERR_NOMEM;
    j->run = r;
    *ret_judge = j;
    return OK;
}

void judge_free(struct judge *j)
{
    if (!j)
        return;
    for (uint32_t i = 0; i < PARTITIONS_MAX; i++)
        mem_free(j->watches[i].values);
    mem_free(j->events);
    mem_free(j);
}

static bool grow(struct judge *j)
{
    size_t capacity = j->capacity ? j->capacity * 2 : 1024;
    struct stream_event *events = capacity <= EVENTS_MAX ? mem_realloc(j->events, capacity * sizeof *events) : NULL;
    if (!events)
        return false;
    j->events = events;
    j->capacity = capacity;
    return true;
}

void judge_event(struct judge *j, enum stream_kind kind, uint32_t process, uint32_t partition, uint64_t value,
                 int64_t offset)
{
    struct watch *w = &j->watches[partition];
    if (j->count == j->capacity && !grow(j)) {
        run_violate(j->run, "the history is too long");
        return;
    }
    j->events[j->count++] = (struct stream_event){kind, process, partition, value, offset};
    if (kind == STREAM_ACKED && offset >= w->acked_end)
        w->acked_end = offset + 1;
}

/* ---- step by step --------------------------------------------------------------------------------------------------------------- */

static void check_bounds(struct judge *j, uint32_t partition)
{
    struct watch *w = &j->watches[partition];
    struct node_bounds b = node_bounds(j->run->node, partition);
    if (b.start > b.stable || b.stable > b.end)
        run_violate(j->run, "partition %u: start %" PRId64 ", stable %" PRId64 ", end %" PRId64, partition, b.start,
                    b.stable, b.end);
    if (b.stable < w->stable)
        run_violate(j->run, "partition %u: stable went from %" PRId64 " back to %" PRId64, partition, w->stable,
                    b.stable);
    if (b.stable < w->acked_end)
        run_violate(j->run, "partition %u: acknowledged up to %" PRId64 ", but stable is %" PRId64, partition,
                    w->acked_end, b.stable);
    if (b.damaged)
        run_violate(j->run, "partition %u is said to be damaged, and is not", partition);
    w->stable = b.stable;
}

void judge_step(struct judge *j)
{
    for (uint32_t i = 0; i < j->run->choices.partitions; i++)
        check_bounds(j, i);
}

/* What was acknowledged and not flushed went with the machine; its producers begin anew. */
static void forgive(struct judge *j, uint32_t partition)
{
    j->watches[partition].forgiven = true;
    j->watches[partition].acked_end = 0;
    clients_forget(j->run->clients, partition);
}

void judge_opened(struct judge *j, bool lost)
{
    for (uint32_t i = 0; i < j->run->choices.partitions; i++) {
        struct node_bounds b = node_bounds(j->run->node, i);
        run_trace(j->run, "partition %u: %" PRId64 " to %" PRId64, i, b.start, b.end);
        if (lost && !j->run->choices.flush[i])
            forgive(j, i);
        j->watches[i].stable = 0;
        if (b.stable != b.end)
            run_violate(j->run, "partition %u: opened with stable %" PRId64 " and end %" PRId64, i, b.stable, b.end);
    }
    judge_step(j);
}

/* ---- the end -------------------------------------------------------------------------------------------------------------------- */

struct final_read {
    struct judge *judge;
    uint32_t partition;
    int64_t next;
};

static void on_final_record(void *context, int64_t offset, uint64_t value)
{
    struct final_read *f = context;
    struct watch *w = &f->judge->watches[f->partition];
    if (offset != f->next)
        run_violate(f->judge->run, "partition %u: offset %" PRId64 " follows %" PRId64, f->partition, offset,
                    f->next - 1);
    f->next = offset + 1;
    if (offset >= w->start && offset < w->end)
        w->values[offset - w->start] = value;
    judge_event(f->judge, STREAM_POLLED, FINAL_READER, f->partition, value, offset);
}

static void read_all(struct judge *j, uint32_t partition)
{
    struct node_bounds b = node_bounds(j->run->node, partition);
    struct final_read f = {j, partition, b.start};
    struct watch *w = &j->watches[partition];
    w->values = mem_zalloc((size_t)(b.end - b.start + 1) * sizeof *w->values);
    if (!w->values)
        return;
    w->start = b.start;
    w->end = b.end;
    judge_event(j, STREAM_ASSIGNED, FINAL_READER, partition, 0, -1);
    for (int64_t at = b.start; at < b.end && !run_failed(j->run);) {
        int64_t next = at;
        enum err e = node_fetch(j->run->node, partition, at, FINAL_BYTES, on_final_record, &f, &next);
        if (e || next == at)
            run_violate(j->run, "partition %u cannot be read at %" PRId64 ": %s", partition, at, err_name(e));
        at = next;
    }
    judge_event(j, STREAM_BOUNDS, FINAL_READER, partition, (uint64_t)b.start, b.end);
}

static void drop_forgiven(struct judge *j)
{
    size_t kept = 0;
    for (size_t i = 0; i < j->count; i++)
        if (!j->watches[j->events[i].partition].forgiven)
            j->events[kept++] = j->events[i];
    j->count = kept;
}

static void judge_history(struct judge *j)
{
    struct stream_report report = {0};
    char *said = NULL;
    size_t size = 0;
    FILE *say = open_memstream(&said, &size);
    bool checked = stream_check(j->events, j->count, say, &report);
    fclose(say);
    if (!checked)
        run_violate(j->run, "the history cannot be checked");
    else if (!stream_clean(&report))
        run_violate(j->run, "%.*s", (int)strcspn(said, "\n"), said);
    run_trace(j->run, "history: %" PRIu64 " sent, %" PRIu64 " acknowledged, %" PRIu64 " polled, %" PRIu64 " commits",
              report.sent, report.acknowledged, report.polled, report.commits);
    free(said);
}

void judge_end(struct judge *j)
{
    for (uint32_t i = 0; i < j->run->choices.partitions && !run_failed(j->run); i++)
        read_all(j, i);
    if (run_failed(j->run))
        return;
    drop_forgiven(j);
    judge_history(j);
}

bool judge_knows(const struct judge *j, uint32_t partition, int64_t offset, uint64_t value)
{
    const struct watch *w = &j->watches[partition];
    return offset >= w->start && offset < w->end && w->values[offset - w->start] == value;
}

bool judge_knows_bounds(const struct judge *j, uint32_t partition, int64_t start, int64_t end)
{
    return j->watches[partition].start == start && j->watches[partition].end == end;
}

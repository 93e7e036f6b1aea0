/* The history is looked at three times: in its own order, for what one consumer, one producer or one group is told; in the order of
 * partition and offset, for what lies where; and in the order of values, for what became of each send.
 *
 * A sighting is one claim that an offset holds a value: an acknowledgement or a poll. */
#include "stream.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { SAID_MAX = 5 }; /* of one kind */

struct sighting {
    uint32_t partition;
    bool polled;
    int64_t offset;
    uint64_t value;
    size_t event;
};

/* One value that was sent. */
struct send {
    uint64_t value;
    uint32_t process, partition;
    size_t event;    /* of the send; its order among the sends of all processes */
    size_t answered; /* event of the acknowledgement or refusal; SIZE_MAX: none */
    bool acked, refused;
    int64_t offset; /* acked: where */
};

/* What one process, or group, was last told of one partition. */
struct place {
    uint32_t process, partition;
    int64_t polled;    /* last offset polled since it was assigned; -1: none */
    int64_t committed; /* highest acknowledged commit; -1: none */
    int64_t asked;     /* highest commit asked for */
};

struct bounds {
    uint32_t partition;
    int64_t first, next;
    bool final; /* the history has them */
};

struct check {
    const struct stream_event *events;
    size_t count;
    FILE *say;
    struct stream_report *report;
    struct send *sends; /* by value */
    size_t send_count;
    struct sighting *sightings; /* by partition, offset */
    size_t sighting_count;
    struct place *places; /* in no order; few */
    size_t place_count;
    struct bounds *bounds;
    size_t bounds_count;
};

static const char *const names[STREAM_VIOLATIONS] = {
    "lost",      "misplaced", "duplicate", "disagreement", "invented",    "aborted read",    "gap",
    "backwards", "skipped",   "reordered", "stale",        "commit lost", "commit invented",
};

const char *stream_violation_name(enum stream_violation v)
{
    assert(v < STREAM_VIOLATIONS);
    return names[v];
}

static void found(struct check *c, enum stream_violation v, size_t event, uint32_t partition, int64_t offset,
                  uint64_t value, const char *why)
{
    if (c->report->found[v]++ < SAID_MAX && c->say)
        fprintf(c->say, "%s: event %zu, partition %" PRIu32 ", offset %" PRId64 ", value %" PRIu64 ": %s\n", names[v],
                event + 1, partition, offset, value, why);
}

/* --- tables ----------------------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const struct send *x = a, *y = b;
    return x->value < y->value ? -1 : x->value > y->value;
}

static int by_place(const void *a, const void *b)
{
    const struct sighting *x = a, *y = b;
    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->event < y->event ? -1 : 1;
}

static int by_seen_value(const void *a, const void *b)
{
    const struct sighting *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return by_place(a, b);
}

static struct send *send_of(const struct check *c, uint64_t value)
{
    struct send key = {.value = value};
    return c->send_count ? bsearch(&key, c->sends, c->send_count, sizeof(key), by_value) : NULL;
}

static struct place *place_of(struct check *c, uint32_t process, uint32_t partition)
{
    for (size_t i = 0; i < c->place_count; i++)
        if (c->places[i].process == process && c->places[i].partition == partition)
            return &c->places[i];
    struct place *p = &c->places[c->place_count++];
    *p = (struct place){.process = process, .partition = partition, .polled = -1, .committed = -1, .asked = -1};
    return p;
}

static struct bounds *bounds_of(const struct check *c, uint32_t partition)
{
    for (size_t i = 0; i < c->bounds_count; i++)
        if (c->bounds[i].partition == partition)
            return &c->bounds[i];
    return NULL;
}

static bool has_place(enum stream_kind kind)
{
    return kind >= STREAM_ASSIGNED && kind <= STREAM_RESUMED;
}

/* Room for as many as there can be: what differs in process or partition from the event before it may be new. */
static size_t places_at_most(const struct check *c)
{
    size_t n = 1;
    for (size_t i = 0; i < c->count; i++)
        n += has_place(c->events[i].kind);
    return n;
}

static bool make_room(struct check *c)
{
    size_t sends = 1, sightings = 1, bounds = 1;
    for (size_t i = 0; i < c->count; i++) {
        sends += c->events[i].kind == STREAM_SEND;
        sightings += c->events[i].kind == STREAM_ACKED || c->events[i].kind == STREAM_POLLED;
        bounds += c->events[i].kind == STREAM_BOUNDS;
    }
    c->sends = mem_zalloc(sends * sizeof(*c->sends));
    c->sightings = mem_zalloc(sightings * sizeof(*c->sightings));
    c->places = mem_zalloc(places_at_most(c) * sizeof(*c->places));
    c->bounds = mem_zalloc(bounds * sizeof(*c->bounds));
    return c->sends && c->sightings && c->places && c->bounds;
}

static void collect(struct check *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct stream_event *e = &c->events[i];
        if (e->kind == STREAM_SEND)
            c->sends[c->send_count++] = (struct send){.value = e->value,
                                                      .process = e->process,
                                                      .partition = e->partition,
                                                      .event = i,
                                                      .answered = SIZE_MAX,
                                                      .offset = -1};
        else if (e->kind == STREAM_ACKED || e->kind == STREAM_POLLED)
            c->sightings[c->sighting_count++] = (struct sighting){.partition = e->partition,
                                                                  .polled = e->kind == STREAM_POLLED,
                                                                  .offset = e->offset,
                                                                  .value = e->value,
                                                                  .event = i};
        else if (e->kind == STREAM_BOUNDS)
            c->bounds[c->bounds_count++] = (struct bounds){
                .partition = e->partition, .first = (int64_t)e->value, .next = e->offset, .final = true};
    }
    qsort(c->sends, c->send_count, sizeof(*c->sends), by_value);
}

/* --- in the history's own order --------------------------------------------------------------------------------------------- */

static void answered(struct check *c, size_t i)
{
    const struct stream_event *e = &c->events[i];
    struct send *s = send_of(c, e->value);
    if (!s || s->partition != e->partition || s->event > i) {
        found(c, STREAM_INVENTED, i, e->partition, e->offset, e->value, "answered, but nobody had sent it");
        return;
    }
    s->answered = i;
    s->acked = e->kind == STREAM_ACKED;
    s->refused = e->kind == STREAM_FAILED;
    s->offset = s->acked ? e->offset : -1;
}

static void polled(struct check *c, size_t i)
{
    const struct stream_event *e = &c->events[i];
    const struct send *s = send_of(c, e->value);
    if (!s || s->partition != e->partition || s->event > i)
        found(c, STREAM_INVENTED, i, e->partition, e->offset, e->value, "read, but nobody had sent it here before");
    struct place *p = place_of(c, e->process, e->partition);
    if (p->polled >= 0 && e->offset <= p->polled)
        found(c, STREAM_BACKWARDS, i, e->partition, e->offset, e->value, "the same consumer had polled as far before");
    p->polled = e->offset;
}

static void resumed(struct check *c, size_t i)
{
    const struct stream_event *e = &c->events[i];
    const struct place *p = place_of(c, e->process, e->partition);
    if (e->offset < p->committed)
        found(c, STREAM_COMMIT_LOST, i, e->partition, e->offset, (uint64_t)p->committed,
              "older than the position (told as value) whose commit had been acknowledged");
    if (e->offset > p->asked)
        found(c, STREAM_COMMIT_INVENTED, i, e->partition, e->offset, 0, "nobody had asked to commit as much");
}

static void commit(struct check *c, const struct stream_event *e)
{
    struct place *p = place_of(c, e->process, e->partition);
    int64_t *highest = e->kind == STREAM_COMMIT ? &p->asked : &p->committed;
    if (e->offset > *highest)
        *highest = e->offset;
    c->report->commits += e->kind == STREAM_COMMITTED;
}

static void one_event(struct check *c, size_t i)
{
    const struct stream_event *e = &c->events[i];
    switch (e->kind) {
    case STREAM_SEND:
        c->report->sent++;
        break;
    case STREAM_ACKED:
    case STREAM_FAILED:
        *(e->kind == STREAM_ACKED ? &c->report->acknowledged : &c->report->refused) += 1;
        answered(c, i);
        break;
    case STREAM_ASSIGNED:
        place_of(c, e->process, e->partition)->polled = -1;
        break;
    case STREAM_POLLED:
        c->report->polled++;
        polled(c, i);
        break;
    case STREAM_COMMIT:
    case STREAM_COMMITTED:
        commit(c, e);
        break;
    case STREAM_RESUMED:
        resumed(c, i);
        break;
    default:
        break;
    }
}

/* --- in the order of places ------------------------------------------------------------------------------------------------- */

static bool same_place(const struct sighting *a, const struct sighting *b)
{
    return a->partition == b->partition && a->offset == b->offset;
}

static const struct sighting *first_after(const struct check *c, uint32_t partition, int64_t offset)
{
    size_t low = 0, high = c->sighting_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct sighting *s = &c->sightings[middle];
        if (s->partition < partition || (s->partition == partition && s->offset <= offset))
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->sighting_count && c->sightings[low].partition == partition ? &c->sightings[low] : NULL;
}

static bool was_polled(const struct check *c, uint32_t partition, int64_t offset)
{
    for (const struct sighting *s = first_after(c, partition, offset - 1);
         s && s < c->sightings + c->sighting_count && s->partition == partition && s->offset == offset; s++)
        if (s->polled)
            return true;
    return false;
}

static void disagreements(struct check *c)
{
    for (size_t i = 1; i < c->sighting_count; i++) {
        const struct sighting *a = &c->sightings[i - 1], *b = &c->sightings[i];
        if (same_place(a, b) && a->value != b->value)
            found(c, STREAM_DISAGREEMENT, b->event, b->partition, b->offset, b->value,
                  "another value was told for this offset");
    }
}

/* What lies between two polls of one consumer, and is known to be there, was passed over. */
static void skips(struct check *c)
{
    for (size_t i = 0; i < c->place_count; i++)
        c->places[i].polled = -1;
    for (size_t i = 0; i < c->count; i++) {
        const struct stream_event *e = &c->events[i];
        if (e->kind != STREAM_ASSIGNED && e->kind != STREAM_POLLED)
            continue;
        struct place *p = place_of(c, e->process, e->partition);
        if (e->kind == STREAM_POLLED && p->polled >= 0 && e->offset > p->polled + 1) {
            const struct sighting *s = first_after(c, e->partition, p->polled);
            if (s && s->offset < e->offset)
                found(c, STREAM_SKIPPED, i, s->partition, s->offset, s->value, "its consumer never saw it");
        }
        p->polled = e->kind == STREAM_POLLED ? e->offset : -1;
    }
}

static void gaps(struct check *c)
{
    for (size_t i = 0; i < c->bounds_count; i++) {
        const struct bounds *b = &c->bounds[i];
        for (int64_t offset = b->first; offset < b->next; offset++)
            if (!was_polled(c, b->partition, offset))
                found(c, STREAM_GAP, c->count - 1, b->partition, offset, 0, "nobody ever read this offset");
    }
}

/* A value sent after the acknowledgement of another one lies behind it: with offsets rising, the earliest acknowledgement among
 * those behind must not come before the send. */
static void stale(struct check *c)
{
    size_t earliest = SIZE_MAX;
    for (size_t i = c->sighting_count; i-- > 0;) {
        const struct sighting *s = &c->sightings[i];
        if (i + 1 < c->sighting_count && c->sightings[i + 1].partition != s->partition)
            earliest = SIZE_MAX;
        if (s->polled)
            continue;
        const struct send *sent = send_of(c, s->value);
        if (sent && earliest < sent->event)
            found(c, STREAM_STALE, s->event, s->partition, s->offset, s->value,
                  "lies before a value that was acknowledged before this one was sent");
        if (s->event < earliest)
            earliest = s->event;
    }
}

/* --- in the order of values ------------------------------------------------------------------------------------------------- */

/* Where it was read, at two places at most: they lie in order. */
static unsigned places_read(const struct sighting *first, const struct sighting *end, const struct sighting *ret[2])
{
    unsigned n = 0;
    for (const struct sighting *s = first; s < end && n < 2; s++)
        if (s->polled && (!n || !same_place(s, ret[0])))
            ret[n++] = s;
    return n;
}

static void one_value(struct check *c, const struct sighting *first, const struct sighting *end)
{
    const struct send *s = send_of(c, first->value);
    const struct sighting *read[2];
    unsigned n = places_read(first, end, read);
    if (n == 2)
        found(c, STREAM_DUPLICATE, read[1]->event, read[1]->partition, read[1]->offset, first->value,
              "read at another offset too");
    else if (n == 1 && s && s->acked && read[0]->offset != s->offset)
        found(c, STREAM_MISPLACED, read[0]->event, read[0]->partition, read[0]->offset, first->value,
              "was acknowledged with another offset");
    if (n && s && s->refused)
        found(c, STREAM_ABORTED_READ, read[0]->event, read[0]->partition, read[0]->offset, first->value,
              "its sender was told no");
    c->report->unanswered_read += n && s && s->answered == SIZE_MAX;
}

static void values(struct check *c)
{
    qsort(c->sightings, c->sighting_count, sizeof(*c->sightings), by_seen_value);
    for (size_t i = 0, j; i < c->sighting_count; i = j) {
        for (j = i + 1; j < c->sighting_count && c->sightings[j].value == c->sightings[i].value; j++)
            ;
        one_value(c, &c->sightings[i], &c->sightings[j]);
    }
}

/* Before the sightings are put in the order of values. */
static void losses(struct check *c)
{
    for (size_t i = 0; i < c->send_count; i++) {
        const struct send *s = &c->sends[i];
        const struct bounds *b = bounds_of(c, s->partition);
        if (s->acked && b && s->offset >= b->first && !was_polled(c, s->partition, s->offset))
            found(c, STREAM_LOST, s->answered, s->partition, s->offset, s->value,
                  s->offset >= b->next ? "acknowledged, and the log ends before it" : "acknowledged, and never read");
    }
}

static int by_producer(const void *a, const void *b)
{
    const struct send *x = a, *y = b;
    if (x->process != y->process)
        return x->process < y->process ? -1 : 1;
    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    return x->event < y->event ? -1 : 1;
}

/* The last look: it puts the sends in another order. */
static void orders(struct check *c)
{
    qsort(c->sends, c->send_count, sizeof(*c->sends), by_producer);
    int64_t highest = -1;
    for (size_t i = 0; i < c->send_count; i++) {
        const struct send *s = &c->sends[i];
        if (!i || s[-1].process != s->process || s[-1].partition != s->partition)
            highest = -1;
        if (!s->acked)
            continue;
        if (s->offset < highest)
            found(c, STREAM_REORDERED, s->answered, s->partition, s->offset, s->value,
                  "its producer had sent something before that lies behind it");
        else
            highest = s->offset;
    }
}

bool stream_check(const struct stream_event *events, size_t count, FILE *say, struct stream_report *ret_report)
{
    *ret_report = (struct stream_report){0};
    struct check c = {.events = events, .count = count, .say = say, .report = ret_report};
    bool room = make_room(&c);
    if (room) {
        collect(&c);
        for (size_t i = 0; i < count; i++)
            one_event(&c, i);
        if (c.sighting_count)
            qsort(c.sightings, c.sighting_count, sizeof(*c.sightings), by_place);
        disagreements(&c);
        skips(&c);
        gaps(&c);
        stale(&c);
        losses(&c);
        values(&c);
        orders(&c);
    }
    mem_free(c.sends);
    mem_free(c.sightings);
    mem_free(c.places);
    mem_free(c.bounds);
    return room;
}

bool stream_clean(const struct stream_report *r)
{
    for (int i = 0; i < STREAM_VIOLATIONS; i++)
        if (r->found[i])
            return false;
    return true;
}

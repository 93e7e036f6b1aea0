/* Invariants: a watch is in its place's heap as long as its link is set; a parent is due no later than its children; a request
 * whose task waits (woken) has no watch in any heap and no timer. */
#include "streamer/purgatory.h"

#include <assert.h>
#include <stddef.h>

/* --- a heap of watches ------------------------------------------------------------------------------------------------------ */

static void hang(struct watch **link, struct watch *w)
{
    *link = w;
    if (w)
        w->link = link;
}

static void add_child(struct watch *parent, struct watch *child)
{
    hang(&child->next, parent->child);
    hang(&parent->child, child);
}

/* Of two roots one. */
static struct watch *meld(struct watch *a, struct watch *b)
{
    if (!a || !b)
        return a ? a : b;
    if (a->due > b->due)
        return meld(b, a);
    add_child(a, b);
    return a;
}

/* Of brothers one root: two by two, then all from the last to the first. */
static struct watch *meld_brothers(struct watch *first)
{
    struct watch *pairs = NULL;
    while (first) {
        struct watch *a = first, *b = a->next;
        first = b ? b->next : NULL;
        a->next = NULL;
        if (b)
            b->next = NULL;
        struct watch *pair = meld(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    struct watch *root = NULL;
    while (pairs) {
        struct watch *pair = pairs;
        pairs = pair->next;
        pair->next = NULL;
        root = meld(root, pair);
    }
    return root;
}

static void heap_add(struct growing *place, struct watch *w)
{
    w->child = w->next = NULL;
    hang(&place->first, meld(place->first, w));
}

static void heap_remove(struct watch *w)
{
    if (!w->link)
        return;
    hang(w->link, w->next);
    struct watch *below = meld_brothers(w->child);
    if (below)
        hang(&w->place->first, meld(w->place->first, below));
    w->link = NULL;
}

/* --- requests --------------------------------------------------------------------------------------------------------------- */

static void forget_watches(struct delayed *d)
{
    for (struct watch *w = d->watches; w; w = w->sibling)
        heap_remove(w);
    d->watches = NULL;
}

static void run_wake(struct task *task)
{
    struct delayed *d = (struct delayed *)((char *)task - offsetof(struct delayed, task));
    d->woken = false;
    d->wake(d, DELAYED_READY);
}

static void on_timer(struct timer *timer)
{
    struct delayed *d = (struct delayed *)((char *)timer - offsetof(struct delayed, timer));
    forget_watches(d);
    d->wake(d, DELAYED_LATE);
}

void delayed_init(struct delayed *d, struct loop *loop, void (*wake)(struct delayed *, enum delayed_why))
{
    *d = (struct delayed){.loop = loop, .wake = wake, .timer.fire = on_timer, .task.run = run_wake};
}

void delayed_watch(struct delayed *d, struct watch *w, struct growing *place, uint64_t bytes)
{
    assert(!d->woken && bytes > 0);
    *w = (struct watch){.delayed = d, .place = place, .sibling = d->watches};
    w->due = bytes < UINT64_MAX - place->bytes ? place->bytes + bytes : UINT64_MAX;
    d->watches = w;
    heap_add(place, w);
}

void delayed_start(struct delayed *d, uint64_t due_ns)
{
    timer_start(d->loop, &d->timer, due_ns);
}

bool delayed_cancel(struct delayed *d)
{
    forget_watches(d);
    timer_stop(d->loop, &d->timer);
    return !d->woken;
}

/* The request looks again once the present callback is over: others may still add to what it waits for. */
static void wake_soon(struct delayed *d)
{
    forget_watches(d);
    timer_stop(d->loop, &d->timer);
    d->woken = true;
    loop_defer(d->loop, &d->task);
}

/* --- places ----------------------------------------------------------------------------------------------------------------- */

void growing_add(struct growing *place, uint64_t bytes)
{
    place->bytes += bytes;
    while (place->first && place->first->due <= place->bytes)
        wake_soon(place->first->delayed);
}

void growing_wake_all(struct growing *place)
{
    while (place->first)
        wake_soon(place->first->delayed);
}

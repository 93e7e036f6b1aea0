/* Fifty consumers that join, leave, vanish, come back, stall and commit at random, in virtual time, while storing sometimes fails.
 * At each step the invariants of group.h hold (group_check), every answer comes once (troupe.c), and, of those who are told
 * that all is well, no two believe that they own the same partition in the same generation. In the end they settle, and each
 * partition is owned once. */
#include <stdio.h>
#include <stdlib.h>

#include "../harness.h"
#include "troupe.h"

enum { CONSUMERS = 50, PARTITIONS = 64 };

struct walk {
    struct troupe troupe;
    uint64_t random;
    int32_t highest; /* generation */
};

static uint64_t choose(struct walk *w, uint64_t n)
{
    w->random = w->random * 6364136223846793005u + 1442695040888963407u;
    return (w->random >> 33) % n;
}

static const char *name_of(uint32_t i)
{
    static char name[8];
    snprintf(name, sizeof name, "c%u", i);
    return name;
}

static struct actor *actor(struct walk *w, uint32_t i)
{
    return &w->troupe.actors[i];
}

static void begin(struct walk *w, uint64_t seed)
{
    *w = (struct walk){.random = seed};
    CHECK_ERR(troupe_init(&w->troupe, 500), OK);
    w->troupe.quiet = true;
    for (uint32_t i = 0; i < CONSUMERS; i++) {
        struct actor *a = troupe_actor(&w->troupe, name_of(i));
        a->session_ms = 5000 + (int32_t)choose(w, 20000);
        a->rebalance_ms = 5000 + (int32_t)choose(w, 20000);
        a->old = choose(w, 4) == 0;
        a->skips = choose(w, 2);
        if (choose(w, 3) == 0)
            snprintf(a->instance, sizeof a->instance, "i%u", i);
    }
}

/* Each partition to one of the members that the leader was told of. */
static void assign(struct walk *w, struct actor *leader)
{
    struct group *g = &w->troupe.group;
    char text[1024];
    size_t size = 0;
    uint32_t at = 0;
    for (struct group_member *m = g->members; m; m = m->next)
        for (uint32_t i = 0; i < CONSUMERS; i++)
            if (slice_eq(m->id, slice_str(actor(w, i)->id)))
                size += (size_t)snprintf(text + size, sizeof text - size, "%s%s=%u", size ? "," : "", actor(w, i)->name,
                                         at++);
    troupe_sync(&w->troupe, leader->name, text);
}

/* What a client does when it hears from the coordinator. */
static void react(struct walk *w, struct actor *a)
{
    if (a->waits_join || a->waits_sync)
        return;
    if (a->last == KAFKA_UNKNOWN_MEMBER_ID || a->last == KAFKA_FENCED_INSTANCE_ID) {
        a->id[0] = a->given[0] = '\0';
        a->generation = 0;
    }
    if (a->last || !a->id[0] || !a->generation)
        troupe_enter(&w->troupe, a->name);
    else if (!a->given[0] && a->leads)
        assign(w, a);
    else if (!a->given[0])
        troupe_sync(&w->troupe, a->name, "");
    else if ((a->last = troupe_beat(&w->troupe, a->name)))
        a->given[0] = '\0';
}

static void trouble(struct walk *w, struct actor *a)
{
    switch (choose(w, 5)) {
    case 0:
        troupe_leave(&w->troupe, a->name);
        a->given[0] = '\0';
        a->last = KAFKA_UNKNOWN_MEMBER_ID;
        break;
    case 1: /* the process is gone; another one starts */
        troupe_vanish(&w->troupe, a->name);
        a->id[0] = a->given[0] = '\0';
        a->generation = 0;
        a->last = KAFKA_UNKNOWN_MEMBER_ID;
        break;
    case 2: /* the connection is gone */
        if (a->waits_join || a->waits_sync) {
            troupe_vanish(&w->troupe, a->name);
            a->last = KAFKA_REBALANCE_IN_PROGRESS;
        }
        break;
    case 3:
        snprintf(a->says, sizeof a->says, "topics %u", (unsigned)choose(w, 3));
        break;
    default:
        troupe_pass(&w->troupe, choose(w, 3000));
    }
}

/* A commit of an old generation is refused, whoever sends it. */
static void check_commit(struct walk *w, struct actor *a)
{
    struct group *g = &w->troupe.group;
    enum kafka_error e = troupe_commit(&w->troupe, a->name);
    bool present = a->id[0] && group_find(g, slice_str(a->id)) && a->generation == g->generation;
    CHECK(present || e != KAFKA_NONE || g->state == GROUP_EMPTY);
}

static void check_owners(struct walk *w)
{
    const struct actor *owners[PARTITIONS] = {0};
    for (uint32_t i = 0; i < CONSUMERS; i++) {
        struct actor *a = actor(w, i);
        if (!a->given[0] || a->generation != w->troupe.group.generation || a->last)
            continue;
        uint32_t partition = (uint32_t)strtoul(a->given, NULL, 10);
        CHECK(partition < PARTITIONS && !owners[partition]);
        owners[partition] = a;
    }
    CHECK(w->troupe.group.generation >= w->highest); /* never given twice */
    w->highest = w->troupe.group.generation;
}

static void step(struct walk *w)
{
    struct actor *a = actor(w, (uint32_t)choose(w, CONSUMERS));
    uint64_t what = choose(w, 100);
    w->troupe.hold = choose(w, 4) == 0;
    if (w->troupe.ticket)
        troupe_stored(&w->troupe, choose(w, 10) ? KAFKA_NONE : KAFKA_COORDINATOR_NOT_AVAILABLE);
    if (what < 75)
        react(w, a);
    else if (what < 85)
        check_commit(w, a);
    else if (what < 90)
        trouble(w, a);
    else
        troupe_pass(&w->troupe, choose(w, 200));
    check_owners(w);
}

static void settle(struct walk *w)
{
    w->troupe.hold = false;
    for (int round = 0; round < 400; round++) {
        if (w->troupe.ticket)
            troupe_stored(&w->troupe, KAFKA_NONE);
        for (uint32_t i = 0; i < CONSUMERS; i++)
            react(w, actor(w, i));
        troupe_pass(&w->troupe, 200);
        check_owners(w);
    }
}

TEST(fifty_consumers_at_random_never_share_a_partition_and_settle)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct walk w;
        begin(&w, seed);
        for (int i = 0; i < 4000; i++)
            step(&w);
        settle(&w);
        CHECK_EQ(w.troupe.group.state, GROUP_STABLE);
        CHECK_EQ(w.troupe.group.member_count, CONSUMERS);
        for (uint32_t i = 0; i < CONSUMERS; i++)
            CHECK(actor(&w, i)->given[0] && actor(&w, i)->generation == w.troupe.group.generation);
        troupe_fini(&w.troupe);
    }
}

/* From a new generation to its assignment: what was stored, SyncGroup; and what members ask for in it. group.h has the rules. */
#include "streamer/group_internal.h"

static bool says_otherwise(struct slice said, struct slice is)
{
    return said.data && !slice_eq(said, is);
}

static enum kafka_error check_sync(const struct group *g, const struct group_sync *s, struct group_member **ret_member)
{
    if (g->state == GROUP_DEAD)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    enum kafka_error e = group_identify(g, s->member_id, s->instance_id, ret_member);
    if (e)
        return e;
    if (s->generation != g->generation)
        return KAFKA_ILLEGAL_GENERATION;
    if (says_otherwise(s->protocol_type, g->protocol_type) || says_otherwise(s->protocol, g->protocol))
        return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    bool too_early = g->state == GROUP_PREPARING || (g->state == GROUP_COMPLETING && !g->told);
    return too_early ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

static void clear_assignments(struct group *g)
{
    for (struct group_member *m = g->members; m; m = m->next)
        (void)member_assign(g, m, SLICE_EMPTY);
}

static enum kafka_error assign_all(struct group *g, const struct group_sync *s)
{
    size_t bytes = g->bytes;
    for (uint32_t i = 0; i < s->assignment_count; i++)
        bytes += s->assignments[i].bytes.size;
    if (bytes > g->rules.bytes_max)
        return KAFKA_GROUP_MAX_SIZE_REACHED;
    for (uint32_t i = 0; i < s->assignment_count; i++) {
        struct group_member *m = group_find(g, s->assignments[i].member_id);
        if (m && !member_assign(g, m, s->assignments[i].bytes)) {
            clear_assignments(g);
            return KAFKA_COORDINATOR_NOT_AVAILABLE;
        }
    }
    return KAFKA_NONE;
}

static void wait_for_assignment(struct group *g, struct group_member *m, void *waiter)
{
    void *earlier = m->sync_waiter;
    m->syncs = true;
    m->sync_waiter = waiter;
    if (earlier)
        g->outlet->synced(g->context, g, earlier, KAFKA_REBALANCE_IN_PROGRESS, NULL);
}

static void lead(struct group *g, struct group_member *m, const struct group_sync *s)
{
    enum kafka_error e = assign_all(g, s);
    if (e) {
        group_end_sync(g, m, e);
        return;
    }
    g->assigned = true;
    group_store_now(g);
}

void group_sync(struct group *g, const struct group_sync *s, uint64_t now_ms, void *waiter)
{
    struct group_member *m;
    enum kafka_error e = check_sync(g, s, &m);
    if (e) {
        g->outlet->synced(g->context, g, waiter, e, NULL);
        return;
    }
    m->owes_sync = false;
    member_heard_of(m, now_ms);
    wait_for_assignment(g, m, waiter);
    if (g->state == GROUP_STABLE)
        group_end_sync(g, m, KAFKA_NONE);
    else if (m == g->leader && !g->assigned)
        lead(g, m, s);
}

/* ---- what was stored -------------------------------------------------------------------------------------------------- */

static void tell_all(struct group *g, uint64_t now_ms)
{
    g->told = true;
    g->due_ms = now_ms + group_rebalance_ms(g);
    group_hear_all(g, now_ms);
    for (struct group_member *m = g->members; m; m = m->next) {
        m->owes_sync = m->joins;
        m->is_new = false;
        if (m->joins)
            group_tell(g, m);
    }
}

static void hand_out_assignments(struct group *g, uint64_t now_ms)
{
    uint64_t due_ms = g->due_ms;
    group_move(g, GROUP_STABLE, "assigned");
    g->due_ms = due_ms; /* of the syncs that are still missing */
    group_hear_all(g, now_ms);
    for (struct group_member *m = g->members; m; m = m->next)
        if (m->syncs)
            group_end_sync(g, m, KAFKA_NONE);
}

/* Nobody has been told of the generation, and nobody will be: they join again. Those who are new do not know who they are. */
static void give_up_generation(struct group *g, uint64_t now_ms)
{
    for (struct group_member *m = g->members, *next; m; m = next) {
        next = m->next;
        member_heard_of(m, now_ms);
        if (m->is_new)
            group_remove(g, m, KAFKA_COORDINATOR_NOT_AVAILABLE);
        else
            group_end_waits(g, m, KAFKA_COORDINATOR_NOT_AVAILABLE);
    }
    group_prepare(g, now_ms, "the generation could not be stored");
}

static void give_up_assignment(struct group *g, uint64_t now_ms)
{
    clear_assignments(g);
    group_hear_all(g, now_ms);
    for (struct group_member *m = g->members; m; m = m->next)
        group_end_sync(g, m, KAFKA_COORDINATOR_NOT_AVAILABLE);
    group_prepare(g, now_ms, "the assignment could not be stored");
}

/* Static members that have come back. */
static void end_replacements(struct group *g, enum kafka_error e)
{
    for (struct group_member *m = g->members; m; m = m->next) {
        if (m->joins && e)
            group_end_waits(g, m, e);
        else if (m->joins)
            group_tell(g, m);
    }
}

void group_stored(struct group *g, uint64_t ticket, enum kafka_error e, uint64_t now_ms)
{
    if (ticket != g->ticket)
        return;
    if (g->state == GROUP_COMPLETING && !g->told)
        e ? give_up_generation(g, now_ms) : tell_all(g, now_ms);
    else if (g->state == GROUP_COMPLETING)
        e ? give_up_assignment(g, now_ms) : hand_out_assignments(g, now_ms);
    else if (g->state == GROUP_STABLE)
        end_replacements(g, e);
    group_settle(g, now_ms);
}

/* ---- the other requests ----------------------------------------------------------------------------------------------- */

enum kafka_error group_heartbeat(struct group *g, struct slice member_id, struct slice instance_id, int32_t generation,
                                 uint64_t now_ms)
{
    struct group_member *m;
    if (g->state == GROUP_DEAD)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    enum kafka_error e = group_identify(g, member_id, instance_id, &m);
    if (e)
        return e;
    if (generation != g->generation)
        return KAFKA_ILLEGAL_GENERATION;
    if (!m->is_new)
        member_heard_of(m, now_ms);
    return g->state == GROUP_PREPARING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

enum kafka_error group_leave(struct group *g, struct slice member_id, struct slice instance_id, uint64_t now_ms)
{
    struct group_member *m = NULL;
    enum kafka_error e = KAFKA_NONE;
    if (g->state == GROUP_DEAD)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (!member_id.size)
        e = (m = group_find_instance(g, instance_id)) ? KAFKA_NONE : KAFKA_UNKNOWN_MEMBER_ID;
    else if (!group_forget_pending(g, member_id))
        e = group_identify(g, member_id, instance_id, &m);
    if (m)
        group_lose(g, m, now_ms, "a member leaves");
    group_settle(g, now_ms);
    return e;
}

enum kafka_error group_may_commit(struct group *g, struct slice member_id, struct slice instance_id, int32_t generation,
                                  uint64_t now_ms)
{
    struct group_member *m;
    if (g->state == GROUP_DEAD)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (generation < 0 && g->state == GROUP_EMPTY)
        return KAFKA_NONE;
    enum kafka_error e = group_identify(g, member_id, instance_id, &m);
    if (e)
        return e;
    if (generation != g->generation)
        return KAFKA_ILLEGAL_GENERATION;
    if (!m->is_new)
        member_heard_of(m, now_ms);
    return g->state == GROUP_COMPLETING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

void group_abandon(struct group *g, const void *waiter, uint64_t now_ms)
{
    struct group_member *m = g->members;
    while (m && m->join_waiter != waiter && m->sync_waiter != waiter)
        m = m->next;
    if (!m)
        return;
    if (m->sync_waiter == waiter) {
        m->syncs = false;
        m->sync_waiter = NULL;
    } else {
        m->joins = false;
        m->join_waiter = NULL;
    }
    member_heard_of(m, now_ms);
    if (m->is_new)
        group_lose(g, m, now_ms, "a new member is gone");
    group_settle(g, now_ms);
}

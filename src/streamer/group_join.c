/* JoinGroup: who may be a member, under which id; and LeaveGroup. group.h has the rules. */
#include "base/mem.h"
#include "streamer/group_internal.h"

/* How long a new member may wait for its first generation: it cannot send heartbeats meanwhile, and whoever gave up would
 * otherwise hold up the group for ever (KIP-394; Kafka's number). */
enum { NEW_MEMBER_MS = 300000 };

/* An id to come back with. */
static void hand_out_id(struct group *g, const struct group_join *j, uint64_t now_ms, void *waiter)
{
    struct group_pending *p = mem_zalloc(sizeof *p);
    if (!p || !slice_own(&p->id, j->new_id)) {
        mem_free(p);
        group_refuse_join(g, waiter, j->member_id, KAFKA_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    p->due_ms = now_ms + (uint64_t)j->session_timeout_ms;
    p->next = g->pending;
    g->pending = p;
    g->pending_count++;
    group_refuse_join(g, waiter, p->id, KAFKA_MEMBER_ID_REQUIRED);
}

/* From now on it waits. Whoever waited in its name before is told to try again. */
static void wait_for_generation(struct group *g, struct group_member *m, void *waiter)
{
    void *earlier = m->join_waiter;
    m->joins = true;
    m->join_waiter = waiter;
    if (earlier)
        group_refuse_join(g, earlier, m->id, KAFKA_REBALANCE_IN_PROGRESS);
}

static void add_member(struct group *g, struct slice id, const struct group_join *j, uint64_t now_ms, void *waiter)
{
    struct group_member *m = member_new(id, j);
    if (!m || (!g->members && !slice_own(&g->protocol_type, j->protocol_type))) {
        member_free(m);
        group_refuse_join(g, waiter, j->member_id, KAFKA_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    g->newcomer |= g->initial;
    m->session_due_ms = now_ms + NEW_MEMBER_MS;
    group_link(g, m);
    wait_for_generation(g, m, waiter);
    group_prepare(g, now_ms, "a member joins");
}

static void update_member(struct group *g, struct group_member *m, const struct group_join *j, uint64_t now_ms,
                          void *waiter, const char *why)
{
    if (!member_update(g, m, j)) {
        group_refuse_join(g, waiter, m->id, KAFKA_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    wait_for_generation(g, m, waiter);
    group_prepare(g, now_ms, why);
}

/* A static member is back, under a new id. Where nothing changes for the others it only has to be stored. */
static void replace_static(struct group *g, struct group_member *m, const struct group_join *j, uint64_t now_ms,
                           void *waiter)
{
    group_end_waits(g, m, KAFKA_FENCED_INSTANCE_ID);
    if (!member_rename(g, m, j->new_id) || !member_update(g, m, j)) {
        group_refuse_join(g, waiter, j->member_id, KAFKA_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    member_heard_of(m, now_ms);
    wait_for_generation(g, m, waiter);
    if (g->state == GROUP_STABLE && slice_eq(group_choose(g), g->protocol))
        group_store_now(g);
    else
        group_prepare(g, now_ms, "a static member joins");
}

static void join_unknown(struct group *g, const struct group_join *j, uint64_t now_ms, void *waiter)
{
    struct group_member *m = group_find_instance(g, j->instance_id);
    if (m)
        replace_static(g, m, j, now_ms, waiter);
    else if (j->must_know_id && !j->instance_id.size)
        hand_out_id(g, j, now_ms, waiter);
    else
        add_member(g, j->new_id, j, now_ms, waiter);
}

static void join_known(struct group *g, const struct group_join *j, uint64_t now_ms, void *waiter)
{
    struct group_member *m;
    enum kafka_error e = group_identify(g, j->member_id, j->instance_id, &m);
    if (e)
        group_refuse_join(g, waiter, j->member_id, e);
    else if (g->state == GROUP_PREPARING)
        update_member(g, m, j, now_ms, waiter, "");
    else if (!member_says(m, j))
        update_member(g, m, j, now_ms, waiter, "a member joins with another subscription");
    else if (g->state == GROUP_STABLE && m == g->leader)
        update_member(g, m, j, now_ms, waiter, "the leader joins");
    else {
        wait_for_generation(g, m, waiter); /* it may not have had the answer: once more, when there is one */
        if (g->state == GROUP_STABLE || g->told)
            group_tell(g, m);
    }
}

static struct group_member *known_member(const struct group *g, const struct group_join *j)
{
    return j->member_id.size ? group_find(g, j->member_id) : group_find_instance(g, j->instance_id);
}

static bool has_room(const struct group *g, const struct group_join *j, const struct group_member *known)
{
    uint32_t there = g->member_count + g->pending_count;
    size_t bytes = g->bytes - (known ? known->bytes : 0);
    bool counted = known || (j->member_id.size && *group_find_pending((struct group *)g, j->member_id));
    return (counted || there < g->rules.members_max) && bytes + join_bytes(j) <= g->rules.bytes_max;
}

static enum kafka_error check_join(const struct group *g, const struct group_join *j)
{
    const struct group_member *known = known_member(g, j);
    if (g->state == GROUP_DEAD)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (j->session_timeout_ms < 0 || (uint32_t)j->session_timeout_ms < g->rules.session_min_ms ||
        (uint32_t)j->session_timeout_ms > g->rules.session_max_ms)
        return KAFKA_INVALID_SESSION_TIMEOUT;
    if (!has_room(g, j, known))
        return KAFKA_GROUP_MAX_SIZE_REACHED;
    return group_accepts(g, j, known) ? KAFKA_NONE : KAFKA_INCONSISTENT_GROUP_PROTOCOL;
}

void group_join(struct group *g, const struct group_join *j, uint64_t now_ms, void *waiter)
{
    enum kafka_error e = check_join(g, j);
    if (e)
        group_refuse_join(g, waiter, j->member_id, e);
    else if (!j->member_id.size)
        join_unknown(g, j, now_ms, waiter);
    else if (!j->instance_id.size && group_forget_pending(g, j->member_id))
        add_member(g, j->member_id, j, now_ms, waiter);
    else
        join_known(g, j, now_ms, waiter);
    group_settle(g, now_ms);
}

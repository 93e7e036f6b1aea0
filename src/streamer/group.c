/* group.h has the states and the rules. Every event ends in group_settle(), which moves on a rebalance that waits for nothing more. */
#include "streamer/group.h"

#include <assert.h>

#include "base/mem.h"
#include "streamer/group_internal.h"

static const uint64_t NEVER = UINT64_MAX;

const char *group_state_name(enum group_state s)
{
    static const char *const names[] = {
        [GROUP_EMPTY] = "Empty",
        [GROUP_PREPARING] = "PreparingRebalance",
        [GROUP_COMPLETING] = "CompletingRebalance",
        [GROUP_STABLE] = "Stable",
        [GROUP_DEAD] = "Dead",
    };
    return names[s];
}

/* May follow. */
static const bool follows[][GROUP_DEAD + 1] = {
    [GROUP_EMPTY] = {[GROUP_PREPARING] = true, [GROUP_DEAD] = true},
    [GROUP_PREPARING] = {[GROUP_COMPLETING] = true, [GROUP_EMPTY] = true},
    [GROUP_COMPLETING] = {[GROUP_STABLE] = true, [GROUP_PREPARING] = true},
    [GROUP_STABLE] = {[GROUP_PREPARING] = true},
    [GROUP_DEAD] = {[GROUP_EMPTY] = true},
};

void group_move(struct group *g, enum group_state to, const char *why)
{
    enum group_state from = g->state;
    assert(follows[from][to]);
    g->state = to;
    g->ticket++; /* what is being stored says nothing about the new state */
    g->told = g->assigned = g->initial = g->newcomer = false;
    g->due_ms = NEVER;
    g->outlet->moved(g->context, g, from, why);
}

void group_store_now(struct group *g)
{
    g->ticket++;
    g->outlet->store(g->context, g, g->ticket);
}

enum err group_init(struct group *g, struct slice id, const struct group_outlet *outlet, void *context)
{
    *g = (struct group){.outlet = outlet, .context = context, .members_end = &g->members, .due_ms = NEVER};
    return slice_own(&g->id, id) ? OK : ERR_NOMEM;
}

void group_fini(struct group *g)
{
    while (g->members) {
        struct group_member *m = g->members;
        assert(!m->join_waiter && !m->sync_waiter);
        g->members = m->next;
        member_free(m);
    }
    while (g->pending)
        pending_remove(g, &g->pending);
    slice_disown(&g->id);
    slice_disown(&g->protocol_type);
    slice_disown(&g->protocol);
}

/* ---- answers ---------------------------------------------------------------------------------------------------------- */

void group_refuse_join(struct group *g, void *waiter, struct slice member_id, enum kafka_error e)
{
    struct group_joined answer = {.error = e, .member_id = member_id};
    g->outlet->joined(g->context, g, waiter, &answer);
}

static void end_join(struct group *g, struct group_member *m, const struct group_joined *answer)
{
    void *waiter = m->join_waiter;
    m->joins = false;
    m->join_waiter = NULL;
    if (waiter)
        g->outlet->joined(g->context, g, waiter, answer);
    slice_disown(&m->former_id);
}

void group_end_sync(struct group *g, struct group_member *m, enum kafka_error e)
{
    void *waiter = m->sync_waiter;
    m->syncs = false;
    m->sync_waiter = NULL;
    if (waiter)
        g->outlet->synced(g->context, g, waiter, e, e ? NULL : m);
}

void group_end_waits(struct group *g, struct group_member *m, enum kafka_error e)
{
    struct group_joined answer = {.error = e, .member_id = m->former_id.size ? m->former_id : m->id};
    end_join(g, m, &answer);
    group_end_sync(g, m, e);
}

/* The present generation, as the member is to see it. */
void group_tell(struct group *g, struct group_member *m)
{
    struct group_joined answer = {
        .member_id = m->id, .leader = g->leader->id, .leads = m == g->leader && g->state != GROUP_STABLE};
    if (g->state == GROUP_STABLE && m->joins && m == g->leader) {
        answer.leads = answer.skip_assignment = m->skips;
        answer.leader = m->skips ? m->id : m->former_id;
    }
    end_join(g, m, &answer);
}

/* ---- members and time ------------------------------------------------------------------------------------------------- */

void member_heard_of(struct group_member *m, uint64_t now_ms)
{
    m->session_due_ms = now_ms + (uint64_t)m->session_timeout_ms;
}

void group_hear_all(struct group *g, uint64_t now_ms)
{
    for (struct group_member *m = g->members; m; m = m->next)
        member_heard_of(m, now_ms);
}

/* Nothing is expected of one that waits for us. */
static bool session_counts(const struct group_member *m)
{
    return m->is_new || (!m->joins && !m->syncs);
}

void group_remove(struct group *g, struct group_member *m, enum kafka_error e)
{
    group_end_waits(g, m, e);
    group_unlink(g, m);
    member_free(m);
}

uint64_t group_rebalance_ms(const struct group *g)
{
    int32_t longest = 0;
    for (const struct group_member *m = g->members; m; m = m->next)
        longest = m->rebalance_timeout_ms > longest ? m->rebalance_timeout_ms : longest;
    return (uint64_t)longest;
}

/* Who is this, and may it speak? UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID. */
enum kafka_error group_identify(const struct group *g, struct slice member_id, struct slice instance_id,
                                struct group_member **ret_member)
{
    struct group_member *m = instance_id.size ? group_find_instance(g, instance_id) : group_find(g, member_id);
    if (!m)
        return KAFKA_UNKNOWN_MEMBER_ID;
    if (!slice_eq(m->id, member_id))
        return KAFKA_FENCED_INSTANCE_ID;
    *ret_member = m;
    return KAFKA_NONE;
}

/* ---- a rebalance ------------------------------------------------------------------------------------------------------ */

void group_prepare(struct group *g, uint64_t now_ms, const char *why)
{
    bool initial = g->state == GROUP_EMPTY && g->rules.initial_delay_ms;
    uint64_t longest_ms = group_rebalance_ms(g), delay_ms = g->rules.initial_delay_ms;
    if (g->state != GROUP_EMPTY && g->state != GROUP_COMPLETING && g->state != GROUP_STABLE)
        return;
    for (struct group_member *m = g->members; m; m = m->next) {
        m->owes_sync = false;
        group_end_sync(g, m, KAFKA_REBALANCE_IN_PROGRESS);
    }
    group_move(g, GROUP_PREPARING, why);
    g->initial = initial;
    g->initial_left_ms = longest_ms > delay_ms ? longest_ms - delay_ms : 0;
    g->due_ms = now_ms + (initial ? delay_ms : longest_ms);
}

static bool all_joined(const struct group *g)
{
    for (const struct group_member *m = g->members; m; m = m->next)
        if (!m->joins)
            return false;
    return !g->pending;
}

/* Those who did not come back in time. Static members keep their place until their session ends. */
static void drop_missing(struct group *g)
{
    for (struct group_member *m = g->members, *next; m; m = next) {
        next = m->next;
        if (!m->joins && !m->instance_id.size)
            group_remove(g, m, KAFKA_UNKNOWN_MEMBER_ID);
    }
}

/* false: nobody is there who could lead. */
static bool elect(struct group *g)
{
    struct group_member *m = g->leader;
    if (m && m->joins)
        return true;
    for (m = g->members; m && !m->joins;)
        m = m->next;
    if (m)
        g->leader = m;
    return m;
}

static void next_generation(struct group *g)
{
    g->generation = g->generation == INT32_MAX ? 1 : g->generation + 1;
}

static void become_empty(struct group *g)
{
    slice_disown(&g->protocol);
    next_generation(g);
    group_move(g, GROUP_EMPTY, "no members");
    group_store_now(g);
}

static void complete(struct group *g, uint64_t now_ms)
{
    drop_missing(g);
    if (!g->members) {
        become_empty(g);
        return;
    }
    if (!elect(g) || !slice_own(&g->protocol, group_choose(g))) {
        g->due_ms =
            now_ms + group_rebalance_ms(g); /* static members whose sessions end meanwhile, or memory that comes back */
        return;
    }
    next_generation(g);
    for (struct group_member *m = g->members; m; m = m->next)
        slice_disown(&m->assignment);
    group_move(g, GROUP_COMPLETING, "all joined");
    group_store_now(g);
}

/* PREPARING alone ends by itself. */
void group_settle(struct group *g, uint64_t now_ms)
{
    if (g->state == GROUP_PREPARING && all_joined(g) && (!g->initial || !g->members))
        complete(g, now_ms);
}

static void expire_rebalance(struct group *g, uint64_t now_ms)
{
    uint64_t delay_ms = g->rules.initial_delay_ms;
    if (!g->initial || !g->newcomer || !g->initial_left_ms) {
        g->initial = false;
        complete(g, now_ms);
        return;
    }
    uint64_t more_ms = delay_ms < g->initial_left_ms ? delay_ms : g->initial_left_ms;
    g->newcomer = false;
    g->initial_left_ms -= more_ms;
    g->due_ms = now_ms + more_ms;
}

void group_lose(struct group *g, struct group_member *m, uint64_t now_ms, const char *why)
{
    group_remove(g, m, KAFKA_UNKNOWN_MEMBER_ID);
    group_prepare(g, now_ms, why);
}

/* ---- time ------------------------------------------------------------------------------------------------------------- */

static void expire_pending(struct group *g, uint64_t now_ms)
{
    for (struct group_pending **link = &g->pending; *link;) {
        if ((*link)->due_ms > now_ms) {
            link = &(*link)->next;
            continue;
        }
        pending_remove(g, link);
    }
}

static void expire_sessions(struct group *g, uint64_t now_ms)
{
    for (struct group_member *m = g->members, *next; m; m = next) {
        next = m->next;
        if (session_counts(m) && m->session_due_ms <= now_ms)
            group_lose(g, m, now_ms, "a member has vanished");
    }
}

/* COMPLETING, STABLE: who was told of the generation must ask for its part of it in time. */
static void expire_syncs(struct group *g, uint64_t now_ms)
{
    g->due_ms = NEVER;
    for (struct group_member *m = g->members, *next; m; m = next) {
        next = m->next;
        if (m->owes_sync)
            group_lose(g, m, now_ms, "a member has not synced");
    }
}

void group_tick(struct group *g, uint64_t now_ms)
{
    expire_pending(g, now_ms);
    expire_sessions(g, now_ms);
    if (g->due_ms <= now_ms) {
        if (g->state == GROUP_PREPARING)
            expire_rebalance(g, now_ms);
        else
            expire_syncs(g, now_ms);
    }
    group_settle(g, now_ms);
}

uint64_t group_due_ms(const struct group *g)
{
    uint64_t due_ms = g->due_ms;
    for (const struct group_pending *p = g->pending; p; p = p->next)
        due_ms = p->due_ms < due_ms ? p->due_ms : due_ms;
    for (const struct group_member *m = g->members; m; m = m->next)
        due_ms = session_counts(m) && m->session_due_ms < due_ms ? m->session_due_ms : due_ms;
    return due_ms;
}

/* ---- beginning and end ------------------------------------------------------------------------------------------------ */

void group_dismiss(struct group *g, enum kafka_error e)
{
    for (struct group_member *m = g->members; m; m = m->next)
        group_end_waits(g, m, e);
}

void group_bury(struct group *g)
{
    group_move(g, GROUP_DEAD, "deleted");
}

void group_revive(struct group *g)
{
    group_move(g, GROUP_EMPTY, "could not be deleted");
}

void group_restore(struct group *g, bool stable, uint64_t now_ms)
{
    assert(g->state == GROUP_EMPTY);
    group_hear_all(g, now_ms);
    if (!g->members)
        return;
    g->state = stable ? GROUP_STABLE : GROUP_PREPARING;
    g->due_ms = stable ? NEVER : now_ms + group_rebalance_ms(g);
    g->outlet->moved(g->context, g, GROUP_EMPTY, "read back");
}

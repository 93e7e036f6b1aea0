/* The invariants of group.h. */
#include <assert.h>

#include "streamer/group.h"

static void check_member(const struct group *g, const struct group_member *m)
{
    bool settled = g->state == GROUP_COMPLETING || g->state == GROUP_STABLE;
    assert(m->id.size);
    assert(group_find(g, m->id) == m);
    assert(!m->instance_id.size || group_find_instance(g, m->instance_id) == m);
    assert(m->joins || !m->join_waiter);
    assert(m->syncs || !m->sync_waiter);
    assert(!m->syncs || (g->state == GROUP_COMPLETING && g->told));
    assert(!m->assignment.size || g->state != GROUP_COMPLETING || g->assigned);
    assert(!m->owes_sync || settled);
    bool has = false;
    for (uint32_t i = 0; i < m->protocol_count; i++)
        has |= slice_eq(m->protocols[i].name, g->protocol);
    assert(has || !settled);
}

void group_check(const struct group *g)
{
    uint32_t members = 0, pending = 0;
    size_t bytes = 0;
    for (const struct group_member *m = g->members; m; m = m->next) {
        check_member(g, m);
        members++;
        bytes += m->bytes;
    }
    for (const struct group_pending *p = g->pending; p; p = p->next)
        pending++;
    assert(members == g->member_count && pending == g->pending_count && bytes == g->bytes);
    assert(!members == !g->leader);
    assert(!g->leader || group_find(g, g->leader->id) == g->leader);
    assert(members || (g->state != GROUP_COMPLETING && g->state != GROUP_STABLE));
    assert(!members || (g->state != GROUP_EMPTY && g->state != GROUP_DEAD));
}

#include "streamer/group_internal.h"

#include <assert.h>

#include "base/limits.h"
#include "base/mem.h"

bool slice_own(struct slice *owned, struct slice bytes)
{
    uint8_t *copy = bytes.size ? mem_alloc(bytes.size) : NULL;
    if (bytes.size && !copy)
        return false;
    if (copy)
        memcpy(copy, bytes.data, bytes.size);
    slice_disown(owned);
    *owned = slice_of(copy, bytes.size);
    return true;
}

void slice_disown(struct slice *owned)
{
    mem_free((void *)(uintptr_t)owned->data);
    *owned = SLICE_EMPTY;
}

/* ---- a member --------------------------------------------------------------------------------------------------------- */

static size_t protocols_bytes(const struct group_protocol *p, uint32_t count)
{
    size_t bytes = count * sizeof *p;
    for (uint32_t i = 0; i < count; i++)
        bytes += p[i].name.size + p[i].metadata.size;
    return bytes;
}

size_t join_bytes(const struct group_join *j)
{
    return sizeof(struct group_member) + j->new_id.size + j->member_id.size + j->instance_id.size + j->client_id.size +
           j->client_host.size + protocols_bytes(j->protocols, j->protocol_count);
}

static size_t member_bytes(const struct group_member *m)
{
    return sizeof *m + m->id.size + m->instance_id.size + m->client_id.size + m->client_host.size +
           protocols_bytes(m->protocols, m->protocol_count) + m->assignment.size;
}

static void recount(struct group *g, struct group_member *m)
{
    g->bytes -= m->bytes;
    m->bytes = member_bytes(m);
    g->bytes += m->bytes;
}

static struct slice append(uint8_t **end, struct slice bytes)
{
    struct slice copy = slice_of(*end, bytes.size);
    if (bytes.size)
        memcpy(*end, bytes.data, bytes.size);
    *end += bytes.size;
    return copy;
}

/* One allocation: the array, then names and metadata. */
static struct group_protocol *copy_protocols(const struct group_protocol *p, uint32_t count)
{
    struct group_protocol *copy = mem_alloc(protocols_bytes(p, count) + 1);
    if (!copy)
        return NULL;
    uint8_t *end = (uint8_t *)(copy + count);
    for (uint32_t i = 0; i < count; i++) {
        copy[i].name = append(&end, p[i].name);
        copy[i].metadata = append(&end, p[i].metadata);
    }
    return copy;
}

struct group_member *member_new(struct slice id, const struct group_join *j)
{
    struct group_member *m = mem_zalloc(sizeof *m);
    if (!m)
        return NULL;
    m->protocols = copy_protocols(j->protocols, j->protocol_count);
    if (!m->protocols || !slice_own(&m->id, id) || !slice_own(&m->instance_id, j->instance_id) ||
        !slice_own(&m->client_id, j->client_id) || !slice_own(&m->client_host, j->client_host)) {
        member_free(m);
        return NULL;
    }
    m->protocol_count = j->protocol_count;
    m->session_timeout_ms = j->session_timeout_ms;
    m->rebalance_timeout_ms = j->rebalance_timeout_ms;
    m->skips = j->skips;
    m->is_new = true;
    m->bytes = member_bytes(m);
    return m;
}

void member_free(struct group_member *m)
{
    if (!m)
        return;
    slice_disown(&m->id);
    slice_disown(&m->former_id);
    slice_disown(&m->instance_id);
    slice_disown(&m->client_id);
    slice_disown(&m->client_host);
    slice_disown(&m->assignment);
    mem_free(m->protocols);
    mem_free(m);
}

bool member_update(struct group *g, struct group_member *m, const struct group_join *j)
{
    struct group_protocol *copy = copy_protocols(j->protocols, j->protocol_count);
    if (!copy)
        return false;
    mem_free(m->protocols);
    m->protocols = copy;
    m->protocol_count = j->protocol_count;
    m->session_timeout_ms = j->session_timeout_ms;
    m->rebalance_timeout_ms = j->rebalance_timeout_ms;
    m->skips = j->skips;
    recount(g, m);
    return true;
}

bool member_says(const struct group_member *m, const struct group_join *j)
{
    bool same = m->protocol_count == j->protocol_count;
    for (uint32_t i = 0; same && i < j->protocol_count; i++)
        same = slice_eq(m->protocols[i].name, j->protocols[i].name) &&
               slice_eq(m->protocols[i].metadata, j->protocols[i].metadata);
    return same;
}

bool member_assign(struct group *g, struct group_member *m, struct slice assignment)
{
    if (!slice_own(&m->assignment, assignment))
        return false;
    recount(g, m);
    return true;
}

bool member_rename(struct group *g, struct group_member *m, struct slice id)
{
    struct slice renamed = SLICE_EMPTY;
    if (!slice_own(&renamed, id))
        return false;
    slice_disown(&m->former_id);
    m->former_id = m->id;
    m->id = renamed;
    recount(g, m);
    return true;
}

struct slice group_member_metadata(const struct group *g, const struct group_member *m)
{
    for (uint32_t i = 0; i < m->protocol_count; i++)
        if (slice_eq(m->protocols[i].name, g->protocol))
            return m->protocols[i].metadata;
    return SLICE_EMPTY;
}

/* ---- among others ----------------------------------------------------------------------------------------------------- */

void group_link(struct group *g, struct group_member *m)
{
    m->next = NULL;
    *g->members_end = m;
    g->members_end = &m->next;
    g->member_count++;
    g->bytes += m->bytes;
    if (!g->leader)
        g->leader = m;
}

void group_unlink(struct group *g, struct group_member *m)
{
    struct group_member **link = &g->members;
    while (*link != m)
        link = &(*link)->next;
    *link = m->next;
    if (!*link)
        g->members_end = link;
    g->member_count--;
    g->bytes -= m->bytes;
    if (g->leader == m)
        g->leader = g->members;
}

struct group_member *group_find(const struct group *g, struct slice member_id)
{
    struct group_member *m = g->members;
    while (m && !slice_eq(m->id, member_id))
        m = m->next;
    return m;
}

struct group_member *group_find_instance(const struct group *g, struct slice instance_id)
{
    struct group_member *m = instance_id.size ? g->members : NULL;
    while (m && !slice_eq(m->instance_id, instance_id))
        m = m->next;
    return m;
}

static bool has_protocol(const struct group_member *m, struct slice name)
{
    for (uint32_t i = 0; i < m->protocol_count; i++)
        if (slice_eq(m->protocols[i].name, name))
            return true;
    return false;
}

static bool all_have(const struct group *g, struct slice name, const struct group_member *except)
{
    for (const struct group_member *m = g->members; m; m = m->next)
        if (m != except && !has_protocol(m, name))
            return false;
    return true;
}

bool group_accepts(const struct group *g, const struct group_join *j, const struct group_member *except)
{
    if (!j->protocol_type.size || !j->protocol_count)
        return false;
    if (g->member_count && !slice_eq(g->protocol_type, j->protocol_type))
        return false;
    for (uint32_t i = 0; i < j->protocol_count; i++)
        if (all_have(g, j->protocols[i].name, except))
            return true;
    return false;
}

/* Those of the first member's protocols that all have. */
static uint32_t common_protocols(const struct group *g, struct slice names[LIMIT_STREAM_GROUP_PROTOCOLS])
{
    const struct group_member *first = g->members;
    uint32_t count = 0;
    for (uint32_t i = 0; i < first->protocol_count && count < LIMIT_STREAM_GROUP_PROTOCOLS; i++)
        if (all_have(g, first->protocols[i].name, NULL))
            names[count++] = first->protocols[i].name;
    return count;
}

/* The place, among those that all have, of the one that the member likes best. */
static uint32_t vote_of(const struct group_member *m, const struct slice *names, uint32_t count)
{
    for (uint32_t i = 0; i < m->protocol_count; i++)
        for (uint32_t at = 0; at < count; at++)
            if (slice_eq(m->protocols[i].name, names[at]))
                return at;
    return 0;
}

struct slice group_choose(const struct group *g)
{
    struct slice names[LIMIT_STREAM_GROUP_PROTOCOLS];
    uint32_t votes[LIMIT_STREAM_GROUP_PROTOCOLS] = {0}, best = 0;
    uint32_t count = common_protocols(g, names);
    assert(count > 0);
    for (const struct group_member *m = g->members; m; m = m->next)
        votes[vote_of(m, names, count)]++;
    for (uint32_t at = 1; at < count; at++)
        best = votes[at] > votes[best] ? at : best;
    return names[best];
}

/* ---- ids that have not come back --------------------------------------------------------------------------------------- */

void pending_remove(struct group *g, struct group_pending **link)
{
    struct group_pending *p = *link;
    *link = p->next;
    slice_disown(&p->id);
    mem_free(p);
    g->pending_count--;
}

struct group_pending **group_find_pending(struct group *g, struct slice id)
{
    struct group_pending **link = &g->pending;
    while (*link && !slice_eq((*link)->id, id))
        link = &(*link)->next;
    return link;
}

bool group_forget_pending(struct group *g, struct slice id)
{
    struct group_pending **link = group_find_pending(g, id);
    if (!*link)
        return false;
    pending_remove(g, link);
    return true;
}

/* ---- reading back ----------------------------------------------------------------------------------------------------- */

enum err group_restore_begin(struct group *g, int32_t generation, struct slice protocol_type, struct slice protocol)
{
    while (g->members) {
        struct group_member *m = g->members;
        group_unlink(g, m);
        member_free(m);
    }
    g->generation = generation;
    return slice_own(&g->protocol_type, protocol_type) && slice_own(&g->protocol, protocol) ? OK : ERR_NOMEM;
}

enum err group_restore_member(struct group *g, const struct group_member *as, struct group_member **ret_member)
{
    struct group_join j = {.instance_id = as->instance_id,
                           .client_id = as->client_id,
                           .client_host = as->client_host,
                           .protocols = as->protocols,
                           .protocol_count = as->protocol_count,
                           .session_timeout_ms = as->session_timeout_ms,
                           .rebalance_timeout_ms = as->rebalance_timeout_ms};
    struct group_member *m = member_new(as->id, &j);
    if (!m)
        return ERR_NOMEM;
    m->is_new = false;
    group_link(g, m);
    if (!member_assign(g, m, as->assignment))
        return ERR_NOMEM;
    *ret_member = m;
    return OK;
}

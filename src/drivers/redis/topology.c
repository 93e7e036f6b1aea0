/* Which server has which slot, as one loop sees it (store.h has the states).
 *
 *   standalone: the server that is named        sentinel: the master that a sentinel names
 *   cluster: a table of slots, asked of any node; corrected by each MOVED, asked again after one and after a lost connection
 *
 * Invariants: at most one question is under way; nodes are never freed while the local lives, so that commands may point to them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "drivers/redis/watch.h"

static void ask_next(struct redis_local *l, enum err e, const char *why);
static void claim(struct redis_local *l);

/* --- nodes ------------------------------------------------------------------------------------------------------------------- */

static void node_lost(struct redis_connection *c)
{
    struct redis_local *l = ((struct redis_node *)c->owner)->local;
    if (l->backend->settings.mode == REDIS_SENTINEL)
        redis_master_doubted(l);
    else if (l->backend->settings.mode == REDIS_CLUSTER && l->topology == REDIS_KNOWN)
        redis_topology_ask(l);
}

static void init_lane(struct redis_node *node, struct redis_connection *c, const char *address)
{
    redis_connection_init(c, &node->local->backend->access, node->local->loop, address);
    c->owner = node;
    c->on_lost = node_lost;
}

static struct redis_node *make_node(struct redis_local *l, const char *address)
{
    struct redis_node *node = l->node_count < LIMIT_REDIS_NODES ? mem_zalloc(sizeof *node) : NULL;
    if (!node)
        return NULL;
    node->local = l;
    init_lane(node, &node->fast, address);
    init_lane(node, &node->slow, address);
    node->next = l->nodes;
    l->nodes = node;
    l->node_count++;
    return node;
}

struct redis_node *redis_node_at(struct redis_local *l, const char *address)
{
    struct redis_node *node = l->nodes;
    while (node && strcmp(node->fast.address, address) != 0)
        node = node->next;
    return node ? node : make_node(l, address);
}

struct redis_node *redis_node_of_slot(struct redis_local *l, uint16_t slot)
{
    return l->slots ? l->slots[slot] : l->master;
}

void redis_slot_moved(struct redis_local *l, uint16_t slot, struct redis_node *node)
{
    if (l->slots)
        l->slots[slot] = node;
    if (l->topology == REDIS_KNOWN)
        redis_topology_ask(l);
}

void redis_master_doubted(struct redis_local *l)
{
    if (l->backend->settings.mode == REDIS_SENTINEL && l->topology == REDIS_KNOWN)
        l->topology = REDIS_UNKNOWN;
}

/* --- knowing ----------------------------------------------------------------------------------------------------------------- */

static void know(struct redis_local *l)
{
    l->topology = REDIS_KNOWN;
    redis_waiting_release(l, OK, "");
}

/* The words are copied: who is told may ask again, and their memory is used for that. */
static void give_up(struct redis_local *l, enum err e, const char *why)
{
    char words[REDIS_WHY_BYTES];
    snprintf(words, sizeof words, "%s", why);
    l->topology = REDIS_UNKNOWN;
    redis_waiting_release(l, e, words);
}

/* The namespace's layout is kept at the server with the first write of anybody: two that disagree would not find each other's keys. */
static void claim_answered(struct redis_command *c, enum err e, const struct resp *reply)
{
    struct redis_local *l = c->owner;
    const struct redis_backend *b = l->backend;
    char ours[32];
    snprintf(ours, sizeof ours, "1 %u", b->layout.count);
    l->claim = NULL;
    if (e) {
        give_up(l, e, diag_message(c->diag));
    } else if (!slice_eq(reply->text, slice_str(ours))) {
        struct slice found = slice_skip(reply->text, 2);
        const char *why =
            arena_printf(&l->arena,
                         "namespace %s was written with %.*s buckets, not with %u; set redis.buckets: %.*s, or another "
                         "redis.key_prefix",
                         b->name, (int)(found.size < 16 ? found.size : 16), (const char *)found.data, b->layout.count,
                         (int)(found.size < 16 ? found.size : 16), (const char *)found.data);
        give_up(l, ERR_BACKEND_DENIED, why ? why : "it was written with another number of buckets");
    } else {
        l->claimed = true;
        know(l);
    }
}

/* Sent around the queue of those who wait for it. */
static void claim(struct redis_local *l)
{
    struct diag *diag = arena_new(&l->arena, struct diag);
    struct redis_command *c = diag ? redis_command_new(l, &l->arena, diag, 0, claim_answered, l) : NULL;
    if (!c) {
        give_up(l, ERR_NOMEM, err_row(ERR_NOMEM)->text);
        return;
    }
    diag_init(diag, &l->arena);
    c->bucket = &l->backend->layout.home;
    redis_command_script(c, REDIS_CLAIM, 0);
    resp_put(&c->words, slice_str(arena_printf(&l->arena, "1 %u", l->backend->layout.count)));
    l->topology = REDIS_KNOWN; /* for this command alone */
    l->claim = c;
    redis_send(c);
    if (l->claim)
        l->topology = REDIS_CLAIMING;
}

static void found(struct redis_local *l)
{
    l->asking = false;
    if (l->topology != REDIS_ASKING)
        return; /* a look at the slots while the topology is known */
    if (l->claimed)
        know(l);
    else
        claim(l);
}

/* --- sentinels --------------------------------------------------------------------------------------------------------------- */

static void sentinel_answered(struct redis_request *request, const struct redis_outcome *o)
{
    struct redis_local *l = (struct redis_local *)((char *)request - offsetof(struct redis_local, question));
    char address[REDIS_ADDRESS_BYTES];
    const struct resp *host = o->err ? NULL : resp_at(o->reply, 0), *port = o->err ? NULL : resp_at(o->reply, 1);
    if (o->err || !host->text.size || !port->text.size) {
        ask_next(l, o->err == ERR_BACKEND_DENIED ? o->err : ERR_BACKEND_UNREACHABLE,
                 o->err ? o->why : "the sentinel knows no master of this name (redis.sentinel_master)");
        return;
    }
    bool v6 = memchr(host->text.data, ':', host->text.size) != NULL;
    snprintf(address, sizeof address, v6 ? "[%.*s]:%.*s" : "%.*s:%.*s", SLICE_ARG(host->text), SLICE_ARG(port->text));
    l->master = redis_node_at(l, address);
    found(l);
}

/* --- cluster ----------------------------------------------------------------------------------------------------------------- */

/* Slots from … to, and the master first among those who have them: [from, to, [host, port, …], …]. */
static void take_slots(struct redis_local *l, const struct resp *row, const char *said_by)
{
    char address[REDIS_ADDRESS_BYTES];
    int64_t from = resp_at(row, 0)->integer, to = resp_at(row, 1)->integer, port = resp_at(resp_at(row, 2), 1)->integer;
    struct slice host = resp_at(resp_at(row, 2), 0)->text;
    const char *host_end = strrchr(said_by, ':');
    if (from < 0 || to >= REDIS_SLOTS || port <= 0 || port > 65535)
        return;
    if (!host.size && host_end)
        host = slice_of(said_by, (size_t)(host_end - said_by));
    bool v6 = host.size && host.data[0] != '[' && memchr(host.data, ':', host.size);
    snprintf(address, sizeof address, v6 ? "[%.*s]:%d" : "%.*s:%d", SLICE_ARG(host), (int)port);
    struct redis_node *node = redis_node_at(l, address);
    for (int64_t slot = from; slot <= to; slot++)
        l->slots[slot] = node;
}

static void slots_answered(struct redis_request *request, const struct redis_outcome *o)
{
    struct redis_local *l = (struct redis_local *)((char *)request - offsetof(struct redis_local, question));
    if (o->err || o->reply->kind != RESP_ARRAY || !o->reply->count) {
        bool alone = !o->err && o->reply->kind == RESP_ERROR;
        ask_next(l, o->err ? o->err == ERR_BACKEND_LOST ? ERR_BACKEND_UNREACHABLE : o->err : ERR_BACKEND_REFUSED,
                 o->err  ? o->why
                 : alone ? "the server is in no Cluster; set redis.mode: standalone"
                         : "the Cluster has no slots yet");
        return;
    }
    for (int i = 0; i < REDIS_SLOTS; i++)
        l->slots[i] = NULL;
    for (uint32_t i = 0; i < o->reply->count; i++)
        take_slots(l, resp_at(o->reply, i), o->from->address);
    found(l);
}

/* --- asking ------------------------------------------------------------------------------------------------------------------ */

static enum err make_question(struct redis_local *l)
{
    struct resp_command c;
    const struct redis_settings *s = &l->backend->settings;
    arena_reset(&l->arena);
    resp_command_init(&c, &l->arena);
    if (s->mode == REDIS_SENTINEL) {
        resp_put(&c, SLICE("SENTINEL"));
        resp_put(&c, SLICE("get-master-addr-by-name"));
        resp_put(&c, slice_str(s->sentinel_master));
    } else {
        resp_put(&c, SLICE("CLUSTER"));
        resp_put(&c, SLICE("SLOTS"));
    }
    l->question = (struct redis_request){.arena = &l->arena,
                                         .done = s->mode == REDIS_SENTINEL ? sentinel_answered : slots_answered};
    return resp_command_finish(&c, &l->question.bytes);
}

/* One that is named, in turn; once a Cluster is known, its nodes too, so that it is found even if all that are named are gone. */
static struct redis_connection *whom_to_ask(struct redis_local *l)
{
    const struct redis_settings *s = &l->backend->settings;
    unsigned turn = l->server++, named = s->server_count;
    if (s->mode == REDIS_SENTINEL)
        return &l->sentinels[turn % named];
    struct redis_node *node = l->nodes;
    for (unsigned i = turn % (named + l->node_count); i > named && node; i--)
        node = node->next;
    bool by_name = turn % (named + l->node_count) < named || !node;
    node = by_name ? redis_node_at(l, s->servers[turn % named]) : node;
    return node ? &node->fast : NULL;
}

static void ask(struct redis_local *l)
{
    struct redis_connection *c = make_question(l) ? NULL : whom_to_ask(l);
    if (c)
        redis_submit(c, &l->question);
    else
        ask_next(l, ERR_NOMEM, err_row(ERR_NOMEM)->text);
}

/* The last one has not told. */
static void ask_next(struct redis_local *l, enum err e, const char *why)
{
    if (--l->servers_left) {
        ask(l);
        return;
    }
    l->asking = false;
    if (l->topology == REDIS_ASKING)
        give_up(l, e, why);
}

static bool has_room_for_slots(struct redis_local *l)
{
    if (l->backend->settings.mode == REDIS_CLUSTER && !l->slots)
        l->slots = mem_zalloc(REDIS_SLOTS * sizeof(struct redis_node *));
    return l->slots || l->backend->settings.mode != REDIS_CLUSTER;
}

static void begin_asking(struct redis_local *l)
{
    const struct redis_settings *s = &l->backend->settings;
    l->asking = true;
    l->servers_left = s->server_count + (s->mode == REDIS_CLUSTER ? l->node_count : 0);
    l->refresh_after_ns = loop_now_ns(l->loop) + LIMIT_REDIS_REFRESH_MS * UINT64_C(1000000);
    ask(l);
}

static void ask_standalone(struct redis_local *l)
{
    arena_reset(&l->arena);
    l->master = redis_node_at(l, l->backend->settings.servers[0]);
    found(l);
}

void redis_topology_ask(struct redis_local *l)
{
    bool first = l->topology == REDIS_UNKNOWN;
    if (l->asking || l->topology == REDIS_ASKING || l->topology == REDIS_CLAIMING)
        return;
    if (!first && loop_now_ns(l->loop) < l->refresh_after_ns)
        return;
    if (!has_room_for_slots(l)) {
        redis_waiting_release(l, ERR_NOMEM, err_row(ERR_NOMEM)->text);
        return;
    }
    if (first)
        l->topology = REDIS_ASKING;
    if (l->backend->settings.mode == REDIS_STANDALONE)
        ask_standalone(l);
    else
        begin_asking(l);
}

/* --- a loop's own ------------------------------------------------------------------------------------------------------------ */

static bool make_sentinels(struct redis_local *l)
{
    const struct redis_settings *s = &l->backend->settings;
    if (s->mode != REDIS_SENTINEL)
        return true;
    l->sentinels = mem_zalloc(s->server_count * sizeof *l->sentinels);
    for (unsigned i = 0; l->sentinels && i < s->server_count; i++)
        redis_connection_init(&l->sentinels[i], &l->backend->sentinel_access, l->loop, s->servers[i]);
    return l->sentinels;
}

struct redis_local *redis_local_new(struct redis_backend *b, struct loop *loop)
{
    struct redis_local *l = mem_zalloc(sizeof *l);
    if (!l)
        return NULL;
    l->backend = b;
    l->loop = loop;
    l->waiting_end = &l->waiting;
    arena_init(&l->arena, LIMIT_CALL_ARENA_BYTES);
    if (make_sentinels(l))
        return l;
    redis_local_free(l);
    return NULL;
}

struct redis_local *redis_local_of(struct redis_backend *b, struct loop *loop)
{
    struct redis_local **at = &b->locals[loop_id(loop)];
    if (!*at)
        *at = redis_local_new(b, loop);
    return *at;
}

void redis_local_free(struct redis_local *l)
{
    if (!l)
        return;
    redis_watchers_free(l);
    redis_request_cancel(&l->question);
    if (l->claim)
        redis_command_cancel(l->claim);
    while (l->nodes) {
        struct redis_node *node = l->nodes;
        l->nodes = node->next;
        redis_connection_fini(&node->fast);
        redis_connection_fini(&node->slow);
        mem_free(node);
    }
    for (unsigned i = 0; l->sentinels && i < l->backend->settings.server_count; i++)
        redis_connection_fini(&l->sentinels[i]);
    mem_free(l->sentinels);
    mem_free(l->slots);
    arena_fini(&l->arena);
    mem_free(l);
}

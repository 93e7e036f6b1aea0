/* command.h has the states. */
#include "drivers/redis/command.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void take_answer(struct redis_request *request, const struct redis_outcome *outcome);

struct redis_command *redis_command_new(struct redis_local *local, struct arena *arena, struct diag *diag,
                                        uint32_t bucket, redis_command_fn *done, void *owner)
{
    struct redis_command *c = arena_new(arena, struct redis_command);
    if (!c)
        return NULL;
    c->local = local;
    c->arena = arena;
    c->diag = diag;
    c->done = done;
    c->owner = owner;
    c->bucket = &local->backend->layout.buckets[bucket];
    c->request = (struct redis_request){.arena = arena, .done = take_answer};
    resp_command_init(&c->words, arena);
    return c;
}

static void begin_script(struct redis_command *c, enum redis_script_id id)
{
    c->script = &c->local->backend->scripts[id];
    resp_put(&c->words, SLICE("EVALSHA"));
    resp_put(&c->words, slice_str(c->script->sha));
    resp_put(&c->words, SLICE("2"));
}

void redis_command_put(struct redis_command *c, struct slice value_name)
{
    begin_script(c, REDIS_PUT);
    resp_put(&c->words, c->bucket->snapshots);
    resp_put(&c->words, value_name);
}

void redis_command_script(struct redis_command *c, enum redis_script_id id, int64_t now_ms)
{
    begin_script(c, id);
    resp_put(&c->words, c->bucket->root);
    resp_put(&c->words, c->bucket->index);
    resp_put_integer(&c->words, now_ms);
}

/* --- failing ----------------------------------------------------------------------------------------------------------------- */

static void fail(struct redis_command *c, enum err e, const char *why, size_t size)
{
    diag_set(c->diag, e, "redis: %.*s", (int)(size < 300 ? size : 300), why);
    c->done(c, e, NULL);
}

static void fail_text(struct redis_command *c, enum err e, const char *why)
{
    fail(c, e, why, strlen(why));
}

/* --- to a node --------------------------------------------------------------------------------------------------------------- */

static void submit(struct redis_command *c, struct redis_node *node)
{
    if (!node)
        fail_text(c, ERR_BACKEND_REFUSED, "no server has the slot of this key; is a node of the Cluster down?");
    else
        redis_submit(c->slow ? &node->slow : &node->fast, &c->request);
}

static void park(struct redis_command *c)
{
    struct redis_local *l = c->local;
    c->waiting = true;
    c->next = NULL;
    *l->waiting_end = c;
    l->waiting_end = &c->next;
    l->waiting_count++;
}

static void unpark(struct redis_command *c)
{
    struct redis_local *l = c->local;
    struct redis_command **at = &l->waiting;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    if (!*at)
        l->waiting_end = at;
    l->waiting_count--;
    c->waiting = false;
}

void redis_send(struct redis_command *c)
{
    struct redis_local *l = c->local;
    if (resp_command_finish(&c->words, &c->request.bytes)) {
        fail_text(c, ERR_NOMEM, err_row(ERR_NOMEM)->text);
        return;
    }
    if (l->topology == REDIS_KNOWN) {
        submit(c, redis_node_of_slot(l, c->bucket->slot));
        return;
    }
    if (l->waiting_count >= LIMIT_REDIS_WAITING) {
        fail_text(c, ERR_BACKEND_BUSY, "as many calls wait for the server as may");
        return;
    }
    park(c);
    redis_topology_ask(l);
}

/* One after the other: a command that is done may cancel others, and may send the next one, which waits for another round. */
void redis_waiting_release(struct redis_local *l, enum err e, const char *why)
{
    for (unsigned n = l->waiting_count; n && l->waiting; n--) {
        struct redis_command *c = l->waiting;
        unpark(c);
        if (e)
            fail_text(c, e, why);
        else
            submit(c, redis_node_of_slot(l, c->bucket->slot));
    }
}

void redis_command_cancel(struct redis_command *c)
{
    if (c->waiting)
        unpark(c);
    else
        redis_request_cancel(&c->request);
}

/* --- answers ----------------------------------------------------------------------------------------------------------------- */

/* "MOVED 3999 127.0.0.1:6381", "ASK …". An empty host is the one that said so. */
static struct redis_node *redirection(struct redis_command *c, struct slice text, const char *said_by)
{
    char address[REDIS_ADDRESS_BYTES];
    const char *host_end = strrchr(said_by, ':');
    const uint8_t *space = text.size ? memchr(text.data, ' ', text.size) : NULL;
    space = space ? memchr(space + 1, ' ', (size_t)(text.data + text.size - space - 1)) : NULL;
    struct slice to = space ? slice_skip(text, (size_t)(space - text.data) + 1) : SLICE_EMPTY;
    if (to.size < 3 || to.size >= sizeof address)
        return NULL;
    if (to.data[0] == ':' && host_end)
        snprintf(address, sizeof address, "%.*s%.*s", (int)(host_end - said_by), said_by, SLICE_ARG(to));
    else
        snprintf(address, sizeof address, "%.*s", SLICE_ARG(to));
    return redis_node_at(c->local, address);
}

static void redirect(struct redis_command *c, const struct resp *reply, const char *said_by, bool ask)
{
    struct redis_node *node = redirection(c, reply->text, said_by);
    if (++c->redirects > LIMIT_REDIS_REDIRECTS || !node) {
        fail(c, ERR_BACKEND_REFUSED, (const char *)reply->text.data, reply->text.size);
        return;
    }
    if (!ask)
        redis_slot_moved(c->local, c->bucket->slot, node);
    c->request.asking = ask;
    submit(c, node);
}

/* The server has done nothing: the same again, with the text, on the same connection. */
static void send_text(struct redis_command *c, struct redis_connection *connection)
{
    c->words.words[0] = SLICE("EVAL");
    c->words.words[1] = c->script->text;
    c->words.bytes += c->script->text.size;
    c->script = NULL;
    if (resp_command_finish(&c->words, &c->request.bytes))
        fail_text(c, ERR_NOMEM, err_row(ERR_NOMEM)->text);
    else
        redis_submit(connection, &c->request);
}

/* Errors of the server that are no answer to the call. */
static void take_error(struct redis_command *c, const struct resp *reply, struct redis_connection *from)
{
    bool cluster = c->local->backend->settings.mode == REDIS_CLUSTER;
    if (resp_is_error(reply, "NOSCRIPT") && c->script) {
        send_text(c, from);
    } else if (cluster && (resp_is_error(reply, "MOVED") || resp_is_error(reply, "ASK"))) {
        redirect(c, reply, from->address, resp_is_error(reply, "ASK"));
    } else if (resp_is_error(reply, "MOVED")) {
        fail_text(c, ERR_BACKEND_REFUSED, "the server belongs to a Cluster; set redis.mode: cluster");
    } else {
        if (resp_is_error(reply, "READONLY"))
            redis_master_doubted(c->local);
        fail(c, redis_error_of(reply), (const char *)reply->text.data, reply->text.size);
    }
}

static void take_answer(struct redis_request *request, const struct redis_outcome *o)
{
    struct redis_command *c = (struct redis_command *)request;
    if (o->err)
        fail_text(c, o->err, o->why);
    else if (o->reply->kind == RESP_ERROR)
        take_error(c, o->reply, o->from);
    else
        c->done(c, OK, o->reply);
}

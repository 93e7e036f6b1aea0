/* flight.h has the states. A flight is on its own loop, its callers are on theirs; the lock settles who comes first where a caller
 * leaves while the answer is on its way to it. */
#include "data/flight.h"

#include <assert.h>

#include "base/limits.h"
#include "base/mem.h"
#include "data/namespace.h"
#include "google/protobuf/timestamp.pb.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"

struct caller;

struct flight {
    struct call call; /* the first member: the read */
    struct arena arena;
    struct flights *flights;
    struct slice key;
    uint64_t writes; /* of the key, when it began */
    bool listed;     /* in by_key; under the lock */
    bool landed;     /* callers are being told: nobody joins or leaves; under the lock */
    struct caller *callers;
    uint32_t count;
    atomic_uint refs; /* the read, and each caller */
    const struct keyvalue_get_response *answer;
    enum err err;
    struct task cancel;
};

/* What a call carries while it shares a flight; in its arena, as call->driver. */
struct caller {
    struct call *call;
    struct flight *flight;
    struct caller *next, *previous;
};

static void unref(struct flight *f)
{
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return;
    namespace_unref(f->call.ns);
    arena_fini(&f->arena);
    mem_free(f);
}

/* --- writes ------------------------------------------------------------------------------------------------------------------ */

static atomic_uint_fast64_t *stripe_of(struct flights *s, struct slice key)
{
    return &s->writes[hash_keyed(&s->by_key.secret, key) % FLIGHT_STRIPES];
}

static uint64_t writes_of(struct flights *s, struct slice key)
{
    return atomic_load(stripe_of(s, key)) + atomic_load(&s->writes_of_all);
}

/* The key of a request that is about one. */
static const struct slice *key_in(const struct call *call)
{
    const struct pb_message *table = call->method->pb->input;
    for (uint32_t i = 0; i < table->field_count; i++) {
        const struct pb_field *field = &table->fields[i];
        if (field->type == PB_BYTES && field->card == PB_SINGULAR && strcmp(field->name, "key") == 0)
            return (const struct slice *)((const char *)call->request + field->offset);
    }
    return NULL;
}

void flight_wrote(struct flights *s, const struct call *call)
{
    const struct slice *key = key_in(call);
    atomic_fetch_add(key ? stripe_of(s, *key) : &s->writes_of_all, 1);
}

/* --- callers; under the lock ------------------------------------------------------------------------------------------------- */

static void add(struct flight *f, struct caller *c)
{
    c->flight = f;
    c->next = f->callers;
    c->previous = NULL;
    if (c->next)
        c->next->previous = c;
    f->callers = c;
    f->count++;
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
}

static void take_out(struct flight *f, struct caller *c)
{
    *(c->previous ? &c->previous->next : &f->callers) = c->next;
    if (c->next)
        c->next->previous = c->previous;
    f->count--;
}

static void unlist(struct flight *f)
{
    if (f->listed)
        map_remove(&f->flights->by_key, f->key);
    f->listed = false;
}

/* --- answers ----------------------------------------------------------------------------------------------------------------- */

/* A shared answer may be older than its caller: what has expired by now is not found. */
static bool has_expired(const struct call *call, const struct keyvalue_get_response *r)
{
    return r->expires_at &&
           r->expires_at->seconds * 1000 + r->expires_at->nanos / 1000000 <= loop_realtime_ms(call->loop);
}

static void fail(struct call *call, const struct flight *f)
{
    diag_set(&call->diag, f->err, "%s", diag_message(&f->call.diag));
    call->diag.retry_after_ms = f->call.diag.retry_after_ms;
    call_end(call, f->err);
}

/* On the caller's loop. */
static void tell(struct call *call)
{
    static const struct keyvalue_get_response missing;
    struct caller *c = call->driver;
    struct flight *f = c->flight;
    call->on_cancel = NULL;
    if (f->err)
        fail(call, f);
    else
        call_reply(call, has_expired(call, f->answer) ? &missing : f->answer);
    unref(f);
}

/* By way of the last callback of the flight's call: after this its arena and answer are read only. */
static void land(struct call *read, enum err e)
{
    struct flight *f = (struct flight *)read;
    f->err = e ? e : f->answer ? OK : ERR_NOMEM;
    pthread_mutex_lock(&f->flights->lock);
    unlist(f);
    f->landed = true;
    pthread_mutex_unlock(&f->flights->lock);
    for (struct caller *c = f->callers, *next; c; c = next) {
        next = c->next;
        if (c->call->loop == read->loop)
            tell(c->call);
        else
            call_hop(c->call, tell);
    }
    unref(f);
}

/* The driver's message lives during this call only: it is copied, by way of its encoding. */
static enum call_flow keep(struct call *read, const void *message)
{
    struct flight *f = (struct flight *)read;
    size_t size = pb_encoded_size(&keyvalue_get_response_pb, message);
    uint8_t *bytes = arena_alloc(&f->arena, size + 1);
    void *copy = NULL;
    if (bytes) {
        pb_encode(&keyvalue_get_response_pb, message, bytes);
        enum err e = pb_decode(&keyvalue_get_response_pb, slice_of(bytes, size), &f->arena, &pb_limits_default, &copy);
        f->answer = e ? NULL : copy;
    }
    return CALL_GO;
}

static const struct call_sink sink = {.send = keep, .end = land};

/* --- leaving ----------------------------------------------------------------------------------------------------------------- */

static void cancel_read(struct task *task)
{
    struct flight *f = (struct flight *)((char *)task - offsetof(struct flight, cancel));
    call_cancel(&f->call);
    unref(f);
}

/* Nobody waits for the read any more. Under the lock. */
static void abandon(struct flight *f)
{
    unlist(f);
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    f->cancel.run = cancel_read;
    loop_post(f->call.loop, &f->cancel);
}

static void leave(struct call *call)
{
    struct caller *c = call->driver;
    struct flight *f = c->flight;
    pthread_mutex_lock(&f->flights->lock);
    bool left = !f->landed;
    if (left)
        take_out(f, c);
    if (left && !f->count)
        abandon(f);
    pthread_mutex_unlock(&f->flights->lock);
    if (!left) /* its answer is on its way */
        return;
    call_end(call, ERR_CANCELLED);
    unref(f);
}

/* --- joining and starting ---------------------------------------------------------------------------------------------------- */

static struct flight *flight_new(struct flights *s, const struct call *like)
{
    struct flight *f = mem_zalloc(sizeof *f);
    if (!f)
        return NULL;
    arena_init(&f->arena, LIMIT_CALL_ARENA_BYTES);
    struct keyvalue_get_request *request = arena_new(&f->arena, struct keyvalue_get_request);
    if (!request || !arena_copy(&f->arena, ((const struct keyvalue_get_request *)like->request)->key, &request->key)) {
        arena_fini(&f->arena);
        mem_free(f);
        return NULL;
    }
    f->flights = s;
    f->key = request->key;
    f->call = (struct call){.method = like->method,
                            .ns = namespace_ref(like->ns),
                            .who = {.name = ""},
                            .loop = like->loop,
                            .arena = &f->arena,
                            .deadline_ns = loop_now_ns(like->loop) + LIMIT_DEADLINE_DEFAULT_MS * UINT64_C(1000000),
                            .request = request,
                            .sink = &sink};
    diag_init(&f->call.diag, &f->arena);
    atomic_init(&f->refs, 1);
    return f;
}

/* The flight that the call may join. Under the lock. */
static struct flight *find(struct flights *s, struct slice key)
{
    struct flight *f = map_get(&s->by_key, key);
    return f && f->writes == writes_of(s, key) && f->count < LIMIT_FLIGHT_CALLERS ? f : NULL;
}

/* Later callers find this one; where the table is full or memory is out, it flies for its own caller alone. Under the lock. */
static void list(struct flights *s, struct flight *f)
{
    struct flight *old = map_get(&s->by_key, f->key);
    if (old)
        unlist(old);
    f->writes = writes_of(s, f->key);
    f->listed = map_put(&s->by_key, f->key, f, NULL) == OK;
}

void flight_get(struct flights *s, struct call *call)
{
    struct caller *c = arena_new(call->arena, struct caller);
    struct flight *fresh = NULL;
    if (c) {
        c->call = call;
        pthread_mutex_lock(&s->lock);
        struct flight *f = find(s, ((const struct keyvalue_get_request *)call->request)->key);
        if (!f && (f = fresh = flight_new(s, call)))
            list(s, f);
        if (f)
            add(f, c);
        pthread_mutex_unlock(&s->lock);
    }
    if (!c || !c->flight) {
        call_end(call, ERR_NOMEM);
        return;
    }
    call->driver = c;
    call->on_cancel = leave;
    if (fresh)
        s->send(&fresh->call);
    else
        atomic_fetch_add_explicit(&s->shared, 1, memory_order_relaxed);
}

bool flight_can_share(const struct call *call)
{
    return call->method == &methods[METHOD_KEYVALUE_BASIC_GET];
}

void flights_init(struct flights *s, const struct hash_key *key, void (*send)(struct call *))
{
    pthread_mutex_init(&s->lock, NULL);
    map_init(&s->by_key, LIMIT_FLIGHTS, key);
    s->send = send;
}

void flights_fini(struct flights *s)
{
    assert(!s->by_key.count);
    map_fini(&s->by_key);
    pthread_mutex_destroy(&s->lock);
}

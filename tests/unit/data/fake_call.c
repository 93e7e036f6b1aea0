#include "fake_call.h"

#include "../harness.h"
#include "base/hash.h"
#include "base/limits.h"

/* --- environment ------------------------------------------------------------------------------------------------------------ */

static struct fake_env *env_of(const struct env *env)
{
    return (struct fake_env *)(uintptr_t)env;
}

static uint64_t monotonic_ns(const struct env *env)
{
    return env_of(env)->monotonic_ns;
}

static uint64_t realtime_ns(const struct env *env)
{
    return (uint64_t)env_of(env)->realtime_ms * 1000000;
}

static void random_bytes(const struct env *env, void *out, size_t size)
{
    for (uint8_t *at = out, *end = at + size; at < end; at++)
        *at = (uint8_t)hash_mix(atomic_fetch_add(&env_of(env)->random_state, 1));
}

void fake_env_init(struct fake_env *e)
{
    *e = (struct fake_env){.env = {.monotonic_ns = monotonic_ns, .realtime_ns = realtime_ns, .random = random_bytes},
                           .realtime_ms = INT64_C(1767225600000),
                           .monotonic_ns = 1000000000,
                           .random_state = 1};
}

void fake_env_advance(struct fake_env *e, int64_t ms)
{
    e->realtime_ms += ms;
    e->monotonic_ns += (uint64_t)ms * 1000000;
}

static void never_freed(struct namespace *ns)
{
    test_fail(__FILE__, __LINE__, "the last reference of namespace %s was let go", ns->name);
}

void fake_namespace_init(struct namespace *ns, const char *name)
{
    *ns = (struct namespace){.name = name,
                             .backend_name = "test",
                             .ttl_allow_infinite = true,
                             .message_bytes = LIMIT_MESSAGE_BYTES,
                             .transactions_max = LIMIT_TRANSACTIONS_OPEN,
                             .idempotency_retention_ms = LIMIT_IDEMPOTENCY_RETENTION_MS,
                             .cursor_key = "0123456789abcdef",
                             .refs = 1,
                             .free = never_freed};
}

/* --- sink ------------------------------------------------------------------------------------------------------------------- */

static enum err keep(struct fake_call *f, const void *message)
{
    const struct pb_message *table = f->call.method->pb->output;
    size_t size = pb_encoded_size(table, message);
    uint8_t *bytes = arena_alloc(&f->kept, size + 1);
    void *copy;
    if (!bytes)
        return ERR_NOMEM;
    pb_encode(table, message, bytes);
    enum err e = pb_decode(table, slice_of(bytes, size), &f->kept, &pb_limits_default, &copy);
    if (e)
        return e;
    if (f->count == FAKE_CALL_MESSAGES)
        test_fail(__FILE__, __LINE__, "more than %d messages", FAKE_CALL_MESSAGES);
    f->messages[f->count++] = copy;
    if (size > f->bytes_max)
        f->bytes_max = size;
    return OK;
}

static enum call_flow take_message(struct call *call, const void *message)
{
    struct fake_call *f = call->sink_context;
    if (f->ended)
        test_fail(__FILE__, __LINE__, "a message after the end");
    if (f->holding)
        test_fail(__FILE__, __LINE__, "a message although the driver was told to wait");
    enum err e = keep(f, message);
    if (e)
        f->err = e;
    f->holding = f->hold && call->method->pb->server_streaming;
    return f->holding ? CALL_HOLD : CALL_GO;
}

static void take_end(struct call *call, enum err e)
{
    struct fake_call *f = call->sink_context;
    if (f->ended)
        test_fail(__FILE__, __LINE__, "ended twice");
    f->ended = true;
    if (!f->err)
        f->err = e;
}

static const struct call_sink sink = {.send = take_message, .end = take_end};

/* --- calls ------------------------------------------------------------------------------------------------------------------ */

void fake_call_init(struct fake_call *f, struct namespace *ns, struct loop *loop)
{
    memset(f, 0, sizeof *f);
    f->ns = ns;
    f->loop = loop;
    f->who = "";
    arena_init(&f->arena, LIMIT_CALL_ARENA_BYTES);
    arena_init(&f->kept, SIZE_MAX / 2);
}

void fake_call_fini(struct fake_call *f)
{
    arena_fini(&f->arena);
    arena_fini(&f->kept);
}

static void prepare(struct fake_call *f, const struct method *method, const void *request)
{
    arena_fini(&f->arena);
    arena_fini(&f->kept);
    f->count = 0;
    f->bytes_max = 0;
    f->err = OK;
    f->ended = f->holding = false;
    f->call = (struct call){.method = method,
                            .ns = f->ns,
                            .who = {.name = f->who},
                            .loop = f->loop,
                            .arena = &f->arena,
                            .deadline_ns = f->deadline_ns ? f->deadline_ns : UINT64_MAX,
                            .request = request,
                            .idempotency_key = f->idempotency_key,
                            .sink = &sink,
                            .sink_context = f};
    diag_init(&f->call.diag, &f->kept);
    f->idempotency_key = SLICE_EMPTY;
}

void fake_call_start(struct fake_call *f, enum method_id id, const void *request)
{
    const struct method *method = &methods[id];
    const void *ops = f->ns->backend->driver->implements[method->interface];
    if (!ops)
        test_fail(__FILE__, __LINE__, "%s is not implemented", method->pb->path);
    prepare(f, method, request);
    method->invoke(ops, f->ns->backend, &f->call, request);
}

static void resume(struct fake_call *f)
{
    f->holding = false;
    void (*go_on)(struct call *) = f->call.on_resume;
    if (!go_on)
        test_fail(__FILE__, __LINE__, "held, but without on_resume");
    go_on(&f->call);
}

void fake_call_finish(struct fake_call *f)
{
    while (!f->ended) {
        if (f->cancel_after && f->count >= f->cancel_after)
            call_cancel(&f->call);
        if (f->ended)
            return;
        if (f->holding)
            resume(f);
        else if (f->loop)
            loop_turn(f->loop, true);
        else
            test_fail(__FILE__, __LINE__, "%s has not ended", f->call.method->pb->path);
    }
}

const void *fake_call(struct fake_call *f, enum method_id id, const void *request)
{
    fake_call_start(f, id, request);
    fake_call_finish(f);
    return f->count ? f->messages[f->count - 1] : NULL;
}

/* ProxyAdmin.TestBackend: a round trip to a backend, step by step, on a pool thread, since it waits for the network. The namespace,
 * and so its backend, is held meanwhile. A caller that leaves is forgotten; the test runs to its end. */
#include "base/limits.h"
#include "base/mem.h"
#include "prism/admin/v1/proxy_admin.pb.h"
#include "proxy/internal.h"

struct test {
    struct pending pending; /* the first member */
    struct work work;
    struct proxy *proxy;
    struct rpc_call *rpc; /* NULL: nobody waits any more */
    struct namespace *ns; /* reference held */
    struct arena arena;
    struct diag diag;
    struct pb_array steps; /* struct admin_test_step * */
    bool lost;             /* no memory for a step */
    enum err err;
};

static struct test *test_of(struct work *work)
{
    return (struct test *)((char *)work - offsetof(struct test, work));
}

static void forget(struct proxy *p, struct pending *pending)
{
    (void)p;
    ((struct test *)pending)->rpc = NULL;
}

/* --- on the pool ------------------------------------------------------------------------------------------------------------- */

static void add_step(void *context, const char *name, uint64_t took_ns)
{
    struct test *t = context;
    struct admin_test_step *step = pb_new(&admin_test_step_pb, &t->arena);
    struct admin_test_step **place = step ? pb_array_add(&t->steps, sizeof step, &t->arena) : NULL;
    t->lost |= !place;
    if (!place)
        return;
    step->name = slice_str(name);
    step->microseconds = took_ns / 1000;
    *place = step;
}

static void probe(struct test *t, struct backend *backend)
{
    const struct env *env = loop_env(t->proxy->loop);
    uint64_t began_ns = env->monotonic_ns(env);
    t->err = backend->driver->probe(backend, &t->diag);
    if (!t->err)
        add_step(t, "probe", env->monotonic_ns(env) - began_ns);
}

static void run(struct work *work)
{
    struct test *t = test_of(work);
    struct backend *backend = t->ns->backend;
    if (backend->driver->test)
        t->err = backend->driver->test(backend, &t->diag, add_step, t);
    else
        probe(t, backend);
}

/* --- on the control loop ----------------------------------------------------------------------------------------------------- */

static void answer(const struct test *t)
{
    struct rpc_call *rpc = t->rpc;
    const struct admin_test_backend_response r = {
        .namespace = slice_str(t->ns->name),
        .backend = slice_str(t->ns->backend_name),
        .driver = slice_str(t->ns->backend->driver->name),
        .steps = t->steps,
        .error = t->err ? slice_str(err_name(t->err)) : SLICE_EMPTY,
        .message = t->err ? slice_str(diag_message(&t->diag)) : SLICE_EMPTY,
    };
    rpc->user = NULL;
    if (!t->lost)
        rpc_send(rpc, &r);
    rpc_finish(rpc, t->lost ? ERR_NOMEM : OK);
}

static void done(struct work *work)
{
    struct test *t = test_of(work);
    struct proxy *p = t->proxy;
    if (t->rpc)
        answer(t);
    namespace_unref(t->ns);
    arena_fini(&t->arena);
    mem_free(t);
    proxy_less_busy(p);
}

/* A namespace of this name, or the first that uses the backend of this name. */
static struct namespace *find(const struct snapshot *s, struct slice name)
{
    struct proxy_namespace *found = snapshot_find(s, name);
    for (uint32_t i = 0; i < s->count && !found; i++)
        if (slice_eq(slice_str(s->namespaces[i].ns.backend_name), name))
            found = &s->namespaces[i];
    return found ? &found->ns : NULL;
}

static enum err unknown(struct rpc_call *rpc, struct slice name)
{
    return diag_set(
        &rpc->diag, ERR_NOT_FOUND, "there is no namespace `%.*s`, and no namespace uses a backend of this name",
        name.size < LIMIT_NAMESPACE_NAME_BYTES ? (int)name.size : LIMIT_NAMESPACE_NAME_BYTES, (const char *)name.data);
}

void admin_test_backend(struct proxy *p, struct rpc_call *rpc, const void *request)
{
    struct slice name = ((const struct admin_test_backend_request *)request)->name;
    struct namespace *ns = find(p->snapshot, name);
    struct test *t = ns ? mem_zalloc(sizeof *t) : NULL;
    if (!t) {
        rpc_finish(rpc, ns ? ERR_NOMEM : unknown(rpc, name));
        return;
    }
    t->pending.forget = forget;
    t->work = (struct work){.run = run, .done = done};
    t->proxy = p;
    t->rpc = rpc;
    t->ns = namespace_ref(ns);
    arena_init(&t->arena, LIMIT_MESSAGE_BYTES);
    diag_init(&t->diag, &t->arena);
    rpc->user = t;
    p->busy++;
    pool_submit(p->pool, p->loop, &t->work);
}

/* Making a snapshot, finding in it, letting it go (snapshot.h has the states). */
#include "proxy/snapshot.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/limits.h"
#include "base/mem.h"
#include "proxy/stage.h"

/* --- life -------------------------------------------------------------------------------------------------------------------- */

static void destroy(struct snapshot *s)
{
    map_fini(&s->by_name);
    arena_fini(&s->arena);
    config_free(s->config);
    mem_free(s);
}

static void one_less(struct snapshot *s)
{
    if (atomic_fetch_sub_explicit(&s->alive, 1, memory_order_acq_rel) == 1)
        destroy(s);
}

static void namespace_gone(struct namespace *ns)
{
    struct proxy_namespace *p = (struct proxy_namespace *)ns;
    held_unref(p->held);
    if (p->gone)
        loop_post(p->gone_loop, p->gone);
    one_less(ns->owner);
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
    atomic_fetch_add_explicit(&s->holders, 1, memory_order_relaxed);
    return s;
}

void snapshot_unref(struct snapshot *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->holders, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < s->count; i++)
        namespace_unref(&s->namespaces[i].ns);
    one_less(s);
}

struct proxy_namespace *snapshot_find(const struct snapshot *s, struct slice name)
{
    return name.size && name.size <= LIMIT_NAMESPACE_NAME_BYTES ? map_get(&s->by_name, name) : NULL;
}

void snapshot_leave(struct snapshot *s, unsigned loop)
{
    for (uint32_t i = 0; i < s->count; i++)
        lease_leave(&s->namespaces[i].leases[loop], &s->namespaces[i].ns);
}

/* --- making ------------------------------------------------------------------------------------------------------------------ */

struct maker {
    const struct snapshot_options *options;
    struct snapshot *s;
    struct diag *diag;
    struct buf settings;
};

static char *text(struct arena *arena, struct slice s)
{
    return arena_printf(arena, "%.*s", SLICE_ARG(s));
}

/* Of the secret and the name, so that cursors are valid after a restart, and in their own namespace alone. */
static void derive_cursor_key(const uint8_t secret[SNAPSHOT_SECRET_BYTES], const char *name, uint8_t out[16])
{
    char label[LIMIT_NAMESPACE_NAME_BYTES + 16];
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned size = sizeof mac;
    int n = snprintf(label, sizeof label, "cursor:%s", name);
    HMAC(EVP_sha256(), secret, SNAPSHOT_SECRET_BYTES, (const uint8_t *)label, (size_t)n, mac, &size);
    memcpy(out, mac, 16);
}

static bool fill_names(const struct maker *m, struct proxy_namespace *p, const struct config_namespace *config)
{
    struct namespace *ns = &p->ns;
    p->store = text(&m->s->arena, config_store_of(config));
    ns->name = text(&m->s->arena, config->name);
    ns->backend_name = text(&m->s->arena, config->backend);
    return ns->name && ns->backend_name && p->store;
}

static void fill_settings(const struct maker *m, struct namespace *ns, const struct config_namespace *config)
{
    ns->config = config;
    ns->ttl_default_ms = config_duration_ms(config->ttl->default_);
    ns->ttl_max_ms = config_duration_ms(config->ttl->max);
    ns->ttl_allow_infinite = config->ttl->allow_infinite;
    ns->message_bytes = (uint32_t)config->limits->message_bytes;
    ns->transactions_max = config->limits->transactions;
    ns->idempotency_retention_ms = config_duration_ms(config->idempotency->retention);
    derive_cursor_key(m->options->secret, ns->name, ns->cursor_key);
}

static bool same_settings(const struct maker *m, const struct held *held)
{
    return slice_eq(slice_of(held->settings, held->settings_size), buf_slice(&m->settings));
}

/* The backend that is open for a namespace of this name and driver. Other options wait for a restart: opening a store a second
 * time while calls use it would lose what memory holds, and two writers of one file are one too many. */
/* What is open is found again by it: a store inside of this process is never open twice, whatever its namespaces are called; at a
 * server each namespace has connections of its own. */
static const char *identity(const struct driver *driver, const struct proxy_namespace *p)
{
    return driver->remote ? p->ns.name : p->store;
}

static enum err keep(const struct maker *m, const struct driver *driver, struct proxy_namespace *p)
{
    struct held *held = held_take(m->options->keeper, driver, identity(driver, p));
    if (held && !same_settings(m, held)) {
        p->needs_restart = arena_printf(&m->s->arena, "options of namespace %s", p->ns.name);
        if (!p->needs_restart) {
            held_unref(held);
            return ERR_NOMEM;
        }
    }
    p->held = held;
    return OK;
}

static enum err open_backend(const struct maker *m, struct proxy_namespace *p, const struct driver *driver,
                             const struct config_backend *backend)
{
    const struct namespace *ns = &p->ns;
    struct backend_open open = {
        .namespace_name = p->store,
        .ns = ns->config,
        .backend = backend,
        .data_dir = m->options->data_dir,
        .env = m->options->env,
        .loops = m->options->loops,
        .log = m->options->log,
        .diag = m->diag,
    };
    enum err e = held_open(m->options->keeper, driver, identity(driver, p), &open, buf_slice(&m->settings), &p->held);
    if (e)
        diag_wrap(m->diag, "namespace `%s`, backend `%s`", ns->name, ns->backend_name);
    return e;
}

static enum err take_backend(struct maker *m, struct proxy_namespace *p)
{
    const struct config_backend *backend;
    const struct driver *driver = config_driver_of(m->s->config->root, m->options->drivers, p->ns.config, &backend);
    p->ns.guard_settings = config_guard_settings(p->ns.config, backend);
    buf_reset(&m->settings);
    enum err e = held_settings(driver, backend, p->ns.config, &m->settings);
    if (e)
        return e;
    e = keep(m, driver, p);
    return e || p->held ? e : open_backend(m, p, driver, backend);
}

static const struct stage *const *stages_of(const struct proxy_namespace *p)
{
    if (p->ns.config->pause_writes)
        return p->ns.guard ? stages_guarded_paused : stages_paused;
    return p->ns.guard ? stages_guarded : stages_plain;
}

/* A namespace counts from the moment that it has its backend. */
static enum err add_namespace(struct maker *m, const struct config_namespace *config)
{
    struct snapshot *s = m->s;
    struct proxy_namespace *p = &s->namespaces[s->count];
    p->leases = arena_array(&s->arena, struct lease, m->options->loops);
    if (!p->leases || !fill_names(m, p, config))
        return ERR_NOMEM;
    fill_settings(m, &p->ns, config);
    enum err e = take_backend(m, p);
    if (e)
        return e;
    p->ns.backend = p->held->backend;
    p->ns.guard = p->held->guard;
    p->ns.index = s->count;
    p->ns.owner = s;
    p->ns.free = namespace_gone;
    p->stages = stages_of(p);
    atomic_init(&p->ns.refs, 1);
    atomic_fetch_add(&s->alive, 1);
    s->count++;
    return map_put(&s->by_name, slice_str(p->ns.name), p, NULL);
}

static enum err add_namespaces(struct maker *m)
{
    const struct pb_array *configs = &m->s->config->root->namespaces;
    m->s->namespaces = arena_array(&m->s->arena, struct proxy_namespace, configs->count);
    if (!m->s->namespaces)
        return ERR_NOMEM;
    enum err e = OK;
    for (uint32_t i = 0; i < configs->count && !e; i++)
        e = add_namespace(m, PB_AT(*configs, struct config_namespace *, i));
    return e;
}

enum err snapshot_new(const struct snapshot_options *options, struct config *config, struct diag *diag,
                      struct snapshot **ret_snapshot)
{
    struct snapshot *s = mem_zalloc(sizeof *s);
    if (!s)
        return ERR_NOMEM;
    arena_init(&s->arena, LIMIT_CONFIG_ARENA_BYTES);
    map_init(&s->by_name, LIMIT_NAMESPACES, &options->hash_key);
    s->config = config;
    s->log_access = config->root->log->access;
    s->loaded_ms = (int64_t)(options->env->realtime_ns(options->env) / 1000000);
    atomic_init(&s->holders, 1);
    atomic_init(&s->alive, 1);
    struct maker m = {.options = options, .s = s, .diag = diag};
    buf_init(&m.settings, LIMIT_YAML_BYTES);
    enum err e = add_namespaces(&m);
    buf_fini(&m.settings);
    if (!e) {
        *ret_snapshot = s;
        return OK;
    }
    s->config = NULL; /* stays the caller's */
    snapshot_unref(s);
    return e;
}

/* --- comparing --------------------------------------------------------------------------------------------------------------- */

static bool same_namespace(const struct proxy_namespace *a, const struct proxy_namespace *b)
{
    struct buf x, y;
    buf_init(&x, LIMIT_YAML_BYTES);
    buf_init(&y, LIMIT_YAML_BYTES);
    bool same = a->held == b->held && !pb_encode_buf(&config_namespace_pb, a->ns.config, &x) &&
                !pb_encode_buf(&config_namespace_pb, b->ns.config, &y) && slice_eq(buf_slice(&x), buf_slice(&y));
    buf_fini(&x);
    buf_fini(&y);
    return same;
}

struct snapshot_changes snapshot_compare(const struct snapshot *old, const struct snapshot *new)
{
    struct snapshot_changes c = {.removed = old->count};
    for (uint32_t i = 0; i < new->count; i++) {
        const struct proxy_namespace *before = snapshot_find(old, slice_str(new->namespaces[i].ns.name));
        c.removed -= before != NULL;
        c.added += !before;
        c.changed += before && !same_namespace(before, &new->namespaces[i]);
    }
    return c;
}

/* Putting a configuration into effect: read and checked, new backends opened (both on a pool thread), then handed to every worker.
 * All or nothing until the hand-over, which cannot fail. */
#include "base/limits.h"
#include "base/mem.h"
#include "proxy/internal.h"
#include "proxy/pause.h"

static enum err load(struct proxy *p, struct reload *r)
{
    arena_init(&r->arena, LIMIT_CONFIG_ARENA_BYTES);
    config_report_init(&r->report, &r->arena, p->options.source.file);
    diag_init(&r->diag, &r->arena);
    enum err e = config_load(&p->options.source, &r->report, &r->config);
    if (e)
        return e;
    e = snapshot_new(&p->snapshot_options, r->config, &r->diag, &r->snapshot);
    if (e)
        config_free(r->config);
    r->config = NULL; /* the snapshot's, or gone */
    return e;
}

/* --- the end of a run -------------------------------------------------------------------------------------------------------- */

static void add_restart(struct reload_result *result, const char *name)
{
    uint32_t n = 0;
    while (result->needs_restart[n])
        n++;
    if (n + 1 < RESTART_SETTINGS_MAX)
        result->needs_restart[n] = name;
}

static void differs(struct reload_result *result, const char *name, struct slice before, struct slice after)
{
    if (!slice_eq(before, after))
        add_restart(result, name);
}

/* What a restart alone changes: sockets, threads, the folder. */
static void find_restarts(const struct config_proxy_config *a, const struct config_proxy_config *b,
                          struct reload_result *result)
{
    static const struct config_tls none;
    const struct config_tls *x = a->tls ? a->tls : &none, *y = b->tls ? b->tls : &none;
    differs(result, "listen", a->listen, b->listen);
    differs(result, "metrics_listen", a->metrics_listen, b->metrics_listen);
    differs(result, "data_dir", a->data_dir, b->data_dir);
    if (a->workers != b->workers)
        add_restart(result, "workers");
    differs(result, "transport.congestion_control", a->transport->congestion_control, b->transport->congestion_control);
    if (config_duration_ns(a->transport->spin) != config_duration_ns(b->transport->spin))
        add_restart(result, "transport.spin");
    if (!slice_eq(x->cert_file, y->cert_file) || !slice_eq(x->key_file, y->key_file) ||
        !slice_eq(x->client_ca_file, y->client_ca_file) || x->client_cert_required != y->client_cert_required)
        add_restart(result, "tls");
}

static void find_kept_backends(const struct snapshot *s, struct reload_result *result)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->namespaces[i].needs_restart)
            add_restart(result, s->namespaces[i].needs_restart);
}

static void log_failure(struct proxy *p, const struct reload_result *result)
{
    struct log *log = p->options.log;
    if (result->err != ERR_CONFIG_INVALID) {
        log_error(log, "reload failed, the running configuration stays", LOG_ERR(result->err),
                  LOG_TEXT("reason", diag_message(result->diag)));
        return;
    }
    for (uint32_t i = 0; i < result->report->count; i++) {
        const struct config_problem *problem = &result->report->problems[i];
        log_error(log, "reload failed, the running configuration stays", LOG_ERR(result->err),
                  LOG_TEXT("file", result->report->file), LOG_INT("line", problem->place.line),
                  LOG_INT("column", problem->place.column), LOG_TEXT("field", problem->path),
                  LOG_TEXT("reason", problem->message));
    }
}

static void keep_failure(struct proxy *p, const struct reload_result *result)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    if (result->err == ERR_CONFIG_INVALID)
        config_report_print(result->report, &text);
    else if (result->err)
        buf_puts(&text, diag_message(result->diag));
    buf_putc(&text, '\0');
    mem_free(p->config_error);
    p->config_error = result->err && !buf_err(&text) ? mem_strdup((const char *)text.data) : NULL;
    buf_fini(&text);
}

static void log_success(struct proxy *p, const struct reload_result *result)
{
    struct log *log = p->options.log;
    log_info(log, "configuration reloaded", LOG_INT("namespaces", p->snapshot->count),
             LOG_INT("added", result->changes.added), LOG_INT("changed", result->changes.changed),
             LOG_INT("removed", result->changes.removed));
    if (result->writes_under_way)
        log_warn(log, "calls that began before still run in a namespace whose writes are paused");
    for (uint32_t i = 0; result->needs_restart[i]; i++)
        log_warn(log, "needs a restart to take effect", LOG_TEXT("setting", result->needs_restart[i]));
}

static void start(struct reload *);

static void tell(struct reload_waiter **list, const struct reload_result *result)
{
    for (struct reload_waiter *w; (w = *list);) {
        *list = w->next;
        w->done(w, result);
    }
}

/* Those who asked while it ran get a run of their own, unless the process is leaving. */
static void go_on(struct reload *r)
{
    static const struct diag leaving = {.err = ERR_DRAINING};
    const struct reload_result refused = {.err = ERR_DRAINING, .diag = &leaving};
    if (r->again && r->proxy->state == PROXY_SERVING)
        start(r);
    else
        tell(&r->next_waiters, &refused);
}

static void end(struct reload *r, const struct reload_result *result)
{
    struct proxy *p = r->proxy;
    measure_reload(p->measure, result->err == OK);
    keep_failure(p, result);
    if (result->err)
        log_failure(p, result);
    else
        log_success(p, result);
    tell(&r->waiters, result);
    arena_fini(&r->arena);
    r->running = false;
    go_on(r);
    proxy_drain_when_free(p);
    proxy_less_busy(p);
}

/* --- the hand-over ----------------------------------------------------------------------------------------------------------- */

void reload_apply_log_level(struct proxy *p)
{
    enum log_level level;
    struct slice text = p->snapshot->config->root->log->level;
    char word[16];
    memcpy(word, text.data, text.size < sizeof word ? text.size : 0);
    word[text.size < sizeof word ? text.size : 0] = '\0';
    if (log_level_parse(word, &level) == OK)
        log_set_level(p->options.log, level);
}

static void paused(void *context, bool all_ended)
{
    struct reload *r = context;
    r->result.writes_under_way = !all_ended;
    end(r, &r->result);
}

static void pause_over(void *context)
{
    proxy_less_busy(((struct reload *)context)->proxy);
}

static void finish_swap(struct reload *r)
{
    struct proxy *p = r->proxy;
    struct snapshot *old = p->snapshot;
    p->snapshot = r->snapshot;
    r->snapshot = NULL;
    r->result = (struct reload_result){.err = OK, .changes = snapshot_compare(old, p->snapshot)};
    find_restarts(old->config->root, p->snapshot->config->root, &r->result);
    find_kept_backends(p->snapshot, &r->result);
    const struct rpc_share_limits limits = proxy_share_limits(p->snapshot->config->root);
    rpc_shares_set(p->shares, &limits);
    reload_apply_log_level(p);
    bool waits = pause_begin(old, p->snapshot, p->loop, paused, pause_over, r);
    p->busy += waits;
    snapshot_unref(old);
    if (!waits)
        end(r, &r->result);
}

static void swapped(struct worker_task *t)
{
    struct reload *r = t->context;
    if (--r->swaps_left == 0)
        finish_swap(r);
}

static void swap_everywhere(struct reload *r)
{
    struct proxy *p = r->proxy;
    r->swaps_left = p->worker_count;
    for (uint32_t i = 0; i < p->worker_count; i++) {
        r->swaps[i] = (struct worker_task){.worker = p->workers[i],
                                           .control = p->loop,
                                           .done = swapped,
                                           .snapshot = snapshot_ref(r->snapshot),
                                           .context = r};
        worker_swap(&r->swaps[i]);
    }
}

/* --- the beginning ----------------------------------------------------------------------------------------------------------- */

static struct reload *reload_of(struct work *work)
{
    return (struct reload *)((char *)work - offsetof(struct reload, work));
}

static void run_load(struct work *work)
{
    struct reload *r = reload_of(work);
    r->err = load(r->proxy, r);
}

static void loaded(struct work *work)
{
    struct reload *r = reload_of(work);
    if (!r->err) {
        swap_everywhere(r);
        return;
    }
    struct reload_result result = {.err = r->err, .report = &r->report, .diag = &r->diag};
    if (!r->diag.err)
        r->diag.err = r->err;
    end(r, &result);
}

static void start(struct reload *r)
{
    r->running = true;
    r->again = false;
    r->waiters = r->next_waiters;
    r->next_waiters = NULL;
    r->proxy->busy++;
    r->work = (struct work){.run = run_load, .done = loaded};
    pool_submit(r->proxy->pool, r->proxy->loop, &r->work);
}

void reload_begin(struct proxy *p, struct reload_waiter *waiter)
{
    struct reload *r = &p->reload;
    if (waiter) {
        waiter->next = r->next_waiters;
        r->next_waiters = waiter;
    }
    if (r->running)
        r->again = true;
    else
        start(r);
}

static void forget_in(struct reload_waiter **list, const struct reload_waiter *waiter)
{
    while (*list && *list != waiter)
        list = &(*list)->next;
    if (*list)
        *list = waiter->next;
}

void reload_forget(struct proxy *p, struct reload_waiter *waiter)
{
    forget_in(&p->reload.waiters, waiter);
    forget_in(&p->reload.next_waiters, waiter);
}

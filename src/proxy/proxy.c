/* Life of the process: start, signals, drain, end (proxy.h has the states). Each step of the end begins when the one before has
 * been reported complete; nothing is waited for by time, but for the drain's own limit. */
#include "proxy/proxy.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "google/protobuf/duration.pb.h"
#include "proxy/internal.h"

/* --- the end, in its order ---------------------------------------------------------------------------------------------------- */

static void stop_when_done(struct proxy *p)
{
    if (p->state == PROXY_CLOSING && !p->snapshot && p->busy == 0 && atomic_load(&p->keeper.open) == 0)
        loop_stop(p->loop);
}

void proxy_less_busy(struct proxy *p)
{
    p->busy--;
    stop_when_done(p);
}

static void backends_closed(void *context)
{
    stop_when_done(context);
}

static void retire_workers(struct proxy *p)
{
    for (uint32_t i = 0; i < p->worker_count; i++)
        worker_retire(p->workers[i]);
}

/* Nobody asks any more: backends close on the pool. The workers' loops stay: a thread of a backend that has handed over its last
 * call may still be about to wake one. */
static void metrics_drained(void *context)
{
    struct proxy *p = context;
    keeper_loops_run(&p->keeper, false);
    retire_workers(p);
    snapshot_unref(p->snapshot);
    p->snapshot = NULL;
    stop_when_done(p);
}

static void close_metrics_port(struct proxy *p)
{
    p->state = PROXY_CLOSING;
    tls_watch_stop(p);
    served_drain(&p->served);
    rpc_server_drain(p->server, p->drain_deadline_ns, metrics_drained, p);
}

static void worker_drained(struct worker_task *t)
{
    struct proxy *p = t->context;
    worker_join(t->worker);
    if (--p->tasks_left == 0)
        close_metrics_port(p);
}

static void post_to_workers(struct proxy *p, struct worker_task *tasks, void (*post)(struct worker_task *),
                            void (*done)(struct worker_task *))
{
    for (uint32_t i = 0; i < p->worker_count; i++) {
        tasks[i] = (struct worker_task){.worker = p->workers[i],
                                        .control = p->loop,
                                        .done = done,
                                        .deadline_ns = p->drain_deadline_ns,
                                        .context = p};
        post(&tasks[i]);
    }
}

/* A reload that runs talks to workers: it ends first. */
void proxy_drain_when_free(struct proxy *p)
{
    if (p->state != PROXY_LEAVING || p->tasks_left || p->reload.running)
        return;
    p->state = PROXY_DRAINING;
    p->tasks_left = p->worker_count;
    post_to_workers(p, p->tasks, worker_drain, worker_drained);
}

static void worker_unready_now(struct worker_task *t)
{
    struct proxy *p = t->context;
    p->tasks_left--;
    proxy_drain_when_free(p);
}

static uint64_t drain_time_ns(const struct proxy *p)
{
    return (uint64_t)config_duration_ms(p->snapshot->config->root->drain_timeout) * 1000000;
}

/* Calls that wait in a backend would else hold up the drain until they time out. */
static void end_waits(const struct snapshot *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct backend *backend = s->namespaces[i].ns.backend;
        if (backend->driver->drain)
            backend->driver->drain(backend);
    }
}

static void leave(struct proxy *p)
{
    log_info(p->options.log, "draining", LOG_INT("at_most_ms", (int64_t)(drain_time_ns(p) / 1000000)));
    p->state = PROXY_LEAVING;
    p->drain_deadline_ns = loop_now_ns(p->loop) + drain_time_ns(p);
    p->tasks_left = p->worker_count;
    end_waits(p->snapshot);
    post_to_workers(p, p->tasks, worker_unready, worker_unready_now);
}

static void ignore(struct worker_task *t)
{
    (void)t;
}

/* The second signal: what is in flight is cut off. */
static void hurry(struct proxy *p)
{
    log_warn(p->options.log, "asked again to stop: calls in flight are cut off");
    p->drain_deadline_ns = loop_now_ns(p->loop);
    if (p->state == PROXY_DRAINING)
        post_to_workers(p, p->hurry_tasks, worker_drain, ignore);
}

static void on_signal(void *context, int signal)
{
    struct proxy *p = context;
    if (signal == SIGHUP) {
        if (p->state == PROXY_SERVING)
            reload_begin(p, NULL);
    } else if (p->state == PROXY_SERVING) {
        leave(p);
    } else if (p->drain_deadline_ns > loop_now_ns(p->loop)) {
        hurry(p);
    }
}

enum { POOL_THREADS = 4 }; /* for opening and closing backends, reading configuration */

/* --- the start, in its order ------------------------------------------------------------------------------------------------- */

static char *text(struct arena *arena, struct slice s)
{
    return arena_printf(arena, "%.*s", SLICE_ARG(s));
}

static enum err read_config(struct proxy *p, struct diag *diag, struct config **ret_config)
{
    struct config_report report;
    config_report_init(&report, &p->arena, p->options.source.file);
    enum err e = config_load(&p->options.source, &report, ret_config);
    return e == ERR_CONFIG_INVALID ? config_report_diag(&report, diag) : e;
}

static enum err make_loop(struct proxy *p)
{
    enum err e = loop_new(p->options.env, p->worker_count, &p->loop);
    if (!e)
        e = pool_new(POOL_THREADS, &p->pool);
    if (!e)
        e = measure_new(p->worker_count + 2, &p->measure);
    keeper_init(&p->keeper, p->loop, p->pool);
    p->keeper.on_empty = backends_closed;
    p->keeper.context = p;
    keeper_set_loops(&p->keeper, p->loops, p->worker_count);
    return e;
}

static enum err make_workers_room(struct proxy *p)
{
    p->workers = arena_array(&p->arena, struct worker *, p->worker_count);
    p->loops = arena_array(&p->arena, struct loop *, p->worker_count);
    p->tasks = arena_array(&p->arena, struct worker_task, p->worker_count);
    p->hurry_tasks = arena_array(&p->arena, struct worker_task, p->worker_count);
    p->reload.swaps = arena_array(&p->arena, struct worker_task, p->worker_count);
    return p->workers && p->loops && p->tasks && p->hurry_tasks && p->reload.swaps ? OK : ERR_NOMEM;
}

static enum err open_data_dir(struct proxy *p, const struct config_proxy_config *root, struct diag *diag)
{
    struct snapshot_options *o = &p->snapshot_options;
    const char *path = text(&p->arena, root->data_dir);
    if (!path)
        return ERR_NOMEM;
    enum err e = data_dir_open(p->options.env, path, diag, &p->data_dir);
    if (e)
        return e;
    p->has_data_dir = true;
    *o = (struct snapshot_options){.drivers = p->options.source.drivers,
                                   .env = p->options.env,
                                   .log = p->options.log,
                                   .keeper = &p->keeper,
                                   .data_dir = path,
                                   .loops = p->worker_count};
    p->options.env->random(p->options.env, &o->hash_key, sizeof o->hash_key);
    memcpy(o->secret, p->data_dir.secret, sizeof o->secret);
    return OK;
}

static const char *optional(struct arena *arena, struct slice s)
{
    return s.size ? text(arena, s) : NULL;
}

static enum err make_tls(struct proxy *p, const struct config_tls *tls, struct diag *diag)
{
    if (!tls)
        return OK;
    const struct tls_options options = {.cert_file = text(&p->arena, tls->cert_file),
                                        .key_file = text(&p->arena, tls->key_file),
                                        .client_ca_file = optional(&p->arena, tls->client_ca_file),
                                        .client_cert_required = tls->client_cert_required};
    return tls_server_new(&options, diag, &p->tls);
}

/* Never more than half of the descriptors, shared by the workers. */
static uint32_t connections_each(const struct proxy *p)
{
    long files = sysconf(_SC_OPEN_MAX);
    long most = files > 0 && files / 2 < LIMIT_CONNECTIONS ? files / 2 : LIMIT_CONNECTIONS;
    return (uint32_t)most / p->worker_count + 1;
}

static enum err make_worker(struct proxy *p, uint32_t id, const char *address, const char *congestion,
                            struct diag *diag)
{
    const struct config_transport *transport = p->snapshot->config->root->transport;
    const struct worker_options options = {.env = p->options.env,
                                           .id = id,
                                           .snapshot = p->snapshot,
                                           .drivers = p->options.source.drivers,
                                           .log = p->options.log,
                                           .measure = p->measure,
                                           .tls = p->tls,
                                           .calls_max = LIMIT_CALLS_IN_FLIGHT / p->worker_count,
                                           .connections_max = connections_each(p),
                                           .congestion = congestion,
                                           .spin_ns = (uint64_t)config_duration_ns(transport->spin),
                                           .shares = p->shares};
    enum err e = worker_new(&options, &p->workers[id]);
    if (e)
        return e;
    p->loops[id] = worker_loop(p->workers[id]);
    return worker_listen(p->workers[id], address, diag);
}

struct rpc_share_limits proxy_share_limits(const struct config_proxy_config *root)
{
    const struct config_client_limits *c = root->clients;
    return (struct rpc_share_limits){.connections_per_address = c->connections_per_address,
                                     .connections_per_identity = c->connections_per_identity,
                                     .calls = c->calls,
                                     .output_bytes = c->output_bytes};
}

static enum err make_shares(struct proxy *p)
{
    const struct rpc_share_limits limits = proxy_share_limits(p->snapshot->config->root);
    return rpc_shares_new(&p->snapshot_options.hash_key, p->worker_count, &limits, &p->shares);
}

/* The first finds the port where it is 0; the others share it. */
static enum err make_workers(struct proxy *p, const char *address, const char *congestion, struct diag *diag)
{
    enum err e = address && congestion ? OK : ERR_NOMEM;
    for (uint32_t i = 0; i < p->worker_count && !e; i++)
        e = make_worker(p, i, i ? worker_address(p->workers[0]) : address, congestion, diag);
    return e;
}

static enum err make_metrics_port(struct proxy *p, const char *address, struct diag *diag)
{
    enum err e = address ? operations_new(p) : ERR_NOMEM;
    return e ? e : rpc_server_listen(p->server, address, NULL, false, diag);
}

static enum err listen_everywhere(struct proxy *p, struct diag *diag)
{
    const struct config_proxy_config *root = p->snapshot->config->root;
    enum err e = make_tls(p, root->tls, diag);
    if (!e)
        e = make_shares(p);
    if (!e)
        e = make_workers(p, text(&p->arena, root->listen), text(&p->arena, root->transport->congestion_control), diag);
    return e ? e : make_metrics_port(p, text(&p->arena, root->metrics_listen), diag);
}

static enum err subscribe(struct proxy *p)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    enum err e = OK;
    for (size_t i = 0; i < sizeof signals / sizeof *signals && !e; i++)
        e = loop_on_signal(p->loop, signals[i], on_signal, p);
    return e;
}

static enum err start_workers(struct proxy *p)
{
    enum err e = OK;
    for (uint32_t i = 0; i < p->worker_count && !e; i++)
        e = worker_start(p->workers[i]);
    keeper_loops_run(&p->keeper, !e);
    return e;
}

/* For whoever started this process: where it listens, once it does. */
static void say_ready(const struct proxy *p)
{
    struct buf line;
    buf_init(&line, 4096);
    struct json j = json_to(&line);
    json_object(&j);
    json_key(&j, "event"), json_text(&j, "ready");
    json_key(&j, "listen"), json_text(&j, worker_address(p->workers[0]));
    json_key(&j, "metrics"), json_text(&j, rpc_server_address(p->server));
    json_key(&j, "pid"), json_int(&j, getpid());
    json_key(&j, "version"), json_text(&j, p->options.version);
    json_end_object(&j);
    buf_putc(&line, '\n');
    if (p->options.ready_fd >= 0 && write(p->options.ready_fd, line.data, line.size) != (ssize_t)line.size)
        log_warn(p->options.log, "nobody reads the ready line");
    buf_fini(&line);
    log_info(p->options.log, "serving", LOG_TEXT("listen", worker_address(p->workers[0])),
             LOG_TEXT("metrics", rpc_server_address(p->server)), LOG_INT("workers", p->worker_count),
             LOG_INT("namespaces", p->snapshot->count));
}

/* Takes over the configuration. */
static enum err open_backends(struct proxy *p, struct config *config, struct diag *diag)
{
    p->worker_count = config->root->workers;
    p->reload.proxy = p;
    enum err e = make_workers_room(p);
    if (!e)
        e = make_loop(p);
    if (!e)
        e = open_data_dir(p, config->root, diag);
    if (!e)
        e = snapshot_new(&p->snapshot_options, config, diag, &p->snapshot);
    if (e)
        config_free(config);
    return e;
}

static enum err start(struct proxy *p, struct diag *diag)
{
    struct config *config;
    enum err e = read_config(p, diag, &config);
    if (!e)
        e = open_backends(p, config, diag);
    if (!e)
        e = listen_everywhere(p, diag);
    if (!e)
        e = subscribe(p);
    if (e)
        return e;
    reload_apply_log_level(p);
    tls_watch_start(p);
    return start_workers(p);
}

/* --- the whole --------------------------------------------------------------------------------------------------------------- */

/* After a start that failed: backends that are open close on the pool, which needs the loop. */
static void undo_start(struct proxy *p)
{
    if (p->workers)
        retire_workers(p);
    snapshot_unref(p->snapshot);
    p->snapshot = NULL;
    while (atomic_load(&p->keeper.open))
        loop_turn(p->loop, true);
}

static void fini(struct proxy *p)
{
    if (p->server)
        rpc_server_free(p->server);
    if (p->pool)
        keeper_fini(&p->keeper);
    pool_free(p->pool);
    tls_unref(p->tls);
    for (uint32_t i = 0; p->workers && i < p->worker_count; i++)
        worker_free(p->workers[i]);
    if (p->loop)
        loop_free(p->loop);
    rpc_shares_free(p->shares);
    measure_free(p->measure);
    if (p->has_data_dir)
        data_dir_close(&p->data_dir);
    explicit_bzero(p->snapshot_options.secret, sizeof p->snapshot_options.secret);
    mem_free(p->config_error);
    arena_fini(&p->arena);
    mem_free(p);
}

enum err proxy_run(const struct proxy_options *options, struct diag *diag)
{
    struct proxy *p = mem_zalloc(sizeof *p);
    if (!p)
        return ERR_NOMEM;
    p->options = *options;
    p->started_ms = (int64_t)(options->env->realtime_ns(options->env) / 1000000);
    arena_init(&p->arena, LIMIT_CONFIG_ARENA_BYTES);
    enum err e = start(p, diag);
    if (e) {
        undo_start(p);
    } else {
        p->state = PROXY_SERVING;
        say_ready(p);
        loop_run(p->loop);
        log_info(options->log, "stopped");
    }
    fini(p);
    return e;
}

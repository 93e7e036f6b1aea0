/* What the data port serves: the data interfaces (front.c), health and reflection. */
#include "proxy/listener.h"

#include "base/mem.h"

struct worker {
    struct worker_options options;
    struct loop *loop;
    struct rpc_server *server;
    struct front front;
    struct served served;
    struct worker_task *draining; /* whom to tell when drained */
    bool drained;                 /* messages that come later find nothing to do */
    pthread_t thread;
    bool started;
};

/* --- making ------------------------------------------------------------------------------------------------------------------ */

/* Data interfaces are added by the front; here they become known to health and reflection. */
static void list_interfaces(struct served *served)
{
    for (enum interface i = 0; i < INTERFACE_COUNT; i++)
        served->services[served->count++] = interfaces[i].service;
}

static enum err serve(struct worker *w)
{
    enum err e = front_serve(&w->front, w->server);
    list_interfaces(&w->served);
    if (!e)
        e = health_serve(&w->served, w->server);
    if (!e)
        e = reflection_serve(&w->served, w->server);
    return e;
}

static struct rpc_keepalive keepalive_of(const struct snapshot *s)
{
    const struct config_connections *c = s->config->root->connections;
    return (struct rpc_keepalive){.interval_ms = (uint64_t)config_duration_ms(c->keepalive_interval),
                                  .timeout_ms = (uint64_t)config_duration_ms(c->keepalive_timeout),
                                  .age_ms = (uint64_t)config_duration_ms(c->max_age)};
}

static enum err make_server(struct worker *w)
{
    front_init(&w->front, w->loop, snapshot_ref(w->options.snapshot), w->options.drivers, w->options.calls_max);
    w->front.log = w->options.log;
    w->front.measure = w->options.measure;
    struct rpc_server_options options = front_server_options(&w->front);
    options.connections_max = w->options.connections_max;
    options.congestion = w->options.congestion;
    options.shares = w->options.shares;
    options.keepalive = keepalive_of(w->options.snapshot);
    enum err e = rpc_server_new(&options, &w->server);
    return e ? e : serve(w);
}

enum err worker_new(const struct worker_options *options, struct worker **ret_worker)
{
    struct worker *w = mem_zalloc(sizeof *w);
    if (!w)
        return ERR_NOMEM;
    w->options = *options;
    enum err e = loop_new(options->env, options->id, &w->loop);
    if (!e) {
        loop_spin(w->loop, options->spin_ns);
        e = make_server(w);
    }
    if (e)
        worker_free(w);
    else
        *ret_worker = w;
    return e;
}

enum err worker_listen(struct worker *w, const char *address, struct diag *diag)
{
    return rpc_server_listen(w->server, address, w->options.tls, true, diag);
}

const char *worker_address(const struct worker *w)
{
    return rpc_server_address(w->server);
}

struct loop *worker_loop(const struct worker *w)
{
    return w->loop;
}

static void *run(void *context)
{
    struct worker *w = context;
    loop_run(w->loop);
    return NULL;
}

enum err worker_start(struct worker *w)
{
    int error = pthread_create(&w->thread, NULL, run, w);
    w->started = error == 0;
    return err_from_errno(error);
}

void worker_join(struct worker *w)
{
    if (w->started)
        pthread_join(w->thread, NULL);
    w->started = false;
}

void worker_retire(struct worker *w)
{
    if (!w)
        return;
    if (w->server)
        rpc_server_free(w->server);
    w->server = NULL;
    front_fini(&w->front);
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    worker_retire(w);
    if (w->loop)
        loop_free(w->loop);
    mem_free(w);
}

/* --- messages from the control loop ------------------------------------------------------------------------------------------ */

static struct worker_task *of(struct task *task)
{
    return (struct worker_task *)task;
}

static void arrived_back(struct task *task)
{
    of(task)->done(of(task));
}

static void answer(struct worker_task *t)
{
    t->task.run = arrived_back;
    loop_post(t->control, &t->task);
}

static void send(struct worker_task *t, void (*run_there)(struct task *))
{
    t->task.run = run_there;
    loop_post(t->worker->loop, &t->task);
}

static void do_swap(struct task *task)
{
    struct worker *w = of(task)->worker;
    const struct rpc_keepalive keepalive = keepalive_of(of(task)->snapshot);
    rpc_server_keepalive(w->server, &keepalive);
    front_swap(&w->front, of(task)->snapshot);
    answer(of(task));
}

void worker_swap(struct worker_task *t)
{
    send(t, do_swap);
}

static void do_stats(struct task *task)
{
    of(task)->stats = *rpc_server_stats(of(task)->worker->server);
    answer(of(task));
}

void worker_stats(struct worker_task *t)
{
    send(t, do_stats);
}

static void do_unready(struct task *task)
{
    served_drain(&of(task)->worker->served);
    answer(of(task));
}

void worker_unready(struct worker_task *t)
{
    send(t, do_unready);
}

static void drained(void *context)
{
    struct worker *w = context;
    w->drained = true;
    loop_stop(w->loop);
    answer(w->draining);
}

static void do_drain(struct task *task)
{
    struct worker_task *t = of(task);
    struct worker *w = t->worker;
    bool again = w->draining;
    if (w->drained)
        return;
    if (!again)
        w->draining = t;
    w->front.closed = t->deadline_ns <= loop_now_ns(w->loop);
    rpc_server_drain(w->server, t->deadline_ns, drained, w);
    if (again)
        answer(t);
}

void worker_drain(struct worker_task *t)
{
    send(t, do_drain);
}

/* The end, a table of steps. Every shard takes a step on its own thread; when all have, the next begins: so what one shard does for
 * another is done before that one closes.
 *
 *   deafen ──▶ close parts ──▶ close groups ──▶ drain connections ──▶ close journals ──▶ catalog ──▶ loops end ──▶ stopped */
#include "base/mem.h"
#include "streamer/broker_internal.h"

static void took_step(struct task *task);

static void step_done(struct shard *s)
{
    struct stop_step *step = &s->broker->steps[s->index];
    step->task.run = took_step;
    loop_post(s->broker->options.control, &step->task);
}

static void step_done_of(void *context)
{
    step_done(context);
}

static void deafen(struct shard *s)
{
    if (s->connections)
        connections_deafen(s->connections);
    step_done(s);
}

static void close_parts(struct shard *s)
{
    if (s->partitions)
        partitions_close(s, step_done_of, s);
    else
        step_done(s);
}

static void close_groups(struct shard *s)
{
    if (s->groups)
        groups_close(s, step_done_of, s);
    else
        step_done(s);
}

static void drain(struct shard *s)
{
    if (s->connections)
        connections_drain(s->connections, s->broker->stop_deadline_ns, step_done_of, s);
    else
        step_done(s);
}

static void journal_closed(void *context, enum err e)
{
    struct shard *s = context;
    if (e)
        log_error(s->log, "the journal could not be closed cleanly", LOG_ERR(e));
    s->journal = NULL;
    step_done(s);
}

static void close_journal(struct shard *s)
{
    if (s->journal)
        journal_close(s->journal, journal_closed, s);
    else
        step_done(s);
}

static void close_catalog(struct shard *s)
{
    struct catalog *c = s->broker->catalog;
    if (s != shard_of_catalog(s->broker) || !c)
        step_done(s);
    else
        catalog_close(c, step_done_of, s);
}

static void end_loop(struct shard *s)
{
    step_done(s);
    loop_stop(s->loop);
}

static void (*const steps[])(struct shard *) = {deafen,        close_parts,   close_groups, drain,
                                                close_journal, close_catalog, end_loop};
enum { STEPS = sizeof steps / sizeof *steps };

static void take_step(struct task *task)
{
    struct stop_step *step = (struct stop_step *)task;
    steps[step->broker->step](step->shard);
}

static void begin_step(struct broker *b)
{
    b->steps_left = b->shard_count;
    for (uint32_t i = 0; i < b->shard_count; i++) {
        b->steps[i] = (struct stop_step){.task = {.run = take_step}, .broker = b, .shard = &b->shards[i]};
        shard_post(&b->shards[i], &b->steps[i].task);
    }
}

static void join(struct broker *b)
{
    for (; b->threads_started; b->threads_started--)
        pthread_join(b->threads[b->threads_started - 1], NULL);
}

static void took_step(struct task *task)
{
    struct broker *b = ((struct stop_step *)task)->broker;
    if (--b->steps_left)
        return;
    if (++b->step < STEPS) {
        begin_step(b);
        return;
    }
    join(b);
    b->stopped = true;
    if (b->on_stopped)
        b->on_stopped(b->on_stopped_context);
}

void broker_stop(struct broker *b, uint64_t deadline_ns, void (*stopped)(void *context), void *context)
{
    b->stop_deadline_ns = deadline_ns;
    if (b->stopping)
        return;
    b->stopping = true;
    b->on_stopped = stopped;
    b->on_stopped_context = context;
    begin_step(b);
}

/* After a failed start: nobody runs the loops. */
static void stop_here(struct broker *b)
{
    if (!b->shard_count || !b->shards[b->shard_count - 1].loop)
        return; /* nothing was opened yet */
    broker_stop(b, 0, NULL, NULL);
    while (!b->stopped) {
        for (uint32_t i = 0; i < b->shard_count; i++)
            loop_turn(b->shards[i].loop, false);
        loop_turn(b->options.control, false);
    }
}

void broker_close(struct broker *b)
{
    if (!b)
        return;
    if (!b->stopped)
        stop_here(b);
    pool_free(b->pool);
    journal_store_close(b->store);
    for (uint32_t i = 0; i < b->shard_count; i++)
        shard_fini(&b->shards[i]);
    stream_measure_free(b->measure);
    arena_fini(&b->arena);
    mem_free(b);
}

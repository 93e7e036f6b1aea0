/* The life of the process: the broker's shards on their threads, the control loop on this one. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "base/limits.h"
#include "cmd/memorystreamer/memorystreamer.h"

struct server {
    const struct streamer_source *source;
    struct log log;
    struct arena arena;
    struct diag diag;
    struct loop *control;
    struct broker *broker;
    bool stopping;
};

static void stopped(void *context)
{
    struct server *s = context;
    loop_stop(s->control);
}

static void on_signal(void *context, int signal)
{
    struct server *s = context;
    (void)signal;
    if (s->stopping)
        _exit(128 + SIGTERM); /* asked twice: as if killed, which loses nothing that was acknowledged */
    s->stopping = true;
    log_info(&s->log, "stopping", LOG_INT("at_most_ms", LIMIT_DRAIN_MS));
    broker_stop(s->broker, loop_now_ns(s->control) + (uint64_t)LIMIT_DRAIN_MS * 1000000, stopped, s);
}

static enum err subscribe(struct server *s)
{
    enum err e = loop_on_signal(s->control, SIGTERM, on_signal, s);
    return e ? e : loop_on_signal(s->control, SIGINT, on_signal, s);
}

/* For whoever started this process: where it listens, once it does. */
static void say_ready(struct server *s)
{
    char memory[1024];
    struct buf line;
    buf_init_fixed(&line, memory, sizeof memory);
    struct json j = json_to(&line);
    json_object(&j);
    json_key(&j, "event"), json_text(&j, "ready");
    json_key(&j, "listen"), json_text(&j, broker_address(s->broker));
    json_key(&j, "pid"), json_int(&j, getpid());
    json_key(&j, "version"), json_text(&j, PRISM_VERSION);
    json_end_object(&j);
    buf_putc(&line, '\n');
    if (write(STDOUT_FILENO, line.data, line.size) != (ssize_t)line.size)
        log_warn(&s->log, "nobody reads the ready line");
    log_info(&s->log, "serving", LOG_TEXT("listen", broker_address(s->broker)),
             LOG_INT("workers", broker_shards(s->broker)), LOG_TEXT("data_dir", broker_data_dir(s->broker)));
}

static struct broker_options options_of(struct server *s)
{
    const struct streamer_source *from = s->source;
    return (struct broker_options){
        .env = env_real(),
        .control = s->control,
        .log = &s->log,
        .data_dir = from->data_dir ? from->data_dir : "./memorystreamer-data",
        .listen = from->listen ? from->listen : "127.0.0.1:9092",
        .workers = from->workers ? from->workers : 1,
        .connections_max = LIMIT_CONNECTIONS,
        .settings = {.auto_create_topics = true,
                     .partitions_default = 1,
                     .topic_defaults = topic_config_default,
                     .offsets_retention_ms = 604800000,
                     .group_session_timeout_min_ms = 6000,
                     .group_session_timeout_max_ms = 1800000,
                     .group_initial_rebalance_delay_ms = 500},
    };
}

static enum err set_log_level(struct server *s)
{
    enum log_level level = LOG_INFO;
    enum err e = s->source->log_level ? log_level_parse(s->source->log_level, &level) : OK;
    if (e)
        return diag_set(&s->diag, ERR_USAGE, "--log-level is debug, info, warn, error or off, not `%s`",
                        s->source->log_level);
    log_set_level(&s->log, level);
    return OK;
}

static enum err start(struct server *s)
{
    enum err e = set_log_level(s);
    if (!e)
        e = loop_new(env_real(), LIMIT_WORKERS, &s->control);
    if (e)
        return e;
    const struct broker_options options = options_of(s);
    e = broker_open(&options, &s->diag, &s->broker);
    if (!e)
        e = subscribe(s);
    return e ? e : broker_start(s->broker);
}

int serve(const struct streamer_source *source)
{
    struct server s = {.source = source};
    log_init(&s.log, STDERR_FILENO, LOG_INFO);
    arena_init(&s.arena, LIMIT_CONFIG_ARENA_BYTES);
    diag_init(&s.diag, &s.arena);
    enum err e = start(&s);
    if (e) {
        log_error(&s.log, "memorystreamer could not start", LOG_ERR(e), LOG_TEXT("reason", diag_message(&s.diag)));
    } else {
        say_ready(&s);
        loop_run(s.control);
    }
    broker_close(s.broker);
    if (s.control)
        loop_free(s.control);
    if (!e)
        log_info(&s.log, "stopped");
    arena_fini(&s.arena);
    return err_row(e)->exit_code;
}

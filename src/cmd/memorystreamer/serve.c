/* The life of the process: the broker's shards on their threads, the control loop on this one. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "base/limits.h"
#include "cmd/memorystreamer/config.h"
#include "cmd/memorystreamer/operations.h"
#include "google/protobuf/duration.pb.h"

enum { OPERATIONS_DRAIN_MS = 1000 }; /* pages that are being sent; the broker's own end begins behind it */

struct server {
    const struct streamer_source *source;
    const struct config_streamer_config *config; /* of the start, but for what a reload puts into effect */
    struct config_report report;
    struct log log;
    struct arena arena;
    struct diag diag;
    struct loop *control;
    struct broker *broker;
    struct operations *operations; /* NULL: no port for it */
    uint64_t drain_ms;
    bool stopping;
};

static void stopped(void *context)
{
    struct server *s = context;
    loop_stop(s->control);
}

static uint64_t deadline_ns(const struct server *s)
{
    return loop_now_ns(s->control) + s->drain_ms * 1000000;
}

/* Nobody asks the shards any more: they may end. */
static void operations_closed(void *context)
{
    struct server *s = context;
    broker_stop(s->broker, deadline_ns(s), stopped, s);
}

static void stop(struct server *s)
{
    s->stopping = true;
    log_info(&s->log, "stopping", LOG_INT("at_most_ms", (int64_t)s->drain_ms));
    if (s->operations)
        operations_close(s->operations, loop_now_ns(s->control) + (uint64_t)OPERATIONS_DRAIN_MS * 1000000,
                         operations_closed, s);
    else
        operations_closed(s);
}

/* --- reading the configuration again ------------------------------------------------------------------------------------------ */

static void log_problems(struct log *log, const struct config_report *report)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    config_report_print(report, &text);
    log_error(log, "the configuration is not valid", LOG_STR("problems", buf_slice(&text)));
    buf_fini(&text);
}

static void set_log_level(struct server *s, const struct config_streamer_config *config)
{
    char name[16];
    enum log_level level;
    snprintf(name, sizeof name, "%.*s", SLICE_ARG(config->log->level));
    if (!log_level_parse(name, &level))
        log_set_level(&s->log, level);
}

static bool same_topics(const struct config_streamer_config *a, const struct config_streamer_config *b)
{
    const struct broker_settings x = streamer_settings(a), y = streamer_settings(b);
    return x.topic_defaults.given == y.topic_defaults.given &&
           memcmp(x.topic_defaults.values, y.topic_defaults.values, sizeof x.topic_defaults.values) == 0;
}

static void name_restarts(struct server *s, const struct config_streamer_config *new)
{
    const struct config_streamer_config *old = s->config;
    const struct {
        const char *name;
        bool same;
    } settings[] = {{"listen", slice_eq(old->listen, new->listen)},
                    {"advertised_listen", slice_eq(old->advertised_listen, new->advertised_listen)},
                    {"metrics_listen", slice_eq(old->metrics_listen, new->metrics_listen)},
                    {"data_dir", slice_eq(old->data_dir, new->data_dir)},
                    {"workers", old->workers == new->workers},
                    {"node_id", old->node_id == new->node_id},
                    {"connections", old->connections == new->connections},
                    {"topics", same_topics(old, new)}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (!settings[i].same)
            log_warn(&s->log, "a setting waits for a restart", LOG_TEXT("setting", settings[i].name));
}

/* All of it, or nothing. The file is small: it is read on the control loop, which serves no clients. */
static void reload(struct server *s)
{
    struct arena arena;
    struct config_report report;
    struct config_streamer_config *config;
    arena_init(&arena, LIMIT_CONFIG_ARENA_BYTES);
    config_report_init(&report, &arena, s->source->file);
    enum err e = streamer_config_load(s->source, &arena, &report, &config);
    if (!e) {
        const struct broker_settings settings = streamer_settings(config);
        e = broker_configure(s->broker, &settings);
    }
    if (!e) {
        name_restarts(s, config);
        set_log_level(s, config);
        s->drain_ms = streamer_drain_ms(config);
        log_info(&s->log, "the configuration is in effect");
    } else if (e == ERR_CONFIG_INVALID) {
        log_problems(&s->log, &report);
    } else {
        log_error(&s->log, "the configuration could not be read again", LOG_ERR(e));
    }
    arena_fini(&arena);
}

/* --- signals ------------------------------------------------------------------------------------------------------------------ */

static void on_signal(void *context, int signal)
{
    struct server *s = context;
    if (signal == SIGHUP) {
        if (!s->stopping)
            reload(s);
        return;
    }
    if (s->stopping)
        _exit(128 + SIGTERM); /* asked twice: as if killed, which loses nothing that was acknowledged */
    stop(s);
}

static enum err subscribe(struct server *s)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    enum err e = OK;
    for (size_t i = 0; i < sizeof signals / sizeof *signals && !e; i++)
        e = loop_on_signal(s->control, signals[i], on_signal, s);
    return e;
}

/* --- the start ---------------------------------------------------------------------------------------------------------------- */

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
    if (s->operations)
        json_key(&j, "metrics"), json_text(&j, operations_address(s->operations));
    json_key(&j, "pid"), json_int(&j, getpid());
    json_key(&j, "version"), json_text(&j, PRISM_VERSION);
    json_end_object(&j);
    buf_putc(&line, '\n');
    if (write(STDOUT_FILENO, line.data, line.size) != (ssize_t)line.size)
        log_warn(&s->log, "nobody reads the ready line");
    log_info(&s->log, "serving", LOG_TEXT("listen", broker_address(s->broker)),
             LOG_INT("workers", broker_shards(s->broker)), LOG_TEXT("data_dir", broker_data_dir(s->broker)));
}

static const char *text(struct server *s, struct slice from)
{
    return from.size ? arena_printf(&s->arena, "%.*s", SLICE_ARG(from)) : NULL;
}

static struct broker_options options_of(struct server *s)
{
    const struct config_streamer_config *c = s->config;
    return (struct broker_options){
        .env = env_real(),
        .control = s->control,
        .log = &s->log,
        .data_dir = text(s, c->data_dir),
        .listen = text(s, c->listen),
        .advertised_listen = text(s, c->advertised_listen),
        .workers = c->workers,
        .node_id = (int32_t)c->node_id,
        .connections_max = c->connections,
        .settings = streamer_settings(c),
    };
}

static enum err read_config(struct server *s)
{
    struct config_streamer_config *config;
    config_report_init(&s->report, &s->arena, s->source->file);
    enum err e = streamer_config_load(s->source, &s->arena, &s->report, &config);
    if (e)
        return e == ERR_CONFIG_INVALID ? config_report_diag(&s->report, &s->diag) : e;
    s->config = config;
    s->drain_ms = streamer_drain_ms(config);
    set_log_level(s, config);
    return OK;
}

static enum err open_operations(struct server *s)
{
    const char *address = text(s, s->config->metrics_listen);
    return address ? operations_open(s->broker, s->control, address, &s->diag, &s->operations) : ERR_NOMEM;
}

static enum err start(struct server *s)
{
    enum err e = read_config(s);
    if (!e)
        e = loop_new(env_real(), s->config->workers, &s->control);
    if (e)
        return e;
    const struct broker_options options = options_of(s);
    e = options.data_dir && options.listen ? broker_open(&options, &s->diag, &s->broker) : ERR_NOMEM;
    if (!e && s->config->metrics_listen.size)
        e = open_operations(s);
    if (!e)
        e = subscribe(s);
    return e ? e : broker_start(s->broker);
}

/* Once, and a line for each thing to mend. */
static void log_failure(struct server *s, enum err e)
{
    log_error(&s->log, "memorystreamer could not start", LOG_ERR(e), LOG_TEXT("reason", diag_message(&s->diag)));
    for (const struct diag_item *f = s->diag.fields; f; f = f->next)
        log_error(&s->log, "configuration", LOG_TEXT("field", f->name), LOG_TEXT("reason", f->value));
}

int serve(const struct streamer_source *source)
{
    struct server s = {.source = source};
    log_init(&s.log, STDERR_FILENO, LOG_INFO);
    arena_init(&s.arena, LIMIT_CONFIG_ARENA_BYTES);
    diag_init(&s.diag, &s.arena);
    enum err e = start(&s);
    if (e && !s.diag.err)
        s.diag.err = e;
    if (e) {
        log_failure(&s, e);
    } else {
        say_ready(&s);
        loop_run(s.control);
    }
    operations_free(s.operations);
    broker_close(s.broker);
    if (s.control)
        loop_free(s.control);
    if (!e)
        log_info(&s.log, "stopped");
    arena_fini(&s.arena);
    return err_row(e)->exit_code;
}

int check_config(const struct streamer_source *source)
{
    struct arena arena;
    struct config_report report;
    struct config_streamer_config *config;
    struct buf text_out;
    arena_init(&arena, LIMIT_CONFIG_ARENA_BYTES);
    buf_init(&text_out, 1 << 20);
    config_report_init(&report, &arena, source->file);
    enum err e = streamer_config_load(source, &arena, &report, &config);
    config_report_print(&report, &text_out);
    fwrite(text_out.data, 1, text_out.size, stderr);
    if (!e)
        printf("%s is valid\n", source->file ? source->file : "the built-in configuration");
    buf_fini(&text_out);
    arena_fini(&arena);
    return err_row(e)->exit_code;
}

#include "cmd/memorystreamer/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "google/protobuf/duration.pb.h"
#include "proxy/config.h"
#include "proxy/config_read.h"

/* --- reading ------------------------------------------------------------------------------------------------------------------ */

static enum err read_all(int fd, struct buf *out)
{
    for (;;) {
        uint8_t *room = buf_reserve(out, 16384);
        ssize_t n = room ? read(fd, room, 16384) : 0;
        if (n < 0)
            return err_from_errno(errno);
        if (n == 0)
            return buf_err(out);
        buf_advance(out, (size_t)n);
    }
}

static enum err read_file(const char *file, struct config_report *report, struct buf *out)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    enum err e = fd < 0 ? err_from_errno(errno) : read_all(fd, out);
    const char *why = e == ERR_MESSAGE_TOO_LARGE ? "it is larger than a configuration may be" : strerror(errno);
    if (fd >= 0)
        close(fd);
    if (!e || e == ERR_NOMEM)
        return e;
    config_report_add(report, (struct config_place){0}, "", "the file could not be read: %s", why);
    return ERR_CONFIG_INVALID;
}

static const char *environment(const char *name)
{
    return getenv(name);
}

static enum err read_text(struct slice text, struct arena *arena, struct config_report *report,
                          struct config_streamer_config *root)
{
    struct yaml_error error;
    const struct yaml_node *tree;
    enum err e = yaml_parse(text, arena, &error, &tree);
    if (e == ERR_CONFIG_INVALID)
        config_report_add(report, (struct config_place){error.line, error.column}, "", "%s", error.message);
    if (e)
        return e;
    struct config_reader reader = {.arena = arena, .report = report, .environment = environment};
    config_read(&reader, tree, &config_streamer_config_pb, root);
    if (reader.exhausted)
        return ERR_CONFIG_INVALID;
    return report->out_of_memory ? ERR_NOMEM : OK;
}

static enum err read_source(const struct streamer_source *source, struct arena *arena, struct config_report *report,
                            struct config_streamer_config *root)
{
    if (!source->file)
        return OK;
    struct buf text;
    struct slice copy;
    buf_init(&text, LIMIT_YAML_BYTES + 16384);
    enum err e = read_file(source->file, report, &text);
    if (!e && !arena_copy(arena, buf_slice(&text), &copy))
        e = ERR_NOMEM;
    buf_fini(&text);
    return e ? e : read_text(copy, arena, report, root);
}

/* --- defaults ----------------------------------------------------------------------------------------------------------------- */

static void text_default(struct slice *field, const char *given, const char *otherwise)
{
    if (given)
        *field = slice_str(given);
    else if (!field->size)
        *field = slice_str(otherwise);
}

static void number_default(uint32_t *field, uint32_t given, uint32_t otherwise)
{
    if (given || !*field)
        *field = given ? given : otherwise;
}

static bool duration_default(struct arena *arena, struct google_protobuf_duration **field, int64_t ms)
{
    if (*field)
        return true;
    *field = pb_new(&google_protobuf_duration_pb, arena);
    if (!*field)
        return false;
    (*field)->seconds = ms / 1000;
    (*field)->nanos = (int32_t)(ms % 1000) * 1000000;
    return true;
}

/* A section that is not there is made. NULL: out of memory. */
static void *present(struct arena *arena, const struct pb_message *table, void *field)
{
    void **message = field;
    if (!*message)
        *message = pb_new(table, arena);
    return *message;
}

static bool complete_topics(struct arena *arena, struct config_streamer_config *root)
{
    struct config_topic_defaults *t = present(arena, &config_topic_defaults_pb, &root->topics);
    if (!t)
        return false;
    if (!t->segment_bytes)
        t->segment_bytes = LIMIT_STREAM_SEGMENT_BYTES;
    if (!t->max_message_bytes)
        t->max_message_bytes = LIMIT_STREAM_BATCH_BYTES;
    return duration_default(arena, &t->retention, LIMIT_STREAM_RETENTION_MS) &&
           duration_default(arena, &t->segment_age, LIMIT_STREAM_RETENTION_MS);
}

static bool complete_groups(struct arena *arena, struct config_streamer_config *root)
{
    struct config_groups *g = present(arena, &config_groups_pb, &root->groups);
    return g && duration_default(arena, &g->offsets_retention, LIMIT_STREAM_OFFSETS_RETENTION_MS) &&
           duration_default(arena, &g->session_timeout_min, LIMIT_STREAM_SESSION_MIN_MS) &&
           duration_default(arena, &g->session_timeout_max, LIMIT_STREAM_SESSION_MAX_MS) &&
           duration_default(arena, &g->initial_rebalance_delay, LIMIT_STREAM_REBALANCE_DELAY_MS);
}

static uint32_t connections_most(void)
{
    long files = sysconf(_SC_OPEN_MAX);
    return files > 0 && files / 2 < LIMIT_CONNECTIONS ? (uint32_t)files / 2 : LIMIT_CONNECTIONS;
}

static bool complete(const struct streamer_source *source, struct arena *arena, struct config_streamer_config *root)
{
    struct config_log *log = present(arena, &config_log_pb, &root->log);
    if (!log)
        return false;
    text_default(&root->listen, source->listen, "127.0.0.1:9092");
    text_default(&root->metrics_listen, source->metrics_listen, "");
    text_default(&root->data_dir, source->data_dir, "./memorystreamer-data");
    text_default(&log->level, source->log_level, "info");
    number_default(&root->workers, source->workers, 1);
    number_default(&root->partitions, 0, 1);
    number_default(&root->connections, 0, connections_most());
    if (!root->has_auto_create_topics)
        root->auto_create_topics = true;
    return duration_default(arena, &root->drain_timeout, LIMIT_DRAIN_MS) && complete_topics(arena, root) &&
           complete_groups(arena, root);
}

/* --- rules -------------------------------------------------------------------------------------------------------------------- */

static void check_fields(const struct config_streamer_config *root, struct config_report *report)
{
    struct diag diag;
    diag_init(&diag, report->arena);
    if (!pb_validate(&config_streamer_config_pb, root, &diag))
        return;
    for (const struct diag_item *f = diag.fields; f; f = f->next)
        config_report_rule(report, f->name, f->value);
    if (!diag.fields)
        report->out_of_memory = true;
}

static void check(const struct config_streamer_config *root, struct config_report *report)
{
    const struct config_topic_defaults *t = root->topics;
    const struct config_groups *g = root->groups;
    check_fields(root, report);
    if (t->segment_bytes < LIMIT_STREAM_SEGMENT_BYTES_MIN)
        config_report_at(report, "topics.segment_bytes", "is less than 64KiB, the smallest segment");
    if (config_duration_ms(t->segment_age) < 1)
        config_report_at(report, "topics.segment_age", "is not above 0s");
    if (config_duration_ms(root->drain_timeout) > LIMIT_DRAIN_MS_MAX)
        config_report_at(report, "drain_timeout", "is more than 5m");
    if (config_duration_ms(g->session_timeout_min) > config_duration_ms(g->session_timeout_max))
        config_report_at(report, "groups.session_timeout_min", "is more than session_timeout_max");
}

enum err streamer_config_load(const struct streamer_source *source, struct arena *arena, struct config_report *report,
                              struct config_streamer_config **ret_config)
{
    struct config_streamer_config *root = pb_new(&config_streamer_config_pb, arena);
    if (!root)
        return ERR_NOMEM;
    enum err e = read_source(source, arena, report, root);
    if (!e && !complete(source, arena, root))
        e = ERR_NOMEM;
    if (!e) {
        check(root, report);
        e = config_report_err(report);
    }
    config_report_sort(report);
    if (!e)
        *ret_config = root;
    return e;
}

/* --- as the broker takes it --------------------------------------------------------------------------------------------------- */

static void set_default(struct topic_config *c, enum topic_setting setting, int64_t value)
{
    if (value != topic_config_default.values[setting])
        topic_config_set(c, setting, value);
}

static struct topic_config topic_defaults(const struct config_topic_defaults *t)
{
    struct topic_config c = topic_config_default;
    int64_t retention_ms = config_duration_ms(t->retention);
    set_default(&c, TOPIC_DURABILITY,
                t->durability == CONFIG_TOPIC_DEFAULTS_DURABILITY_MEMORY ? DURABILITY_MEMORY : DURABILITY_FLUSH);
    set_default(&c, TOPIC_RETENTION_MS, retention_ms ? retention_ms : -1);
    set_default(&c, TOPIC_RETENTION_BYTES, t->retention_bytes ? (int64_t)t->retention_bytes : -1);
    set_default(&c, TOPIC_SEGMENT_BYTES, (int64_t)t->segment_bytes);
    set_default(&c, TOPIC_SEGMENT_MS, config_duration_ms(t->segment_age));
    set_default(&c, TOPIC_MAX_MESSAGE_BYTES, (int64_t)t->max_message_bytes);
    return c;
}

struct broker_settings streamer_settings(const struct config_streamer_config *root)
{
    const struct config_groups *g = root->groups;
    struct broker_settings s = broker_settings_default;
    s.auto_create_topics = root->auto_create_topics;
    s.partitions_default = root->partitions;
    s.topic_defaults = topic_defaults(root->topics);
    s.offsets_retention_ms = config_duration_ms(g->offsets_retention);
    s.group_session_timeout_min_ms = (uint32_t)config_duration_ms(g->session_timeout_min);
    s.group_session_timeout_max_ms = (uint32_t)config_duration_ms(g->session_timeout_max);
    s.group_initial_rebalance_delay_ms = (uint32_t)config_duration_ms(g->initial_rebalance_delay);
    return s;
}

uint64_t streamer_drain_ms(const struct config_streamer_config *root)
{
    return (uint64_t)config_duration_ms(root->drain_timeout);
}

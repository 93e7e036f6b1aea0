#include "base/log.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"

static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};

/* Kept free for what ends a line: ,"truncated":true} and the newline. */
enum { LINE_END_BYTES = 24, TIMESTAMP_BYTES = 32 };
/* Of the message: it fits whatever becomes of it, since a byte is escaped to six at most. */
enum { MESSAGE_BYTES_MAX = 512 };
_Static_assert(MESSAGE_BYTES_MAX * 6 + 128 + LINE_END_BYTES <= LIMIT_LOG_LINE_BYTES, "a message fits in a line");

static int64_t system_realtime_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void log_init(struct log *log, int fd, enum log_level level)
{
    *log = (struct log){.fd = fd, .text = isatty(fd) == 1, .realtime_ms = system_realtime_ms};
    log_set_level(log, level);
}

void log_set_level(struct log *log, enum log_level level)
{
    atomic_store_explicit(&log->level, (int)level, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

enum err log_level_parse(const char *text, enum log_level *ret_level)
{
    for (enum log_level level = LOG_DEBUG; level <= LOG_OFF; level++) {
        if (strcmp(text, level_names[level]) == 0) {
            *ret_level = level;
            return OK;
        }
    }
    return ERR_INVALID_ARGUMENT;
}

/* RFC 3339, UTC, milliseconds; for people only the time of day. */
static void put_time(struct buf *line, int64_t ms, bool day)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    char text[TIMESTAMP_BYTES];
    gmtime_r(&seconds, &utc);
    size_t size = strftime(text, sizeof text, day ? "%Y-%m-%dT%H:%M:%S" : "%H:%M:%S", &utc);
    buf_put(line, text, size);
    buf_printf(line, ".%03d%s", (int)(ms % 1000), day ? "Z" : "");
}

static struct slice cut(struct slice value)
{
    return utf8_truncate(value, LIMIT_LOG_VALUE_BYTES);
}

static void json_value(struct json *j, const struct log_field *f)
{
    switch (f->type) {
    case LOG_TYPE_STR:
        json_str(j, cut(f->str));
        break;
    case LOG_TYPE_INT:
        json_int(j, f->integer);
        break;
    case LOG_TYPE_DOUBLE:
        json_double(j, f->number);
        break;
    case LOG_TYPE_BOOL:
        json_bool(j, f->boolean);
        break;
    }
}

/* A string of letters, digits and a few signs stands bare; else it is quoted, so that no control character reaches the
 * terminal and no value looks like two. */
static bool needs_quotes(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (s.data[i] <= ' ' || s.data[i] >= 0x7F || strchr("\"\\=", s.data[i]))
            return true;
    return s.size == 0;
}

static void put_json_field(struct buf *line, const struct log_field *f)
{
    struct json j = {.out = line, .comma = true};
    json_key(&j, f->key);
    json_value(&j, f);
}

static void put_text_field(struct buf *line, const struct log_field *f)
{
    struct json j = json_to(line);
    buf_printf(line, " %s=", f->key);
    if (f->type == LOG_TYPE_STR && !needs_quotes(f->str))
        buf_put_slice(line, cut(f->str));
    else
        json_value(&j, f);
}

/* A field that does not fit is taken back. false: this one and all later ones are left out. */
static bool put_field(struct buf *line, bool text, const struct log_field *f)
{
    size_t before = line->size;
    if (text)
        put_text_field(line, f);
    else
        put_json_field(line, f);
    if (!buf_err(line))
        return true;
    line->size = before;
    line->err = OK;
    return false;
}

static void begin_json(struct buf *line, int64_t now_ms, enum log_level level, const char *message)
{
    struct json j = json_to(line);
    buf_puts(line, "{\"timestamp\":\"");
    put_time(line, now_ms, true);
    buf_puts(line, "\"");
    j.comma = true;
    json_key(&j, "level");
    json_text(&j, level_names[level]);
    json_key(&j, "message");
    json_str(&j, utf8_truncate(slice_str(message), MESSAGE_BYTES_MAX));
}

static void begin_text(struct buf *line, int64_t now_ms, enum log_level level, const char *message)
{
    put_time(line, now_ms, false);
    buf_printf(line, " %-5s ", level_names[level]);
    json_escape(line, utf8_truncate(slice_str(message), MESSAGE_BYTES_MAX));
}

static void send_line(struct log *log, struct slice line)
{
    ssize_t sent;
    do {
        sent = write(log->fd, line.data, line.size);
    } while (sent < 0 && errno == EINTR);
    if (sent != (ssize_t)line.size)
        atomic_fetch_add_explicit(&log->dropped, 1, memory_order_relaxed);
}

void log_write(struct log *log, enum log_level level, const char *message, const struct log_field *fields)
{
    char memory[LIMIT_LOG_LINE_BYTES];
    struct buf line;
    buf_init_fixed(&line, memory, sizeof memory - LINE_END_BYTES);
    (log->text ? begin_text : begin_json)(&line, log->realtime_ms(), level, message);
    bool whole = true;
    for (const struct log_field *f = fields; f->key && whole; f++)
        whole = put_field(&line, log->text, f);
    line.bytes_max = line.capacity = sizeof memory;
    if (!whole)
        buf_puts(&line, log->text ? " truncated" : ",\"truncated\":true");
    buf_puts(&line, log->text ? "\n" : "}\n");
    send_line(log, buf_slice(&line));
}

/* The log: one line an event, JSON for machines, text where the descriptor is a terminal.
 *
 *   struct log log;
 *   log_init(&log, STDERR_FILENO, LOG_INFO);
 *   log_info(&log, "namespace loaded", LOG_TEXT("namespace", name), LOG_INT("items", n));
 *
 *   {"timestamp":"2026-11-20T12:34:56.789Z","level":"info","message":"namespace loaded","namespace":"orders","items":12}
 *
 * Usual keys: request_id, trace_id, namespace, operation, backend, latency_ms, code, error. Libraries return errors; only the
 * edges log, once. A log is passed, never global; NULL is a log that says nothing. Values longer than
 * LIMIT_LOG_VALUE_BYTES are cut, fields past LIMIT_LOG_LINE_BYTES left out (then "truncated":true): a line is always whole.
 * Thread: any; a line is one write(2). Never allocates, never fails: a line that cannot be written is counted in dropped. */
#ifndef PRISM_BASE_LOG_H
#define PRISM_BASE_LOG_H

#include <stdatomic.h>

#include "base/err.h"
#include "base/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };

struct log {
    int fd;
    bool text;        /* for people */
    atomic_int level; /* enum log_level; may change at any time */
    atomic_uint_fast64_t dropped;
    int64_t (*realtime_ms)(void); /* tests and the twin put theirs here */
};

enum log_type { LOG_TYPE_STR, LOG_TYPE_INT, LOG_TYPE_DOUBLE, LOG_TYPE_BOOL };

struct log_field {
    const char *key; /* NULL ends the list */
    enum log_type type;
    union {
        struct slice str;
        int64_t integer;
        double number;
        bool boolean;
    };
};

#define LOG_STR(name, s) ((struct log_field){.key = (name), .type = LOG_TYPE_STR, .str = (s)})
#define LOG_TEXT(name, text) LOG_STR(name, slice_str(text)) /* NULL reads as "" */
#define LOG_INT(name, i) ((struct log_field){.key = (name), .type = LOG_TYPE_INT, .integer = (i)})
#define LOG_DOUBLE(name, d) ((struct log_field){.key = (name), .type = LOG_TYPE_DOUBLE, .number = (d)})
#define LOG_BOOL(name, b) ((struct log_field){.key = (name), .type = LOG_TYPE_BOOL, .boolean = (b)})
/* The error's public name, under the key "error". */
#define LOG_ERR(e) LOG_TEXT("error", err_name(e))

void log_init(struct log *, int fd, enum log_level);
/* "debug", "info", "warn", "error", "off". ERR_INVALID_ARGUMENT: another word. */
enum err log_level_parse(const char *text, enum log_level *ret_level) __attribute__((warn_unused_result));
const char *log_level_name(enum log_level);
void log_set_level(struct log *, enum log_level);

static inline bool log_enabled(const struct log *log, enum log_level level)
{
    return log && (int)level >= atomic_load_explicit(&log->level, memory_order_relaxed);
}

/* Writes the line whatever the level; use the macros below. fields end with a key of NULL. */
void log_write(struct log *, enum log_level, const char *message, const struct log_field *fields);

/* Fields are evaluated only where the level is on. (The empty first one lets there be none.) */
#define log_at(log, level, message, ...)                                                                               \
    (log_enabled((log), (level))                                                                                       \
         ? log_write((log), (level), (message), (const struct log_field[]){{0}, ##__VA_ARGS__, {0}} + 1)               \
         : (void)0)
#define log_debug(log, ...) log_at(log, LOG_DEBUG, __VA_ARGS__)
#define log_info(log, ...) log_at(log, LOG_INFO, __VA_ARGS__)
#define log_warn(log, ...) log_at(log, LOG_WARN, __VA_ARGS__)
#define log_error(log, ...) log_at(log, LOG_ERROR, __VA_ARGS__)

#endif

/* What is wrong with a configuration: up to 20 problems, each with the place in the file, the path of the field and a sentence
 * that tells the value, what is allowed and the fix.
 *
 *   prism.yaml:12:5: namespaces[2].bakend: unknown key `bakend`: did you mean `backend`?
 *
 * The reader marks where each field stood, so that rules that are checked afterwards on messages (config_check.c, pb_validate)
 * find the place by the path alone. Thread: one at a time. */
#ifndef PRISM_PROXY_CONFIG_REPORT_H
#define PRISM_PROXY_CONFIG_REPORT_H

#include "base/buf.h"
#include "base/diag.h"

enum { CONFIG_PROBLEMS_MAX = 20, CONFIG_PATH_BYTES = 256 };

struct config_place {
    uint32_t line; /* from 1; 0: the file as a whole */
    uint32_t column;
};

struct config_problem {
    struct config_place place;
    const char *path; /* "namespaces[2].backend"; "": the file as a whole */
    const char *message;
};

struct config_mark {
    const char *path;
    struct config_place place;
    struct slice text; /* of a scalar, as written, unless it is a secret */
};

/* What the validator calls an entry of a map, backends[0].value, and what people do: backends[main]. */
struct config_alias {
    const char *path;
    const char *shown;
    struct config_alias *next;
};

struct config_report {
    struct arena *arena;
    const char *file; /* as given; NULL: the built-in configuration */
    struct config_problem problems[CONFIG_PROBLEMS_MAX];
    uint32_t count; /* kept */
    uint32_t total; /* found */
    bool out_of_memory;
    struct config_mark *marks;
    uint32_t mark_count;
    uint32_t mark_capacity;
    struct config_alias *aliases;
};

void config_report_init(struct config_report *, struct arena *, const char *file);
/* Where a field stood, and what was written there (empty: a list, a map, a secret). Text is borrowed. */
void config_report_mark(struct config_report *, const char *path, struct config_place, struct slice text);
/* A map's entry by its number has the path of its name. */
void config_report_alias(struct config_report *, const char *map_path, uint32_t index, const char *shown);
void config_report_add(struct config_report *, struct config_place, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same at the mark of the path, or of its nearest parent that has one. */
void config_report_at(struct config_report *, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What a rule says of a field, behind the field's value. */
void config_report_rule(struct config_report *, const char *path, const char *says);
/* By their place in the file. */
void config_report_sort(struct config_report *);
struct config_place config_report_place(const struct config_report *, const char *path);
/* OK, ERR_CONFIG_INVALID with problems, ERR_NOMEM where one was lost. */
enum err config_report_err(const struct config_report *);
/* Each problem as a line of text, then how many more there were. */
void config_report_print(const struct config_report *, struct buf *);
/* As an error for the API: one BadRequest violation a problem. */
enum err config_report_diag(const struct config_report *, struct diag *);

#endif

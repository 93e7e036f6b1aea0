/* prismctl: the command line of Prism. This header is what its files share.
 *
 *   main ──▶ args_parse (table.c tells the commands) ──▶ command->run(cli) ──▶ report (errors) ──▶ exit code of the error table
 *
 * Everything about a command is one row of the table in table.c: name, arguments, options, examples, the function that runs it.
 * Help, completion scripts and the man page are printed from that table. A command returns an error with cli->diag filled in;
 * only report.c prints it. Output goes to standard output, all else to standard error. One thread, one loop. */
#ifndef PRISM_CMD_PRISMCTL_CLI_H
#define PRISM_CMD_PRISMCTL_CLI_H

#include <stdio.h>

#include "base/diag.h"
#include "base/limits.h"
#include "pb/pb.h"
#include "rpc/client.h"

struct cli;
struct cli_record;
struct google_protobuf_duration;
struct google_protobuf_timestamp;
struct keyvalue_key_value_item;

enum option_kind {
    OPTION_FLAG,
    OPTION_TEXT,
    OPTION_COUNT,    /* a number, 0 or more */
    OPTION_DURATION, /* 250ms, 1h */
    OPTION_CHOICE,   /* one of choices */
    OPTION_FILE,
};

struct option {
    const char *name; /* without dashes; NULL ends a list */
    char letter;      /* 0: none */
    enum option_kind kind;
    const char *value;    /* how help calls it, "HOST:PORT"; NULL: a flag */
    const char *choices;  /* "table|json|yaml" */
    const char *env;      /* environment variable that stands in; NULL: none */
    const char *fallback; /* where neither is given; NULL: none */
    bool many;            /* may be given more than once */
    const char *help;
};

struct argument {
    const char *name; /* "KEY"; NULL ends a list */
    bool optional;
    bool file; /* completes to file names */
    bool many; /* the last one: may be given more than once */
    const char *help;
};

struct example {
    const char *command; /* NULL ends a list */
    const char *what;
};

struct command {
    const char *name;    /* "kv get"; NULL ends the table */
    const char *summary; /* one line */
    const char *about;   /* more, for --help; may be NULL */
    const struct argument *arguments;
    const struct option *options;
    const struct example *examples;
    enum err (*run)(struct cli *);
};

/* table.c, and table_collections.c for the models beside key-value: all commands, one after the other, from NULL to NULL. */
const struct command *command_next(const struct command *);
extern const struct command collection_commands[];
extern const struct option global_options[];
/* Words that begin commands, "kv", each with its summary; NULL ends. */
struct command_group {
    const char *name;
    const char *summary;
};
extern const struct command_group command_groups[];

enum { GIVEN_MAX = 64, POSITIONAL_MAX = 1024, METADATA_MAX = 32 };

struct given {
    const struct option *option;
    const char *value; /* NULL: a flag */
};

/* What the command line said. */
struct args {
    const struct command *command; /* NULL: none */
    const char *group;             /* "kv" alone: help about it */
    bool help;
    bool version;
    const char *positional[POSITIONAL_MAX];
    unsigned positional_count;
    struct given given[GIVEN_MAX];
    unsigned given_count;
};

enum output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_YAML };
enum side { SIDE_DATA, SIDE_ADMIN, SIDE_COUNT };

struct cli {
    const char *program; /* as help calls it */
    struct args args;
    struct arena arena;  /* of the whole run; while pages come, of the page */
    struct arena behind; /* that of the run meanwhile */
    struct diag diag;
    struct loop *loop;
    struct rpc_client *clients[SIDE_COUNT]; /* made when first used */
    struct tls *tls;
    enum output output;
    bool colour;   /* of standard output */
    bool terminal; /* standard output is one */
    bool progress; /* standard error is one */
    bool verbose;
    unsigned columns;  /* of the terminal; 0: not known */
    enum side reached; /* whom the last call went to, for error texts */
    bool called;       /* there was one */
};

/* args.c. ERR_USAGE with the near word in diag. */
enum err args_parse(struct cli *, int argc, char **argv);
/* Value of an option: given, else of the environment, else the fallback; NULL: none. */
const char *cli_option(const struct cli *, const char *name);
bool cli_flag(const struct cli *, const char *name);
uint64_t cli_count(const struct cli *, const char *name);      /* 0: not given */
int64_t cli_duration_ns(const struct cli *, const char *name); /* 0: not given */
/* The i-th value of an option that may be given often; NULL: no more. */
const char *cli_option_at(const struct cli *, const char *name, unsigned i);
const char *cli_argument(const struct cli *, unsigned i); /* NULL: not given */

/* help.c */
void help_program(const struct cli *, FILE *);
void help_group(const struct cli *, const char *group, FILE *);
void help_command(const struct cli *, const struct command *, FILE *);
void help_man(FILE *);
/* completion.c */
void completion_bash(FILE *);
void completion_zsh(FILE *);

/* report.c: one paragraph on standard error; answers the exit code. */
int report(const struct cli *, enum err);

/* connect.c. ret_response: of the method's output type, in cli->arena. */
enum err cli_call(struct cli *, enum side, const struct pb_method *, const void *request, void **ret_response);
enum err cli_client(struct cli *, enum side, struct rpc_client **ret_client);
const char *cli_address(const struct cli *, enum side);
/* Row of a service by the method's name, which is there. */
const struct pb_method *method_named(const struct pb_service *, const char *name);
/* Metadata of every call: namespace and --metadata. */
enum err cli_call_options(struct cli *, const char *path, struct rpc_client_call_options *ret_options);
/* Server stream: on_message is called for each; an error of its ends the call. Turns the loop until the end. */
typedef enum err stream_message_fn(void *context, struct slice message);
enum err cli_stream(struct cli *, enum side, const char *path, const struct slice *requests, size_t request_count,
                    stream_message_fn *on_message, void *context);
void cli_disconnect(struct cli *);

/* text.c: keys and values on the command line and on the screen. */
/* A key argument by --hex, --base64, or as it stands. */
enum err cli_key(struct cli *, const char *text, const char *what, struct slice *ret_key);
enum err cli_bytes_base64(struct cli *, const char *text, const char *what, struct slice *ret_bytes);
/* A value argument: text, "-" standard input, "@FILE". */
enum err cli_value(struct cli *, const char *text, struct slice *ret_value);
enum err cli_read_file(struct cli *, const char *path, struct slice *ret_content); /* "-": standard input */
/* Printable: what is no text, and control characters, as \xNN. In the arena; also the next ones. */
const char *show_bytes(struct arena *, struct slice);
const char *show_text(struct arena *, struct slice);                             /* as it is, with a NUL behind */
const char *show_time(struct arena *, const struct google_protobuf_timestamp *); /* NULL: "" */
const char *show_base64(struct arena *, struct slice);
/* Milliseconds since 1970. */
int64_t timestamp_ms(const struct google_protobuf_timestamp *);
/* A Duration of milliseconds in the arena; NULL: out of memory. */
struct google_protobuf_duration *duration_message(struct arena *, int64_t ms);

/* print.c */
enum err cli_print(struct cli *, const struct pb_message *, const void *message); /* as JSON or YAML */
/* One line of JSON, or a YAML document. */
enum err cli_print_item(struct cli *, const struct pb_message *, const void *message);
const char *cli_paint(const struct cli *, const char *style); /* escape sequence, or "" without colour */
#define STYLE_BOLD "1"
#define STYLE_GOOD "32"
#define STYLE_BAD "31"
#define STYLE_DIM "2"
#define STYLE_OFF "0"
/* yaml.c: the JSON text as YAML. json is valid. */
void yaml_from_json(struct slice json, struct buf *out);

/* record.c: between messages and the lines of import, export and scan. */
struct cli_record *record_of_item(struct arena *, const struct keyvalue_key_value_item *); /* NULL: out of memory */
enum err record_write(const struct cli_record *, struct buf *);                            /* and a line feed */

/* sequence.c: JSON values from a file, one after the other: the items of one array, or lines of NDJSON (lines), or values that
 * may take several lines each. */
struct sequence {
    FILE *in;
    struct buf buf; /* read and not yet taken */
    size_t taken;   /* bytes of buf that earlier values have used */
    uint64_t read;  /* bytes read from in */
    unsigned line;  /* of what comes next, from 1 */
    bool lines, begun, array, ended;
};
void sequence_init(struct sequence *, FILE *, bool lines);
void sequence_fini(struct sequence *);
/* The next value's text, valid until the next call, and the line where it begins. *ret_value is empty at the end.
 * ERR_JSON_MALFORMED: the text breaks off, or something else stands between values; ERR_MESSAGE_TOO_LARGE: a value is longer
 * than a message; ERR_FILE. */
enum err sequence_next(struct sequence *, struct slice *ret_value, unsigned *ret_line, struct diag *);

/* progress.c: a bar on the terminal, at most ten times a second. */
struct progress {
    bool on;
    const char *verb; /* "importing" */
    uint64_t start_ns, shown_ns;
    uint64_t done; /* records */
    double part;   /* 0 to 1; below 0: not known */
};
void progress_init(struct progress *, const struct cli *, const char *verb);
void progress_show(struct progress *);
void progress_clear(struct progress *); /* before other output, and at the end */
double progress_seconds(const struct progress *);

/* position.c: how far an import has come. */
struct position {
    int fd; /* -1: not kept */
    const char *path;
    uint64_t records; /* from the beginning that are stored */
};
/* Reads what an earlier run left, 0 where there is none. */
enum err position_open(struct position *, struct cli *, const char *records_file);
enum err position_move(struct position *, struct cli *, uint64_t records);
void position_close(struct position *, bool done);

/* reflect.c: the services of a server, and tables of their types. Everything lives until the end of the run. */
struct reflection {
    struct cli *cli;
    enum side side;
    struct pb_array services; /* struct slice: full names, as the server lists them */
    struct pb_pool *pool;     /* of the services that were loaded */
};
enum err reflect_list(struct cli *, enum side, struct reflection *ret_reflection);
/* Loads the types of one service, or of all (empty). */
enum err reflect_load(struct reflection *, struct slice service);
void reflect_close(struct reflection *); /* the pool; also after an error */
/* Whether name is the full name, or its end from a dot on. */
bool is_end_of_name(struct slice full, struct slice name);

/* cmd_kv.c, shared by scan, count and export. */
enum err cli_range(struct cli *, struct slice *prefix, struct slice *start, struct slice *end);
enum err cli_count_range(struct cli *, uint64_t *ret_count);

/* cmd_status.c */
/* Calls a method of the operations API. */
enum err cli_ask(struct cli *, const char *method, const void *request, void **ret_response);
/* Names in one cell. */
const char *show_joined(struct arena *, const struct pb_array *names);

/* grid.c: rows of text in aligned columns. */
struct grid {
    const struct cli *cli;
    struct arena *arena;
    unsigned columns;
    const char *const *heads;
    struct pb_array cells; /* const char * */
};
void grid_init(struct grid *, struct cli *, struct arena *, const char *const *heads, unsigned columns);
void grid_row(struct grid *, const char *const *cells); /* columns of them; NULL: "" */
void grid_print(const struct grid *, bool with_heads);

/* collection.c: what the commands of lists, sets, sorted sets and counters share. */
enum err collection_call(struct cli *, const struct pb_service *, const char *method, const void *request,
                         void **ret_response);
enum err collection_key(struct cli *, struct slice *ret_key); /* the first argument */
/* Arguments from the i-th on, as --hex or --base64 says. */
enum err collection_members(struct cli *, unsigned from, struct pb_array *members);
enum err collection_integer(struct cli *, const char *text, const char *what, int64_t *ret_number);
enum err collection_number(struct cli *, const char *text, const char *what, double *ret_number);
/* A line an element: text as kv scan shows it, or JSON, or YAML. score may be NULL. */
enum err collection_print_value(struct cli *, struct slice value);
enum err collection_print_member(struct cli *, struct slice member, const double *score);
/* A sentence for people, the response for programs. */
enum err collection_say(struct cli *, const struct pb_message *, const void *response, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
enum err collection_missing(struct cli *, const char *what, struct slice key); /* ERR_NOT_FOUND */
const char *collection_name(struct cli *, struct slice key);
/* Pages until there are no more, or --limit is reached; memory of one page at a time. fetch makes the call and prints at most left
 * elements; it answers the next cursor, empty at the end, and how many it has printed. */
struct collection_page {
    struct slice cursor;
    uint64_t left;    /* of --limit */
    uint64_t printed; /* by this page */
    uint32_t page_size;
    uint8_t kept[LIMIT_CURSOR_BYTES];
};
typedef enum err collection_fetch_fn(struct cli *, void *context, struct collection_page *);
enum err collection_pages(struct cli *, collection_fetch_fn *fetch, void *context);

/* Commands. */
enum err run_health(struct cli *);
enum err run_status(struct cli *);
enum err run_namespace_list(struct cli *);
enum err run_namespace_describe(struct cli *);
enum err run_backend_list(struct cli *);
enum err run_backend_health(struct cli *);
enum err run_backend_stats(struct cli *);
enum err run_backend_test(struct cli *);
enum err run_kv_get(struct cli *);
enum err run_kv_set(struct cli *);
enum err run_kv_delete(struct cli *);
enum err run_kv_exists(struct cli *);
enum err run_kv_ttl(struct cli *);
enum err run_kv_expire(struct cli *);
enum err run_kv_persist(struct cli *);
enum err run_kv_count(struct cli *);
enum err run_kv_scan(struct cli *);
enum err run_kv_import(struct cli *);
enum err run_kv_export(struct cli *);
enum err run_list_push(struct cli *);
enum err run_list_pop(struct cli *);
enum err run_list_get(struct cli *);
enum err run_list_set(struct cli *);
enum err run_list_insert(struct cli *);
enum err run_list_remove(struct cli *);
enum err run_list_range(struct cli *);
enum err run_list_trim(struct cli *);
enum err run_list_clear(struct cli *);
enum err run_set_add(struct cli *);
enum err run_set_remove(struct cli *);
enum err run_set_contains(struct cli *);
enum err run_set_members(struct cli *);
enum err run_set_size(struct cli *);
enum err run_set_random(struct cli *);
enum err run_set_operation(struct cli *);
enum err run_set_clear(struct cli *);
enum err run_sortedset_add(struct cli *);
enum err run_sortedset_remove(struct cli *);
enum err run_sortedset_score(struct cli *);
enum err run_sortedset_rank(struct cli *);
enum err run_sortedset_range(struct cli *);
enum err run_sortedset_scores(struct cli *);
enum err run_sortedset_lex(struct cli *);
enum err run_sortedset_operation(struct cli *);
enum err run_sortedset_clear(struct cli *);
enum err run_counter_add(struct cli *);
enum err run_counter_get(struct cli *);
enum err run_counter_clear(struct cli *);
enum err run_call(struct cli *);
enum err run_services(struct cli *);
enum err run_describe(struct cli *);
enum err run_config_validate(struct cli *);
enum err run_config_reload(struct cli *);
enum err run_completion(struct cli *);
enum err run_help(struct cli *);

#endif

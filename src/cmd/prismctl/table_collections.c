/* The rows of the command table for lists, sets, sorted sets and counters. */
#include "cli.h"

#define FORMS                                                                                                          \
    {.name = "hex", .kind = OPTION_FLAG, .help = "keys and members are given in hexadecimal: 00ff41"},                 \
    {                                                                                                                  \
        .name = "base64", .kind = OPTION_FLAG, .help = "keys and members are given in base64"                          \
    }
#define IDEMPOTENCY                                                                                                    \
    {                                                                                                                  \
        .name = "idempotency-key", .kind = OPTION_TEXT, .value = "ID",                                                 \
        .help = "a retry with the same id answers as the first call"                                                   \
    }
#define LIMIT                                                                                                          \
    {                                                                                                                  \
        .name = "limit", .letter = 'l', .kind = OPTION_COUNT, .value = "N", .help = "at most so many"                  \
    }
#define REVERSE                                                                                                        \
    {                                                                                                                  \
        .name = "reverse", .letter = 'r', .kind = OPTION_FLAG, .help = "from the highest down"                         \
    }
#define END                                                                                                            \
    {                                                                                                                  \
        .name = NULL                                                                                                   \
    }
#define KEY                                                                                                            \
    {                                                                                                                  \
        .name = "KEY", .help = "its key"                                                                               \
    }
#define VALUE_HELP "text; - reads standard input, @FILE a file"
#define INDEX_HELP "from 0; a negative one counts from the end"

static const struct option read_options[] = {FORMS, END};
static const struct option write_options[] = {IDEMPOTENCY, FORMS, END};
static const struct option page_options[] = {LIMIT, FORMS, END};
static const struct argument key_only[] = {KEY, END};
static const struct argument key_members[] = {KEY, {.name = "MEMBER", .many = true, .help = "members"}, END};
static const struct argument keys_only[] = {{.name = "KEY", .many = true, .help = "their keys"}, END};

static const struct argument push_arguments[] = {
    KEY, {.name = "VALUE", .file = true, .many = true, .help = VALUE_HELP}, END};
static const struct option push_options[] = {
    {.name = "left", .kind = OPTION_FLAG, .help = "in front of the first value, one after the other"},
    IDEMPOTENCY,
    FORMS,
    END};
static const struct option pop_options[] = {
    {.name = "right", .kind = OPTION_FLAG, .help = "the last value instead of the first"},
    {.name = "count", .letter = 'c', .kind = OPTION_COUNT, .value = "N", .help = "so many, one a line; at most 1000"},
    {.name = "block",
     .letter = 'b',
     .kind = OPTION_DURATION,
     .value = "TIME",
     .help = "where there is none, wait for one so long; at most 5m"},
    IDEMPOTENCY,
    FORMS,
    END};
static const struct argument index_argument[] = {KEY, {.name = "INDEX", .help = INDEX_HELP}, END};
static const struct argument index_value[] = {
    KEY, {.name = "INDEX", .help = INDEX_HELP}, {.name = "VALUE", .file = true, .help = VALUE_HELP}, END};
static const struct argument remove_arguments[] = {
    KEY, {.name = "INDEX", .optional = true, .help = INDEX_HELP "; or --value"}, END};
static const struct option remove_options[] = {
    {.name = "value", .kind = OPTION_TEXT, .value = "VALUE", .help = "values that equal this one"},
    {.name = "count",
     .letter = 'c',
     .kind = OPTION_TEXT,
     .value = "N",
     .help = "with --value: at most N from the first on; below 0: from the last on; default all"},
    IDEMPOTENCY,
    FORMS,
    END};
static const struct argument range_arguments[] = {
    KEY,
    {.name = "START", .optional = true, .help = "first position, " INDEX_HELP "; default 0"},
    {.name = "END", .optional = true, .help = "last position, inclusive; default -1"},
    END};
static const struct argument trim_arguments[] = {KEY,
                                                 {.name = "START", .help = "first index that stays, " INDEX_HELP},
                                                 {.name = "END", .help = "last index that stays"},
                                                 END};
static const struct option random_options[] = {
    {.name = "count", .letter = 'c', .kind = OPTION_COUNT, .value = "N", .help = "different members; at most 1000"},
    {.name = "pop", .kind = OPTION_FLAG, .help = "and remove them"},
    IDEMPOTENCY,
    FORMS,
    END};
static const struct argument scored_arguments[] = {
    KEY,
    {.name = "SCORE", .help = "a number, inf or -inf"},
    {.name = "MEMBER", .many = true, .help = "its member; more pairs of score and member may follow"},
    END};
static const struct argument member_argument[] = {KEY, {.name = "MEMBER", .help = "the member"}, END};
static const struct option rank_options[] = {REVERSE, FORMS, END};
static const struct option bound_options[] = {
    {.name = "min", .kind = OPTION_TEXT, .value = "BOUND", .help = "from here on; with ( in front without this itself"},
    {.name = "max", .kind = OPTION_TEXT, .value = "BOUND", .help = "up to here; with ( in front without this itself"},
    REVERSE,
    LIMIT,
    FORMS,
    END};
static const struct option operation_options[] = {
    {.name = "weight",
     .kind = OPTION_TEXT,
     .value = "W",
     .many = true,
     .help = "scores are multiplied by it; none, or one for each key in their order"},
    {.name = "aggregate",
     .kind = OPTION_CHOICE,
     .value = "HOW",
     .choices = "sum|min|max",
     .fallback = "sum",
     .help = "how the scores of one member become one"},
    REVERSE,
    LIMIT,
    FORMS,
    END};
static const struct argument delta_arguments[] = {
    KEY, {.name = "DELTA", .optional = true, .help = "a whole number, negative to take away; default 1"}, END};

#define EXAMPLES(...) ((const struct example[]){__VA_ARGS__, {NULL, NULL}})

const struct command collection_commands[] = {
    {"list push", "add values to a list", "Behind the last one, or with --left in front of the first.", push_arguments,
     push_options,
     EXAMPLES({"prismctl list push jobs build test deploy", "three values"},
              {"date | prismctl list push log -", "from standard input"}),
     run_list_push},
    {"list pop", "remove and print the first or last value of a list",
     "One value goes to standard output byte for byte. Exit code 24: there is none.", key_only, pop_options,
     EXAMPLES({"prismctl list pop jobs", "the first"},
              {"prismctl list pop jobs --block 30s", "wait until there is one"},
              {"prismctl list pop jobs --right --count 10", "the last ten, the last one first"}),
     run_list_pop},
    {"list get", "print one value of a list", "Exit code 24: there is no such index.", index_argument, read_options,
     EXAMPLES({"prismctl list get jobs -1", "the last one"}), run_list_get},
    {"list set", "replace one value of a list", NULL, index_value, write_options,
     EXAMPLES({"prismctl list set jobs 0 rebuild", "the first one"}), run_list_set},
    {"list insert", "insert a value before another one", "An index that equals the length appends.", index_value,
     write_options, EXAMPLES({"prismctl list insert jobs 1 lint", "behind the first one"}), run_list_insert},
    {"list remove", "remove a value by its index, or values that equal one", NULL, remove_arguments, remove_options,
     EXAMPLES({"prismctl list remove jobs -1", "the last one"},
              {"prismctl list remove jobs --value test --count 1", "the first that is \"test\""}),
     run_list_remove},
    {"list range", "print values in a row", "One a line; with -o json one JSON object a line.", range_arguments,
     page_options, EXAMPLES({"prismctl list range jobs", "all"}, {"prismctl list range jobs -10 -1", "the last ten"}),
     run_list_range},
    {"list trim", "remove all values but a range", NULL, trim_arguments, write_options,
     EXAMPLES({"prismctl list trim log -1000 -1", "keep the last thousand"}), run_list_trim},
    {"list clear", "remove a list with all its values", NULL, key_only, write_options,
     EXAMPLES({"prismctl list clear jobs", "all of it"}), run_list_clear},

    {"set add", "add members to a set", NULL, key_members, write_options,
     EXAMPLES({"prismctl set add team ann bob", "two members"}), run_set_add},
    {"set remove", "remove members from a set", NULL, key_members, write_options,
     EXAMPLES({"prismctl set remove team bob", "one member"}), run_set_remove},
    {"set contains", "whether a set has members", "Exit code 0: all of them; 24: not all.", key_members, read_options,
     EXAMPLES({"prismctl set contains team ann && echo yes", "in a script"}), run_set_contains},
    {"set members", "print the members of a set", "One a line; with -o json one JSON object a line.", key_only,
     page_options, EXAMPLES({"prismctl set members team --limit 10", "the first ten"}), run_set_members},
    {"set size", "count the members of a set", NULL, key_only, read_options,
     EXAMPLES({"prismctl set size team", "how many"}), run_set_size},
    {"set random", "print members picked at random", "Exit code 24: there is no such set.", key_only, random_options,
     EXAMPLES({"prismctl set random team", "one"}, {"prismctl set random team --count 2 --pop", "draw two"}),
     run_set_random},
    {"set union", "print the members of at least one of several sets", NULL, keys_only, page_options,
     EXAMPLES({"prismctl set union team guests", "each member once"}), run_set_operation},
    {"set intersection", "print the members that several sets have all", NULL, keys_only, page_options,
     EXAMPLES({"prismctl set intersection team admins", "who is in both"}), run_set_operation},
    {"set difference", "print the members of the first set that no other one has", NULL, keys_only, page_options,
     EXAMPLES({"prismctl set difference team admins", "who is no admin"}), run_set_operation},
    {"set clear", "remove a set with all its members", NULL, key_only, write_options,
     EXAMPLES({"prismctl set clear guests", "all of it"}), run_set_clear},

    {"sortedset add", "add members with scores, or give them new ones", NULL, scored_arguments, write_options,
     EXAMPLES({"prismctl sortedset add game 120 ann 95.5 bob", "two members"}), run_sortedset_add},
    {"sortedset remove", "remove members from a sorted set", NULL, key_members, write_options,
     EXAMPLES({"prismctl sortedset remove game bob", "one member"}), run_sortedset_remove},
    {"sortedset score", "print the score of a member", "Exit code 24: there is no such member.", member_argument,
     read_options, EXAMPLES({"prismctl sortedset score game ann", "a number"}), run_sortedset_score},
    {"sortedset rank", "print how many members stand before one", "Exit code 24: there is no such member.",
     member_argument, rank_options, EXAMPLES({"prismctl sortedset rank game ann --reverse", "0 is the highest score"}),
     run_sortedset_rank},
    {"sortedset range", "print members by their ranks",
     "Score, tabulator, member; with -o json one JSON object a line.", range_arguments,
     ((const struct option[]){REVERSE, LIMIT, FORMS, END}),
     EXAMPLES({"prismctl sortedset range game 0 9 --reverse", "the ten highest"}), run_sortedset_range},
    {"sortedset scores", "print members whose scores lie in a range", NULL, key_only, bound_options,
     EXAMPLES({"prismctl sortedset scores game --min '(100' --max inf", "above 100"}), run_sortedset_scores},
    {"sortedset lex", "print members of one score by the order of their bytes",
     "All members of the sorted set must have one score.", key_only, bound_options,
     EXAMPLES({"prismctl sortedset lex words --min b --max '(c'", "those that begin with b"}), run_sortedset_lex},
    {"sortedset union", "print the members of at least one of several sorted sets", NULL, keys_only, operation_options,
     EXAMPLES({"prismctl sortedset union monday tuesday --aggregate max", "the best of two days"}),
     run_sortedset_operation},
    {"sortedset intersection", "print the members that several sorted sets have all", NULL, keys_only,
     operation_options,
     EXAMPLES({"prismctl sortedset intersection game paying --weight 1 --weight 0", "by the score of the first"}),
     run_sortedset_operation},
    {"sortedset clear", "remove a sorted set with all its members", NULL, key_only, write_options,
     EXAMPLES({"prismctl sortedset clear game", "all of it"}), run_sortedset_clear},

    {"counter add", "add to a counter and print the sum", NULL, delta_arguments, write_options,
     EXAMPLES({"prismctl counter add visits", "one more"},
              {"prismctl counter add stock -3 --idempotency-key order-17", "counted once, however often it is tried"}),
     run_counter_add},
    {"counter get", "print a counter", "One that nobody has added to is 0.", key_only, read_options,
     EXAMPLES({"prismctl counter get visits", "a number"}), run_counter_get},
    {"counter clear", "set a counter to 0, and print what it was", NULL, key_only, write_options,
     EXAMPLES({"prismctl counter clear visits", "begin again"}), run_counter_clear},
    {.name = NULL},
};

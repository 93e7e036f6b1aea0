/* The command line against the table. Options may stand anywhere; "--" ends them. The first one or two words name the command.
 * What is not known is answered with the nearest word that is. */
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>

#include "base/duration.h"
#include "cli.h"
#include "proxy/nearest.h"

static enum err usage(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
static enum err usage(struct cli *cli, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    const char *text = arena_vprintf(&cli->arena, format, list);
    va_end(list);
    return diag_set(&cli->diag, ERR_USAGE, "%s", text ? text : "out of memory");
}

/* ", did you mean X?" or "". */
static const char *meant(struct cli *cli, const struct nearest *near, const char *dashes)
{
    if (!near->best.size)
        return "";
    const char *text = arena_printf(&cli->arena, "; did you mean %s%.*s?", dashes, SLICE_ARG(near->best));
    return text ? text : "";
}

static const struct option *find_in(const struct option *list, struct slice name)
{
    for (; list && list->name; list++)
        if (slice_eq(slice_str(list->name), name))
            return list;
    return NULL;
}

static const struct option *find_letter(const struct option *list, char letter)
{
    for (; list && list->name; list++)
        if (list->letter == letter)
            return list;
    return NULL;
}

/* A command's own option goes before a global one of the same name. */
static const struct option *find_option(const struct args *args, struct slice name)
{
    const struct option *o = args->command ? find_in(args->command->options, name) : NULL;
    return o ? o : find_in(global_options, name);
}

static enum err unknown_option(struct cli *cli, struct slice name)
{
    struct nearest near = {.word = name};
    for (const struct option *o = global_options; o->name; o++)
        nearest_offer(&near, slice_str(o->name));
    for (const struct option *o = cli->args.command ? cli->args.command->options : global_options; o->name; o++)
        nearest_offer(&near, slice_str(o->name));
    return usage(cli, "there is no option --%.*s%s", SLICE_ARG(name), meant(cli, &near, "--"));
}

static bool is_choice(const char *choices, const char *value)
{
    size_t size = strlen(value);
    for (const char *c = choices; c; c = strchr(c, '|')) {
        c += *c == '|';
        if (size && strncmp(c, value, size) == 0 && (c[size] == '|' || !c[size]))
            return true;
    }
    return false;
}

static bool is_count(const char *value)
{
    size_t digits = strspn(value, "0123456789");
    return digits > 0 && digits < 19 && !value[digits];
}

static enum err check_value(struct cli *cli, const struct option *o, const char *value, const char *source)
{
    int64_t ns;
    switch (o->kind) {
    case OPTION_COUNT:
        return is_count(value) ? OK : usage(cli, "%s takes a number, not \"%s\"", source, value);
    case OPTION_DURATION:
        if (duration_parse(slice_str(value), &ns))
            return usage(cli, "%s takes a time such as 250ms, 90s or 12h, not \"%s\"", source, value);
        return OK;
    case OPTION_CHOICE:
        return is_choice(o->choices, value) ? OK
                                            : usage(cli, "%s takes one of %s, not \"%s\"", source, o->choices, value);
    default:
        return OK;
    }
}

static const struct given *find_given(const struct args *args, const char *name)
{
    for (unsigned i = 0; i < args->given_count; i++)
        if (strcmp(args->given[i].option->name, name) == 0)
            return &args->given[i];
    return NULL;
}

static enum err keep(struct cli *cli, const struct option *o, const char *value)
{
    struct args *args = &cli->args;
    const char *source = arena_printf(&cli->arena, "--%s", o->name);
    enum err e = value ? check_value(cli, o, value, source ? source : "an option") : OK;
    if (e)
        return e;
    if (value && !o->many && find_given(args, o->name))
        return usage(cli, "--%s is given twice", o->name);
    if (args->given_count == GIVEN_MAX)
        return usage(cli, "more than %d options", GIVEN_MAX);
    args->help |= strcmp(o->name, "help") == 0;
    args->version |= strcmp(o->name, "version") == 0;
    args->given[args->given_count++] = (struct given){.option = o, .value = value};
    return OK;
}

/* "--name", "--name=value", "--name value". */
static enum err take_long(struct cli *cli, const char *text, const char *next, unsigned *used)
{
    const char *equals = strchr(text, '=');
    struct slice name = equals ? slice_of(text, (size_t)(equals - text)) : slice_str(text);
    const struct option *o = find_option(&cli->args, name);
    if (!o)
        return unknown_option(cli, name);
    if (o->kind == OPTION_FLAG)
        return equals ? usage(cli, "--%s takes no value", o->name) : keep(cli, o, NULL);
    if (equals)
        return keep(cli, o, equals + 1);
    if (!next)
        return usage(cli, "--%s needs a value: --%s %s", o->name, o->name, o->value);
    *used = 2;
    return keep(cli, o, next);
}

/* "-n value", "-nvalue", "-rk". */
static enum err take_short(struct cli *cli, const char *letters, const char *next, unsigned *used)
{
    for (; *letters; letters++) {
        const struct option *o = cli->args.command ? find_letter(cli->args.command->options, *letters) : NULL;
        o = o ? o : find_letter(global_options, *letters);
        if (!o)
            return usage(cli, "there is no option -%c", *letters);
        if (o->kind != OPTION_FLAG) {
            const char *value = letters[1] ? letters + 1 : next;
            if (!value)
                return usage(cli, "-%c needs a value: -%c %s", *letters, *letters, o->value);
            *used = letters[1] ? 1 : 2;
            return keep(cli, o, value);
        }
        enum err e = keep(cli, o, NULL);
        if (e)
            return e;
    }
    return OK;
}

static bool is_group(const char *word)
{
    for (const struct command_group *g = command_groups; g->name; g++)
        if (strcmp(g->name, word) == 0)
            return true;
    return false;
}

static const struct command *find_command(const char *first, const char *second)
{
    for (const struct command *c = command_next(NULL); c; c = command_next(c)) {
        size_t size = strlen(first);
        if (strncmp(c->name, first, size) != 0)
            continue;
        if (!c->name[size] || (second && c->name[size] == ' ' && strcmp(c->name + size + 1, second) == 0))
            return c;
    }
    return NULL;
}

static enum err unknown_command(struct cli *cli, const char *word)
{
    struct nearest near = {.word = slice_str(word)};
    for (const struct command *c = command_next(NULL); c; c = command_next(c))
        nearest_offer(&near, slice_of(c->name, strcspn(c->name, " ")));
    return usage(cli, "there is no command \"%s\"%s", word, meant(cli, &near, ""));
}

static enum err unknown_subcommand(struct cli *cli, const char *group, const char *word)
{
    struct nearest near = {.word = slice_str(word)};
    size_t size = strlen(group);
    for (const struct command *c = command_next(NULL); c; c = command_next(c))
        if (strncmp(c->name, group, size) == 0 && c->name[size] == ' ')
            nearest_offer(&near, slice_str(c->name + size + 1));
    const char *dashes = arena_printf(&cli->arena, "%s ", group);
    return usage(cli, "there is no command \"%s %s\"%s", group, word, meant(cli, &near, dashes ? dashes : ""));
}

static unsigned most_arguments(const struct command *c)
{
    unsigned count = 0;
    while (c->arguments[count].name)
        count++;
    return count && c->arguments[count - 1].many ? POSITIONAL_MAX : count;
}

/* A dash alone, and a negative number, are no options. */
static bool is_word(const char *text)
{
    return text[0] != '-' || !text[1] || isdigit((unsigned char)text[1]) || strcmp(text, "-inf") == 0;
}

/* A word that is no option: the command's first or second word, or an argument. */
static enum err take_word(struct cli *cli, const char *word)
{
    struct args *args = &cli->args;
    if (!args->command && args->group) {
        args->command = find_command(args->group, word);
        return args->command ? OK : unknown_subcommand(cli, args->group, word);
    }
    if (!args->command) {
        args->group = is_group(word) ? word : NULL;
        args->command = args->group ? NULL : find_command(word, NULL);
        return args->command || args->group ? OK : unknown_command(cli, word);
    }
    if (args->positional_count >= most_arguments(args->command))
        return usage(cli, "\"%s\" is one argument too many", word);
    args->positional[args->positional_count++] = word;
    return OK;
}

static enum err take(struct cli *cli, const char *word, const char *next, bool words_only, unsigned *used)
{
    if (words_only || is_word(word))
        return take_word(cli, word);
    return word[1] == '-' ? take_long(cli, word + 2, next, used) : take_short(cli, word + 1, next, used);
}

/* Options of a command may stand in front of it: the command is found first. */
static void find_command_first(struct cli *cli, int argc, char **argv)
{
    const char *words[2] = {NULL, NULL};
    unsigned count = 0;
    for (int i = 1; i < argc && count < 2; i++) {
        if (is_word(argv[i])) {
            words[count++] = argv[i];
            continue;
        }
        const struct option *o = argv[i][1] == '-' ? find_in(global_options, slice_str(argv[i] + 2))
                                                   : find_letter(global_options, argv[i][1]);
        if (o && o->kind != OPTION_FLAG && (argv[i][1] == '-' || !argv[i][2]))
            i++;
    }
    if (words[0])
        cli->args.command = find_command(words[0], words[1]);
}

static enum err check_complete(struct cli *cli)
{
    const struct args *args = &cli->args;
    if (!args->command || args->help || args->version)
        return OK;
    const struct argument *a = args->command->arguments;
    for (unsigned i = 0; a->name && i < args->positional_count; i++)
        a++;
    if (a->name && !a->optional)
        return usage(cli, "%s is missing: %s", a->name, a->help);
    return OK;
}

/* Values of the environment are checked where they stand in for an option that was not given. */
static enum err check_environment(struct cli *cli)
{
    for (const struct option *o = global_options; o->name; o++) {
        const char *value = o->env && !find_given(&cli->args, o->name) ? getenv(o->env) : NULL;
        if (value && *value) {
            enum err e = check_value(cli, o, value, o->env);
            if (e)
                return e;
        }
    }
    return OK;
}

enum err args_parse(struct cli *cli, int argc, char **argv)
{
    struct args *args = &cli->args;
    find_command_first(cli, argc, argv);
    const struct command *found = args->command;
    /* Words are taken again in order; until the command's own words are through, options already know it. */
    unsigned words_of_command = found ? 1 + (strchr(found->name, ' ') != NULL) : 0;
    bool words_only = false;
    for (int i = 1; i < argc;) {
        unsigned used = 1;
        bool word = words_only || is_word(argv[i]);
        if (!words_only && strcmp(argv[i], "--") == 0) {
            words_only = true;
        } else if (word && words_of_command) {
            words_of_command--;
        } else {
            enum err e = take(cli, argv[i], i + 1 < argc ? argv[i + 1] : NULL, words_only, &used);
            if (e)
                return e;
        }
        i += (int)used;
    }
    enum err e = check_environment(cli);
    return e ? e : check_complete(cli);
}

const char *cli_option(const struct cli *cli, const char *name)
{
    const struct given *g = find_given(&cli->args, name);
    if (g)
        return g->value;
    const struct option *o = find_option(&cli->args, slice_str(name));
    assert(o);
    const char *value = o->env ? getenv(o->env) : NULL;
    return value && *value ? value : o->fallback;
}

const char *cli_option_at(const struct cli *cli, const char *name, unsigned i)
{
    for (unsigned g = 0; g < cli->args.given_count; g++)
        if (strcmp(cli->args.given[g].option->name, name) == 0 && i-- == 0)
            return cli->args.given[g].value;
    return NULL;
}

bool cli_flag(const struct cli *cli, const char *name)
{
    return find_given(&cli->args, name) != NULL;
}

uint64_t cli_count(const struct cli *cli, const char *name)
{
    const char *value = cli_option(cli, name);
    return value ? strtoull(value, NULL, 10) : 0;
}

int64_t cli_duration_ns(const struct cli *cli, const char *name)
{
    const char *value = cli_option(cli, name);
    int64_t ns = 0;
    return value && duration_parse(slice_str(value), &ns) == OK ? ns : 0;
}

const char *cli_argument(const struct cli *cli, unsigned i)
{
    return i < cli->args.positional_count ? cli->args.positional[i] : NULL;
}

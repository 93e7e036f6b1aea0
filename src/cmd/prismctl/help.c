/* Help and the manual page, printed from the command table. */
#include <ctype.h>

#include "cli.h"

static void print_option(const struct cli *cli, const struct option *o, FILE *out)
{
    char left[64];
    snprintf(left, sizeof left, "%c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
             o->letter ? "," : " ", o->name, o->value ? " " : "", o->value ? o->value : "");
    fprintf(out, "  %s%-30s%s %s", cli_paint(cli, STYLE_BOLD), left, cli_paint(cli, STYLE_OFF), o->help);
    if (o->env)
        fprintf(out, " (%s%s%s)", o->env, o->fallback ? ", else " : "", o->fallback ? o->fallback : "");
    else if (o->fallback)
        fprintf(out, " (default %s)", o->fallback);
    fputc('\n', out);
}

static void print_options(const struct cli *cli, const char *title, const struct option *list, FILE *out)
{
    if (!list->name)
        return;
    fprintf(out, "\n%s:\n", title);
    for (; list->name; list++)
        print_option(cli, list, out);
}

static void print_usage(const struct command *c, FILE *out)
{
    fprintf(out, "prismctl %s", c->name);
    for (const struct argument *a = c->arguments; a->name; a++)
        fprintf(out, a->optional ? " [%s%s]" : " %s%s", a->name, a->many ? "…" : "");
    if (c->options->name)
        fputs(" [OPTION…]", out);
}

static void print_commands(const struct cli *cli, const char *group, FILE *out)
{
    size_t size = group ? strlen(group) : 0;
    for (const struct command *c = command_next(NULL); c; c = command_next(c))
        if (!group || (strncmp(c->name, group, size) == 0 && c->name[size] == ' '))
            fprintf(out, "  %s%-24s%s %s\n", cli_paint(cli, STYLE_BOLD), c->name, cli_paint(cli, STYLE_OFF),
                    c->summary);
}

void help_program(const struct cli *cli, FILE *out)
{
    fputs("prismctl, the command line of Prism\n\nUsage: prismctl COMMAND [ARGUMENT…] [OPTION…]\n\nCommands:\n", out);
    print_commands(cli, NULL, out);
    print_options(cli, "Options of every command", global_options, out);
    fputs("\nprismctl COMMAND --help tells more, with examples. Exit codes are those of docs/reference/errors.md.\n",
          out);
}

void help_group(const struct cli *cli, const char *group, FILE *out)
{
    const struct command_group *g = command_groups;
    while (strcmp(g->name, group) != 0)
        g++;
    fprintf(out, "prismctl %s: %s\n\nCommands:\n", group, g->summary);
    print_commands(cli, group, out);
    fprintf(out, "\nprismctl %s COMMAND --help tells more, with examples.\n", group);
}

void help_command(const struct cli *cli, const struct command *c, FILE *out)
{
    fputs("Usage: ", out);
    print_usage(c, out);
    fprintf(out, "\n\n%c%s.%s%s\n", toupper((unsigned char)c->summary[0]), c->summary + 1, c->about ? " " : "",
            c->about ? c->about : "");
    if (c->arguments->name)
        fputs("\nArguments:\n", out);
    for (const struct argument *a = c->arguments; a->name; a++)
        fprintf(out, "  %s%-30s%s %s\n", cli_paint(cli, STYLE_BOLD), a->name, cli_paint(cli, STYLE_OFF), a->help);
    print_options(cli, "Options", c->options, out);
    fputs("\nExamples:\n", out);
    for (const struct example *e = c->examples; e->command; e++)
        fprintf(out, "  %s%s%s\n      %s\n", cli_paint(cli, STYLE_BOLD), e->command, cli_paint(cli, STYLE_OFF),
                e->what);
    print_options(cli, "Options of every command", global_options, out);
}

/* Text with what troff would take for its own escaped. */
static void troff(const char *text, FILE *out)
{
    for (const char *c = text; *c; c++) {
        if (*c == '\\')
            fputs("\\e", out);
        else if (*c == '-')
            fputs("\\-", out);
        else if ((*c == '.' || *c == '\'') && c == text)
            fprintf(out, "\\&%c", *c);
        else
            fputc(*c, out);
    }
}

static void troff_option(const struct option *o, FILE *out)
{
    fputs(".TP\n", out);
    if (o->letter)
        fprintf(out, "\\fB\\-%c\\fR, ", o->letter);
    fputs("\\fB\\-\\-", out);
    troff(o->name, out);
    fputs("\\fR", out);
    if (o->value)
        fprintf(out, " \\fI%s\\fR", o->value);
    fputc('\n', out);
    troff(o->help, out);
    if (o->env)
        fprintf(out, " (environment: %s)", o->env);
    if (o->fallback) {
        fputs(" (default: ", out);
        troff(o->fallback, out);
        fputc(')', out);
    }
    fputc('\n', out);
}

static void troff_command(const struct command *c, FILE *out)
{
    fprintf(out, ".SS prismctl %s", c->name);
    for (const struct argument *a = c->arguments; a->name; a++)
        fprintf(out, a->optional ? " [%s%s]" : " %s%s", a->name, a->many ? "…" : "");
    fprintf(out, "\n%c", toupper((unsigned char)c->summary[0]));
    troff(c->summary + 1, out);
    fputs(".\n", out);
    if (c->about) {
        troff(c->about, out);
        fputc('\n', out);
    }
    for (const struct argument *a = c->arguments; a->name; a++) {
        fprintf(out, ".TP\n\\fI%s\\fR\n", a->name);
        troff(a->help, out);
        fputc('\n', out);
    }
    for (const struct option *o = c->options; o->name; o++)
        troff_option(o, out);
    for (const struct example *e = c->examples; e->command; e++) {
        fputs(".PP\n.nf\n", out);
        troff(e->command, out);
        fputs("\n.fi\n.RS\n", out);
        troff(e->what, out);
        fputs("\n.RE\n", out);
    }
}

void help_man(FILE *out)
{
    fputs(".\\\" Printed by prismctl help --man; changes go to src/cmd/prismctl/table.c.\n"
          ".TH PRISMCTL 1 \"\" \"prism " PRISM_VERSION "\" \"Prism\"\n"
          ".SH NAME\nprismctl \\- the command line of Prism\n"
          ".SH SYNOPSIS\n\\fBprismctl\\fR \\fICOMMAND\\fR [\\fIARGUMENT\\fR...] [\\fIOPTION\\fR...]\n"
          ".SH DESCRIPTION\nReads and writes data through a prism\\-proxy, shows and reloads its configuration, and "
          "calls any "
          "of its methods.\nResults go to standard output, everything else to standard error.\n"
          ".SH OPTIONS OF EVERY COMMAND\n",
          out);
    for (const struct option *o = global_options; o->name; o++)
        troff_option(o, out);
    fputs(".SH COMMANDS\n", out);
    for (const struct command *c = command_next(NULL); c; c = command_next(c))
        troff_command(c, out);
    fputs(".SH EXIT STATUS\n0 when done, 2 for a command line that is not valid, else the number that "
          "docs/reference/errors.md gives for the error.\n"
          ".SH ENVIRONMENT\n.TP\nNO_COLOR\nSet to anything: no colours.\n",
          out);
}

static enum err help_about(struct cli *cli, const char *first, const char *second)
{
    char *words[] = {(char *)"prismctl", (char *)"--help", (char *)first, (char *)second};
    memset(&cli->args, 0, sizeof cli->args);
    enum err e = args_parse(cli, second ? 4 : 3, words);
    if (e)
        return e;
    if (cli->args.command)
        help_command(cli, cli->args.command, stdout);
    else
        help_group(cli, cli->args.group, stdout);
    return OK;
}

enum err run_help(struct cli *cli)
{
    if (cli_flag(cli, "man"))
        help_man(stdout);
    else if (cli_argument(cli, 0))
        return help_about(cli, cli_argument(cli, 0), cli_argument(cli, 1));
    else
        help_program(cli, stdout);
    return OK;
}

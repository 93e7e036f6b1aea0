/* Completion scripts for bash and zsh, printed from the command table. */
#include "cli.h"

/* Words of a choice list or of options, separated by spaces. */
static void put_choices(const char *choices, FILE *out)
{
    for (; *choices; choices++)
        fputc(*choices == '|' ? ' ' : *choices, out);
}

static void put_options(const struct option *list, FILE *out)
{
    for (; list->name; list++)
        fprintf(out, " --%s", list->name);
}

/* Words that follow group, or that begin commands. */
static void put_words(const char *group, FILE *out)
{
    size_t size = group ? strlen(group) : 0;
    const char *last = "";
    for (const struct command *c = command_next(NULL); c; c = command_next(c)) {
        if (group && (strncmp(c->name, group, size) != 0 || c->name[size] != ' '))
            continue;
        const char *word = group ? c->name + size + 1 : c->name;
        size_t length = strcspn(word, " ");
        if (strncmp(last, word, length) != 0 || last[length] != word[length])
            fprintf(out, "%s%.*s", *last ? " " : "", (int)length, word);
        last = word;
    }
}

static void bash_option_values(const struct option *list, FILE *out)
{
    for (; list->name; list++) {
        if (list->kind == OPTION_FLAG)
            continue;
        fprintf(out, "    --%s) ", list->name);
        if (list->kind == OPTION_CHOICE) {
            fputs("COMPREPLY=($(compgen -W '", out);
            put_choices(list->choices, out);
            fputs("' -- \"$cur\")) ;;\n", out);
        } else {
            fputs(list->kind == OPTION_FILE ? "COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n" : "COMPREPLY=() ;;\n", out);
        }
    }
}

static bool takes_file(const struct command *c)
{
    for (const struct argument *a = c->arguments; a->name; a++)
        if (a->file)
            return true;
    return false;
}

static bool takes_value(const char *name, const struct option *before)
{
    for (const struct option *o = global_options; o->name; o++)
        if (strcmp(o->name, name) == 0)
            return true;
    for (const struct command *c = command_next(NULL); c && c->options != before; c = command_next(c))
        for (const struct option *o = c->options; o->name; o++)
            if (strcmp(o->name, name) == 0 && o->kind != OPTION_FLAG)
                return true;
    return false;
}

/* Values of commands' own options; one that several commands share is told once. */
static void bash_command_values(FILE *out)
{
    for (const struct command *c = command_next(NULL); c; c = command_next(c)) {
        for (const struct option *o = c->options; o->name; o++) {
            struct option one[] = {*o, {.name = NULL}};
            if (o->kind != OPTION_FLAG && !takes_value(o->name, c->options))
                bash_option_values(one, out);
        }
    }
}

static void bash_value_options(FILE *out)
{
    const char *bar = "";
    for (const struct option *o = global_options; o->name; o++) {
        if (o->kind == OPTION_FLAG)
            continue;
        fprintf(out, "%s--%s", bar, o->name);
        if (o->letter)
            fprintf(out, "|-%c", o->letter);
        bar = "|";
    }
}

void completion_bash(FILE *out)
{
    fputs("# bash completion of prismctl. Printed by: prismctl completion bash\n"
          "_prismctl() {\n"
          "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words='' i\n"
          "  COMPREPLY=()\n"
          "  case $prev in\n"
          "    -o) prev=--output ;;\n"
          "  esac\n"
          "  case $prev in\n",
          out);
    bash_option_values(global_options, out);
    bash_command_values(out);
    fputs("    *) prev= ;;\n  esac\n  [ -n \"$prev\" ] && return\n"
          "  for ((i = 1; i < COMP_CWORD; i++)); do\n    case ${COMP_WORDS[i]} in\n      ",
          out);
    bash_value_options(out);
    fputs(") i=$((i + 1)) ;;\n      -*) ;;\n      *) words+=\"${COMP_WORDS[i]} \" ;;\n    esac\n  done\n"
          "  local global='",
          out);
    put_options(global_options, out);
    fputs("'\n  case $words in\n    '') COMPREPLY=($(compgen -W \"", out);
    put_words(NULL, out);
    fputs(" $global\" -- \"$cur\")) ;;\n", out);
    for (const struct command_group *g = command_groups; g->name; g++) {
        fprintf(out, "    '%s ') COMPREPLY=($(compgen -W '", g->name);
        put_words(g->name, out);
        fputs("' -- \"$cur\")) ;;\n", out);
    }
    for (const struct command *c = command_next(NULL); c; c = command_next(c)) {
        fprintf(out, "    '%s '*) COMPREPLY=($(compgen %s-W \"", c->name, takes_file(c) ? "-f " : "");
        if (strcmp(c->name, "completion") == 0)
            fputs("bash zsh", out);
        if (strcmp(c->name, "help") == 0)
            put_words(NULL, out);
        put_options(c->options, out);
        fputs(" $global\" -- \"$cur\")) ;;\n", out);
    }
    fputs("  esac\n}\ncomplete -o filenames -F _prismctl prismctl\n", out);
}

/* Text in single quotes inside of a zsh specification: ' ends it, : [ ] part it. */
static void zsh_text(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr(":[]\\", *text))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
}

static void zsh_option(const struct option *o, FILE *out)
{
    fprintf(out, "    '%s--%s%s[", o->many ? "*" : "", o->name, o->value ? "=" : "");
    zsh_text(o->help, out);
    fputc(']', out);
    if (o->value) {
        fputc(':', out);
        zsh_text(o->value, out);
        fputc(':', out);
    }
    if (o->kind == OPTION_FILE)
        fputs("_files", out);
    if (o->kind == OPTION_CHOICE) {
        fputc('(', out);
        put_choices(o->choices, out);
        fputc(')', out);
    }
    fputs("' \\\n", out);
}

static void zsh_options(const struct option *list, FILE *out)
{
    for (; list->name; list++)
        zsh_option(list, out);
}

static void zsh_command(const struct command *c, FILE *out)
{
    fprintf(out, "  '%s') _arguments \\\n", c->name);
    zsh_options(c->options, out);
    for (const struct argument *a = c->arguments; a->name; a++) {
        fprintf(out, "    '%s%s:", a->many ? "*" : "", a->optional && !a->many ? ":" : "");
        zsh_text(a->name, out);
        fputs(strcmp(c->name, "completion") == 0 ? ":(bash zsh)' \\\n" : a->file ? ":_files' \\\n" : ":' \\\n", out);
    }
    fputs("    $global ;;\n", out);
}

/* name:summary pairs of commands, or of those of a group. */
static void zsh_words(const char *group, FILE *out)
{
    size_t size = group ? strlen(group) : 0;
    for (const struct command *c = command_next(NULL); c; c = command_next(c)) {
        bool in_group = group && strncmp(c->name, group, size) == 0 && c->name[size] == ' ';
        if (group ? !in_group : strchr(c->name, ' ') != NULL)
            continue;
        fprintf(out, "    '%s:", group ? c->name + size + 1 : c->name);
        zsh_text(c->summary, out);
        fputs("'\n", out);
    }
    for (const struct command_group *g = command_groups; !group && g->name; g++) {
        fprintf(out, "    '%s:", g->name);
        zsh_text(g->summary, out);
        fputs("'\n", out);
    }
}

void completion_zsh(FILE *out)
{
    fputs("#compdef prismctl\n# zsh completion of prismctl. Printed by: prismctl completion zsh\n"
          "_prismctl() {\n  local -a global list\n  local -i at=2\n  local words_of\n  global=(\n",
          out);
    for (const struct option *o = global_options; o->name; o++) {
        zsh_option(o, out);
    }
    fputs("  )\n  list=(\n", out);
    zsh_words(NULL, out);
    fputs("  )\n  if ((CURRENT == 2)); then _describe command list; return; fi\n  case $words[2] in\n", out);
    for (const struct command_group *g = command_groups; g->name; g++) {
        fprintf(out, "  %s)\n    if ((CURRENT == 3)); then list=(\n", g->name);
        zsh_words(g->name, out);
        fputs("    ); _describe command list; return; fi\n    at=3 ;;\n", out);
    }
    fputs("  esac\n  words_of=\"${(j: :)words[2,at]}\"\n  words=(prismctl \"${(@)words[at+1,-1]}\")\n  ((CURRENT -= at "
          "- 1))\n"
          "  case $words_of in\n",
          out);
    for (const struct command *c = command_next(NULL); c; c = command_next(c))
        zsh_command(c, out);
    fputs(
        "  esac\n}\nif [ \"$funcstack[1]\" = _prismctl ]; then _prismctl \"$@\"; else compdef _prismctl prismctl; fi\n",
        out);
}

enum err run_completion(struct cli *cli)
{
    const char *shell = cli_argument(cli, 0);
    if (strcmp(shell, "bash") == 0)
        completion_bash(stdout);
    else if (strcmp(shell, "zsh") == 0)
        completion_zsh(stdout);
    else
        return diag_set(&cli->diag, ERR_USAGE, "completion is for bash and zsh, not for \"%s\"", shell);
    return OK;
}

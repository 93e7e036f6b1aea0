/* prismctl: see cli.h for how its parts work together. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"

enum { EXIT_OUTPUT_CLOSED = 128 + SIGPIPE }; /* what a shell says of programs that the signal ends */

static unsigned terminal_columns(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static void look_around(struct cli *cli)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    cli->terminal = isatty(STDOUT_FILENO);
    cli->progress = isatty(STDERR_FILENO);
    cli->colour = cli->terminal && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
    cli->columns = cli->terminal ? terminal_columns() : 0;
}

static void read_output(struct cli *cli)
{
    const char *name = cli_option(cli, "output");
    cli->output = strcmp(name, "json") == 0 ? OUTPUT_JSON : strcmp(name, "yaml") == 0 ? OUTPUT_YAML : OUTPUT_TABLE;
    cli->verbose = cli_flag(cli, "verbose");
}

static enum err run(struct cli *cli, int argc, char **argv)
{
    const struct args *args = &cli->args;
    enum err e = args_parse(cli, argc, argv);
    if (e)
        return e;
    read_output(cli);
    if (args->version)
        puts("prismctl " PRISM_VERSION);
    else if (args->help && args->command)
        help_command(cli, args->command, stdout);
    else if (args->group)
        help_group(cli, args->group, args->help ? stdout : stderr);
    else if (!args->command)
        help_program(cli, args->help ? stdout : stderr);
    else
        return args->command->run(cli);
    bool asked = args->help || args->version;
    return asked ? OK : diag_set(&cli->diag, ERR_USAGE, args->group ? "which of them?" : "no command was given");
}

/* Whoever read our output has gone, as head(1) does: no reason to complain. */
static bool output_closed(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return ferror(stdout) && poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

int main(int argc, char **argv)
{
    struct cli cli = {.program = argv[0]};
    arena_init(&cli.arena, SIZE_MAX);
    diag_init(&cli.diag, &cli.arena);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe shows as a write that fails */
    look_around(&cli);
    enum err e = run(&cli, argc, argv);
    if (!e && (fflush(stdout) || ferror(stdout)))
        e = diag_set(&cli.diag, ERR_FILE, "standard output takes no more");
    int code = !e ? 0 : output_closed() ? EXIT_OUTPUT_CLOSED : report(&cli, e);
    cli_disconnect(&cli);
    arena_fini(&cli.arena);
    arena_fini(&cli.behind);
    return code;
}

/* prism-loadtest: see loadtest.h for how its parts work together. */
#include <signal.h>

#include "loadtest.h"

static int complain(enum err e, const struct diag *diag)
{
    fprintf(stderr, "prism-loadtest: %s\n", diag_message(diag));
    if (e == ERR_USAGE)
        fputs("  Try prism-loadtest --help.\n", stderr);
    else
        fprintf(stderr, "  reason: %s\n", err_name(e));
    return err_row(e)->exit_code;
}

static enum err write_result(const struct options *o, const struct plan *plan, const struct result *r,
                             struct diag *diag)
{
    enum err e = OK;
    if (o->output == OUTPUT_JSON)
        e = report_json(o, plan, r, stdout);
    else
        report_table(o, plan, r, stdout);
    if (!e && (fflush(stdout) || ferror(stdout)))
        e = diag_set(diag, ERR_FILE, "standard output takes no more");
    return !e && o->svg ? chart_svg(o, plan, r, diag) : e;
}

static enum err measure(const struct options *o, struct arena *arena, struct diag *diag, enum err *ret_common)
{
    struct plan plan;
    struct result result;
    enum err e = plan_make(o, arena, diag, &plan);
    if (e)
        return e;
    e = run_load(o, &plan, diag, &result);
    if (!e) {
        e = write_result(o, &plan, &result, diag);
        *ret_common = report_common_error(&result);
        result_fini(&result);
    }
    plan_fini(&plan);
    return e;
}

int main(int argc, char **argv)
{
    struct options options;
    struct arena arena;
    struct diag diag;
    enum err common = OK;
    signal(SIGPIPE, SIG_IGN); /* a closed pipe shows as a write that fails */
    arena_init(&arena, SIZE_MAX);
    diag_init(&diag, &arena);
    enum err e = options_parse(argc, argv, &diag, &options);
    if (!e && options.help)
        options_help(stdout);
    else if (!e && options.version)
        puts("prism-loadtest " PRISM_VERSION);
    else if (!e)
        e = measure(&options, &arena, &diag, &common);
    int code = e ? complain(e, &diag) : common ? err_row(common)->exit_code : 0;
    arena_fini(&arena);
    return code;
}

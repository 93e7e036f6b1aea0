/* A progress bar on standard error, where that is a terminal. */
#include "cli.h"
#include "rt/env.h"

enum { PROGRESS_EVERY_MS = 100, PROGRESS_CELLS = 24 };

static uint64_t now_ns(void)
{
    return env_real()->monotonic_ns(env_real());
}

void progress_init(struct progress *p, const struct cli *cli, const char *verb)
{
    *p = (struct progress){
        .on = cli->progress && !cli_flag(cli, "quiet"), .verb = verb, .start_ns = now_ns(), .part = -1};
}

double progress_seconds(const struct progress *p)
{
    double seconds = (double)(now_ns() - p->start_ns) / 1e9;
    return seconds > 0.001 ? seconds : 0.001;
}

static void draw_bar(double part)
{
    int full = (int)(part * PROGRESS_CELLS);
    fputc('[', stderr);
    for (int i = 0; i < PROGRESS_CELLS; i++)
        fputc(i < full ? '#' : '.', stderr);
    fprintf(stderr, "] %3d %%  ", (int)(part * 100));
}

void progress_show(struct progress *p)
{
    uint64_t now = now_ns();
    if (!p->on || now - p->shown_ns < (uint64_t)PROGRESS_EVERY_MS * 1000000)
        return;
    p->shown_ns = now;
    double seconds = progress_seconds(p);
    fprintf(stderr, "\r%s ", p->verb);
    if (p->part >= 0)
        draw_bar(p->part < 1 ? p->part : 1);
    fprintf(stderr, "%llu records, %.0f/s", (unsigned long long)p->done, (double)p->done / seconds);
    if (p->part > 0.01 && p->part < 1) {
        unsigned left = (unsigned)(seconds * (1 - p->part) / p->part + 0.5);
        fprintf(stderr, ", %u:%02u left", left / 60, left % 60);
    }
    fputs("\033[K", stderr);
    fflush(stderr);
}

void progress_clear(struct progress *p)
{
    if (p->on && p->shown_ns)
        fputs("\r\033[K", stderr);
    p->shown_ns = 0;
}

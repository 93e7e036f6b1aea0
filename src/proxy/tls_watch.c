/* Certificates are read again when their files change: looked at every 10 s on a pool thread. A bad pair of files leaves the old
 * one in place, says so, and is tried again at the next change. */
#include "base/limits.h"
#include "proxy/internal.h"

static void look(struct work *work)
{
    struct proxy *p = (struct proxy *)((char *)work - offsetof(struct proxy, tls_work));
    if (!tls_changed(p->tls))
        return;
    struct arena arena;
    struct diag diag;
    arena_init(&arena, 64 << 10);
    diag_init(&diag, &arena);
    enum err e = tls_reload(p->tls, &diag);
    if (e)
        log_error(p->options.log, "reading the TLS files failed, the old ones stay", LOG_ERR(e),
                  LOG_TEXT("reason", diag_message(&diag)));
    else
        log_info(p->options.log, "TLS files reloaded");
    arena_fini(&arena);
}

static void wait_for_next(struct proxy *p)
{
    timer_start(p->loop, &p->tls_timer, loop_now_ns(p->loop) + (uint64_t)LIMIT_TLS_WATCH_MS * 1000000);
}

static void looked(struct work *work)
{
    struct proxy *p = (struct proxy *)((char *)work - offsetof(struct proxy, tls_work));
    if (p->state <= PROXY_DRAINING)
        wait_for_next(p);
    proxy_less_busy(p);
}

static void time_to_look(struct timer *timer)
{
    struct proxy *p = (struct proxy *)((char *)timer - offsetof(struct proxy, tls_timer));
    p->busy++;
    p->tls_work = (struct work){.run = look, .done = looked};
    pool_submit(p->pool, p->loop, &p->tls_work);
}

void tls_watch_start(struct proxy *p)
{
    p->tls_timer.fire = time_to_look;
    if (p->tls)
        wait_for_next(p);
}

void tls_watch_stop(struct proxy *p)
{
    timer_stop(p->loop, &p->tls_timer);
}

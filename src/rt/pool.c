/* Threads for work that blocks. One queue, first come first served; a work goes back to its loop through the mailbox.
 *
 *   submitted ──▶ waiting ──▶ running (pool thread) ──▶ posted ──▶ done (loop's thread)
 *
 * Invariant: a loop's count of works goes up in pool_submit and down before done, both on the loop's thread. */
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#include "base/limits.h"
#include "base/mem.h"
#include "rt/internal.h"

struct pool {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    struct work *first, **last;
    bool ending;
    unsigned count;
    pthread_t threads[LIMIT_POOL_THREADS];
};

static struct work *take(struct pool *p)
{
    struct work *w = p->first;
    p->first = w->next;
    if (!p->first)
        p->last = &p->first;
    return w;
}

static void *serve(void *argument)
{
    struct pool *p = argument;
    pthread_mutex_lock(&p->mutex);
    while (p->first || !p->ending) {
        if (!p->first) {
            pthread_cond_wait(&p->filled, &p->mutex);
            continue;
        }
        struct work *w = take(p);
        pthread_mutex_unlock(&p->mutex);
        w->run(w);
        work_finished(w);
        pthread_mutex_lock(&p->mutex);
    }
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

/* Signals go to the threads that have loops. */
static enum err start_thread(struct pool *p)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&p->threads[p->count], NULL, serve, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return ERR_NOMEM;
    p->count++;
    return OK;
}

enum err pool_new(unsigned threads, struct pool **ret_pool)
{
    assert(threads > 0 && threads <= LIMIT_POOL_THREADS);
    struct pool *p = mem_zalloc(sizeof *p);
    if (!p)
        return ERR_NOMEM;
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->filled, NULL);
    p->last = &p->first;
    while (p->count < threads) {
        if (start_thread(p) != OK) {
            pool_free(p);
            return ERR_NOMEM;
        }
    }
    *ret_pool = p;
    return OK;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->mutex);
    p->ending = true;
    pthread_cond_broadcast(&p->filled);
    pthread_mutex_unlock(&p->mutex);
    for (unsigned i = 0; i < p->count; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->filled);
    pthread_mutex_destroy(&p->mutex);
    mem_free(p);
}

void pool_enqueue(struct pool *p, struct work *w)
{
    w->next = NULL;
    pthread_mutex_lock(&p->mutex);
    *p->last = w;
    p->last = &w->next;
    pthread_cond_signal(&p->filled);
    pthread_mutex_unlock(&p->mutex);
}

static void run_done(struct task *t)
{
    struct work *w = (struct work *)((char *)t - offsetof(struct work, task));
    w->loop->works--;
    w->done(w);
}

void pool_submit(struct pool *p, struct loop *l, struct work *w)
{
    w->loop = l;
    w->task.run = run_done;
    l->works++;
    l->backend->submit(p, w);
}

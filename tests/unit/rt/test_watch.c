/* Descriptors that somebody else owns, watched by a loop. */
#include <sys/socket.h>
#include <unistd.h>

#include "../harness.h"
#include "rt/sim/sim.h"
#include "rt/watch.h"

struct reader {
    struct watch *watch;
    int fd;
    int calls, bytes;
    unsigned events;
    bool ended;
};

static void on_ready(void *context, unsigned events)
{
    struct reader *r = context;
    char data[4];
    r->calls++;
    r->events = events;
    if (!(events & WATCH_READ))
        return;
    ssize_t n = read(r->fd, data, sizeof data);
    if (n > 0) {
        r->bytes += (int)n;
        return;
    }
    r->ended = true;
    watch_free(r->watch);
    r->watch = NULL;
}

static void pair(int fds[2])
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
}

SCENARIO(a_descriptor_is_reported_until_it_has_been_read)
{
    struct reader r = {0};
    struct loop *l = NULL;
    int fds[2];
    pair(fds);
    enum err e = loop_new(env_real(), 0, &l);
    if (!e)
        e = watch_new(l, r.fd = fds[0], on_ready, &r, &r.watch);
    if (!e) {
        CHECK_EQ(write(fds[1], "0123456789", 10), 10);
        loop_turn(l, false);
        CHECK_EQ(r.calls, 0);
        watch_set(r.watch, WATCH_READ);
        while (r.bytes < 10)
            loop_turn(l, true);
        CHECK_EQ(r.calls, 3);
        watch_set(r.watch, WATCH_READ | WATCH_WRITE);
        loop_turn(l, true);
        CHECK_EQ(r.events, WATCH_WRITE);
        watch_set(r.watch, WATCH_READ);
        close(fds[1]);
        while (!r.ended)
            loop_turn(l, true);
        CHECK(!loop_turn(l, false));
    } else {
        close(fds[1]);
    }
    close(fds[0]);
    if (l)
        loop_free(l);
    return e;
}

TEST(what_is_no_longer_wanted_is_not_reported)
{
    struct reader r = {0};
    struct loop *l;
    int fds[2];
    pair(fds);
    CHECK_ERR(loop_new(env_real(), 0, &l), OK);
    CHECK_ERR(watch_new(l, r.fd = fds[0], on_ready, &r, &r.watch), OK);
    watch_set(r.watch, WATCH_READ);
    watch_set(r.watch, 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    loop_turn(l, false);
    CHECK_EQ(r.calls, 0);
    watch_free(r.watch);
    watch_free(NULL);
    close(fds[0]);
    close(fds[1]);
    loop_free(l);
}

TEST(a_descriptor_that_cannot_be_watched_is_refused)
{
    struct loop *l;
    struct watch *w;
    CHECK_ERR(loop_new(env_real(), 0, &l), OK);
    CHECK_ERR(watch_new(l, -1, on_ready, NULL, &w), ERR_INTERNAL);
    loop_free(l);
}

TEST(the_twin_has_no_descriptors)
{
    struct sim *sim;
    struct loop *l;
    struct watch *w;
    CHECK_ERR(sim_new(1, &sim), OK);
    CHECK_ERR(loop_new(sim_env(sim), 0, &l), OK);
    CHECK_ERR(watch_new(l, 0, on_ready, NULL, &w), ERR_UNIMPLEMENTED);
    loop_free(l);
    sim_free(sim);
}

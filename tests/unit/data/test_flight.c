/* Reads that callers share: who may join, who is told, and what a write in between does. */
#include "data/flight.h"

#include "../harness.h"
#include "remote.h"

static void begin(struct remote *r)
{
    CHECK_ERR(remote_init(r), OK);
    CHECK_ERR(remote_add_loop(r), OK);
    r->ns.guard_settings.coalesce_reads = true;
}

static void get(struct remote *r, struct remote_call *c, unsigned loop, const char *key)
{
    CHECK_ERR(remote_get(r, c, loop, key), OK);
}

TEST(many_gets_of_one_key_make_one_read)
{
    enum { CALLERS = 1000 };
    static struct remote_call c[CALLERS];
    struct remote r;
    begin(&r);
    memset(c, 0, sizeof c);
    for (unsigned i = 0; i < CALLERS; i++)
        get(&r, &c[i], i % 2, "cold");
    CHECK_EQ(r.attempts, 1);
    remote_answer(&r, OK);
    remote_run(&r);
    for (unsigned i = 0; i < CALLERS; i++) {
        CHECK(c[i].ended && c[i].found);
        CHECK_EQ(c[i].answers, 1);
    }
    struct guard_stats s;
    guard_read_stats(r.ns.guard, &r.ns.guard_settings, &s);
    CHECK_EQ(s.shared, CALLERS - 1);
    CHECK_EQ(s.calls, 1);
    remote_fini(&r);
}

TEST(other_keys_and_later_gets_read_again)
{
    struct remote r;
    begin(&r);
    struct remote_call a = {0}, b = {0}, later = {0};
    get(&r, &a, 0, "a");
    get(&r, &b, 0, "b");
    CHECK_EQ(r.attempts, 2);
    remote_answer(&r, OK);
    get(&r, &later, 0, "a");
    CHECK_EQ(r.attempts, 3);
    remote_answer(&r, OK);
    remote_answer(&r, OK);
    CHECK(a.found && b.found && later.found);
    remote_fini(&r);
}

TEST(a_get_after_an_acknowledged_set_shares_no_earlier_read)
{
    struct remote r;
    begin(&r);
    struct remote_call before = {0}, during = {0}, write = {0}, after = {0}, last = {0};
    get(&r, &before, 0, "k");
    CHECK_ERR(remote_set(&r, &write, 1, "k"), OK);
    get(&r, &during, 1, "k"); /* the write has not been acknowledged: it may see either */
    CHECK_EQ(r.attempts, 2);
    struct call *read = r.waiting[0];
    r.waiting[0] = r.waiting[1];
    r.waiting[1] = read;
    remote_answer(&r, OK); /* the write */
    CHECK_ERR(write.err, OK);
    get(&r, &after, 0, "k");
    CHECK_EQ(r.attempts, 3);
    get(&r, &last, 1, "k"); /* joins the new one */
    CHECK_EQ(r.attempts, 3);
    remote_answer(&r, OK);
    remote_run(&r);
    CHECK(before.ended && during.ended && !after.ended && !last.ended);
    remote_answer(&r, OK);
    remote_run(&r);
    CHECK(after.found && last.found);
    remote_fini(&r);
}

TEST(an_error_is_everyones)
{
    struct remote r;
    begin(&r);
    r.ns.guard_settings.retry.attempts_max = 1;
    struct remote_call a = {0}, b = {0};
    get(&r, &a, 0, "k");
    get(&r, &b, 1, "k");
    remote_answer(&r, ERR_BACKEND_REFUSED);
    remote_run(&r);
    CHECK_ERR(a.err, ERR_BACKEND_REFUSED);
    CHECK_ERR(b.err, ERR_BACKEND_REFUSED);
    CHECK_STR(b.message, "the script says BACKEND_REFUSED");
    CHECK(b.retry_after_ms > 0);
    remote_fini(&r);
}

TEST(one_leaves_and_the_others_are_answered)
{
    struct remote r;
    begin(&r);
    struct remote_call a = {0}, b = {0};
    get(&r, &a, 0, "k");
    get(&r, &b, 1, "k");
    call_cancel(a.call);
    CHECK_ERR(a.err, ERR_CANCELLED);
    remote_run(&r);
    CHECK_EQ(r.cancelled, 0);
    remote_answer(&r, OK);
    remote_run(&r);
    CHECK(b.found);
    remote_fini(&r);
}

TEST(the_last_to_leave_cancels_the_read)
{
    struct remote r;
    begin(&r);
    struct remote_call a = {0}, b = {0}, next = {0};
    get(&r, &a, 0, "k");
    get(&r, &b, 1, "k");
    call_cancel(a.call);
    call_cancel(b.call);
    get(&r, &next, 1, "k"); /* does not join one that is about to be cancelled */
    remote_run(&r);
    CHECK_EQ(r.cancelled, 1);
    CHECK_EQ(r.attempts, 2);
    remote_answer(&r, OK);
    CHECK(next.found);
    remote_fini(&r);
}

/* The answer is on its way to the other loop when the caller gives up: it still ends once. */
TEST(leaving_while_the_answer_is_on_its_way)
{
    struct remote r;
    begin(&r);
    struct remote_call a = {0}, b = {0};
    get(&r, &a, 0, "k");
    get(&r, &b, 1, "k");
    remote_answer(&r, OK);
    CHECK(a.ended && !b.ended);
    call_cancel(b.call);
    remote_run(&r);
    CHECK(b.ended);
    remote_fini(&r);
}

TEST(what_expired_on_the_way_is_not_found)
{
    struct remote r;
    begin(&r);
    r.expires_ms = (int64_t)(sim_env(r.sim)->realtime_ns(sim_env(r.sim)) / 1000000) - 1000;
    struct remote_call a = {0};
    get(&r, &a, 0, "k");
    remote_answer(&r, OK);
    CHECK(a.ended && !a.found);
    CHECK_EQ(a.answers, 1);
    remote_fini(&r);
}

SCENARIO(runs_out_of_memory)
{
    struct remote r;
    enum err e = remote_init(&r);
    if (e)
        return e;
    r.ns.guard_settings.coalesce_reads = true;
    struct remote_call a = {0}, b = {0};
    enum err ea = remote_get(&r, &a, 0, "k"), eb = remote_get(&r, &b, 0, "k");
    while (r.waiting_count)
        remote_answer(&r, OK);
    remote_run(&r);
    CHECK((ea || a.ended) && (eb || b.ended));
    remote_fini(&r);
    return ea ? ea : eb ? eb : a.err ? a.err : b.err;
}

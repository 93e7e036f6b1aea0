/* The guard between a call and a remote backend: retries, breaker, bulkhead, cancelling. */
#include "data/guard.h"

#include "../harness.h"
#include "base/limits.h"
#include "remote.h"

#define SCRIPT(r, ...)                                                                                                 \
    ((r)->script = (const enum err[]){__VA_ARGS__},                                                                    \
     (r)->script_count = sizeof((const enum err[]){__VA_ARGS__}) / sizeof(enum err))

static void begin(struct remote *r)
{
    CHECK_ERR(remote_init(r), OK);
}

static struct guard_stats stats(struct remote *r)
{
    struct guard_stats s;
    guard_read_stats(r->ns.guard, &r->ns.guard_settings, &s);
    return s;
}

/* --- retries ----------------------------------------------------------------------------------------------------------------- */

TEST(an_answer_passes_through)
{
    struct remote r;
    begin(&r);
    SCRIPT(&r, OK, ERR_VERSION_MISMATCH);
    struct remote_call c = {0};
    CHECK_ERR(remote_get(&r, &c, 0, "k"), OK);
    CHECK(c.ended && c.found);
    CHECK_ERR(c.err, OK);
    CHECK_ERR(remote_set(&r, &c, 0, "k"), OK);
    CHECK_ERR(c.err, ERR_VERSION_MISMATCH);
    CHECK_EQ(r.attempts, 2);
    CHECK_EQ(c.retry_after_ms, 0);
    CHECK_EQ(stats(&r).in_flight, 0);
    remote_fini(&r);
}

TEST(what_was_not_executed_is_repeated)
{
    struct remote r;
    begin(&r);
    SCRIPT(&r, ERR_BACKEND_UNREACHABLE, ERR_BACKEND_REFUSED, OK);
    struct remote_call c = {0};
    CHECK_ERR(remote_set(&r, &c, 0, "k"), OK);
    CHECK(!c.ended);
    remote_run(&r);
    CHECK_ERR(c.err, OK);
    CHECK(c.ended);
    CHECK_EQ(c.answers, 1);
    CHECK_EQ(r.attempts, 3);
    CHECK_EQ(stats(&r).retries, 2);
    CHECK_EQ(stats(&r).calls, 1);
    remote_fini(&r);
}

TEST(attempts_have_a_limit)
{
    struct remote r;
    begin(&r);
    SCRIPT(&r, ERR_BACKEND_UNREACHABLE, ERR_BACKEND_UNREACHABLE, ERR_BACKEND_UNREACHABLE, OK);
    struct remote_call c = {0};
    CHECK_ERR(remote_get(&r, &c, 0, "k"), OK);
    remote_run(&r);
    CHECK(c.ended);
    CHECK_ERR(c.err, ERR_BACKEND_UNREACHABLE);
    CHECK_STR(c.message, "the script says BACKEND_UNREACHABLE");
    CHECK_EQ(r.attempts, 3);
    CHECK(c.retry_after_ms > 0);
    remote_fini(&r);
}

TEST(a_write_that_may_have_been_executed_is_not_repeated)
{
    struct remote r;
    begin(&r);
    SCRIPT(&r, ERR_BACKEND_LOST, OK);
    struct remote_call c = {0};
    CHECK_ERR(remote_set(&r, &c, 0, "k"), OK);
    remote_run(&r);
    CHECK(c.ended);
    CHECK_ERR(c.err, ERR_OUTCOME_UNKNOWN);
    CHECK_EQ(r.attempts, 1);
    remote_fini(&r);
}

TEST(a_read_and_a_write_with_an_idempotency_key_are_repeated)
{
    struct remote r;
    begin(&r);
    SCRIPT(&r, ERR_BACKEND_LOST, OK, ERR_BACKEND_LOST, OK);
    struct remote_call c = {0}, d = {.idempotency_key = "once"};
    CHECK_ERR(remote_get(&r, &c, 0, "k"), OK);
    remote_run(&r);
    CHECK_ERR(c.err, OK);
    CHECK_ERR(remote_set(&r, &d, 0, "k"), OK);
    remote_run(&r);
    CHECK_ERR(d.err, OK);
    CHECK_EQ(r.attempts, 4);
    remote_fini(&r);
}

/* The second attempt did not reach the backend: of the first nobody knows. */
TEST(the_outcome_stays_unknown_whatever_later_attempts_say)
{
    struct remote r;
    begin(&r);
    SCRIPT(&r, ERR_BACKEND_LOST, ERR_BACKEND_UNREACHABLE, ERR_BACKEND_UNREACHABLE);
    struct remote_call c = {.idempotency_key = "once"};
    CHECK_ERR(remote_set(&r, &c, 0, "k"), OK);
    remote_run(&r);
    CHECK_ERR(c.err, ERR_OUTCOME_UNKNOWN);
    CHECK_EQ(r.attempts, 3);
    remote_fini(&r);
}

TEST(no_retry_past_the_deadline)
{
    struct remote r;
    begin(&r);
    SCRIPT(&r, ERR_BACKEND_UNREACHABLE, OK);
    struct remote_call c = {.deadline_ns = sim_now_ns(r.sim)};
    CHECK_ERR(remote_get(&r, &c, 0, "k"), OK);
    CHECK(c.ended);
    CHECK_ERR(c.err, ERR_BACKEND_UNREACHABLE);
    remote_fini(&r);
}

TEST(no_retry_past_the_budget)
{
    struct remote r;
    begin(&r);
    r.ns.guard_settings.breaker.failures = 0;
    enum err all[400];
    for (int i = 0; i < 400; i++)
        all[i] = ERR_BACKEND_UNREACHABLE;
    r.script = all;
    r.script_count = 400;
    for (int i = 0; i < 200; i++) {
        struct remote_call c = {0};
        CHECK_ERR(remote_get(&r, &c, 0, "k"), OK);
        remote_run_ms(&r, 100);
        CHECK(c.ended);
    }
    CHECK(r.attempts >= 200 + 20);
    CHECK(r.attempts <= 200 + 20 + RETRY_TOKENS_MAX);
    CHECK(stats(&r).retries_denied > 0);
    remote_fini(&r);
}

TEST(cancelled_while_it_backs_off)
{
    struct remote r;
    begin(&r);
    SCRIPT(&r, ERR_BACKEND_UNREACHABLE, OK);
    struct remote_call c = {0};
    CHECK_ERR(remote_get(&r, &c, 0, "k"), OK);
    CHECK(!c.ended);
    call_cancel(c.call);
    CHECK(c.ended);
    CHECK_ERR(c.err, ERR_CANCELLED);
    remote_run(&r);
    CHECK_EQ(r.attempts, 1);
    remote_fini(&r);
}

/* --- breaker ----------------------------------------------------------------------------------------------------------------- */

static void fail_until_open(struct remote *r)
{
    r->ns.guard_settings.retry.attempts_max = 1;
    SCRIPT(r, ERR_BACKEND_UNREACHABLE, ERR_BACKEND_LOST, ERR_BACKEND_REFUSED, ERR_BACKEND_DENIED,
           ERR_BACKEND_UNREACHABLE);
    for (int i = 0; i < 5; i++) {
        struct remote_call c = {0};
        CHECK_EQ(stats(r).breaker, BREAKER_CLOSED);
        CHECK_ERR(guard_probe(r->ns.guard, &r->ns.guard_settings, NULL), OK);
        CHECK_ERR(remote_get(r, &c, 0, "k"), OK);
        CHECK(c.ended && c.err);
    }
    CHECK_EQ(stats(r).breaker, BREAKER_OPEN);
}

TEST(an_open_breaker_refuses_at_once_and_says_when_to_come_back)
{
    struct remote r;
    begin(&r);
    fail_until_open(&r);
    sim_advance(r.sim, UINT64_C(10000) * 1000000);
    struct remote_call c = {0};
    CHECK_ERR(remote_get(&r, &c, 0, "k"), OK);
    CHECK_ERR(c.err, ERR_BREAKER_OPEN);
    CHECK_EQ(c.retry_after_ms, 20000);
    CHECK(strstr(c.message, "namespace `test`") && strstr(c.message, "BACKEND_UNREACHABLE"));
    CHECK_EQ(r.attempts, 5);
    CHECK_EQ(stats(&r).refused_open, 1);
    CHECK_ERR(guard_probe(r.ns.guard, &r.ns.guard_settings, NULL), ERR_BREAKER_OPEN);
    remote_fini(&r);
}

TEST(one_call_tries_and_its_success_closes)
{
    struct remote r;
    begin(&r);
    fail_until_open(&r);
    sim_advance(r.sim, UINT64_C(30000) * 1000000);
    struct remote_call try = {0}, other = {0};
    CHECK_ERR(remote_get(&r, &try, 0, "k"), OK);
    CHECK_ERR(remote_get(&r, &other, 0, "k"), OK);
    CHECK_EQ(r.waiting_count, 1);
    CHECK_ERR(other.err, ERR_BREAKER_OPEN);
    remote_answer(&r, OK);
    CHECK_ERR(try.err, OK);
    CHECK_EQ(stats(&r).breaker, BREAKER_CLOSED);
    remote_fini(&r);
}

static void give_up_after(struct remote *r, uint64_t ms)
{
    struct remote_call c = {0};
    CHECK_ERR(remote_get(r, &c, 0, "k"), OK);
    sim_advance(r->sim, ms * 1000000);
    call_cancel(c.call);
    CHECK_ERR(c.err, ERR_CANCELLED);
}

TEST(a_backend_that_hangs_opens_it)
{
    struct remote r;
    begin(&r);
    for (int i = 0; i < 5; i++)
        give_up_after(&r, LIMIT_BREAKER_SILENT_MS);
    CHECK_EQ(stats(&r).breaker, BREAKER_OPEN);
    CHECK_EQ(r.cancelled, 5);
    remote_fini(&r);
}

TEST(callers_without_patience_do_not)
{
    struct remote r;
    begin(&r);
    for (int i = 0; i < 100; i++)
        give_up_after(&r, LIMIT_BREAKER_SILENT_MS - 1);
    CHECK_EQ(stats(&r).breaker, BREAKER_CLOSED);
    remote_fini(&r);
}

/* Slow for one, but not silent. */
TEST(a_call_given_up_while_others_are_answered_says_nothing)
{
    struct remote r;
    begin(&r);
    for (int i = 0; i < 20; i++) {
        struct remote_call quick = {0}, slow = {0};
        CHECK_ERR(remote_get(&r, &quick, 0, "k"), OK);
        CHECK_ERR(remote_get(&r, &slow, 0, "k"), OK);
        sim_advance(r.sim, UINT64_C(1000) * 1000000);
        remote_answer(&r, OK);
        call_cancel(slow.call);
    }
    CHECK_EQ(stats(&r).breaker, BREAKER_CLOSED);
    remote_fini(&r);
}

/* --- bulkhead ---------------------------------------------------------------------------------------------------------------- */

static void two_places(struct remote *r, uint32_t queue)
{
    begin(r);
    r->ns.guard_settings.bulkhead = (struct bulkhead_settings){.in_flight_max = 2, .queue_max = queue};
}

TEST(waits_in_order_and_refuses_what_is_too_much)
{
    struct remote r;
    two_places(&r, 2);
    struct remote_call c[5] = {0};
    for (int i = 0; i < 5; i++)
        CHECK_ERR(remote_get(&r, &c[i], 0, "k"), OK);
    CHECK_EQ(r.waiting_count, 2);
    CHECK(c[4].ended);
    CHECK_ERR(c[4].err, ERR_BACKEND_BUSY);
    CHECK(c[4].retry_after_ms > 0);
    CHECK_EQ(stats(&r).queued, 2);
    struct call *third = c[2].call;
    remote_answer(&r, OK);
    remote_run(&r);
    CHECK_EQ(r.waiting_count, 2);
    CHECK(r.waiting[1] == third);
    while (r.waiting_count) {
        remote_answer(&r, OK);
        remote_run(&r);
    }
    for (int i = 0; i < 4; i++)
        CHECK_ERR(c[i].err, OK);
    CHECK_EQ(stats(&r).in_flight + stats(&r).queued, 0);
    remote_fini(&r);
}

TEST(cancelled_in_the_queue)
{
    struct remote r;
    two_places(&r, 2);
    struct remote_call c[4] = {0};
    for (int i = 0; i < 4; i++)
        CHECK_ERR(remote_get(&r, &c[i], 0, "k"), OK);
    call_cancel(c[2].call);
    CHECK_ERR(c[2].err, ERR_CANCELLED);
    CHECK_EQ(stats(&r).queued, 1);
    for (int i = 0; i < 3; i++) {
        remote_answer(&r, OK);
        remote_run(&r);
    }
    CHECK_ERR(c[3].err, OK);
    CHECK_EQ(r.attempts, 3);
    CHECK_EQ(stats(&r).in_flight + stats(&r).queued, 0);
    remote_fini(&r);
}

/* Its turn has come, but its loop has not run it yet. */
TEST(cancelled_when_it_was_let_in_gives_its_place_back)
{
    struct remote r;
    two_places(&r, 2);
    CHECK_ERR(remote_add_loop(&r), OK);
    struct remote_call c[4] = {0};
    for (unsigned i = 0; i < 4; i++)
        CHECK_ERR(remote_get(&r, &c[i], i / 2, "k"), OK);
    remote_answer(&r, OK);
    CHECK(!c[2].ended);
    call_cancel(c[2].call);
    CHECK(!c[2].ended);
    remote_run(&r);
    CHECK_ERR(c[2].err, ERR_CANCELLED);
    CHECK_EQ(r.attempts, 3); /* the fourth has taken its place */
    remote_answer(&r, OK);
    remote_answer(&r, OK);
    CHECK_ERR(c[3].err, OK);
    CHECK_EQ(stats(&r).in_flight + stats(&r).queued, 0);
    remote_fini(&r);
}

TEST(those_who_wait_are_refused_when_the_breaker_opens)
{
    struct remote r;
    two_places(&r, 10);
    r.ns.guard_settings.retry.attempts_max = 1;
    r.ns.guard_settings.breaker.failures = 2;
    struct remote_call c[8] = {0};
    for (int i = 0; i < 8; i++)
        CHECK_ERR(remote_get(&r, &c[i], 0, "k"), OK);
    remote_answer(&r, ERR_BACKEND_LOST);
    remote_answer(&r, ERR_BACKEND_LOST);
    CHECK_EQ(stats(&r).queued, 0);
    remote_run(&r);
    for (int i = 2; i < 8; i++)
        CHECK_ERR(c[i].err, ERR_BREAKER_OPEN);
    CHECK_EQ(r.attempts, 2);
    CHECK_EQ(stats(&r).in_flight, 0);
    remote_fini(&r);
}

/* --- memory ------------------------------------------------------------------------------------------------------------------ */

SCENARIO(runs_out_of_memory)
{
    struct remote r;
    enum err e = remote_init(&r);
    if (e)
        return e;
    SCRIPT(&r, ERR_BACKEND_LOST, OK);
    struct remote_call c = {0};
    e = remote_get(&r, &c, 0, "k");
    remote_run(&r);
    CHECK(e || c.ended);
    remote_fini(&r);
    return e ? e : c.err;
}

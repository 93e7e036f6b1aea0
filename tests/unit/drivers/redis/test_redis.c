/* What the wire does not show: what a lost connection means for a call, cancelling at every stage, memory running out. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "data/keyvalue.h"
#include "data/list.h"
#include "google/protobuf/duration.pb.h"
#include "redis_fixture.h"

static const struct keyvalue_set_request set_a = {.key = SLICE("a"), .value = SLICE("1")};
static const struct keyvalue_get_request get_a = {.key = SLICE("a")};

TEST(opening_needs_no_server)
{
    struct fixture f;
    redis_fixture_init(&f);
    redis_fixture_server_stop(&f);
    CHECK_ERR(redis_fixture_open(&f), OK);
    CHECK_ERR(driver_redis.probe(f.ns.backend, &f.diag), OK);
    CHECK_ERR(redis_fixture_set(&f, "a", "1"), ERR_BACKEND_UNREACHABLE);
    CHECK_ERR(driver_redis.probe(f.ns.backend, &f.diag), ERR_BACKEND_UNREACHABLE);
    CHECK_EQ(redis_fixture_stat(&f, "connections"), 0);
    CHECK_EQ(redis_fixture_stat(&f, "waiting"), 0);
    redis_fixture_fini(&f);
}

TEST(the_server_comes_back)
{
    struct fixture f;
    redis_fixture_begin(&f);
    CHECK_ERR(redis_fixture_set(&f, "a", "1"), OK);
    redis_fixture_server_stop(&f);
    enum err e = redis_fixture_set(&f, "a", "2");
    CHECK(e == ERR_BACKEND_LOST || e == ERR_BACKEND_UNREACHABLE);
    CHECK_ERR(redis_fixture_set(&f, "a", "2"), ERR_BACKEND_UNREACHABLE);
    redis_fixture_server_start(&f);
    while (redis_fixture_set(&f, "b", "3") == ERR_BACKEND_UNREACHABLE)
        loop_turn(f.loop, false);
    CHECK_ERR(f.call.err, OK);
    CHECK_SLICE(redis_fixture_get(&f, "a")->value, SLICE("1"));
    CHECK(redis_fixture_stat(&f, "reconnects") >= 1);
    redis_fixture_fini(&f);
}

/* Stopped, the server takes bytes and says nothing: what was written may have been executed. */
TEST(a_write_that_was_sent_is_lost)
{
    struct fixture f;
    redis_fixture_begin(&f);
    CHECK_ERR(redis_fixture_set(&f, "a", "1"), OK);
    kill(f.server, SIGSTOP);
    fake_call_start(&f.call, METHOD_KEYVALUE_BASIC_SET, &set_a);
    while (redis_fixture_stat(&f, "in_flight") == 0)
        loop_turn(f.loop, false);
    redis_fixture_server_stop(&f);
    fake_call_finish(&f.call);
    CHECK_ERR(f.call.err, ERR_BACKEND_LOST);
    CHECK_EQ(redis_fixture_stat(&f, "in_flight"), 0);
    redis_fixture_fini(&f);
}

/* It waits for the greeting to be answered: certainly nothing was done. */
TEST(a_write_that_was_not_sent_is_not_lost)
{
    struct fixture f;
    redis_fixture_begin(&f);
    kill(f.server, SIGSTOP);
    fake_call_start(&f.call, METHOD_KEYVALUE_BASIC_SET, &set_a);
    while (redis_fixture_stat(&f, "in_flight") == 0)
        loop_turn(f.loop, false);
    CHECK_EQ(redis_fixture_stat(&f, "waiting"), 1);
    redis_fixture_server_stop(&f);
    fake_call_finish(&f.call);
    CHECK_ERR(f.call.err, ERR_BACKEND_UNREACHABLE);
    CHECK_EQ(redis_fixture_stat(&f, "waiting"), 0);
    redis_fixture_fini(&f);
}

/* As servers do with clients that have said nothing for their `timeout`. */
TEST(a_connection_that_is_closed_while_idle_is_no_failure)
{
    struct fixture f;
    char command[160];
    redis_fixture_begin(&f);
    CHECK_ERR(redis_fixture_set(&f, "a", "1"), OK);
    snprintf(command, sizeof command, "redis-cli -s %s client kill type normal > /dev/null", f.socket);
    CHECK(system(command) == 0);
    while (redis_fixture_stat(&f, "connections") > 0)
        loop_turn(f.loop, false);
    CHECK_EQ(redis_fixture_stat(&f, "errors"), 0);
    CHECK_ERR(driver_redis.probe(f.ns.backend, &f.diag), OK);
    CHECK_SLICE(redis_fixture_get(&f, "a")->value, SLICE("1"));
    redis_fixture_fini(&f);
}

TEST(a_cancelled_call_ends_at_once_and_others_get_their_answers)
{
    struct fixture f;
    enum { CALLS = 8 };
    struct fake_call calls[CALLS];
    redis_fixture_begin(&f);
    CHECK_ERR(redis_fixture_set(&f, "a", "1"), OK);
    kill(f.server, SIGSTOP);
    for (int i = 0; i < CALLS; i++) {
        fake_call_init(&calls[i], &f.ns, f.loop);
        fake_call_start(&calls[i], METHOD_KEYVALUE_BASIC_GET, &get_a);
        if (i == CALLS / 2)
            while (redis_fixture_stat(&f, "in_flight") == 0)
                loop_turn(f.loop, false);
    }
    for (int i = 0; i < CALLS; i += 2) {
        call_cancel(&calls[i].call);
        CHECK_ERR(calls[i].err, ERR_CANCELLED);
    }
    kill(f.server, SIGCONT);
    for (int i = 1; i < CALLS; i += 2) {
        fake_call_finish(&calls[i]);
        CHECK_ERR(calls[i].err, OK);
        CHECK_SLICE(((const struct keyvalue_get_response *)calls[i].messages[0])->value, SLICE("1"));
    }
    CHECK_SLICE(redis_fixture_get(&f, "a")->value, SLICE("1"));
    for (int i = 0; i < CALLS; i++)
        fake_call_fini(&calls[i]);
    redis_fixture_fini(&f);
}

/* The value has left the list when its caller goes: it is put back where it was. */
TEST(a_value_for_a_caller_who_is_gone_goes_back)
{
    struct fixture f;
    struct slice values[] = {SLICE("first"), SLICE("second")};
    struct list_push_right_request push = {.key = SLICE("l"), .values = {.items = values, .count = 2}};
    struct list_blocking_pop_left_request pop = {.key = SLICE("l")};
    redis_fixture_begin(&f);
    fake_call(&f.call, METHOD_LIST_BASIC_PUSH_RIGHT, &push);
    CHECK_ERR(f.call.err, OK);
    kill(f.server, SIGSTOP);
    fake_call_start(&f.call, METHOD_LIST_BLOCKING_BLOCKING_POP_LEFT, &pop);
    while (redis_fixture_stat(&f, "in_flight") == 0)
        loop_turn(f.loop, false);
    call_cancel(&f.call.call);
    kill(f.server, SIGCONT);
    fake_call_finish(&f.call);
    CHECK_ERR(f.call.err, ERR_CANCELLED);
    const struct list_get_range_response *range =
        fake_call(&f.call, METHOD_LIST_RANGE_GET_RANGE, &(struct list_get_range_request){.key = SLICE("l"), .end = -1});
    CHECK_EQ(range->values.count, 2);
    CHECK_SLICE(PB_AT(range->values, struct slice, 0), SLICE("first"));
    redis_fixture_fini(&f);
}

TEST(a_late_call_is_not_sent)
{
    struct fixture f;
    redis_fixture_begin(&f);
    f.call.deadline_ns = 1;
    CHECK_ERR(redis_fixture_set(&f, "a", "1"), ERR_DEADLINE_EXCEEDED);
    f.call.deadline_ns = 0;
    CHECK(redis_fixture_get(&f, "a") == NULL);
    redis_fixture_fini(&f);
}

TEST(a_silent_server_is_given_up)
{
    struct fixture f;
    redis_fixture_init(&f);
    f.options.command_timeout = &(struct google_protobuf_duration){.nanos = 50000000};
    CHECK_ERR(redis_fixture_open(&f), OK);
    CHECK_ERR(redis_fixture_set(&f, "a", "1"), OK);
    kill(f.server, SIGSTOP);
    CHECK_ERR(redis_fixture_set(&f, "a", "2"), ERR_BACKEND_LOST);
    CHECK(strstr(diag_message(&f.call.call.diag), "command_timeout") != NULL);
    redis_fixture_fini(&f);
}

TEST(a_scan_may_be_cancelled_between_pages)
{
    struct fixture f;
    char key[16];
    redis_fixture_begin(&f);
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "k%02d", i);
        CHECK_ERR(redis_fixture_set(&f, key, "v"), OK);
    }
    struct keyvalue_scan_request scan = {.page_size = 10};
    f.call.hold = true;
    f.call.cancel_after = 2;
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &scan);
    CHECK_ERR(f.call.err, ERR_CANCELLED);
    CHECK_EQ(f.call.count, 2);
    f.call.cancel_after = 0;
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &scan);
    CHECK_ERR(f.call.err, OK);
    CHECK_EQ(f.call.count, 5);
    redis_fixture_fini(&f);
}

TEST(an_expired_value_is_there_for_nobody)
{
    struct fixture f;
    redis_fixture_begin(&f);
    struct keyvalue_set_request r = {
        .key = SLICE("t"), .value = SLICE("v"), .ttl = &(struct google_protobuf_duration){.nanos = 30000000}};
    fake_call(&f.call, METHOD_KEYVALUE_BASIC_SET, &r);
    CHECK_ERR(f.call.err, OK);
    while (redis_fixture_get(&f, "t"))
        loop_turn(f.loop, false);
    const struct keyvalue_count_response *count =
        fake_call(&f.call, METHOD_KEYVALUE_SCAN_COUNT, &(struct keyvalue_count_request){0});
    CHECK_EQ(count->count, 0);
    redis_fixture_fini(&f);
}

/* Whatever cannot be allocated, the call ends, and the backend goes on. */
TEST(calls_survive_a_lack_of_memory)
{
    struct fixture f;
    redis_fixture_begin(&f);
    CHECK_ERR(redis_fixture_set(&f, "a", "1"), OK);
    for (uint64_t n = 1; n < 200; n++) {
        mem_fail_at(n, false);
        fake_call(&f.call, n % 2 ? METHOD_KEYVALUE_BASIC_GET : METHOD_KEYVALUE_SCAN_COUNT,
                  n % 2 ? (const void *)&get_a : &(struct keyvalue_count_request){0});
        bool failed = mem_failed();
        mem_fail_at(0, false);
        if (f.call.err != ERR_BACKEND_UNREACHABLE && f.call.err != ERR_BACKEND_LOST && f.call.err != OK)
            CHECK_ERR(f.call.err, ERR_NOMEM);
        if (!failed)
            break;
        while (redis_fixture_set(&f, "a", "1") == ERR_BACKEND_UNREACHABLE)
            loop_turn(f.loop, false);
    }
    CHECK_SLICE(redis_fixture_get(&f, "a")->value, SLICE("1"));
    redis_fixture_fini(&f);
}

static void count_step(void *context, const char *step, uint64_t took_ns)
{
    (void)step, (void)took_ns;
    ++*(unsigned *)context;
}

TEST(the_test_tells_its_steps)
{
    struct fixture f;
    unsigned steps = 0;
    redis_fixture_begin(&f);
    CHECK_ERR(driver_redis.test(f.ns.backend, &f.diag, count_step, &steps), OK);
    CHECK_EQ(steps, 4);
    redis_fixture_server_stop(&f);
    steps = 0;
    CHECK_ERR(driver_redis.test(f.ns.backend, &f.diag, count_step, &steps), ERR_BACKEND_UNREACHABLE);
    CHECK_EQ(steps, 0);
    redis_fixture_fini(&f);
}

SCENARIO(a_backend_is_opened_and_closed)
{
    struct config_redis_options options = {.mode = CONFIG_REDIS_OPTIONS_MODE_CLUSTER, .password = SLICE("secret")};
    struct config_backend backend = {.connection = SLICE("redis://127.0.0.1:1"), .redis = &options};
    struct backend_open open = {
        .namespace_name = "test", .backend = &backend, .data_dir = "/tmp", .env = env_real(), .loops = 2};
    struct backend *opened;
    enum err e = driver_redis.open(&open, &opened);
    if (!e)
        driver_redis.close(opened);
    return e;
}

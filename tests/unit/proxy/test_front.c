/* The way of a call through the proxy, without threads and sockets. */
#include "front_world.h"
#include "grpc/health/v1/health.pb.h"
#include "grpc/reflection/v1/reflection.pb.h"

static const struct pb_method *const set = &keyvalue_basic_service_methods[0], *const get =
                                                                                   &keyvalue_basic_service_methods[1];

enum {
    DEADLINE_EXCEEDED = 4,
    NOT_FOUND = 5,
    RESOURCE_EXHAUSTED = 8,
    UNIMPLEMENTED = 12,
    INTERNAL = 13,
    UNAVAILABLE = 14,
    CANCELLED = 1
};

static void begin_get(struct script *s, struct world *w, const char *ns)
{
    CHECK_ERR(script_begin(s, w, get, ns, &(struct keyvalue_get_request){.key = SLICE("k")}, 0), OK);
}

/* One call from begin to end. */
static unsigned ask(struct world *w, const struct pb_method *method, const char *ns, const void *request)
{
    struct script s;
    CHECK_ERR(script_begin(&s, w, method, ns, request, 0), OK);
    script_run(&s);
    unsigned status = s.status;
    script_fini(&s);
    return status;
}

static void turn_until(struct world *w, const uint32_t *count, uint32_t wanted)
{
    while (*count < wanted)
        loop_turn(w->loop, true);
}

TEST(a_value_goes_in_and_comes_out)
{
    struct world w;
    struct script s;
    CHECK_ERR(world_open(&w), OK);
    CHECK_EQ(ask(&w, set, "memory", &(struct keyvalue_set_request){.key = SLICE("k"), .value = SLICE("v")}), 0);
    begin_get(&s, &w, "memory");
    script_run(&s);
    CHECK_EQ(s.status, 0);
    CHECK_EQ(s.message_count, 1);
    CHECK_SLICE(((struct keyvalue_get_response *)s.response)->value, SLICE("v"));
    CHECK_EQ(w.front.calls_in_flight, 0);
    script_fini(&s);
    world_close(&w);
}

TEST(a_warm_call_takes_nothing_from_the_heap)
{
    struct world w;
    CHECK_ERR(world_open(&w), OK);
    const struct keyvalue_set_request request = {.key = SLICE("k"), .value = SLICE("v")};
    CHECK_EQ(ask(&w, set, "memory", &request), 0);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(ask(&w, get, "memory", &(struct keyvalue_get_request){.key = SLICE("k")}), 0);
    CHECK_EQ(w.allocations, 0);
    world_close(&w);
}

TEST(refusals_name_what_there_is)
{
    struct world w;
    struct script s;
    CHECK_ERR(world_open(&w), OK);
    begin_get(&s, &w, "memroy");
    script_run(&s);
    CHECK_EQ(s.status, NOT_FOUND);
    CHECK_STR(diag_message(&s.diag), "there is no namespace `memroy`: did you mean `memory`?");
    script_fini(&s);
    CHECK_ERR(script_begin(&s, &w, &keyvalue_cas_service_methods[0], "slow",
                           &(struct keyvalue_compare_and_swap_request){
                               .key = SLICE("k"), .expected_case = 4, .expected_absent = true},
                           0),
              OK);
    script_run(&s);
    CHECK_EQ(s.status, UNIMPLEMENTED);
    CHECK_STR(diag_message(&s.diag),
              "namespace `slow` is kept by slow, which does not offer keyvalue_cas but: keyvalue_basic. "
              "Drivers that offer it: memory");
    script_fini(&s);
    world_close(&w);
}

TEST(a_call_that_is_cancelled_leaves_nothing)
{
    struct world w;
    struct script s;
    CHECK_ERR(world_open(&w), OK);
    begin_get(&s, &w, "slow");
    turn_until(&w, &slow.count, 1);
    CHECK_EQ(w.front.calls_in_flight, 1);
    rpc_client_cancel(s.call);
    turn_until(&w, &slow.cancels, 1);
    script_run(&s);
    CHECK_EQ(s.status, CANCELLED);
    CHECK_EQ(w.front.calls_in_flight, 0);
    script_fini(&s);
    world_close(&w);
}

TEST(a_deadline_ends_the_call_and_tells_the_driver)
{
    struct world w;
    struct script s;
    CHECK_ERR(world_open(&w), OK);
    CHECK_ERR(script_begin(&s, &w, get, "slow", &(struct keyvalue_get_request){.key = SLICE("k")}, 50000000), OK);
    turn_until(&w, &slow.count, 1);
    turn_until(&w, &slow.cancels, 1);
    script_run(&s);
    CHECK_EQ(s.status, DEADLINE_EXCEEDED);
    CHECK_EQ(w.front.calls_in_flight, 0);
    script_fini(&s);
    world_close(&w);
}

/* Abuse catalogue 14. */
TEST(a_call_that_is_expired_on_arrival_never_reaches_its_driver)
{
    struct world w;
    struct script s;
    const struct http_header expired = {SLICE("grpc-timeout"), SLICE("0n")};
    CHECK_ERR(world_open(&w), OK);
    const struct keyvalue_get_request request = {.key = SLICE("k")};
    CHECK_ERR(script_begin_with(&s, &w, get, "slow", &request, 0, expired), OK);
    script_run(&s);
    CHECK_EQ(s.status, DEADLINE_EXCEEDED);
    CHECK_EQ(slow.count, 0);
    script_fini(&s);
    world_close(&w);
}

TEST(calls_past_the_limit_are_refused)
{
    struct world w;
    struct script one, two, three;
    CHECK_ERR(world_open(&w), OK);
    begin_get(&one, &w, "slow");
    begin_get(&two, &w, "slow");
    turn_until(&w, &slow.count, 2);
    begin_get(&three, &w, "memory");
    script_run(&three);
    CHECK_EQ(three.status, RESOURCE_EXHAUSTED);
    CHECK_ERR(three.diag.err, ERR_TOO_MANY_CALLS);
    slow_answer(0);
    slow_answer(1);
    script_run(&one);
    script_run(&two);
    CHECK_EQ(one.status + two.status, 0);
    CHECK_EQ(ask(&w, get, "memory", &(struct keyvalue_get_request){.key = SLICE("k")}), 0);
    script_fini(&one), script_fini(&two), script_fini(&three);
    world_close(&w);
}

TEST(nothing_begins_once_the_time_to_drain_is_over)
{
    struct world w;
    CHECK_ERR(world_open(&w), OK);
    w.front.closed = true;
    CHECK_EQ(ask(&w, get, "memory", &(struct keyvalue_get_request){.key = SLICE("k")}), UNAVAILABLE);
    world_close(&w);
}

TEST(a_call_ends_in_the_configuration_that_it_began_in)
{
    struct world w;
    struct script s;
    struct snapshot *next;
    CHECK_ERR(world_open(&w), OK);
    begin_get(&s, &w, "slow");
    turn_until(&w, &slow.count, 1);
    CHECK_ERR(world_snapshot(&w, "namespaces: [{name: memory, backend: memory}]\n", &next), OK);
    front_swap(&w.front, next);
    CHECK_EQ(ask(&w, get, "slow", &(struct keyvalue_get_request){.key = SLICE("k")}), NOT_FOUND);
    CHECK_EQ(atomic_load(&w.keeper.open), 2);
    slow_answer(0);
    script_run(&s);
    CHECK_EQ(s.status, 0);
    while (atomic_load(&w.keeper.open) > 1)
        loop_turn(w.loop, true);
    script_fini(&s);
    world_close(&w);
}

TEST(a_watch_hears_of_the_drain)
{
    struct world w;
    struct script s;
    CHECK_ERR(world_open(&w), OK);
    CHECK_ERR(script_begin(&s, &w, &grpc_health_v1_health_service_methods[1], "",
                           &(struct grpc_health_v1_health_check_request){0}, 0),
              OK);
    turn_until(&w, &s.message_count, 1);
    CHECK_EQ(((struct grpc_health_v1_health_check_response *)s.response)->status, 1);
    served_drain(&w.served);
    script_run(&s);
    CHECK_EQ(s.message_count, 2);
    CHECK_EQ(((struct grpc_health_v1_health_check_response *)s.response)->status, 2);
    CHECK_EQ(s.status, UNAVAILABLE);
    script_fini(&s);
    world_close(&w);
}

/* --- with every allocation failing ------------------------------------------------------------------------------------------- */

/* A status that a lack of memory explains: INTERNAL is a stream that was reset. */
static enum err outcome(const struct script *s)
{
    if (s->status == 0)
        return s->response ? OK : ERR_NOMEM;
    return s->status == RESOURCE_EXHAUSTED || s->status == UNAVAILABLE || s->status == CANCELLED ||
                   s->status == INTERNAL
               ? ERR_NOMEM
               : ERR_UNKNOWN;
}

static enum err scripted(const struct pb_method *method, const char *ns, const void *request)
{
    struct world w;
    struct script s = {0};
    enum err e = world_open(&w);
    if (!e && !(e = script_begin(&s, &w, method, ns, request, 0))) {
        script_run(&s);
        e = outcome(&s);
        script_fini(&s);
    } else if (s.world == &w) {
        script_fini(&s);
    }
    world_close(&w);
    return e;
}

SCENARIO(a_set_is_answered_or_memory_is_out)
{
    return scripted(set, "memory", &(struct keyvalue_set_request){.key = SLICE("k"), .value = SLICE("v")});
}

SCENARIO(reflection_answers_or_memory_is_out)
{
    struct grpc_reflection_v1_server_reflection_request request = {
        .message_request_case = 4, .file_containing_symbol = SLICE("prism.keyvalue.v1.KeyValueBasic.Get")};
    return scripted(&grpc_reflection_v1_server_reflection_service_methods[0], "", &request);
}

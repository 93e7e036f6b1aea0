/* Blocking pops on loops: order of callers, timeouts, cancelled callers, retries; and many threads, where each value comes out once. */
#include <pthread.h>

#include "../../harness.h"
#include "base/mem.h"
#include "google/protobuf/duration.pb.h"
#include "memory_fixture.h"
#include "rt/sim/sim.h"

enum { CALLERS = 4 };

struct blocking {
    struct memory_fixture f;
    struct sim *sim;
    struct loop *loop;
    struct fake_call callers[CALLERS];
    struct google_protobuf_duration timeout;
    struct list_blocking_pop_left_request request;
};

static void begin(struct blocking *b)
{
    memset(b, 0, sizeof *b);
    CHECK_ERR(memory_fixture_init(&b->f, 0), OK);
    CHECK_ERR(sim_new(1, &b->sim), OK);
    CHECK_ERR(loop_new(sim_env(b->sim), 0, &b->loop), OK);
    b->timeout.seconds = 10;
    b->request = (struct list_blocking_pop_left_request){.key = SLICE("a"), .timeout = &b->timeout};
    for (unsigned i = 0; i < CALLERS; i++)
        fake_call_init(&b->callers[i], &b->f.ns, b->loop);
}

static void end(struct blocking *b)
{
    CHECK_EQ(memory_fixture_stat(&b->f, "pops_waiting"), 0);
    for (unsigned i = 0; i < CALLERS; i++)
        fake_call_fini(&b->callers[i]);
    loop_free(b->loop);
    sim_free(b->sim);
    memory_fixture_fini(&b->f);
    CHECK_EQ(mem_live(), 0);
}

static void wait_for_value(struct blocking *b, unsigned caller)
{
    fake_call_start(&b->callers[caller], METHOD_LIST_BLOCKING_BLOCKING_POP_LEFT, &b->request);
}

static void push(struct memory_fixture *f, struct fake_call *by, const char *text)
{
    struct slice value = slice_str(text);
    struct list_push_right_request r = {.key = SLICE("a"), .values = {.items = &value, .count = 1}};
    fake_call(by, METHOD_LIST_BASIC_PUSH_RIGHT, &r);
    CHECK_ERR(by->err, OK);
    (void)f;
}

static void check_served(struct blocking *b, unsigned caller, const char *text)
{
    struct fake_call *c = &b->callers[caller];
    fake_call_finish(c);
    CHECK_ERR(c->err, OK);
    const struct list_blocking_pop_left_response *r = c->messages[0];
    CHECK_EQ(r->found, *text != 0);
    CHECK_SLICE(r->value, slice_str(text));
}

static uint64_t left_in_list(struct blocking *b)
{
    struct list_clear_request r = {.key = SLICE("a")};
    const struct list_clear_response *answer = fake_call(&b->f.call, METHOD_LIST_BASIC_CLEAR, &r);
    return answer->removed;
}

TEST(callers_are_served_in_their_order)
{
    struct blocking b;
    begin(&b);
    for (unsigned i = 0; i < CALLERS; i++)
        wait_for_value(&b, i);
    CHECK_EQ(memory_fixture_stat(&b.f, "pops_waiting"), CALLERS);
    push(&b.f, &b.f.call, "1");
    push(&b.f, &b.f.call, "2");
    check_served(&b, 0, "1");
    check_served(&b, 1, "2");
    CHECK(!b.callers[2].ended && !b.callers[3].ended);
    push(&b.f, &b.f.call, "3");
    push(&b.f, &b.f.call, "4");
    check_served(&b, 2, "3");
    check_served(&b, 3, "4");
    end(&b);
}

TEST(who_times_out_is_told_so_and_the_next_one_is_first)
{
    struct blocking b;
    begin(&b);
    wait_for_value(&b, 0);
    sim_advance(b.sim, UINT64_C(5000000000));
    while (loop_turn(b.loop, false) && loop_now_ns(b.loop) < sim_now_ns(b.sim))
        continue;
    wait_for_value(&b, 1);
    check_served(&b, 0, "");
    push(&b.f, &b.f.call, "1");
    check_served(&b, 1, "1");
    end(&b);
}

TEST(a_cancelled_caller_takes_nothing_whenever_it_goes)
{
    struct blocking b;
    begin(&b);
    wait_for_value(&b, 0);
    wait_for_value(&b, 1);
    wait_for_value(&b, 2);
    call_cancel(&b.callers[1].call); /* not the first */
    CHECK_ERR(b.callers[1].err, ERR_CANCELLED);
    push(&b.f, &b.f.call, "1");      /* the first is woken … */
    call_cancel(&b.callers[0].call); /* … and goes before it has looked */
    CHECK(!b.callers[0].ended);
    check_served(&b, 2, "1");
    CHECK(b.callers[0].ended);
    CHECK_ERR(b.callers[0].err, ERR_CANCELLED);
    CHECK_EQ(left_in_list(&b), 0);
    end(&b);
}

TEST(a_value_that_nobody_takes_stays)
{
    struct blocking b;
    begin(&b);
    wait_for_value(&b, 0);
    push(&b.f, &b.f.call, "1");
    call_cancel(&b.callers[0].call);
    while (!b.callers[0].ended)
        loop_turn(b.loop, true);
    CHECK_EQ(left_in_list(&b), 1);
    end(&b);
}

TEST(a_retry_is_given_the_first_ones_value)
{
    struct blocking b;
    begin(&b);
    b.callers[0].idempotency_key = b.callers[1].idempotency_key = SLICE("once");
    wait_for_value(&b, 0);
    wait_for_value(&b, 1);
    push(&b.f, &b.f.call, "1");
    check_served(&b, 0, "1");
    check_served(&b, 1, "1");
    CHECK_EQ(left_in_list(&b), 0);
    end(&b);
}

TEST(more_callers_than_a_namespace_takes_are_refused)
{
    struct blocking b;
    begin(&b);
    struct memory *m = (struct memory *)b.f.ns.backend;
    m->waiting.count_max = 2;
    wait_for_value(&b, 0);
    wait_for_value(&b, 1);
    wait_for_value(&b, 2);
    CHECK_ERR(b.callers[2].err, ERR_WAITING_LIMIT);
    call_cancel(&b.callers[0].call);
    call_cancel(&b.callers[1].call);
    fake_call_finish(&b.callers[1]); /* it was woken when the first one left */
    end(&b);
}

TEST(a_drain_ends_all_waits_and_those_that_come_later)
{
    struct blocking b;
    begin(&b);
    wait_for_value(&b, 0);
    wait_for_value(&b, 1);
    driver_memory.drain(b.f.ns.backend);
    call_cancel(&b.callers[1].call);
    check_served(&b, 0, "");
    fake_call_finish(&b.callers[1]);
    CHECK_ERR(b.callers[1].err, ERR_CANCELLED);
    wait_for_value(&b, 2);
    check_served(&b, 2, "");
    push(&b.f, &b.f.call, "1");
    wait_for_value(&b, 3);
    check_served(&b, 3, "1");
    end(&b);
}

SCENARIO(a_blocking_pop_without_memory)
{
    struct memory_fixture f;
    struct list_blocking_pop_left_request r = {.key = SLICE("a")};
    struct slice value = SLICE("v");
    struct list_push_right_request push_request = {.key = SLICE("a"), .values = {.items = &value, .count = 1}};
    if (memory_fixture_init(&f, 0)) {
        memory_fixture_fini(&f);
        return ERR_NOMEM;
    }
    struct sim *sim;
    struct loop *loop = NULL;
    enum err e = sim_new(1, &sim);
    if (!e && (e = loop_new(sim_env(sim), 0, &loop)))
        sim_free(sim);
    if (!e) {
        f.call.loop = loop;
        fake_call(&f.call, METHOD_LIST_BASIC_PUSH_RIGHT, &push_request);
        e = f.call.err;
        if (!e) {
            fake_call(&f.call, METHOD_LIST_BLOCKING_BLOCKING_POP_LEFT, &r);
            e = f.call.err;
        }
        loop_free(loop);
        sim_free(sim);
    }
    memory_fixture_fini(&f);
    return e;
}

/* --- threads -------------------------------------------------------------------------------------------------------------------- */

enum { POPPERS = 3, POPS = 300 };

struct popper {
    pthread_t thread;
    struct memory_fixture *f;
    unsigned char seen[POPPERS * POPS]; /* how often each value came out here */
    unsigned wrong;
};

static void *pop_many(void *context)
{
    struct popper *p = context;
    struct loop *loop;
    struct fake_call call;
    struct google_protobuf_duration timeout = {.seconds = 60};
    struct list_blocking_pop_left_request r = {.key = SLICE("a"), .timeout = &timeout};
    p->wrong += loop_new(env_real(), 0, &loop) != OK;
    fake_call_init(&call, &p->f->ns, loop);
    for (unsigned i = 0; i < POPS && !p->wrong; i++) {
        const struct list_blocking_pop_left_response *answer =
            fake_call(&call, METHOD_LIST_BLOCKING_BLOCKING_POP_LEFT, &r);
        unsigned number = 0;
        if (answer && answer->found)
            memcpy(&number, answer->value.data, answer->value.size);
        else
            p->wrong++;
        p->seen[number]++;
    }
    fake_call_fini(&call);
    loop_free(loop);
    return NULL;
}

TEST(each_value_comes_out_once_whoever_waits)
{
    static struct popper poppers[POPPERS];
    struct memory_fixture f;
    CHECK_ERR(memory_fixture_init(&f, 0), OK);
    for (unsigned i = 0; i < POPPERS; i++) {
        poppers[i] = (struct popper){.f = &f};
        pthread_create(&poppers[i].thread, NULL, pop_many, &poppers[i]);
    }
    for (unsigned number = 0; number < POPPERS * POPS; number++) {
        struct slice value = slice_of(&number, sizeof number);
        struct list_push_left_request r = {.key = SLICE("a"), .values = {.items = &value, .count = 1}};
        fake_call(&f.call, METHOD_LIST_BASIC_PUSH_LEFT, &r);
        CHECK_ERR(f.call.err, OK);
    }
    for (unsigned i = 0; i < POPPERS; i++) {
        pthread_join(poppers[i].thread, NULL);
        CHECK_EQ(poppers[i].wrong, 0);
    }
    for (unsigned number = 0; number < POPPERS * POPS; number++)
        CHECK_EQ(poppers[0].seen[number] + poppers[1].seen[number] + poppers[2].seen[number], 1);
    CHECK_EQ(memory_fixture_stat(&f, "lists"), 0);
    memory_fixture_fini(&f);
}

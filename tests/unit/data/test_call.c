/* Completion, cancelling, hopping of struct call, with a sink that notes what it gets. */
#include <pthread.h>

#include "../harness.h"
#include "data/call.h"
#include "data/driver.h"
#include "data/namespace.h"

struct fixture {
    struct call call; /* the first member */
    struct arena arena;
    const void *sent;
    int sends, ends, cancels;
    enum err end;
};

static enum call_flow note_send(struct call *call, const void *message)
{
    struct fixture *f = (struct fixture *)call;
    f->sent = message;
    f->sends++;
    return CALL_GO;
}

static void note_end(struct call *call, enum err e)
{
    struct fixture *f = (struct fixture *)call;
    f->end = e;
    f->ends++;
}

static const struct call_sink sink = {note_send, note_end};

static void begin(struct fixture *f)
{
    *f = (struct fixture){.call = {.sink = &sink, .arena = &f->arena}};
    arena_init(&f->arena, 1 << 20);
    diag_init(&f->call.diag, &f->arena);
}

TEST(a_reply_is_sent_and_completes)
{
    struct fixture f;
    int response;
    begin(&f);
    call_reply(&f.call, &response);
    CHECK(f.sent == &response);
    CHECK_EQ(f.sends, 1);
    CHECK_EQ(f.ends, 1);
    CHECK_ERR(f.end, OK);
    CHECK(f.call.ended);
    arena_fini(&f.arena);
}

TEST(a_stream_sends_then_ends)
{
    struct fixture f;
    begin(&f);
    CHECK_EQ(call_send(&f.call, &f), CALL_GO);
    CHECK_EQ(call_send(&f.call, &f), CALL_GO);
    CHECK_EQ(f.ends, 0);
    call_end(&f.call, OK);
    CHECK_EQ(f.sends, 2);
    CHECK_EQ(f.ends, 1);
    arena_fini(&f.arena);
}

TEST(a_failure_carries_its_words)
{
    struct fixture f;
    begin(&f);
    call_fail(&f.call, ERR_STORE_FULL, "%d items are the limit, 100%% used", 7);
    CHECK_ERR(f.end, ERR_STORE_FULL);
    CHECK_STR(diag_message(&f.call.diag), "7 items are the limit, 100% used");
    arena_fini(&f.arena);
}

static void end_cancelled(struct call *call)
{
    ((struct fixture *)call)->cancels++;
    call_end(call, ERR_CANCELLED);
}

static void note_cancel(struct call *call)
{
    ((struct fixture *)call)->cancels++;
}

TEST(cancelling_tells_the_driver_once)
{
    struct fixture f;
    begin(&f);
    f.call.on_cancel = note_cancel;
    call_cancel(&f.call);
    call_cancel(&f.call);
    CHECK_EQ(f.cancels, 1);
    CHECK(atomic_load(&f.call.cancelled));
    CHECK_EQ(f.ends, 0);
    call_end(&f.call, ERR_CANCELLED);
    call_cancel(&f.call);
    CHECK_EQ(f.cancels, 1);
    CHECK_EQ(f.ends, 1);
    arena_fini(&f.arena);
}

TEST(a_driver_may_end_the_call_when_cancelled)
{
    struct fixture f;
    begin(&f);
    f.call.on_cancel = end_cancelled;
    call_cancel(&f.call);
    CHECK_EQ(f.cancels, 1);
    CHECK_EQ(f.ends, 1);
    arena_fini(&f.arena);
}

TEST(a_call_that_has_ended_is_not_cancelled)
{
    struct fixture f;
    begin(&f);
    f.call.on_cancel = note_cancel;
    call_end(&f.call, OK);
    call_cancel(&f.call);
    CHECK_EQ(f.cancels, 0);
    arena_fini(&f.arena);
}

/* --- hop --------------------------------------------------------------------------------------------------------------------- */

static pthread_t landed_on;

static void landed(struct call *call)
{
    landed_on = pthread_self();
    loop_stop(call->loop);
    call_end(call, OK);
}

static void *elsewhere(void *context)
{
    call_hop(context, landed);
    return NULL;
}

TEST(a_hop_brings_the_call_back_to_its_loop)
{
    struct fixture f;
    pthread_t thread;
    begin(&f);
    CHECK_ERR(loop_new(env_real(), 0, &f.call.loop), OK);
    CHECK_EQ(pthread_create(&thread, NULL, elsewhere, &f.call), 0);
    loop_run(f.call.loop);
    pthread_join(thread, NULL);
    CHECK(pthread_equal(landed_on, pthread_self()));
    CHECK_EQ(f.ends, 1);
    loop_free(f.call.loop);
    arena_fini(&f.arena);
}

/* --- registry and namespace -------------------------------------------------------------------------------------------------- */

TEST(drivers_are_found_by_name)
{
    static const struct driver one = {.name = "one"}, two = {.name = "two"};
    static const struct driver *const list[] = {&one, &two};
    const struct driver_registry registry = {list, 2};
    CHECK(driver_find(&registry, "two") == &two);
    CHECK(!driver_find(&registry, "tw"));
    CHECK(!driver_find(&(struct driver_registry){list, 0}, "one"));
}

static int freed;

static void note_free(struct namespace *ns)
{
    (void)ns;
    freed++;
}

TEST(a_namespace_goes_with_its_last_reference)
{
    struct namespace ns = {.free = note_free};
    atomic_init(&ns.refs, 1);
    namespace_ref(&ns);
    namespace_unref(&ns);
    CHECK_EQ(freed, 0);
    namespace_unref(&ns);
    CHECK_EQ(freed, 1);
    namespace_unref(NULL);
}

#include "../model.h"
#include "base/mem.h"
#include "redis_fixture.h"

/* An empty database on a server that is started once for each run of a script. */
static void begin(struct model_place *place)
{
    struct fixture *f = mem_alloc(sizeof *f);
    CHECK(f != NULL);
    redis_fixture_begin(f);
    place->ns = &f->ns;
    place->loop = f->loop;
    place->own = f;
}

static void end(struct model_place *place)
{
    struct fixture *f = place->own;
    if (!place->failed)
        CHECK_EQ(redis_fixture_stat(f, "transactions_open"), 0);
    redis_fixture_fini(f);
    mem_free(f);
}

/* All that the gateway has of it goes; the server stays. */
static void reopen(struct model_place *place, bool crash)
{
    struct fixture *f = place->own;
    (void)crash;
    redis_fixture_close(f);
    CHECK_ERR(redis_fixture_open(f), OK);
}

static const struct model_subject redis = {
    .name = "redis", .real_clock = true, .begin = begin, .end = end, .reopen = reopen};

TEST(redis_agrees_with_the_model)
{
    model_run(&redis, 20000);
}

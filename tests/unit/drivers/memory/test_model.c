/* The memory driver against the model, and the model against a driver with a mistake. */
#include "../../harness.h"
#include "../model.h"
#include "base/mem.h"
#include "memory_fixture.h"
#include "prism/keyvalue/v1/keyvalue_basic.ops.h"
#include "prism/keyvalue/v1/keyvalue_ttl.ops.h"

static void begin(struct model_place *place)
{
    struct memory_fixture *f = mem_zalloc(sizeof *f);
    CHECK(f);
    CHECK_ERR(memory_fixture_init(f, 0), OK);
    *place = (struct model_place){.ns = &f->ns, .env = &f->env, .own = f};
}

/* Nothing is left that only transactions needed. */
static void end(struct model_place *place)
{
    struct memory_fixture *f = place->own;
    uint64_t open = memory_fixture_stat(f, "transactions_open"), kept = memory_fixture_stat(f, "keys_with_history");
    memory_fixture_fini(f);
    mem_free(f);
    CHECK(place->failed || (open == 0 && kept == 0));
}

static const struct model_subject memory = {.name = "memory", .begin = begin, .end = end};

TEST(memory_agrees_with_the_model)
{
    model_run(&memory, 100000);
}

/* --- a mistake ---------------------------------------------------------------------------------------------------------------- */

/* A delete of a key whose expiry was set by the last Expire says that it was done, and does nothing. */
static struct {
    struct driver driver;
    struct keyvalue_basic_ops basic;
    struct keyvalue_ttl_ops ttl;
    const struct keyvalue_basic_ops *true_basic;
    const struct keyvalue_ttl_ops *true_ttl;
    uint8_t key[16];
    size_t key_size;
} broken;

static void remember_expire(struct backend *b, struct call *call, const struct keyvalue_expire_request *r)
{
    broken.key_size = r->key.size;
    memcpy(broken.key, r->key.data, r->key.size);
    broken.true_ttl->expire(b, call, r);
}

static void forget_to_delete(struct backend *b, struct call *call, const struct keyvalue_delete_request *r)
{
    struct keyvalue_delete_response done = {.existed = true};
    if (!r->has_if_version && slice_eq(r->key, slice_of(broken.key, broken.key_size)))
        call_reply(call, &done);
    else
        broken.true_basic->delete (b, call, r);
}

static void begin_broken(struct model_place *place)
{
    begin(place);
    struct backend *backend = place->ns->backend;
    broken.driver = *backend->driver;
    broken.true_basic = broken.driver.implements[INTERFACE_KEYVALUE_BASIC];
    broken.true_ttl = broken.driver.implements[INTERFACE_KEYVALUE_TTL];
    broken.basic = *broken.true_basic;
    broken.basic.delete = forget_to_delete;
    broken.ttl = *broken.true_ttl;
    broken.ttl.expire = remember_expire;
    broken.driver.implements[INTERFACE_KEYVALUE_BASIC] = &broken.basic;
    broken.driver.implements[INTERFACE_KEYVALUE_TTL] = &broken.ttl;
    broken.key_size = 0;
    backend->driver = &broken.driver;
}

static void end_broken(struct model_place *place)
{
    memory_fixture_fini(place->own);
    mem_free(place->own);
}

/* Expire and delete of one absent key are the shortest story: the delete may not have found anything. */
TEST(a_mistake_is_found_and_made_short)
{
    static const struct model_subject subject = {.name = "broken", .begin = begin_broken, .end = end_broken};
    struct model_failure f;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        CHECK(!model_find(&subject, seed, 20000, &f));
        unsigned count = f.script_count;
        mem_free(f.script);
        CHECK(count >= 2 && count <= 5);
    }
}

/* Slots and the child calls made through them: binding, answers at once and later, cancelling. */
#include "data/slot.h"

#include "../harness.h"
#include "base/mem.h"
#include "prism/keyvalue/v1/keyvalue_basic.ops.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"

/* A backend that finds every key: Get answers at once, Exists when told to, Delete fails. */
struct shop {
    struct backend backend;
    struct call *waiting[4];
    unsigned waiting_count;
    bool ends_when_cancelled;
};

static void get(struct backend *backend, struct call *call, const struct keyvalue_get_request *request)
{
    (void)backend;
    struct keyvalue_get_response *response = pb_new(&keyvalue_get_response_pb, call->arena);
    if (!response) {
        call_end(call, ERR_NOMEM);
        return;
    }
    response->found = true;
    response->value = request->key;
    call_reply(call, response);
}

static void cancelled(struct call *call)
{
    call_end(call, ERR_CANCELLED);
}

static void exists(struct backend *backend, struct call *call, const struct keyvalue_exists_request *request)
{
    (void)request;
    struct shop *shop = (struct shop *)backend;
    shop->waiting[shop->waiting_count++] = call;
    if (shop->ends_when_cancelled)
        call->on_cancel = cancelled;
}

static void refuse(struct backend *backend, struct call *call, const struct keyvalue_delete_request *request)
{
    (void)backend, (void)request;
    call_fail(call, ERR_STORE_FULL, "the shop is closed");
}

static const struct keyvalue_basic_ops ops = {.get = get, .exists = exists, .delete = refuse};
static const struct driver driver_shop = {.name = "shop", .implements = {[INTERFACE_KEYVALUE_BASIC] = &ops}};

struct fixture {
    struct call parent;
    struct arena arena;
    struct shop shop;
    struct namespace ns;
    struct slot slot;
    unsigned parent_ends, messages, ends;
    enum err end;
    char value[8];
    bool ends_parent;
};

static enum call_flow parent_send(struct call *call, const void *message)
{
    (void)call, (void)message;
    return CALL_GO;
}

static void parent_end(struct call *call, enum err e)
{
    (void)e;
    ((struct fixture *)call)->parent_ends++;
}

static const struct call_sink parent_sink = {parent_send, parent_end};

static const enum interface basic[] = {INTERFACE_KEYVALUE_BASIC};
static const enum interface both[] = {INTERFACE_KEYVALUE_BASIC, INTERFACE_KEYVALUE_SCAN};
static const struct slot_spec store = {.name = "store", .required = basic, .required_count = 1};

static void begin(struct fixture *f)
{
    *f = (struct fixture){.parent = {.sink = &parent_sink, .who = {"ann"}, .deadline_ns = 7, .arena = &f->arena},
                          .shop = {.backend = {.driver = &driver_shop}},
                          .ns = {.name = "orders", .backend = &f->shop.backend}};
    atomic_init(&f->ns.refs, 1);
    arena_init(&f->arena, 1 << 20);
    diag_init(&f->parent.diag, &f->arena);
    CHECK_ERR(slot_bind(&store, &f->ns, &f->parent.diag, &f->slot), OK);
}

static void fini(struct fixture *f)
{
    slot_unbind(&f->slot);
    CHECK_EQ(f->ns.refs, 1);
    arena_fini(&f->arena);
}

static enum call_flow note_message(struct child *c, const void *message)
{
    struct fixture *f = c->user;
    f->messages++;
    if (c->call.method->pb->output != &keyvalue_get_response_pb)
        return CALL_GO;
    const struct keyvalue_get_response *r = message;
    memcpy(f->value, r->value.data, r->value.size);
    return CALL_GO;
}

static void note_end(struct child *c, enum err e)
{
    struct fixture *f = c->user;
    f->ends++;
    f->end = e;
    if (f->ends_parent && !f->parent.children)
        call_fail(&f->parent, e, "slot %s: %s", c->slot->spec->name, diag_message(&c->call.diag));
}

static const struct child_events events = {note_message, note_end};

static const struct keyvalue_get_request get_apple = {.key = {(const uint8_t *)"apple", 5}};
static const struct keyvalue_exists_request exists_apple = {.key = {(const uint8_t *)"apple", 5}};
static const struct keyvalue_delete_request delete_apple = {.key = {(const uint8_t *)"apple", 5}};

static void ask_later(struct fixture *f)
{
    CHECK_ERR(slot_call(&f->slot, &f->parent, METHOD_KEYVALUE_BASIC_EXISTS, &exists_apple, &events, f), OK);
}

TEST(a_slot_is_bound_to_a_backend_that_offers_all_it_needs)
{
    struct fixture f;
    struct slot slot;
    begin(&f);
    CHECK(slot_offers(&f.slot, INTERFACE_KEYVALUE_BASIC));
    CHECK(!slot_offers(&f.slot, INTERFACE_KEYVALUE_SCAN));
    const struct slot_spec greedy = {.name = "index", .required = both, .required_count = 2};
    CHECK_ERR(slot_bind(&greedy, &f.ns, &f.parent.diag, &slot), ERR_CONFIG_INVALID);
    CHECK_STR(diag_message(&f.parent.diag),
              "slot `index` needs keyvalue_scan, which shop, the driver of namespace `orders`, does "
              "not offer; bind it to another namespace");
    fini(&f);
}

TEST(only_an_optional_slot_may_stay_unbound)
{
    struct fixture f;
    struct slot slot;
    begin(&f);
    CHECK_ERR(slot_bind(&store, NULL, &f.parent.diag, &slot), ERR_CONFIG_INVALID);
    CHECK_STR(diag_message(&f.parent.diag), "slot `store` is not bound; name a namespace for it");
    const struct slot_spec maybe = {.name = "cache", .required = basic, .required_count = 1, .optional = true};
    CHECK_ERR(slot_bind(&maybe, NULL, &f.parent.diag, &slot), OK);
    CHECK(!slot_offers(&slot, INTERFACE_KEYVALUE_BASIC));
    slot_unbind(&slot);
    fini(&f);
}

SCENARIO(a_child_that_answers_at_once_is_gone_when_its_call_returns)
{
    struct fixture f;
    begin(&f);
    enum err e = slot_call(&f.slot, &f.parent, METHOD_KEYVALUE_BASIC_GET, &get_apple, &events, &f);
    bool answered = f.ends == 1 && f.messages == 1 && f.end == OK && strcmp(f.value, "apple") == 0;
    if (!e && f.end)
        e = f.end;
    bool idle = !f.parent.children && f.ns.refs == 2;
    fini(&f);
    return e ? e : answered && idle ? OK : ERR_INTERNAL;
}

TEST(a_child_inherits_who_calls_and_until_when)
{
    struct fixture f;
    begin(&f);
    ask_later(&f);
    CHECK_STR(f.shop.waiting[0]->who.name, "ann");
    CHECK_EQ(f.shop.waiting[0]->deadline_ns, 7);
    CHECK(f.shop.waiting[0]->arena != f.parent.arena);
    CHECK_EQ(f.ns.refs, 3);
    call_reply(f.shop.waiting[0], &(struct keyvalue_exists_response){.exists = true});
    CHECK_EQ(f.ends, 1);
    CHECK(!f.parent.children);
    fini(&f);
}

TEST(the_words_of_a_failed_child_reach_its_parent)
{
    struct fixture f;
    begin(&f);
    f.ends_parent = true;
    CHECK_ERR(slot_call(&f.slot, &f.parent, METHOD_KEYVALUE_BASIC_DELETE, &delete_apple, &events, &f), OK);
    CHECK_EQ(f.parent_ends, 1);
    CHECK_ERR(f.parent.diag.err, ERR_STORE_FULL);
    CHECK_STR(diag_message(&f.parent.diag), "slot store: the shop is closed");
    fini(&f);
}

TEST(cancelling_a_call_cancels_its_children_which_end_later)
{
    struct fixture f;
    begin(&f);
    ask_later(&f);
    ask_later(&f);
    call_cancel(&f.parent);
    for (int i = 0; i < 2; i++) {
        CHECK(f.shop.waiting[i]->cancelled);
        call_end(f.shop.waiting[i], ERR_CANCELLED);
    }
    CHECK_EQ(f.ends, 2);
    CHECK_ERR(f.end, ERR_CANCELLED);
    fini(&f);
}

TEST(children_that_end_when_cancelled_may_end_their_parent)
{
    struct fixture f;
    begin(&f);
    f.shop.ends_when_cancelled = f.ends_parent = true;
    ask_later(&f);
    ask_later(&f);
    ask_later(&f);
    call_cancel(&f.parent);
    CHECK_EQ(f.ends, 3);
    CHECK_EQ(f.parent_ends, 1);
    fini(&f);
}

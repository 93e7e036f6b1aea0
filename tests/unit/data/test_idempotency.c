#include "../harness.h"
#include "data/keyvalue.h"
#include "fake_call.h"
#include "prism/keyvalue/v1/keyvalue_basic.ops.h"

struct fixture {
    struct namespace ns;
    struct fake_call fake;
    struct keyvalue_set_request request;
};

/* A backend that begins a record for every Set, answers, and hands the record to the test. */
struct recorder {
    struct backend base;
    struct idem idem;
    uint8_t key[512];
    size_t key_size;
    bool replay;
    uint64_t stored_fingerprint;
    struct slice stored;
    uint8_t memory[64];
};

static void remember(struct recorder *r, struct call *call, const void *response)
{
    struct slice encoded;
    if (!idem_response(call, response, &encoded)) {
        memcpy(r->memory, encoded.data, encoded.size);
        r->stored = slice_of(r->memory, encoded.size);
    }
}

static void answer(struct recorder *r, struct call *call)
{
    if (r->replay) {
        idem_replay(call, &r->idem, r->stored_fingerprint, r->stored);
        return;
    }
    struct keyvalue_set_response response = {.version = SLICE("v1")};
    if (r->idem.used)
        remember(r, call, &response);
    r->stored_fingerprint = r->idem.fingerprint;
    call_reply(call, &response);
}

static void set(struct backend *b, struct call *call, const struct keyvalue_set_request *request)
{
    (void)request;
    struct recorder *r = (struct recorder *)b;
    enum err e = idem_begin(call, 1000, &r->idem);
    if (e) {
        call_end(call, e);
        return;
    }
    r->key_size = r->idem.key.size;
    if (r->key_size)
        memcpy(r->key, r->idem.key.data, r->key_size);
    answer(r, call);
}

static void get(struct backend *b, struct call *call, const struct keyvalue_get_request *request)
{
    (void)request;
    struct recorder *r = (struct recorder *)b;
    enum err e = idem_begin(call, 1000, &r->idem);
    call_end(call, e);
}

static const struct keyvalue_basic_ops ops = {.set = set, .get = get};
static const struct driver driver = {.name = "recorder", .implements = {[INTERFACE_KEYVALUE_BASIC] = &ops}};

static void fixture_init(struct fixture *f, struct recorder *r)
{
    *r = (struct recorder){.base = {.driver = &driver}};
    fake_namespace_init(&f->ns, "n");
    f->ns.backend = &r->base;
    fake_call_init(&f->fake, &f->ns, NULL);
    f->request = (struct keyvalue_set_request){.key = SLICE("k"), .value = SLICE("v")};
}

static const struct keyvalue_set_response *run(struct fixture *f, const char *who, struct slice key)
{
    f->fake.who = who;
    f->fake.idempotency_key = key;
    return fake_call(&f->fake, METHOD_KEYVALUE_BASIC_SET, &f->request);
}

TEST(calls_without_a_key_have_no_record)
{
    struct fixture f;
    struct recorder r;
    fixture_init(&f, &r);
    run(&f, "a", SLICE_EMPTY);
    CHECK(!r.idem.used);
    f.fake.idempotency_key = SLICE("key");
    fake_call(&f.fake, METHOD_KEYVALUE_BASIC_GET, &(struct keyvalue_get_request){.key = SLICE("k")});
    CHECK_ERR(f.fake.err, OK);
    CHECK(!r.idem.used);
    fake_call_fini(&f.fake);
}

TEST(records_belong_to_caller_and_key)
{
    struct fixture f;
    struct recorder r, other;
    fixture_init(&f, &r);
    run(&f, "ab", SLICE("c"));
    CHECK(r.idem.used);
    CHECK_EQ(r.idem.expires_ms, 1000 + LIMIT_IDEMPOTENCY_RETENTION_MS);
    other = r;
    run(&f, "ab", SLICE("c"));
    CHECK(r.key_size == other.key_size && memcmp(r.key, other.key, r.key_size) == 0);
    run(&f, "a", SLICE("bc"));
    CHECK(r.key_size != other.key_size || memcmp(r.key, other.key, r.key_size) != 0);
    run(&f, "ab", SLICE("d"));
    CHECK(r.key_size != other.key_size || memcmp(r.key, other.key, r.key_size) != 0);
    fake_call_fini(&f.fake);
}

TEST(a_retry_gets_the_first_answer)
{
    struct fixture f;
    struct recorder r;
    fixture_init(&f, &r);
    run(&f, "a", SLICE("key"));
    r.replay = true;
    const struct keyvalue_set_response *again = run(&f, "a", SLICE("key"));
    CHECK_ERR(f.fake.err, OK);
    CHECK_SLICE(again->version, SLICE("v1"));
    f.request.value = SLICE("another");
    run(&f, "a", SLICE("key"));
    CHECK_ERR(f.fake.err, ERR_IDEMPOTENCY_REUSED);
    f.request.value = SLICE("v");
    r.stored = SLICE("\x0a\x7f");
    run(&f, "a", SLICE("key"));
    CHECK_ERR(f.fake.err, ERR_CORRUPT);
    fake_call_fini(&f.fake);
}

TEST(a_key_that_is_too_long_is_refused)
{
    static const char text[LIMIT_IDEMPOTENCY_KEY_BYTES + 1];
    struct fixture f;
    struct recorder r;
    fixture_init(&f, &r);
    run(&f, "a", slice_of(text, LIMIT_IDEMPOTENCY_KEY_BYTES));
    CHECK_ERR(f.fake.err, OK);
    run(&f, "a", slice_of(text, sizeof text));
    CHECK_ERR(f.fake.err, ERR_FIELD_INVALID);
    fake_call_fini(&f.fake);
}

SCENARIO(records_survive_without_memory)
{
    struct fixture f;
    struct recorder r;
    fixture_init(&f, &r);
    run(&f, "a", SLICE("key"));
    enum err e = f.fake.err;
    r.replay = true;
    if (!e && r.stored.size) {
        run(&f, "a", SLICE("key"));
        e = f.fake.err;
    }
    fake_call_fini(&f.fake);
    return e;
}

#include "../harness.h"
#include "data/keyvalue.h"
#include "fake_call.h"

static const struct pb_array no_tags;

struct fixture {
    struct namespace ns;
    struct fake_call fake;
    struct call *call;
};

static void fixture_init(struct fixture *f)
{
    fake_namespace_init(&f->ns, "n");
    fake_call_init(&f->fake, &f->ns, NULL);
    f->call = &f->fake.call;
    f->call->ns = &f->ns;
    f->call->arena = &f->fake.arena;
    diag_init(&f->call->diag, &f->fake.kept);
}

static void fixture_fini(struct fixture *f)
{
    fake_call_fini(&f->fake);
}

TEST(write_checks_key_and_value)
{
    struct fixture f;
    struct kv_write w;
    fixture_init(&f);
    f.ns.message_bytes = 10;
    struct diag *diag = &f.call->diag;
    CHECK_ERR(kv_write_make(f.call, SLICE("k"), SLICE("0123456789"), &no_tags, NULL, 0, diag, "", &w), OK);
    CHECK(w.expires_ms == KV_NEVER && w.expected.what == KV_EXPECT_ANYTHING);
    CHECK_ERR(kv_write_make(f.call, SLICE("k"), SLICE("0123456789a"), &no_tags, NULL, 0, diag, "items[3].", &w),
              ERR_MESSAGE_TOO_LARGE);
    CHECK_STR(diag->fields->name, "items[3].value");
    CHECK_ERR(kv_write_make(f.call, SLICE_EMPTY, SLICE_EMPTY, &no_tags, NULL, 0, diag, "items[3].", &w),
              ERR_KEY_INVALID);
    CHECK_STR(diag->fields->name, "items[3].key");
    fixture_fini(&f);
}

static bool holds(struct kv_expected expected, const struct kv_item *current)
{
    return kv_expected_holds(&expected, current);
}

TEST(if_version_means_absent_when_empty)
{
    struct kv_item item = {.version = SLICE("v1"), .value = SLICE("")};
    CHECK(holds(kv_if_version(false, SLICE("v9")), &item) && holds(kv_if_version(false, SLICE_EMPTY), NULL));
    CHECK(holds(kv_if_version(true, SLICE_EMPTY), NULL) && !holds(kv_if_version(true, SLICE_EMPTY), &item));
    CHECK(holds(kv_if_version(true, SLICE("v1")), &item) && !holds(kv_if_version(true, SLICE("v1")), NULL));
    CHECK(!holds(kv_if_version(true, SLICE("v2")), &item) && !holds(kv_if_version(true, SLICE("v11")), &item));
}

TEST(compare_and_swap_needs_an_expectation)
{
    struct kv_item item = {.version = SLICE("v1"), .value = SLICE("")};
    struct keyvalue_compare_and_swap_request r = {.key = SLICE("k")};
    struct kv_expected expected;
    CHECK_ERR(kv_expected_swap(&r, NULL, &expected), ERR_FIELD_INVALID);
    r.expected_case = KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_ABSENT;
    CHECK_ERR(kv_expected_swap(&r, NULL, &expected), ERR_FIELD_INVALID);
    r.expected_absent = true;
    CHECK_ERR(kv_expected_swap(&r, NULL, &expected), OK);
    CHECK(holds(expected, NULL) && !holds(expected, &item));
    r.expected_case = KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_VERSION;
    CHECK_ERR(kv_expected_swap(&r, NULL, &expected), ERR_FIELD_INVALID);
    r.expected_case = KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_VALUE;
    CHECK_ERR(kv_expected_swap(&r, NULL, &expected), OK);
    CHECK(holds(expected, &item) && !holds(expected, NULL));
}

TEST(compare_and_delete_needs_an_expectation)
{
    struct keyvalue_compare_and_delete_request r = {.key = SLICE("k")};
    struct kv_expected expected;
    CHECK_ERR(kv_expected_delete(&r, NULL, &expected), ERR_FIELD_INVALID);
    r.expected_case = KEYVALUE_COMPARE_AND_DELETE_REQUEST_EXPECTED_VERSION;
    r.expected_version = SLICE("v");
    CHECK_ERR(kv_expected_delete(&r, NULL, &expected), OK);
    CHECK_EQ(expected.what, KV_EXPECT_VERSION);
}

TEST(version_mismatch_says_both)
{
    struct fixture f;
    fixture_init(&f);
    struct kv_expected expected = kv_if_version(true, SLICE("\x01\xAB"));
    CHECK_ERR(kv_version_mismatch(&expected, SLICE("\x02"), &f.call->diag), ERR_VERSION_MISMATCH);
    CHECK_STR(f.call->diag.preconditions->name, "VERSION_CONFLICT");
    CHECK_STR(f.call->diag.preconditions->value, "expected 01ab, actual 02");
    static const uint8_t stranger[1000];
    expected.bytes = slice_of(stranger, sizeof stranger);
    CHECK_ERR(kv_version_mismatch(&expected, SLICE_EMPTY, &f.call->diag), ERR_VERSION_MISMATCH);
    fixture_fini(&f);
}

TEST(batch_status_carries_the_reason)
{
    struct fixture f;
    struct diag diag;
    fixture_init(&f);
    diag_init(&diag, &f.fake.arena);
    diag_set(&diag, ERR_KEY_INVALID, "because");
    struct common_batch_item_status *s = kv_batch_status(3, ERR_KEY_INVALID, &diag, &f.fake.arena);
    CHECK_EQ(s->index, 3);
    CHECK_EQ(s->code, 3);
    CHECK_SLICE(s->message, SLICE("because"));
    s = kv_batch_status(4, OK, &diag, &f.fake.arena);
    CHECK(s->code == 0 && s->message.size == 0);
    s = kv_batch_status(5, ERR_STORE_FULL, NULL, &f.fake.arena);
    CHECK(s->code == 8 && s->message.size > 0);
    fixture_fini(&f);
}

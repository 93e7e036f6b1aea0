/* Operations on single keys: basic, idempotent, with expiry, compared. */
#include <stdio.h>

#include "model_internal.h"

/* --- basic ------------------------------------------------------------------------------------------------------------------- */

/* Sometimes the right version, sometimes none, sometimes that of another key. *ret_holds: what will come of it. */
static bool random_condition(struct model *m, unsigned k, struct slice *ret_version, bool *ret_holds)
{
    const struct item *item = &m->items[k];
    *ret_version = SLICE_EMPTY;
    *ret_holds = true;
    uint64_t kind = roll(m, 8);
    if (kind > 2)
        return false;
    if (kind == 0)
        *ret_version = version_of(item);
    else if (kind == 1)
        *ret_version = version_of(&m->items[roll(m, KEYS)]);
    *ret_holds = ret_version->size ? is_there(m, item) && slice_eq(*ret_version, version_of(item)) : !is_there(m, item);
    return true;
}

void do_set(struct model *m)
{
    unsigned k = (unsigned)roll(m, KEYS);
    struct new_item n;
    bool holds;
    random_item(m, &n);
    struct keyvalue_set_request r = {.key = m->keys[k],
                                     .value = value_of(&n.item, m->value),
                                     .tags = n.tag_array,
                                     .ttl = n.ttl_or_null ? &n.ttl : NULL};
    r.has_if_version = random_condition(m, k, &r.if_version, &holds);
    note(m, "set k%u, %u bytes%s%s", k, n.item.value_size, n.ttl_or_null ? ", expires" : "",
         r.has_if_version ? holds ? ", if_version that holds" : ", if_version that does not hold" : "");
    const struct keyvalue_set_response *answer = fake_call(&m->call, METHOD_KEYVALUE_BASIC_SET, &r);
    REQUIRE_ERR(m, holds ? OK : ERR_VERSION_MISMATCH);
    if (holds)
        store(m, k, &n.item, answer->version);
}

void do_get(struct model *m)
{
    unsigned k = (unsigned)roll(m, KEYS);
    struct keyvalue_get_request r = {.key = m->keys[k]};
    note(m, "get k%u", k);
    const struct keyvalue_get_response *answer = fake_call(&m->call, METHOD_KEYVALUE_BASIC_GET, &r);
    REQUIRE_ERR(m, OK);
    check_get(m, &m->items[k], answer);
}

void do_delete(struct model *m)
{
    unsigned k = (unsigned)roll(m, KEYS);
    bool holds, there = is_there(m, &m->items[k]);
    struct keyvalue_delete_request r = {.key = m->keys[k]};
    r.has_if_version = random_condition(m, k, &r.if_version, &holds);
    note(m, "delete k%u%s", k,
         r.has_if_version ? holds ? ", if_version that holds" : ", if_version that does not hold" : "");
    const struct keyvalue_delete_response *answer = fake_call(&m->call, METHOD_KEYVALUE_BASIC_DELETE, &r);
    REQUIRE_ERR(m, holds ? OK : ERR_VERSION_MISMATCH);
    if (!holds)
        return;
    REQUIRE(m, answer->existed == there);
    if (there)
        remove_item(m, k);
    else
        m->items[k].touched = m->step;
}

void do_exists(struct model *m)
{
    unsigned k = (unsigned)roll(m, KEYS);
    struct keyvalue_exists_request r = {.key = m->keys[k]};
    note(m, "exists k%u", k);
    const struct keyvalue_exists_response *answer = fake_call(&m->call, METHOD_KEYVALUE_BASIC_EXISTS, &r);
    REQUIRE_ERR(m, OK);
    REQUIRE(m, answer->exists == is_there(m, &m->items[k]));
}

/* --- idempotency keys -------------------------------------------------------------------------------------------------------- */

static void set_marked(struct model *m, const struct kept_answer *a)
{
    char mark[32];
    struct keyvalue_set_request r = {.key = m->keys[a->k], .value = value_of(&a->item, m->value)};
    m->call.idempotency_key =
        slice_of(mark, (size_t)snprintf(mark, sizeof mark, "mark-%llu", (unsigned long long)a->number));
    fake_call(&m->call, METHOD_KEYVALUE_BASIC_SET, &r);
}

static void set_first(struct model *m, struct kept_answer *a)
{
    struct new_item n;
    random_item(m, &n);
    n.item.tags = 0;
    n.item.expires_ms = KV_NEVER;
    *a = (struct kept_answer){.used = true, .k = (unsigned)roll(m, KEYS), .item = n.item, .number = m->id};
    note(m, "set k%u, %u bytes, idempotency key %llu", a->k, a->item.value_size, (unsigned long long)a->number);
    set_marked(m, a);
    REQUIRE_ERR(m, OK);
    store(m, a->k, &a->item, ((const struct keyvalue_set_response *)m->call.messages[0])->version);
    a->item = m->items[a->k];
}

/* The same again: the same answer, and nothing is written. */
static void set_again(struct model *m, const struct kept_answer *a)
{
    note(m, "set k%u again, idempotency key %llu", a->k, (unsigned long long)a->number);
    set_marked(m, a);
    REQUIRE_ERR(m, OK);
    REQUIRE(m, slice_eq(((const struct keyvalue_set_response *)m->call.messages[0])->version, version_of(&a->item)));
}

static void set_other(struct model *m, const struct kept_answer *a)
{
    struct kept_answer other = *a;
    other.k = (a->k + 1) % KEYS;
    note(m, "set k%u, idempotency key %llu of another set", other.k, (unsigned long long)a->number);
    set_marked(m, &other);
    REQUIRE_ERR(m, ERR_IDEMPOTENCY_REUSED);
}

void do_set_once(struct model *m)
{
    struct kept_answer *a = &m->answers[roll(m, ANSWERS)];
    uint64_t kind = roll(m, 4);
    if (!a->used || kind == 0)
        set_first(m, a);
    else if (kind == 1)
        set_other(m, a);
    else
        set_again(m, a);
}

/* --- expiry ------------------------------------------------------------------------------------------------------------------ */

void do_expire(struct model *m)
{
    unsigned k = (unsigned)roll(m, KEYS);
    struct item *item = &m->items[k];
    bool there = is_there(m, item);
    int64_t ttl_ms = (int64_t)roll(m, 10) - 2;
    ttl_ms += m->subject->real_clock && ttl_ms > 0 ? HOUR_MS : 0;
    struct google_protobuf_duration ttl = {.seconds = ttl_ms / 1000, .nanos = (int32_t)(ttl_ms % 1000) * 1000000};
    struct keyvalue_expire_request r = {.key = m->keys[k], .ttl = &ttl};
    note(m, "expire k%u, ttl %lld ms", k, (long long)ttl_ms);
    const struct keyvalue_expire_response *answer = fake_call(&m->call, METHOD_KEYVALUE_TTL_EXPIRE, &r);
    REQUIRE_ERR(m, OK);
    REQUIRE(m, answer->existed == there);
    if (there && ttl_ms <= 0) {
        remove_item(m, k);
    } else if (there) {
        item->written = item->expires_ms == now_ms(m) + ttl_ms ? item->written : m->step;
        item->touched = m->step;
        item->expires_ms = now_ms(m) + ttl_ms;
        check_expiry(m, item->expires_ms, answer->expires_at);
    }
    if (!there || ttl_ms <= 0)
        REQUIRE(m, !answer->expires_at);
    item->touched = m->step;
}

void do_persist(struct model *m)
{
    unsigned k = (unsigned)roll(m, KEYS);
    struct item *item = &m->items[k];
    bool there = is_there(m, item);
    struct keyvalue_persist_request r = {.key = m->keys[k]};
    note(m, "persist k%u", k);
    const struct keyvalue_persist_response *answer = fake_call(&m->call, METHOD_KEYVALUE_TTL_PERSIST, &r);
    REQUIRE_ERR(m, OK);
    REQUIRE(m, answer->existed == there && answer->removed == (there && item->expires_ms != KV_NEVER));
    item->touched = m->step;
    if (answer->removed) {
        item->expires_ms = KV_NEVER;
        item->written = m->step;
    }
}

void do_get_ttl(struct model *m)
{
    unsigned k = (unsigned)roll(m, KEYS);
    struct keyvalue_get_ttl_request r = {.key = m->keys[k]};
    note(m, "get ttl k%u", k);
    const struct keyvalue_get_ttl_response *answer = fake_call(&m->call, METHOD_KEYVALUE_TTL_GET_TTL, &r);
    REQUIRE_ERR(m, OK);
    REQUIRE(m, answer->exists == is_there(m, &m->items[k]));
    check_expiry(m, answer->exists ? m->items[k].expires_ms : KV_NEVER, answer->expires_at);
}

/* --- compare and swap -------------------------------------------------------------------------------------------------------- */

static bool random_expectation(struct model *m, unsigned k, struct keyvalue_compare_and_swap_request *r)
{
    const struct item *item = &m->items[k], *other = roll(m, 2) ? item : &m->items[roll(m, KEYS)];
    bool there = is_there(m, item);
    uint64_t kind = roll(m, 3);
    if (kind == 0 && other->version_size) {
        r->expected_case = KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_VERSION;
        r->expected_version = version_of(other);
        return there && slice_eq(r->expected_version, version_of(item));
    }
    if (kind == 1) {
        r->expected_case = KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_VALUE;
        r->expected_value = value_of(other, m->other);
        return there && item->value_size == other->value_size &&
               (!item->value_size || (item->value_seed & 0xFF) == (other->value_seed & 0xFF));
    }
    r->expected_case = KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_ABSENT;
    r->expected_absent = true;
    return !there;
}

static const char *expectation_name(const struct keyvalue_compare_and_swap_request *r)
{
    switch (r->expected_case) {
    case KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_VERSION:
        return "version";
    case KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_VALUE:
        return "value";
    default:
        return "absence";
    }
}

void do_swap(struct model *m)
{
    unsigned k = (unsigned)roll(m, KEYS);
    struct new_item n;
    random_item(m, &n);
    struct keyvalue_compare_and_swap_request r = {.key = m->keys[k],
                                                  .value = value_of(&n.item, m->value),
                                                  .tags = n.tag_array,
                                                  .ttl = n.ttl_or_null ? &n.ttl : NULL};
    bool holds = random_expectation(m, k, &r);
    note(m, "compare and swap k%u, by %s that %s", k, expectation_name(&r), holds ? "holds" : "does not hold");
    const struct keyvalue_compare_and_swap_response *answer =
        fake_call(&m->call, METHOD_KEYVALUE_CAS_COMPARE_AND_SWAP, &r);
    REQUIRE_ERR(m, OK);
    REQUIRE(m, answer->swapped == holds);
    if (holds) {
        store(m, k, &n.item, answer->version);
        return;
    }
    const struct item *item = &m->items[k];
    REQUIRE(m, answer->found == is_there(m, item));
    REQUIRE(m, slice_eq(answer->version, answer->found ? version_of(item) : SLICE_EMPTY));
    REQUIRE(m, slice_eq(answer->current_value, answer->found ? value_of(item, m->other) : SLICE_EMPTY));
}

void do_compare_delete(struct model *m)
{
    unsigned k = (unsigned)roll(m, KEYS);
    const struct item *item = &m->items[k];
    bool there = is_there(m, item), right = roll(m, 2);
    struct keyvalue_compare_and_delete_request r = {
        .key = m->keys[k],
        .expected_case = KEYVALUE_COMPARE_AND_DELETE_REQUEST_EXPECTED_VERSION,
        .expected_version = right && item->version_size ? version_of(item) : SLICE("no version")};
    bool holds = there && right;
    note(m, "compare and delete k%u, %s version", k, right ? "right" : "wrong");
    const struct keyvalue_compare_and_delete_response *answer =
        fake_call(&m->call, METHOD_KEYVALUE_CAS_COMPARE_AND_DELETE, &r);
    REQUIRE_ERR(m, OK);
    REQUIRE(m, answer->deleted == holds);
    if (holds)
        remove_item(m, k);
    else
        REQUIRE(m, answer->found == there && slice_eq(answer->version, there ? version_of(item) : SLICE_EMPTY));
}

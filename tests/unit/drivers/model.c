/* The array has one place for each key of a fixed pool, in order, whether the key is present or not. A transaction is a copy of
 * the array, made when it began, and a second array of what it wrote. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>

#include "../harness.h"
#include "base/hash.h"
#include "base/limits.h"
#include "data/keyvalue.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

enum { KEYS = 200, KEY_BYTES = 8, VALUE_BYTES = 9000, VERSION_BYTES = 64, TRANSACTIONS = 4, TAGS = 2 };

struct item {
    bool present;
    uint32_t value_seed;
    uint32_t value_size;
    uint32_t tags;
    int64_t expires_ms;
    uint8_t version[VERSION_BYTES];
    size_t version_size;
    uint64_t written; /* operation that wrote it last */
    uint64_t touched; /* operation that a driver may or may not take for a write */
};

struct transaction {
    bool open;
    uint8_t id[64];
    size_t id_size;
    uint64_t begun;
    bool wrote[KEYS];
    struct item own[KEYS];
    struct item seen[KEYS];
};

struct model {
    const struct model_options *options;
    uint64_t random;
    uint64_t step;
    struct fake_call call;
    uint8_t key_bytes[KEYS][KEY_BYTES];
    struct slice keys[KEYS];
    struct item items[KEYS];
    struct transaction transactions[TRANSACTIONS];
    uint8_t value[VALUE_BYTES];
    uint8_t other[VALUE_BYTES];
};

#define REQUIRE(m, condition)                                                                                          \
    ((condition) ? (void)0                                                                                             \
                 : test_fail(__FILE__, __LINE__, "seed %llu, operation %llu: not true: %s",                            \
                             (unsigned long long)(m)->options->seed, (unsigned long long)(m)->step, #condition))

static void require_err(struct model *m, enum err expected, int line)
{
    if (m->call.err != expected)
        test_fail(__FILE__, line, "seed %llu, operation %llu: %s, expected %s (%s)",
                  (unsigned long long)m->options->seed, (unsigned long long)m->step, err_name(m->call.err),
                  err_name(expected), diag_message(&m->call.call.diag));
}
#define REQUIRE_ERR(m, expected) require_err((m), (expected), __LINE__)

static uint64_t roll(struct model *m, uint64_t sides)
{
    return hash_mix(m->random++) % sides;
}

/* --- keys, values, items ----------------------------------------------------------------------------------------------------- */

static int compare_keys(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* Of few, awkward bytes, so that many are prefixes of others. Each number below has digits of its own, so no two are equal. */
static void make_keys(struct model *m)
{
    static const uint8_t alphabet[] = {0x00, '%', '_', 'a', 'b', 0x7F, 0x80, 0xFF};
    for (unsigned i = 0; i < KEYS; i++) {
        size_t size = 0;
        for (unsigned digits = i + 1; digits; digits /= 8)
            m->key_bytes[i][size++] = alphabet[digits % 8];
        m->key_bytes[i][size++] = 'k';
        m->keys[i] = slice_of(m->key_bytes[i], size);
    }
    qsort(m->keys, KEYS, sizeof *m->keys, compare_keys);
}

static struct slice value_of(const struct item *item, uint8_t *memory)
{
    for (uint32_t i = 0; i < item->value_size; i++)
        memory[i] = (uint8_t)(item->value_seed + i * 7);
    return slice_of(memory, item->value_size);
}

static uint32_t random_size(struct model *m)
{
    uint64_t kind = roll(m, 20);
    if (kind == 0)
        return (uint32_t)roll(m, VALUE_BYTES);
    return kind == 1 ? 0 : (uint32_t)roll(m, 60);
}

static int64_t now_ms(const struct model *m)
{
    return m->options->env->realtime_ms;
}

static bool is_there(const struct model *m, const struct item *item)
{
    return item->present && item->expires_ms > now_ms(m);
}

static struct slice version_of(const struct item *item)
{
    return slice_of(item->version, item->version_size);
}

struct new_item {
    struct item item;
    struct google_protobuf_duration ttl;
    const struct google_protobuf_duration *ttl_or_null;
    struct keyvalue_set_request_tags_entry tags[TAGS];
    void *tag_pointers[TAGS];
    struct pb_array tag_array;
};

static void make_tags(struct new_item *n)
{
    for (unsigned i = 0; i < n->item.tags; i++) {
        n->tags[i] = (struct keyvalue_set_request_tags_entry){.key = i ? SLICE("two") : SLICE("one"),
                                                              .value = slice_of(&n->item.value_seed, 0)};
        n->tag_pointers[i] = &n->tags[i];
    }
    n->tag_array = (struct pb_array){.items = n->tag_pointers, .count = n->item.tags};
}

static void random_item(struct model *m, struct new_item *n)
{
    memset(n, 0, sizeof *n);
    n->item = (struct item){.present = true,
                            .value_seed = (uint32_t)roll(m, UINT32_MAX),
                            .value_size = random_size(m),
                            .tags = roll(m, 4) ? 0 : (uint32_t)roll(m, TAGS + 1),
                            .expires_ms = KV_NEVER,
                            .written = m->step};
    make_tags(n);
    if (roll(m, 3) == 0) {
        int64_t ttl_ms = 1 + (int64_t)roll(m, roll(m, 4) ? 50 : 100000);
        n->ttl =
            (struct google_protobuf_duration){.seconds = ttl_ms / 1000, .nanos = (int32_t)(ttl_ms % 1000) * 1000000};
        n->ttl_or_null = &n->ttl;
        n->item.expires_ms = now_ms(m) + ttl_ms;
    }
}

/* The write has been answered with this version. */
static void store(struct model *m, unsigned k, const struct item *item, struct slice version)
{
    struct item *place = &m->items[k];
    REQUIRE(m, version.size >= 1 && version.size <= VERSION_BYTES && !slice_eq(version, version_of(place)));
    *place = *item;
    place->written = m->step;
    memcpy(place->version, version.data, version.size);
    place->version_size = version.size;
}

static void remove_item(struct model *m, unsigned k)
{
    m->items[k].present = false;
    m->items[k].written = m->step;
}

static void check_expiry(struct model *m, int64_t expires_ms, const struct google_protobuf_timestamp *got)
{
    if (expires_ms == KV_NEVER)
        REQUIRE(m, !got);
    else
        REQUIRE(m, got && got->seconds * 1000 + got->nanos / 1000000 == expires_ms && got->nanos % 1000000 == 0);
}

static void check_item(struct model *m, const struct item *want, struct slice value, struct slice version,
                       const struct google_protobuf_timestamp *expires_at, struct pb_array tags)
{
    REQUIRE(m, slice_eq(value, value_of(want, m->other)));
    REQUIRE(m, slice_eq(version, version_of(want)));
    REQUIRE(m, tags.count == want->tags);
    check_expiry(m, want->expires_ms, expires_at);
}

static void check_get(struct model *m, const struct item *want, const struct keyvalue_get_response *r)
{
    REQUIRE(m, r && r->found == is_there(m, want));
    if (r->found)
        check_item(m, want, r->value, r->version, r->expires_at, r->tags);
    else
        REQUIRE(m, !r->value.size && !r->version.size && !r->tags.count);
}

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

static void do_set(struct model *m)
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
    const struct keyvalue_set_response *answer = fake_call(&m->call, METHOD_KEYVALUE_BASIC_SET, &r);
    REQUIRE_ERR(m, holds ? OK : ERR_VERSION_MISMATCH);
    if (holds)
        store(m, k, &n.item, answer->version);
}

static void do_get(struct model *m)
{
    unsigned k = (unsigned)roll(m, KEYS);
    struct keyvalue_get_request r = {.key = m->keys[k]};
    const struct keyvalue_get_response *answer = fake_call(&m->call, METHOD_KEYVALUE_BASIC_GET, &r);
    REQUIRE_ERR(m, OK);
    check_get(m, &m->items[k], answer);
}

static void do_delete(struct model *m)
{
    unsigned k = (unsigned)roll(m, KEYS);
    bool holds, there = is_there(m, &m->items[k]);
    struct keyvalue_delete_request r = {.key = m->keys[k]};
    r.has_if_version = random_condition(m, k, &r.if_version, &holds);
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

static void do_exists(struct model *m)
{
    unsigned k = (unsigned)roll(m, KEYS);
    struct keyvalue_exists_request r = {.key = m->keys[k]};
    const struct keyvalue_exists_response *answer = fake_call(&m->call, METHOD_KEYVALUE_BASIC_EXISTS, &r);
    REQUIRE_ERR(m, OK);
    REQUIRE(m, answer->exists == is_there(m, &m->items[k]));
}

/* --- expiry ------------------------------------------------------------------------------------------------------------------ */

static void do_expire(struct model *m)
{
    unsigned k = (unsigned)roll(m, KEYS);
    struct item *item = &m->items[k];
    bool there = is_there(m, item);
    int64_t ttl_ms = (int64_t)roll(m, 10) - 2;
    struct google_protobuf_duration ttl = {.nanos = (int32_t)ttl_ms * 1000000};
    struct keyvalue_expire_request r = {.key = m->keys[k], .ttl = &ttl};
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

static void do_persist(struct model *m)
{
    unsigned k = (unsigned)roll(m, KEYS);
    struct item *item = &m->items[k];
    bool there = is_there(m, item);
    struct keyvalue_persist_request r = {.key = m->keys[k]};
    const struct keyvalue_persist_response *answer = fake_call(&m->call, METHOD_KEYVALUE_TTL_PERSIST, &r);
    REQUIRE_ERR(m, OK);
    REQUIRE(m, answer->existed == there && answer->removed == (there && item->expires_ms != KV_NEVER));
    item->touched = m->step;
    if (answer->removed) {
        item->expires_ms = KV_NEVER;
        item->written = m->step;
    }
}

static void do_get_ttl(struct model *m)
{
    unsigned k = (unsigned)roll(m, KEYS);
    struct keyvalue_get_ttl_request r = {.key = m->keys[k]};
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
               (item->value_seed & 0xFF) == (other->value_seed & 0xFF);
    }
    r->expected_case = KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_ABSENT;
    r->expected_absent = true;
    return !there;
}

static void do_swap(struct model *m)
{
    unsigned k = (unsigned)roll(m, KEYS);
    struct new_item n;
    random_item(m, &n);
    struct keyvalue_compare_and_swap_request r = {.key = m->keys[k],
                                                  .value = value_of(&n.item, m->value),
                                                  .tags = n.tag_array,
                                                  .ttl = n.ttl_or_null ? &n.ttl : NULL};
    bool holds = random_expectation(m, k, &r);
    if (holds && r.expected_case == KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_VALUE && !r.expected_value.size)
        holds = is_there(m, &m->items[k]) && !m->items[k].value_size;
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

static void do_compare_delete(struct model *m)
{
    unsigned k = (unsigned)roll(m, KEYS);
    const struct item *item = &m->items[k];
    bool there = is_there(m, item), right = roll(m, 2);
    struct keyvalue_compare_and_delete_request r = {
        .key = m->keys[k],
        .expected_case = KEYVALUE_COMPARE_AND_DELETE_REQUEST_EXPECTED_VERSION,
        .expected_version = right && item->version_size ? version_of(item) : SLICE("no version")};
    bool holds = there && right;
    const struct keyvalue_compare_and_delete_response *answer =
        fake_call(&m->call, METHOD_KEYVALUE_CAS_COMPARE_AND_DELETE, &r);
    REQUIRE_ERR(m, OK);
    REQUIRE(m, answer->deleted == holds);
    if (holds)
        remove_item(m, k);
    else
        REQUIRE(m, answer->found == there && slice_eq(answer->version, there ? version_of(item) : SLICE_EMPTY));
}

/* --- batches ----------------------------------------------------------------------------------------------------------------- */

enum { BATCH = 8 };

static void do_batch_set(struct model *m)
{
    static uint8_t values[BATCH][VALUE_BYTES];
    struct new_item n[BATCH];
    struct keyvalue_batch_set_item items[BATCH];
    void *pointers[BATCH];
    unsigned k[BATCH], count = 1 + (unsigned)roll(m, BATCH);
    for (unsigned i = 0; i < count; i++) {
        random_item(m, &n[i]);
        k[i] = (unsigned)roll(m, KEYS);
        items[i] = (struct keyvalue_batch_set_item){.key = roll(m, 10) ? m->keys[k[i]] : SLICE_EMPTY,
                                                    .tags = n[i].tag_array,
                                                    .value = value_of(&n[i].item, values[i]),
                                                    .ttl = n[i].ttl_or_null ? &n[i].ttl : NULL};
        pointers[i] = &items[i];
    }
    struct keyvalue_batch_set_request r = {.items = {.items = pointers, .count = count}};
    const struct keyvalue_batch_set_response *answer = fake_call(&m->call, METHOD_KEYVALUE_BATCH_BATCH_SET, &r);
    REQUIRE_ERR(m, OK);
    REQUIRE(m, answer->results.count == count);
    for (unsigned i = 0; i < count; i++) {
        const struct keyvalue_batch_set_result *result = PB_AT(answer->results, struct keyvalue_batch_set_result *, i);
        REQUIRE(m, result->status->index == i && result->status->code == (items[i].key.size ? 0 : 3));
        if (items[i].key.size)
            store(m, k[i], &n[i].item, result->version);
    }
}

static void do_batch_get(struct model *m)
{
    struct slice keys[BATCH];
    unsigned k[BATCH], count = 1 + (unsigned)roll(m, BATCH), found = 0;
    for (unsigned i = 0; i < count; i++)
        keys[i] = m->keys[k[i] = (unsigned)roll(m, KEYS)];
    struct keyvalue_batch_get_request r = {.keys = {.items = keys, .count = count}};
    const struct keyvalue_batch_get_response *answer = fake_call(&m->call, METHOD_KEYVALUE_BATCH_BATCH_GET, &r);
    REQUIRE_ERR(m, OK);
    REQUIRE(m, answer->results.count == count);
    for (unsigned i = 0; i < count; i++) {
        const struct keyvalue_batch_get_result *result = PB_AT(answer->results, struct keyvalue_batch_get_result *, i);
        REQUIRE(m, result->status->index == i && result->status->code == 0);
        check_get(m, &m->items[k[i]], result->item);
        found += result->item->found;
    }
    REQUIRE(m, answer->found == found);
}

static void do_batch_delete(struct model *m)
{
    struct slice keys[BATCH];
    unsigned k[BATCH], count = 1 + (unsigned)roll(m, 3);
    for (unsigned i = 0; i < count; i++)
        keys[i] = m->keys[k[i] = (unsigned)roll(m, KEYS)];
    struct keyvalue_batch_delete_request r = {.keys = {.items = keys, .count = count}};
    const struct keyvalue_batch_delete_response *answer = fake_call(&m->call, METHOD_KEYVALUE_BATCH_BATCH_DELETE, &r);
    REQUIRE_ERR(m, OK);
    REQUIRE(m, answer->results.count == count && answer->succeeded == count);
    for (unsigned i = 0; i < count; i++) {
        const struct keyvalue_batch_delete_result *result =
            PB_AT(answer->results, struct keyvalue_batch_delete_result *, i);
        bool there = is_there(m, &m->items[k[i]]);
        REQUIRE(m, result->existed == there);
        if (there)
            remove_item(m, k[i]);
        m->items[k[i]].touched = m->step;
    }
}

/* --- scans ------------------------------------------------------------------------------------------------------------------- */

static void random_range(struct model *m, struct keyvalue_scan_request *r)
{
    unsigned a = (unsigned)roll(m, KEYS), b = (unsigned)roll(m, KEYS);
    switch (roll(m, 4)) {
    case 0:
        break;
    case 1:
        r->prefix = slice_take(m->keys[a], 1 + roll(m, 2));
        break;
    case 2:
        r->start = m->keys[a];
        break;
    default:
        r->start = m->keys[a < b ? a : b];
        r->end = m->keys[a < b ? b : a];
    }
}

static bool in_range(const struct keyvalue_scan_request *r, struct slice key)
{
    return slice_starts_with(key, r->prefix) && slice_cmp(key, r->start) >= 0 &&
           (!r->end.size || slice_cmp(key, r->end) < 0);
}

/* Places of the keys that a scan gives, in its order. */
static unsigned expected_keys(struct model *m, const struct keyvalue_scan_request *r, unsigned places[KEYS])
{
    unsigned count = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        unsigned k = r->reverse ? KEYS - 1 - i : i;
        if (is_there(m, &m->items[k]) && in_range(r, m->keys[k]) && (!r->limit || count < r->limit))
            places[count++] = k;
    }
    return count;
}

static unsigned check_page(struct model *m, const struct keyvalue_scan_response *page, const unsigned *places,
                           unsigned left)
{
    REQUIRE(m, page->items.count <= left && page->ordered);
    for (unsigned i = 0; i < page->items.count; i++) {
        const struct keyvalue_key_value_item *item = PB_AT(page->items, struct keyvalue_key_value_item *, i);
        REQUIRE(m, slice_eq(item->key, m->keys[places[i]]));
        check_item(m, &m->items[places[i]], item->value, item->version, item->expires_at, item->tags);
    }
    return page->items.count;
}

/* All pages of one call. *cursor: of a page that the dice chose, copied. Returns how many items there were up to it. */
static unsigned check_pages(struct model *m, const unsigned *places, unsigned count, uint8_t *cursor,
                            size_t *cursor_size)
{
    unsigned seen = 0, upto = 0, chosen = (unsigned)roll(m, m->call.count);
    for (unsigned i = 0; i < m->call.count; i++) {
        const struct keyvalue_scan_response *page = m->call.messages[i];
        seen += check_page(m, page, places + seen, count - seen);
        REQUIRE(m, (page->next_cursor.size > 0) == (i + 1 < m->call.count));
        if (i != chosen)
            continue;
        upto = seen;
        *cursor_size = page->next_cursor.size;
        memcpy(cursor, *cursor_size ? page->next_cursor.data : cursor, *cursor_size);
    }
    REQUIRE(m, seen == count);
    return upto;
}

static void do_scan(struct model *m)
{
    static uint8_t cursor[LIMIT_CURSOR_BYTES];
    size_t cursor_size = 0;
    unsigned places[KEYS];
    struct keyvalue_scan_request r = {
        .reverse = roll(m, 2), .limit = roll(m, 2) ? roll(m, 50) : 0, .page_size = (uint32_t)roll(m, 30)};
    random_range(m, &r);
    unsigned count = expected_keys(m, &r, places);
    m->call.hold = roll(m, 2);
    fake_call(&m->call, METHOD_KEYVALUE_SCAN_SCAN, &r);
    REQUIRE_ERR(m, OK);
    unsigned upto = check_pages(m, places, count, cursor, &cursor_size);
    if (cursor_size) {
        r.cursor = slice_of(cursor, cursor_size);
        r.page_size = (uint32_t)roll(m, 5);
        fake_call(&m->call, METHOD_KEYVALUE_SCAN_SCAN, &r);
        REQUIRE_ERR(m, OK);
        static uint8_t unused[LIMIT_CURSOR_BYTES];
        check_pages(m, places + upto, count - upto, unused, &cursor_size);
    }
    m->call.hold = false;
}

static void do_scan_keys(struct model *m)
{
    unsigned places[KEYS], seen = 0;
    struct keyvalue_scan_request r = {.reverse = roll(m, 2)};
    random_range(m, &r);
    unsigned count = expected_keys(m, &r, places);
    struct keyvalue_scan_keys_request keys = {.prefix = r.prefix,
                                              .start = r.start,
                                              .end = r.end,
                                              .reverse = r.reverse,
                                              .page_size = 1 + (uint32_t)roll(m, 100)};
    fake_call(&m->call, METHOD_KEYVALUE_SCAN_SCAN_KEYS, &keys);
    REQUIRE_ERR(m, OK);
    for (unsigned p = 0; p < m->call.count; p++) {
        const struct keyvalue_scan_keys_response *page = m->call.messages[p];
        for (unsigned i = 0; i < page->keys.count; i++, seen++)
            REQUIRE(m, seen < count && slice_eq(PB_AT(page->keys, struct slice, i), m->keys[places[seen]]));
    }
    REQUIRE(m, seen == count);
}

static void do_count(struct model *m)
{
    unsigned places[KEYS];
    struct keyvalue_scan_request r = {0};
    random_range(m, &r);
    struct keyvalue_count_request c = {.prefix = r.prefix, .start = r.start, .end = r.end};
    const struct keyvalue_count_response *answer = fake_call(&m->call, METHOD_KEYVALUE_SCAN_COUNT, &c);
    REQUIRE_ERR(m, OK);
    REQUIRE(m, answer->count == expected_keys(m, &r, places));
}

/* --- transactions ------------------------------------------------------------------------------------------------------------ */

static void begin(struct model *m, struct transaction *x)
{
    struct keyvalue_begin_transaction_request r = {0};
    const struct keyvalue_begin_transaction_response *answer =
        fake_call(&m->call, METHOD_KEYVALUE_TRANSACTIONAL_BEGIN_TRANSACTION, &r);
    REQUIRE_ERR(m, OK);
    *x = (struct transaction){.open = true, .begun = m->step, .id_size = answer->transaction_id.size};
    REQUIRE(m, x->id_size && x->id_size <= sizeof x->id);
    memcpy(x->id, answer->transaction_id.data, x->id_size);
    memcpy(x->seen, m->items, sizeof x->seen);
}

static void set_in(struct model *m, struct transaction *x)
{
    unsigned k = (unsigned)roll(m, KEYS);
    struct new_item n;
    random_item(m, &n);
    struct keyvalue_set_in_transaction_request r = {.transaction_id = slice_of(x->id, x->id_size),
                                                    .key = m->keys[k],
                                                    .value = value_of(&n.item, m->value),
                                                    .tags = n.tag_array,
                                                    .ttl = n.ttl_or_null ? &n.ttl : NULL};
    fake_call(&m->call, METHOD_KEYVALUE_TRANSACTIONAL_SET_IN_TRANSACTION, &r);
    REQUIRE_ERR(m, OK);
    x->wrote[k] = true;
    x->own[k] = n.item;
}

static const struct item *seen_by(const struct transaction *x, unsigned k)
{
    return x->wrote[k] ? &x->own[k] : &x->seen[k];
}

static void get_in(struct model *m, struct transaction *x)
{
    unsigned k = (unsigned)roll(m, KEYS);
    struct keyvalue_get_in_transaction_request r = {.transaction_id = slice_of(x->id, x->id_size), .key = m->keys[k]};
    const struct keyvalue_get_in_transaction_response *answer =
        fake_call(&m->call, METHOD_KEYVALUE_TRANSACTIONAL_GET_IN_TRANSACTION, &r);
    REQUIRE_ERR(m, OK);
    const struct item *want = seen_by(x, k);
    REQUIRE(m, answer->found == is_there(m, want));
    if (answer->found)
        check_item(m, want, answer->value, answer->version, answer->expires_at, answer->tags);
}

static void delete_in(struct model *m, struct transaction *x)
{
    unsigned k = (unsigned)roll(m, KEYS);
    struct keyvalue_delete_in_transaction_request r = {.transaction_id = slice_of(x->id, x->id_size),
                                                       .key = m->keys[k]};
    const struct keyvalue_delete_in_transaction_response *answer =
        fake_call(&m->call, METHOD_KEYVALUE_TRANSACTIONAL_DELETE_IN_TRANSACTION, &r);
    REQUIRE_ERR(m, OK);
    REQUIRE(m, answer->existed == is_there(m, seen_by(x, k)));
    x->wrote[k] = true;
    x->own[k] = (struct item){0};
}

enum verdict { COMMITS, CONFLICTS, EITHER };

static enum verdict judge(const struct model *m, const struct transaction *x)
{
    enum verdict v = COMMITS;
    for (unsigned k = 0; k < KEYS; k++) {
        if (x->wrote[k] && m->items[k].written > x->begun)
            return CONFLICTS;
        bool maybe = m->items[k].touched > x->begun || m->items[k].expires_ms <= now_ms(m);
        if (x->wrote[k] && maybe)
            v = EITHER;
        if (m->options->wide_conflicts && m->items[k].written > x->begun)
            v = EITHER;
    }
    return v;
}

static void apply(struct model *m, const struct transaction *x, struct slice version)
{
    for (unsigned k = 0; k < KEYS; k++) {
        if (!x->wrote[k])
            continue;
        if (x->own[k].present)
            store(m, k, &x->own[k], version);
        else if (is_there(m, &m->items[k]))
            remove_item(m, k);
        m->items[k].touched = m->step;
    }
}

static void commit(struct model *m, struct transaction *x)
{
    struct keyvalue_commit_request r = {.transaction_id = slice_of(x->id, x->id_size)};
    enum verdict v = judge(m, x);
    x->open = false;
    const struct keyvalue_commit_response *answer = fake_call(&m->call, METHOD_KEYVALUE_TRANSACTIONAL_COMMIT, &r);
    if (v == CONFLICTS || (v == EITHER && m->call.err)) {
        REQUIRE_ERR(m, ERR_TRANSACTION_CONFLICT);
        REQUIRE(m, m->call.call.diag.retry_after_ms > 0);
        return;
    }
    REQUIRE_ERR(m, OK);
    apply(m, x, answer->version);
}

static void rollback(struct model *m, struct transaction *x)
{
    struct keyvalue_rollback_request r = {.transaction_id = slice_of(x->id, x->id_size)};
    x->open = false;
    fake_call(&m->call, METHOD_KEYVALUE_TRANSACTIONAL_ROLLBACK, &r);
    REQUIRE_ERR(m, OK);
    fake_call(&m->call, METHOD_KEYVALUE_TRANSACTIONAL_COMMIT,
              &(struct keyvalue_commit_request){.transaction_id = r.transaction_id});
    REQUIRE_ERR(m, ERR_TRANSACTION_UNKNOWN);
}

static void do_transaction(struct model *m)
{
    struct transaction *x = &m->transactions[roll(m, TRANSACTIONS)];
    uint64_t kind = roll(m, 20);
    if (!x->open)
        begin(m, x);
    else if (kind < 8)
        set_in(m, x);
    else if (kind < 14)
        get_in(m, x);
    else if (kind < 17)
        delete_in(m, x);
    else if (kind < 19)
        commit(m, x);
    else
        rollback(m, x);
}

/* --- the run ----------------------------------------------------------------------------------------------------------------- */

static void do_wait(struct model *m)
{
    fake_env_advance(m->options->env, (int64_t)roll(m, 20));
}

static const struct {
    unsigned weight;
    void (*run)(struct model *);
} actions[] = {{20, do_set},         {20, do_get},         {8, do_delete}, {5, do_exists},         {5, do_expire},
               {3, do_persist},      {5, do_get_ttl},      {8, do_swap},   {3, do_compare_delete}, {4, do_batch_set},
               {4, do_batch_get},    {2, do_batch_delete}, {2, do_scan},   {1, do_scan_keys},      {2, do_count},
               {30, do_transaction}, {10, do_wait}};

static void one_operation(struct model *m)
{
    unsigned total = 0;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        total += actions[i].weight;
    uint64_t left = roll(m, total);
    for (size_t i = 0;; i++) {
        if (left < actions[i].weight) {
            actions[i].run(m);
            return;
        }
        left -= actions[i].weight;
    }
}

static void end_transactions(struct model *m)
{
    for (unsigned i = 0; i < TRANSACTIONS; i++)
        if (m->transactions[i].open)
            rollback(m, &m->transactions[i]);
}

void model_run(const struct model_options *options)
{
    static struct model m;
    memset(&m, 0, sizeof m);
    m.options = options;
    m.random = options->seed << 32;
    fake_call_init(&m.call, options->ns, options->loop);
    make_keys(&m);
    for (m.step = 1; m.step <= options->operations; m.step++)
        one_operation(&m);
    end_transactions(&m);
    fake_call_fini(&m.call);
}

/* Operations on several keys: batches, scans, cursors. */
#include "model_internal.h"

/* --- batches ----------------------------------------------------------------------------------------------------------------- */

enum { BATCH = 8 };

void do_batch_set(struct model *m)
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
    note(m, "batch set of %u", count);
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

void do_batch_get(struct model *m)
{
    struct slice keys[BATCH];
    unsigned k[BATCH], count = 1 + (unsigned)roll(m, BATCH), found = 0;
    for (unsigned i = 0; i < count; i++)
        keys[i] = m->keys[k[i] = (unsigned)roll(m, KEYS)];
    struct keyvalue_batch_get_request r = {.keys = {.items = keys, .count = count}};
    note(m, "batch get of %u", count);
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

void do_batch_delete(struct model *m)
{
    struct slice keys[BATCH];
    unsigned k[BATCH], count = 1 + (unsigned)roll(m, 3);
    for (unsigned i = 0; i < count; i++)
        keys[i] = m->keys[k[i] = (unsigned)roll(m, KEYS)];
    struct keyvalue_batch_delete_request r = {.keys = {.items = keys, .count = count}};
    note(m, "batch delete of %u", count);
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

void do_scan(struct model *m)
{
    static uint8_t cursor[LIMIT_CURSOR_BYTES];
    size_t cursor_size = 0;
    unsigned places[KEYS];
    struct keyvalue_scan_request r = {
        .reverse = roll(m, 2), .limit = roll(m, 2) ? roll(m, 50) : 0, .page_size = (uint32_t)roll(m, 30)};
    random_range(m, &r);
    unsigned count = expected_keys(m, &r, places);
    m->call.hold = roll(m, 2);
    note(m, "scan of %u keys, pages of %u%s", count, r.page_size, r.reverse ? ", backwards" : "");
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

void do_scan_keys(struct model *m)
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
    note(m, "scan of %u keys alone", count);
    fake_call(&m->call, METHOD_KEYVALUE_SCAN_SCAN_KEYS, &keys);
    REQUIRE_ERR(m, OK);
    for (unsigned p = 0; p < m->call.count; p++) {
        const struct keyvalue_scan_keys_response *page = m->call.messages[p];
        for (unsigned i = 0; i < page->keys.count; i++, seen++)
            REQUIRE(m, seen < count && slice_eq(PB_AT(page->keys, struct slice, i), m->keys[places[seen]]));
    }
    REQUIRE(m, seen == count);
}

void do_count(struct model *m)
{
    unsigned places[KEYS];
    struct keyvalue_scan_request r = {0};
    random_range(m, &r);
    struct keyvalue_count_request c = {.prefix = r.prefix, .start = r.start, .end = r.end};
    note(m, "count");
    const struct keyvalue_count_response *answer = fake_call(&m->call, METHOD_KEYVALUE_SCAN_COUNT, &c);
    REQUIRE_ERR(m, OK);
    REQUIRE(m, answer->count == expected_keys(m, &r, places));
}

/* --- cursors that wait ------------------------------------------------------------------------------------------------------- */

/* The last page that ends in a cursor, of a scan with small pages. */
void do_keep_cursor(struct model *m)
{
    struct kept_cursor *kept = &m->cursors[roll(m, CURSORS)];
    unsigned places[KEYS], upto = 0;
    struct keyvalue_scan_request r = {
        .reverse = roll(m, 2), .limit = roll(m, 2) ? 1 + roll(m, 50) : 0, .page_size = 1 + (uint32_t)roll(m, 20)};
    random_range(m, &r);
    unsigned count = expected_keys(m, &r, places);
    size_t size = 0;
    note(m, "scan of %u keys, pages of %u, to keep a cursor", count, r.page_size);
    fake_call(&m->call, METHOD_KEYVALUE_SCAN_SCAN, &r);
    REQUIRE_ERR(m, OK);
    upto = check_pages(m, places, count, kept->bytes, &size);
    kept->size = size;
    kept->used = size > 0;
    kept->scan = r;
    kept->last = upto ? places[upto - 1] : 0;
    kept->left = r.limit ? r.limit - upto : 0;
}

/* Where it goes on is behind the key that was seen last, whatever has been written, deleted or expired since. */
static unsigned expected_rest(struct model *m, const struct kept_cursor *kept, unsigned places[KEYS])
{
    struct keyvalue_scan_request unlimited = kept->scan;
    unsigned all[KEYS], count = 0;
    unlimited.limit = 0;
    unsigned total = expected_keys(m, &unlimited, all);
    for (unsigned i = 0; i < total; i++) {
        bool behind = kept->scan.reverse ? all[i] < kept->last : all[i] > kept->last;
        if (behind && (!kept->left || count < kept->left))
            places[count++] = all[i];
    }
    return count;
}

void do_go_on(struct model *m)
{
    static uint8_t unused[LIMIT_CURSOR_BYTES];
    struct kept_cursor *kept = &m->cursors[roll(m, CURSORS)];
    unsigned places[KEYS];
    size_t size = 0;
    if (!kept->used)
        return;
    unsigned count = expected_rest(m, kept, places);
    struct keyvalue_scan_request r = kept->scan;
    r.limit = 0;
    r.cursor = slice_of(kept->bytes, kept->size);
    r.page_size = (uint32_t)roll(m, 30);
    note(m, "scan goes on behind k%u, %u keys", kept->last, count);
    fake_call(&m->call, METHOD_KEYVALUE_SCAN_SCAN, &r);
    REQUIRE_ERR(m, OK);
    check_pages(m, places, count, unused, &size);
}

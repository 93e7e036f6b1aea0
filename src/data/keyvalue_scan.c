/* Ranges, and scans page by page.
 *
 * Invariants: scan->range holds exactly the keys that have not been taken yet (in the direction of the scan); last_key and the
 * moved end of the range lie in the page being filled, or in kept once that page has been sent; page_bytes is at most
 * LIMIT_PAGE_BYTES unless the page has one item. */
#include "data/keyvalue.h"

#include <assert.h>

#include "data/siphash.h"

/* --- ranges ----------------------------------------------------------------------------------------------------------------- */

static enum err range_invalid(struct diag *diag, const char *field, const char *why)
{
    diag_set(diag, ERR_RANGE_INVALID, "%s %s", field, why);
    diag_field(diag, field, "%s", why);
    return ERR_RANGE_INVALID;
}

static enum err check_bounds(struct slice prefix, struct slice start, struct slice end, struct diag *diag)
{
    if (prefix.size > LIMIT_KEY_BYTES)
        return range_invalid(diag, "prefix", "is longer than a key may be");
    if (start.size > LIMIT_KEY_BYTES)
        return range_invalid(diag, "start", "is longer than a key may be");
    if (end.size > LIMIT_KEY_BYTES)
        return range_invalid(diag, "end", "is longer than a key may be");
    if (prefix.size && (start.size || end.size)) {
        range_invalid(diag, "prefix", "cannot stand together with start or end");
        diag_field(diag, start.size ? "start" : "end", "cannot stand together with prefix");
        return ERR_RANGE_INVALID;
    }
    if (end.size && slice_cmp(start, end) > 0) {
        range_invalid(diag, "start", "lies behind end");
        diag_field(diag, "end", "lies before start");
        return ERR_RANGE_INVALID;
    }
    return OK;
}

/* The first key behind all keys with the prefix: the prefix without trailing 0xFF, its last byte one higher. A prefix of
 * nothing but 0xFF has none. */
static enum err prefix_end(struct slice prefix, struct arena *arena, struct kv_range *range)
{
    size_t size = prefix.size;
    while (size && prefix.data[size - 1] == 0xFF)
        size--;
    if (!size)
        return OK;
    struct slice copy;
    if (!arena_copy(arena, slice_take(prefix, size), &copy))
        return ERR_NOMEM;
    ((uint8_t *)copy.data)[size - 1]++;
    range->end = copy;
    range->has_end = true;
    return OK;
}

enum err kv_range_make(struct slice prefix, struct slice start, struct slice end, struct arena *arena,
                       struct diag *diag, struct kv_range *ret_range)
{
    enum err e = check_bounds(prefix, start, end, diag);
    if (e)
        return e;
    struct kv_range range = {.start = prefix.size ? prefix : start, .end = end, .has_end = end.size > 0};
    if (prefix.size)
        e = prefix_end(prefix, arena, &range);
    if (!e)
        *ret_range = range;
    return e;
}

/* --- beginning -------------------------------------------------------------------------------------------------------------- */

static void put_part(struct buf *b, struct slice part)
{
    uint8_t size[4] = {(uint8_t)part.size, (uint8_t)(part.size >> 8), (uint8_t)(part.size >> 16),
                       (uint8_t)(part.size >> 24)};
    buf_put(b, size, sizeof size);
    buf_put_slice(b, part);
}

/* Stable: cursors outlive the process. */
static uint64_t hash_scan(const struct namespace *ns, const struct kv_range *range, bool reverse)
{
    uint8_t memory[LIMIT_NAMESPACE_NAME_BYTES + 2 * LIMIT_KEY_BYTES + 16];
    struct buf b;
    buf_init_fixed(&b, memory, sizeof memory);
    put_part(&b, slice_take(slice_str(ns->name), LIMIT_NAMESPACE_NAME_BYTES));
    put_part(&b, range->start);
    put_part(&b, range->end);
    buf_putc(&b, (char)(range->has_end | reverse << 1));
    assert(!buf_err(&b));
    return siphash24(ns->cursor_key, buf_slice(&b));
}

static struct keyvalue_scan_request request_of(const struct call *call)
{
    if (call->method->pb->input == &keyvalue_scan_request_pb)
        return *(const struct keyvalue_scan_request *)call->request;
    assert(call->method->pb->input == &keyvalue_scan_keys_request_pb);
    const struct keyvalue_scan_keys_request *r = call->request;
    return (struct keyvalue_scan_request){.prefix = r->prefix,
                                          .start = r->start,
                                          .end = r->end,
                                          .limit = r->limit,
                                          .cursor = r->cursor,
                                          .reverse = r->reverse,
                                          .page_size = r->page_size};
}

static uint32_t page_items(uint32_t asked)
{
    if (!asked)
        return LIMIT_PAGE_ITEMS_DEFAULT;
    return asked < LIMIT_PAGE_ITEMS ? asked : LIMIT_PAGE_ITEMS;
}

/* key lies in memory that has a NUL behind it: with it the key is the first one that comes after. */
static void narrow(struct kv_scan *s, struct slice key)
{
    s->last_key = key;
    if (s->reverse) {
        s->range.end = key;
        s->range.has_end = true;
    } else {
        s->range.start = slice_of(key.data, key.size + 1);
    }
}

/* Moves last_key, and the end of the range that is made of it, out of the page. */
static void keep_position(struct kv_scan *s)
{
    size_t size = s->last_key.size;
    memcpy(s->kept, s->last_key.data, size);
    s->kept[size] = 0;
    narrow(s, slice_of(s->kept, size));
}

static enum err take_cursor(struct kv_scan *s, struct slice cursor)
{
    struct call *call = s->call;
    uint64_t left;
    enum err e = cursor_decode(call->ns->cursor_key, s->scan_hash, cursor, &call->diag, &left, &s->last_key);
    if (e)
        return e;
    if (s->last_key.size > LIMIT_KEY_BYTES)
        return ERR_CURSOR_INVALID;
    keep_position(s);
    if (left < s->limit_left)
        s->limit_left = left;
    return OK;
}

enum err kv_scan_begin(struct call *call, struct kv_scan **ret_scan)
{
    struct keyvalue_scan_request r = request_of(call);
    struct kv_scan *s = arena_new(call->arena, struct kv_scan);
    if (!s)
        return ERR_NOMEM;
    enum err e = kv_range_make(r.prefix, r.start, r.end, call->arena, &call->diag, &s->range);
    if (e)
        return e;
    s->call = call;
    s->reverse = r.reverse;
    s->keys_only = call->method->pb->input == &keyvalue_scan_keys_request_pb;
    s->ordered = true;
    s->limit_left = r.limit ? r.limit : UINT64_MAX;
    s->page_items_max = page_items(r.page_size);
    s->scan_hash = hash_scan(call->ns, &s->range, s->reverse);
    if (r.cursor.size)
        e = take_cursor(s, r.cursor);
    if (e)
        return e;
    arena_init(&s->page_arena, LIMIT_CALL_ARENA_BYTES);
    *ret_scan = s;
    return OK;
}

/* --- filling a page --------------------------------------------------------------------------------------------------------- */

static size_t bytes_in_page(const struct kv_scan *s, const struct kv_item *item)
{
    return s->keys_only ? item->key.size + 4 : kv_item_bytes(item);
}

static bool is_full(const struct kv_scan *s, size_t more_bytes)
{
    return s->items.count && (s->items.count >= s->page_items_max || s->page_bytes + more_bytes > LIMIT_PAGE_BYTES);
}

static enum err add_key(struct kv_scan *s, struct slice key)
{
    struct slice *slot = pb_array_add(&s->items, sizeof *slot, &s->page_arena);
    if (!slot)
        return ERR_NOMEM;
    *slot = key;
    return OK;
}

static enum err add_item(struct kv_scan *s, const struct kv_item *from)
{
    struct arena *arena = &s->page_arena;
    struct keyvalue_key_value_item *item = arena_new(arena, struct keyvalue_key_value_item);
    struct slice tags;
    if (!item || !arena_copy(arena, from->value, &item->value) || !arena_copy(arena, from->version, &item->version) ||
        !arena_copy(arena, from->tags, &tags))
        return ERR_NOMEM;
    enum err e;
    item->key = from->key;
    item->expires_at = kv_timestamp(from->expires_ms, arena, &e);
    if (!e)
        e = kv_tags_decode(tags, arena, &item->tags);
    if (e)
        return e;
    struct keyvalue_key_value_item **slot = pb_array_add(&s->items, sizeof *slot, arena);
    if (!slot)
        return ERR_NOMEM;
    *slot = item;
    return OK;
}

static enum err take(struct kv_scan *s, const struct kv_item *item)
{
    struct kv_item copy = *item;
    if (!arena_copy(&s->page_arena, item->key, &copy.key))
        return ERR_NOMEM;
    enum err e = s->keys_only ? add_key(s, copy.key) : add_item(s, &copy);
    if (e)
        return e;
    narrow(s, copy.key);
    return OK;
}

enum kv_scan_state kv_scan_add(struct kv_scan *s, const struct kv_item *item, enum err *ret_err)
{
    *ret_err = OK;
    if (!s->limit_left)
        return KV_SCAN_DONE;
    size_t bytes = bytes_in_page(s, item);
    if (is_full(s, bytes))
        return KV_SCAN_FLUSH_FIRST;
    *ret_err = take(s, item);
    if (*ret_err)
        return KV_SCAN_DONE;
    s->page_bytes += bytes;
    if (s->limit_left != UINT64_MAX)
        s->limit_left--;
    return s->limit_left ? KV_SCAN_MORE : KV_SCAN_DONE;
}

/* --- sending a page --------------------------------------------------------------------------------------------------------- */

static enum err make_cursor(struct kv_scan *s, bool more, struct slice *ret_cursor)
{
    *ret_cursor = SLICE_EMPTY;
    if (!more || !s->limit_left || !s->last_key.size)
        return OK;
    return cursor_encode(s->call->ns->cursor_key, s->scan_hash, s->limit_left, s->last_key, &s->page_arena, ret_cursor);
}

static enum call_flow send_page(struct kv_scan *s, struct slice cursor)
{
    if (s->keys_only) {
        struct keyvalue_scan_keys_response keys = {.keys = s->items, .next_cursor = cursor, .ordered = s->ordered};
        return call_send(s->call, &keys);
    }
    struct keyvalue_scan_response items = {.items = s->items, .next_cursor = cursor, .ordered = s->ordered};
    return call_send(s->call, &items);
}

static void begin_page(struct kv_scan *s)
{
    if (s->items.count)
        keep_position(s);
    arena_reset(&s->page_arena);
    s->items = (struct pb_array){0};
    s->page_bytes = 0;
}

enum call_flow kv_scan_flush(struct kv_scan *s, bool more, enum err *ret_err)
{
    *ret_err = OK;
    if (!s->items.count && s->sent)
        return CALL_GO;
    struct slice cursor;
    *ret_err = make_cursor(s, more, &cursor);
    if (*ret_err)
        return CALL_GO;
    enum call_flow flow = send_page(s, cursor);
    s->sent = true;
    begin_page(s);
    return flow;
}

void kv_scan_fini(struct kv_scan *s)
{
    arena_fini(&s->page_arena);
}

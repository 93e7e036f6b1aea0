/* What every collection's request is checked against, how positions are clamped, and how pages and their cursors are made.
 *
 * Invariant: walk_hash is stable over restarts and versions, since cursors carry it. */
#include "data/collection.h"

#include <stdio.h>

#include "data/keyvalue.h"
#include "data/siphash.h"

/* --- checks ------------------------------------------------------------------------------------------------------------------- */

enum err collection_invalid(struct diag *diag, const char *field, const char *why)
{
    diag_set(diag, ERR_FIELD_INVALID, "%s %s", field, why);
    diag_field(diag, field, "%s", why);
    return ERR_FIELD_INVALID;
}

enum err collection_check_keep(const struct namespace *ns, struct diag *diag)
{
    if (ns->ttl_allow_infinite)
        return OK;
    diag_set(
        diag, ERR_TTL_REQUIRED,
        "namespace %s forbids data that never expires; lists, sets, sorted sets and counters have no ttl: use another "
        "namespace for them",
        ns->name);
    diag_precondition(diag, "TTL_REQUIRED", "namespace %s has ttl.allow_infinite: false", ns->name);
    return ERR_TTL_REQUIRED;
}

enum err collection_check_key(struct slice key, struct diag *diag)
{
    return kv_check_key(key, diag, "key");
}

/* Of a repeated field with 1 to max items. */
static enum err check_items(uint32_t count, uint32_t max, const char *field, struct diag *diag)
{
    if (count >= 1 && count <= max)
        return OK;
    diag_set(diag, ERR_FIELD_INVALID, "%s has %u items, must have 1 to %u", field, count, max);
    diag_field(diag, field, "has %u items, must have 1 to %u", count, max);
    return ERR_FIELD_INVALID;
}

enum { FIELD_BYTES = 32 };

enum err collection_check_keys(const struct pb_array *keys, struct diag *diag)
{
    enum err e = check_items(keys->count, LIMIT_OPERATION_KEYS, "keys", diag);
    for (uint32_t i = 0; !e && i < keys->count; i++) {
        char field[FIELD_BYTES];
        snprintf(field, sizeof field, "keys[%u]", i);
        e = kv_check_key(PB_AT(*keys, struct slice, i), diag, field);
    }
    return e;
}

enum err collection_check_member(struct slice member, struct diag *diag, const char *field)
{
    if (member.size >= 1 && member.size <= LIMIT_MEMBER_BYTES)
        return OK;
    diag_set(diag, ERR_FIELD_INVALID, "%s has %zu bytes, a member must have 1 to %d", field, member.size,
             LIMIT_MEMBER_BYTES);
    diag_field(diag, field, "has %zu bytes, must have 1 to %d", member.size, LIMIT_MEMBER_BYTES);
    return ERR_FIELD_INVALID;
}

enum err collection_check_members(const struct pb_array *members, struct diag *diag)
{
    enum err e = check_items(members->count, LIMIT_BATCH_ITEMS, "members", diag);
    for (uint32_t i = 0; !e && i < members->count; i++) {
        char field[FIELD_BYTES];
        struct slice member = PB_AT(*members, struct slice, i);
        if (member.size >= 1 && member.size <= LIMIT_MEMBER_BYTES)
            continue;
        snprintf(field, sizeof field, "members[%u]", i);
        e = collection_check_member(member, diag, field);
    }
    return e;
}

enum err collection_count(uint32_t asked, struct diag *diag, uint32_t *ret_count)
{
    if (asked > LIMIT_BATCH_ITEMS)
        return collection_invalid(diag, "count", "must be at most 1000");
    *ret_count = asked ? asked : 1;
    return OK;
}

/* --- positions ---------------------------------------------------------------------------------------------------------------- */

/* Where an index points, below 0 for before the beginning. Lengths fit 63 bits, so nothing overflows. */
static int64_t from_start(int64_t index, uint64_t length)
{
    return index < 0 ? index + (int64_t)length : index;
}

struct span span_clamp(int64_t start, int64_t end, uint64_t length)
{
    int64_t first = from_start(start, length), last = from_start(end, length);
    if (first < 0)
        first = 0;
    if (last >= (int64_t)length)
        last = (int64_t)length - 1;
    if (first > last)
        return (struct span){0};
    return (struct span){.first = (uint64_t)first, .count = (uint64_t)(last - first) + 1};
}

bool span_index(int64_t index, uint64_t length, uint64_t *ret_position)
{
    int64_t position = from_start(index, length);
    if (position < 0 || position >= (int64_t)length)
        return false;
    *ret_position = (uint64_t)position;
    return true;
}

/* --- pages -------------------------------------------------------------------------------------------------------------------- */

struct page page_of(uint32_t page_size)
{
    if (!page_size)
        return (struct page){.items_max = LIMIT_PAGE_ITEMS_DEFAULT};
    return (struct page){.items_max = page_size < LIMIT_PAGE_ITEMS ? page_size : LIMIT_PAGE_ITEMS};
}

struct page page_largest(void)
{
    return (struct page){.items_max = LIMIT_PAGE_ITEMS};
}

bool page_take(struct page *p, size_t bytes)
{
    enum { FRAMING = 8 }; /* tag and length */
    if (p->items && (p->items >= p->items_max || p->bytes + bytes + FRAMING > LIMIT_PAGE_BYTES))
        return false;
    p->items++;
    p->bytes += bytes + FRAMING;
    return true;
}

/* --- cursors ------------------------------------------------------------------------------------------------------------------ */

void walk_hash_begin(struct walk_hash *h, const struct call *call)
{
    enum { PARTS_BYTES_MAX = (LIMIT_OPERATION_KEYS + 16) * (LIMIT_KEY_BYTES + 16) };
    buf_init(&h->parts, PARTS_BYTES_MAX);
    walk_hash_add(h, slice_str(call->ns->name));
    walk_hash_add(h, slice_str(call->method->pb->path));
}

void walk_hash_add_number(struct walk_hash *h, uint64_t number)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
    buf_put(&h->parts, bytes, sizeof bytes);
}

void walk_hash_add(struct walk_hash *h, struct slice part)
{
    walk_hash_add_number(h, part.size);
    buf_put_slice(&h->parts, part);
}

enum err walk_hash_end(struct walk_hash *h, const struct namespace *ns, uint64_t *ret_hash)
{
    enum err e = buf_err(&h->parts);
    if (!e)
        *ret_hash = siphash24(ns->cursor_key, buf_slice(&h->parts));
    buf_fini(&h->parts);
    return e;
}

enum err walk_cursor(struct call *call, uint64_t walk_hash, struct slice place, struct slice *ret_cursor)
{
    return cursor_encode(call->ns->cursor_key, walk_hash, UINT64_MAX, place, call->arena, ret_cursor);
}

enum err walk_place(struct call *call, uint64_t walk_hash, struct slice cursor, struct slice *ret_place)
{
    uint64_t limit_left;
    if (cursor.size)
        return cursor_decode(call->ns->cursor_key, walk_hash, cursor, &call->diag, &limit_left, ret_place);
    *ret_place = SLICE_EMPTY;
    return OK;
}

/* Rules that lists, sets, sorted sets and counters share: keys, members, pages, cursors, and what a namespace allows. What is one
 * model's own: list.h, set.h, sortedset.h, counter.h; callers that wait: waiting.h.
 *
 * Every model has a key space of its own in a namespace, and an empty collection does not exist (docs/adr/012).
 * Thread: any; what is made lives in the call's arena. */
#ifndef PRISM_DATA_COLLECTION_H
#define PRISM_DATA_COLLECTION_H

#include "base/limits.h"
#include "data/call.h"
#include "data/namespace.h"

/* Collections never expire. ERR_TTL_REQUIRED where the namespace forbids data that never does: before anything is added. */
enum err collection_check_keep(const struct namespace *, struct diag *);
/* ERR_KEY_INVALID, as kv_check_key, of the field `key`. */
enum err collection_check_key(struct slice key, struct diag *);
/* keys of a request about several collections: 1 to LIMIT_OPERATION_KEYS, each a valid key. ERR_FIELD_INVALID, ERR_KEY_INVALID. */
enum err collection_check_keys(const struct pb_array *keys, struct diag *);
/* One member: 1 to LIMIT_MEMBER_BYTES bytes. ERR_FIELD_INVALID names the field. */
enum err collection_check_member(struct slice member, struct diag *, const char *field);
/* members of a request: 1 to LIMIT_BATCH_ITEMS slices, each a valid member. */
enum err collection_check_members(const struct pb_array *members, struct diag *);
/* count of a pop or a random choice: 0 means 1. ERR_FIELD_INVALID above LIMIT_BATCH_ITEMS. */
enum err collection_count(uint32_t asked, struct diag *, uint32_t *ret_count);
/* ERR_FIELD_INVALID: says "field why", and names the field. */
enum err collection_invalid(struct diag *, const char *field, const char *why);

/* --- positions: of values in a list, of ranks in a sorted set ----------------------------------------------------------------- */

struct span {
    uint64_t first;
    uint64_t count; /* 0: empty; first is then 0 */
};
/* From inclusive ends as the caller gives them, negative from the end, to positions that are there. */
struct span span_clamp(int64_t start, int64_t end, uint64_t length);
/* false: there is no such position. */
bool span_index(int64_t index, uint64_t length, uint64_t *ret_position);

/* --- pages -------------------------------------------------------------------------------------------------------------------- */

/* How much of an answer is filled: at most items_max, and LIMIT_PAGE_BYTES unless the page has one item. */
struct page {
    uint32_t items_max;
    uint32_t items;
    size_t bytes;
};
/* page_size of a request: 0 means LIMIT_PAGE_ITEMS_DEFAULT, more than LIMIT_PAGE_ITEMS is taken as that. */
struct page page_of(uint32_t page_size);
/* As many items as a page may have, for ranges that say themselves how long they are. */
struct page page_largest(void);
/* Counts an item of so many bytes in. false: the page is full, the item belongs to the next one. */
bool page_take(struct page *, size_t bytes);

/* --- cursors of pages --------------------------------------------------------------------------------------------------------- */

/* What a walk's cursors belong to: the method and everything of the request that decides what is walked over, in a fixed order.
 * Kept outside (in cursors), so its parts never change. */
struct walk_hash {
    struct buf parts;
};
void walk_hash_begin(struct walk_hash *, const struct call *);
void walk_hash_add(struct walk_hash *, struct slice part);
void walk_hash_add_number(struct walk_hash *, uint64_t);
/* Ends it in any case. ERR_NOMEM. */
enum err walk_hash_end(struct walk_hash *, const struct namespace *, uint64_t *ret_hash);

/* A cursor says behind which place the next page begins: 1 to LIMIT_PLACE_BYTES bytes that only the model understands. */
enum err walk_cursor(struct call *, uint64_t walk_hash, struct slice place, struct slice *ret_cursor);
/* *ret_place: empty for an empty cursor, the first page. ERR_CURSOR_INVALID, ERR_CURSOR_OTHER_SCAN. */
enum err walk_place(struct call *, uint64_t walk_hash, struct slice cursor, struct slice *ret_place);

#endif

/* Rules of the key-value interfaces that every driver shares: expiry, ranges, pages, cursors, what an item looks like. A driver
 * brings storage; what api.md promises is kept here, once.
 *
 * Thread: any; a scan belongs to its call. */
#ifndef PRISM_DATA_KEYVALUE_H
#define PRISM_DATA_KEYVALUE_H

#include "base/limits.h"
#include "data/call.h"
#include "data/namespace.h"
#include "prism/common/v1/batch.pb.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"
#include "prism/keyvalue/v1/keyvalue_batch.pb.h"
#include "prism/keyvalue/v1/keyvalue_cas.pb.h"
#include "prism/keyvalue/v1/keyvalue_scan.pb.h"
#include "prism/keyvalue/v1/keyvalue_transactional.pb.h"
#include "prism/keyvalue/v1/keyvalue_ttl.pb.h"

/* Of keys that never expire. */
#define KV_NEVER INT64_MAX
/* The last millisecond that google.protobuf.Timestamp can say (9999-12-31T23:59:59.999Z): later expiries are taken as it. */
#define KV_EXPIRES_MAX_MS INT64_C(253402300799999)

/* A stored item as drivers hand it over. Slices borrow. */
struct kv_item {
    struct slice key;
    struct slice value;
    struct slice version; /* opaque bytes */
    struct slice tags;    /* encoded as kv_tags_encode makes it; empty: none */
    int64_t expires_ms;   /* UTC ms; KV_NEVER */
};

/* Request, then namespace default, then none; checked against the namespace's rules. ttl may be NULL; a fraction of a
 * millisecond is rounded up, so that nothing expires early. ERR_TTL_INVALID: 0 or less, above the maximum, not a duration.
 * ERR_TTL_REQUIRED: none where the namespace forbids "never". */
enum err kv_expiry(const struct namespace *, const struct google_protobuf_duration *ttl, int64_t now_ms, struct diag *,
                   int64_t *ret_expires_ms);
/* Of Expire: as kv_expiry, but 0 or less is a wish to delete the key now (*ret_delete). */
enum err kv_expire(const struct namespace *, const struct google_protobuf_duration *ttl, int64_t now_ms, struct diag *,
                   bool *ret_delete, int64_t *ret_expires_ms);
/* Of Persist: ERR_TTL_REQUIRED where the namespace forbids "never". */
enum err kv_check_persist(const struct namespace *, struct diag *);
/* How long a transaction may idle: LIMIT_TRANSACTION_IDLE_MS where asked is NULL; capped. ERR_FIELD_INVALID: 0 or less. */
enum err kv_transaction_idle(const struct google_protobuf_duration *asked, struct diag *, int64_t *ret_idle_ms);
/* A duration in milliseconds, rounded up. ERR_FIELD_INVALID: not a valid duration. */
enum err kv_duration_ms(const struct google_protobuf_duration *, int64_t *ret_ms);
/* ERR_KEY_INVALID with the field named. */
enum err kv_check_key(struct slice key, struct diag *, const char *field);
/* Tags as stored: the encoding of a KeyValueItem that has tags alone. Checks LIMIT_TAGS and LIMIT_TAG_BYTES. The entries of
 * every message's tags have one layout, so all of them are taken and given. */
enum err kv_tags_encode(const struct pb_array *tags, struct arena *, struct diag *, struct slice *ret_encoded);
enum err kv_tags_decode(struct slice encoded, struct arena *, struct pb_array *ret_tags);
/* A timestamp message in the arena; NULL with *ret_err OK for KV_NEVER. */
struct google_protobuf_timestamp *kv_timestamp(int64_t expires_ms, struct arena *, enum err *ret_err);
/* The item with every slice copied into the arena. */
enum err kv_item_copy(const struct kv_item *, struct arena *, struct kv_item *ret_copy);
/* What the item takes in an answer, a little rounded up. */
size_t kv_item_bytes(const struct kv_item *);
/* Fills a response from an item; item NULL: not found. Slices are borrowed: copy into the arena first where the store may change. */
enum err kv_fill_get(const struct kv_item *, struct arena *, struct keyvalue_get_response *ret_response);

/* One write as the store takes it, made from Set, CompareAndSwap, SetInTransaction or an item of BatchSet. data/keyvalue_write.c */
enum kv_expect { KV_EXPECT_ANYTHING, KV_EXPECT_ABSENT, KV_EXPECT_VERSION, KV_EXPECT_VALUE };
/* What must be there for a write to happen. */
struct kv_expected {
    enum kv_expect what;
    struct slice bytes; /* the version or the value */
};
struct kv_write {
    struct slice key; /* borrowed from the request, as value is */
    struct slice value;
    struct slice tags; /* encoded, in the call's arena */
    int64_t expires_ms;
    struct kv_expected expected;
};
/* Checks key, value (against the message limit), tags and expiry; expected is left KV_EXPECT_ANYTHING. diag is the call's, or an
 * item's own. field_prefix: "" or "items[3]."; ERR_KEY_INVALID, ERR_MESSAGE_TOO_LARGE, ERR_FIELD_INVALID, as kv_expiry. */
enum err kv_write_make(const struct call *, struct slice key, struct slice value, const struct pb_array *tags,
                       const struct google_protobuf_duration *ttl, int64_t now_ms, struct diag *,
                       const char *field_prefix, struct kv_write *ret_write);
/* if_version of Set, Delete and BatchSet: empty means absent. */
struct kv_expected kv_if_version(bool has, struct slice if_version);
/* ERR_FIELD_INVALID where the oneof is not set. */
enum err kv_expected_swap(const struct keyvalue_compare_and_swap_request *, struct diag *,
                          struct kv_expected *ret_expected);
enum err kv_expected_delete(const struct keyvalue_compare_and_delete_request *, struct diag *,
                            struct kv_expected *ret_expected);
/* current: NULL where the key is absent or has expired. A comparison with version or value never holds for an absent key. */
bool kv_expected_holds(const struct kv_expected *, const struct kv_item *current);
/* ERR_VERSION_MISMATCH with both versions in hexadecimal. current: empty where the key is absent. */
enum err kv_version_mismatch(const struct kv_expected *, struct slice current, struct diag *);
/* Status of one item of a batch; diag may be NULL. NULL: out of memory. */
struct common_batch_item_status *kv_batch_status(uint32_t index, enum err, const struct diag *, struct arena *);
/* The same in place, for drivers that make all statuses before they begin to work. */
void kv_batch_status_set(struct common_batch_item_status *, uint32_t index, enum err, const struct diag *);
/* ERR_FIELD_INVALID where a batch has no items or more than LIMIT_BATCH_ITEMS. */
enum err kv_check_batch(uint32_t count, const char *field, struct diag *);

/* A range with both ends worked out: start inclusive, end exclusive (has_end false: open). A prefix has become a range.
 * data/keyvalue_scan.c, as all of scans. */
struct kv_range {
    struct slice start;
    struct slice end;
    bool has_end;
};
/* ERR_RANGE_INVALID: prefix together with start or end, start behind end (equal is an empty range), longer than a key. */
enum err kv_range_make(struct slice prefix, struct slice start, struct slice end, struct arena *, struct diag *,
                       struct kv_range *ret_range);

static inline bool kv_range_has(const struct kv_range *r, struct slice key)
{
    return slice_cmp(key, r->start) >= 0 && (!r->has_end || slice_cmp(key, r->end) < 0);
}

/* A scan in progress; made from Scan and ScanKeys alike. The driver walks what is left of the range (scan->range: from its
 * start upwards, or where scan->reverse from its end downwards) and hands over items in order:
 *
 *   kv_scan_begin ──▶ { kv_scan_add* ──▶ kv_scan_flush }* ──▶ kv_scan_fini ──▶ call_end
 *
 *   KV_SCAN_MORE         the item was taken, go on with the next
 *   KV_SCAN_FLUSH_FIRST  the page is full and the item was NOT taken: kv_scan_flush(more = true), then the same item again
 *   KV_SCAN_DONE         the item was taken and was the last that the limit allows: flush and end
 *
 * So a page never exceeds LIMIT_PAGE_BYTES unless a single item does, and a cursor is given only where an item follows. With
 * every item taken scan->range shrinks: a driver may let go of its locks or connection at any time and take up the walk from
 * scan->range. After CALL_HOLD of kv_scan_flush it waits for on_resume. */
enum kv_scan_state { KV_SCAN_MORE, KV_SCAN_FLUSH_FIRST, KV_SCAN_DONE };
struct kv_scan {
    struct call *call;
    struct kv_range range; /* what is left: narrowed by the cursor and by what has been taken */
    bool reverse;
    bool keys_only;
    bool ordered;        /* set by the driver before the first flush; default true */
    uint64_t limit_left; /* UINT64_MAX: none */
    uint32_t page_items_max;
    /* Internal: the page being filled. */
    struct arena page_arena; /* reset, not freed, from page to page */
    struct pb_array items;
    size_t page_bytes;
    bool sent;             /* a page has been sent */
    uint64_t scan_hash;    /* of namespace, range and direction: what a cursor belongs to */
    struct slice last_key; /* taken last; in the page, or a copy in kept */
    uint8_t kept[LIMIT_KEY_BYTES + 1];
};
/* The scan lives in the call's arena. Checks range and cursor; errors are in call->diag. */
enum err kv_scan_begin(struct call *, struct kv_scan **ret_scan);
/* Copies the item into the page: no more than two copies and a few stores, so that it may be called under a lock. Out of memory:
 * *ret_err is set (it is OK otherwise) and the result has no meaning. */
enum kv_scan_state kv_scan_add(struct kv_scan *, const struct kv_item *, enum err *ret_err);
/* Sends the page; the sink has encoded it when this returns, and its memory is used again. more: an item follows (a cursor is
 * put on the page). An empty page is sent only if it is the first. */
enum call_flow kv_scan_flush(struct kv_scan *, bool more, enum err *ret_err);
/* Frees page memory: before call_end, in any state. */
void kv_scan_fini(struct kv_scan *);

/* Cursors: version, hash of the scan, remaining limit, last key, and a MAC (SipHash-2-4) under the namespace's key. A cursor
 * belongs to namespace, range and direction: page_size may change from page to page, Scan and ScanKeys take each other's, and a
 * limit given again with a cursor can only lower what the cursor has left. data/cursor.c */
enum err cursor_encode(const uint8_t key[16], uint64_t scan_hash, uint64_t limit_left, struct slice last_key,
                       struct arena *, struct slice *ret_cursor);
/* ERR_CURSOR_INVALID: damaged or forged, or of another namespace (which has another key); ERR_CURSOR_OTHER_SCAN: genuine, of
 * another scan. *ret_last_key borrows from cursor. */
enum err cursor_decode(const uint8_t key[16], uint64_t scan_hash, struct slice cursor, struct diag *,
                       uint64_t *ret_limit_left, struct slice *ret_last_key);

/* Idempotency keys: which record a call has, and what it holds. The record is written with the data, in one step, by the driver:
 * look up idem_key; there and same fingerprint: answer the stored response (idem_replay); other fingerprint:
 * ERR_IDEMPOTENCY_REUSED; absent: do the work, store idem_response of the answer, until expires_ms. Failed calls are not kept.
 * data/idempotency.c */
struct idem {
    bool used;            /* false: the call has no key, nothing to do */
    struct slice key;     /* identity, method and key, joined unambiguously; in the call's arena */
    uint64_t fingerprint; /* of the request as decoded: gRPC and JSON give the same. Stable over restarts. */
    int64_t expires_ms;
};
/* ERR_FIELD_INVALID: longer than LIMIT_IDEMPOTENCY_KEY_BYTES. Methods that are no mutation ignore the key. */
enum err idem_begin(struct call *, int64_t now_ms, struct idem *ret_idem);
/* The answer as bytes in the call's arena, to be stored. */
enum err idem_response(struct call *, const void *response, struct slice *ret_encoded);
/* Completes the call with the stored answer, or with ERR_IDEMPOTENCY_REUSED where fingerprints differ. */
void idem_replay(struct call *, const struct idem *, uint64_t stored_fingerprint, struct slice stored_response);

#endif

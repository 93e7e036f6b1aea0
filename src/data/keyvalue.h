/* Rules of the key-value interfaces that every driver shares: expiry, ranges, pages, cursors, what an item looks like. A driver
 * brings storage; what api.md promises is kept here, once.
 *
 * Thread: any; a scan belongs to its call. */
#ifndef PRISM_DATA_KEYVALUE_H
#define PRISM_DATA_KEYVALUE_H

#include "data/call.h"
#include "data/namespace.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"
#include "prism/keyvalue/v1/keyvalue_batch.pb.h"
#include "prism/keyvalue/v1/keyvalue_cas.pb.h"
#include "prism/keyvalue/v1/keyvalue_scan.pb.h"
#include "prism/keyvalue/v1/keyvalue_transactional.pb.h"
#include "prism/keyvalue/v1/keyvalue_ttl.pb.h"

/* Of keys that never expire. */
#define KV_NEVER INT64_MAX

/* A stored item as drivers hand it over. Slices borrow. */
struct kv_item {
    struct slice key;
    struct slice value;
    struct slice version;   /* opaque bytes */
    struct slice tags;      /* encoded as kv_tags_encode makes it; empty: none */
    int64_t expires_ms;     /* UTC ms; KV_NEVER */
};

/* Request, then namespace default, then none; capped and checked against the namespace's rules. ttl may be NULL. */
enum err kv_expiry(const struct namespace *, const struct google_protobuf_duration *ttl, int64_t now_ms, struct diag *,
                   int64_t *ret_expires_ms);
enum err kv_check_key(struct slice key, struct diag *, const char *field);
/* Tags as stored: a protobuf of map entries. Checks LIMIT_TAGS and LIMIT_TAG_BYTES. */
enum err kv_tags_encode(const struct pb_array *tags, struct arena *, struct diag *, struct slice *ret_encoded);
enum err kv_tags_decode(struct slice encoded, struct arena *, struct pb_array *ret_tags);
/* A timestamp message in the arena; NULL with *ret_err OK for KV_NEVER. */
struct google_protobuf_timestamp *kv_timestamp(int64_t expires_ms, struct arena *, enum err *ret_err);
/* Fills a response from an item; item NULL: not found. Slices are borrowed: copy into the arena first where the store may change. */
enum err kv_fill_get(const struct kv_item *, struct arena *, struct keyvalue_get_response *ret_response);

/* A range with both ends worked out: start inclusive, end exclusive (has_end false: open). A prefix has become a range. */
struct kv_range {
    struct slice start;
    struct slice end;
    bool has_end;
};
enum err kv_range_make(struct slice prefix, struct slice start, struct slice end, struct arena *, struct diag *,
                       struct kv_range *ret_range);

/* A scan in progress; made from Scan and ScanKeys alike. The driver walks its store from kv_scan_position and hands over
 * items in order:
 *
 *   kv_scan_begin ──▶ { kv_scan_add* ──▶ kv_scan_flush }* ──▶ call_end
 *
 *   while kv_scan_add says KV_SCAN_MORE go on; KV_SCAN_PAGE_FULL: flush before the next item (this one has been taken);
 *   KV_SCAN_DONE: the limit is reached; flush and end. After CALL_HOLD of kv_scan_flush wait for on_resume. */
enum kv_scan_state { KV_SCAN_MORE, KV_SCAN_PAGE_FULL, KV_SCAN_DONE };
struct kv_scan {
    struct call *call;
    struct kv_range range;       /* what is left: narrowed by the cursor and by what has been taken */
    bool reverse;
    bool keys_only;
    bool ordered;                /* set by the driver before the first flush; default true */
    uint64_t limit_left;         /* UINT64_MAX: none */
    uint32_t page_items_max;
    /* The page being filled. */
    struct arena page_arena;
    struct pb_array items;
    size_t page_bytes;
    struct slice last_key;       /* in the call's arena or the page's */
    uint64_t scan_hash;          /* of namespace and range: what a cursor belongs to */
    struct slice last_key_kept;  /* own copy that survives a page */
};
/* The scan lives in the call's arena. Checks range and cursor. */
enum err kv_scan_begin(struct call *, struct kv_scan **ret_scan);
/* Copies the item into the page. Out of memory: *ret_err. */
enum kv_scan_state kv_scan_add(struct kv_scan *, const struct kv_item *, enum err *ret_err);
/* Sends the page. more: the range has not ended (a cursor is put on the page). An empty page is sent only if it is the first. */
enum call_flow kv_scan_flush(struct kv_scan *, bool more, enum err *ret_err);
/* Frees page memory: before call_end, in any state. */
void kv_scan_fini(struct kv_scan *);

/* Cursors: version, hash of the scan, remaining limit, last key, keyed MAC. data/cursor.c */
enum err cursor_encode(const uint8_t key[16], uint64_t scan_hash, uint64_t limit_left, struct slice last_key, struct arena *,
                       struct slice *ret_cursor);
/* ERR_CURSOR_INVALID: damaged or forged; ERR_CURSOR_OTHER_SCAN: genuine, of another scan. */
enum err cursor_decode(const uint8_t key[16], uint64_t scan_hash, struct slice cursor, struct diag *, uint64_t *ret_limit_left,
                       struct slice *ret_last_key);

/* Idempotency keys: which record a call has, and what it holds. The record is written with the data, in one step, by the driver:
 * look up idem_key; there and same fingerprint: answer the stored response (idem_replay); other fingerprint:
 * ERR_IDEMPOTENCY_REUSED; absent: do the work, store idem_response of the answer, until expires_ms. Failed calls are not kept.
 * data/idempotency.c */
struct idem {
    bool used;              /* false: the call has no key, nothing to do */
    struct slice key;       /* identity, method and key, joined unambiguously; in the call's arena */
    uint64_t fingerprint;   /* of the request */
    int64_t expires_ms;
};
enum err idem_begin(struct call *, int64_t now_ms, struct idem *ret_idem);
/* The answer as bytes, to be stored. */
enum err idem_response(struct call *, const void *response, struct slice *ret_encoded);
/* Completes the call with the stored answer, or with ERR_IDEMPOTENCY_REUSED where fingerprints differ. */
void idem_replay(struct call *, const struct idem *, uint64_t stored_fingerprint, struct slice stored_response);

#endif

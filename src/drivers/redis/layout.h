/* Where things lie at the server, and what a value looks like there. No I/O. What lies beside the values: scripts.c.
 *
 * The keys of a namespace are spread over buckets. A bucket has a root, {<key_prefix>:<namespace>} or, where there are several,
 * {<key_prefix>:<namespace>:<number>}; every name in it begins with the root. What stands in braces decides the slot of a Cluster
 * (the hash tag), so a bucket lies on one server as a whole, and what concerns one bucket can be done in one step.
 *
 * A value, packed:
 *
 *   1 byte   form, now 1        16 bytes  version        8 bytes  expiry in UTC ms, big-endian, KV_NEVER: none
 *   4 bytes  size of the tags, big-endian                tags, as kv_tags_encode makes them          value */
#ifndef PRISM_DRIVERS_REDIS_LAYOUT_H
#define PRISM_DRIVERS_REDIS_LAYOUT_H

#include "data/keyvalue.h"

enum { REDIS_SLOTS = 16384, REDIS_VERSION_BYTES = 16, REDIS_HEAD_BYTES = 29, REDIS_STAMP_BYTES = 8 };

struct redis_bucket {
    struct slice root;      /* "{prism:orders:7}" */
    struct slice index;     /* "{prism:orders:7}:i" */
    struct slice snapshots; /* "{prism:orders:7}:t" */
    uint16_t slot;
};

struct redis_layout {
    struct redis_bucket home; /* "{prism:orders}": where it is kept how many buckets there are */
    uint32_t count;
    struct redis_bucket *buckets;
};

/* CRC16 (XMODEM) of what stands in the first braces, modulo 16,384 (Redis Cluster specification, "hash tags"). */
uint16_t redis_slot_of(struct slice name);
/* Roots live in the arena. ERR_NOMEM. */
enum err redis_layout_make(struct arena *, const char *prefix, const char *namespace_name, uint32_t count,
                           struct redis_layout *ret_layout);
/* Stable: part of the stored data. */
uint32_t redis_bucket_of(const struct redis_layout *, struct slice key);
/* The name of a value at the server. */
enum err redis_value_name(const struct redis_layout *, struct slice key, struct arena *, struct slice *ret_name);

/* Versions: an epoch, random for each opening of the backend, and a count; so none is used twice, by no gateway. */
struct redis_versions {
    uint8_t epoch[8];
    atomic_uint_fast64_t count;
};
void redis_version_next(struct redis_versions *, uint8_t out[REDIS_VERSION_BYTES]);

/* In the arena. */
enum err redis_pack(const struct kv_write *, const uint8_t version[REDIS_VERSION_BYTES], struct arena *,
                    struct slice *ret_packed);
/* The same under the next version. */
enum err redis_pack_next(struct redis_versions *, const struct kv_write *, struct arena *, struct slice *ret_packed);
/* Borrows from what has been packed. */
struct slice redis_version_of(struct slice packed);
/* Borrows from packed. ERR_CORRUPT. */
enum err redis_unpack(struct slice packed, struct slice key, struct kv_item *ret_item);
/* An expiry as it stands in a packed value. */
void redis_stamp(int64_t expires_ms, uint8_t out[REDIS_STAMP_BYTES]);
/* Time to live as an argument of SET PX: milliseconds, at least 1; empty for KV_NEVER. In the arena; NULL data: out of memory. */
/* Milliseconds from now on, at least 1. */
int64_t redis_ttl_ms(int64_t expires_ms, int64_t now_ms);
struct slice redis_ttl(int64_t expires_ms, int64_t now_ms, struct arena *);

#endif

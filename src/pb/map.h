/* Map fields are arrays of entries; here each key comes to stand once. Internal to pb. */
#ifndef PRISM_PB_MAP_H
#define PRISM_PB_MAP_H

#include "pb/pb.h"

/* Drops all entries of a key but the last; the others keep their order. O(n log n). ERR_NOMEM. */
enum err pb_map_unique(struct pb_array *map, const struct pb_message *entry, struct arena *);
/* Order of two entries' keys: <0, 0, >0. */
int pb_map_key_cmp(const struct pb_field *key, const void *a, const void *b);

#endif

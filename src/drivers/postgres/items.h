/* Rows of the table items, as parameters and as answers. */
#ifndef PRISM_DRIVERS_POSTGRES_ITEMS_H
#define PRISM_DRIVERS_POSTGRES_ITEMS_H

#include "drivers/postgres/lane.h"
#include "drivers/postgres/store.h"

/* Namespace, key, and the operation's time: what most statements begin with. */
struct postgres_params postgres_key_params(const struct postgres_unit *, struct slice key);
/* Columns value, version, expires_at, tags from the given one on. Borrows from the result. */
struct kv_item postgres_row_item(const PGresult *, int row, int column, struct slice key);
/* A write as kv_write_make gave it, under a version of its own. */
struct postgres_write {
    struct kv_write write;
    struct slice version;
};
/* namespace, key, value, version, expires_at, tags. */
struct postgres_params postgres_write_params(const struct postgres_unit *, const struct postgres_write *);
/* The kv_write function's: the same, then time, what is expected. */
struct postgres_params postgres_conditional_params(const struct postgres_operation *, const struct postgres_unit *,
                                                   const struct postgres_write *);
/* Arrays of many: keys, values, versions, expiries, tags behind the namespace. Memory of the lane. */
struct postgres_params postgres_write_many_params(struct postgres_unit *, const struct postgres_write *const *,
                                                  uint32_t count);
/* Keys of the members of a group, which are copied: NULL of one that has gone. */
struct postgres_params postgres_keys_params(struct postgres_unit *, const struct slice *keys, uint32_t count);
/* Counts writes that never expire. */
void postgres_note_forever(struct postgres_store *, const struct kv_write *);

#endif

/* Rules of the list interfaces that every driver shares. Source of the semantics: proto/prism/list/v1. */
#ifndef PRISM_DATA_LIST_H
#define PRISM_DATA_LIST_H

#include "data/collection.h"
#include "prism/list/v1/list_basic.pb.h"
#include "prism/list/v1/list_blocking.pb.h"
#include "prism/list/v1/list_indexing.pb.h"
#include "prism/list/v1/list_range.pb.h"

enum list_end { LIST_LEFT, LIST_RIGHT };

/* Both pushes and both pops of any interface as one; pointers borrow from the request. */
struct list_push {
    enum list_end end;
    struct slice key;
    const struct pb_array *values; /* struct slice; pushed one after the other */
};
struct list_pop {
    enum list_end end;
    struct slice key;
    uint32_t count; /* at the most, 1 or more */
};
/* Made from the call's request by its method, and checked: key, number of values, their sizes against the message limit, and that
 * the namespace lets data stay. ERR_KEY_INVALID, ERR_FIELD_INVALID, ERR_MESSAGE_TOO_LARGE, ERR_TTL_REQUIRED. */
enum err list_push_make(struct call *, struct list_push *ret_push);
/* Of PopLeft, PopRight, BlockingPopLeft, BlockingPopRight. */
enum err list_pop_make(struct call *, struct list_pop *ret_pop);
/* The answer of the call's method, in its arena; all four pushes and pops answer in shapes of one layout. Makes room for the values
 * of a pop, so that what has been popped is never answered with an error. NULL: out of memory. */
struct list_pop_left_response *list_pop_answer(struct call *, uint32_t values_max);
/* Of Set and Insert. */
enum err list_check_value(struct call *, struct slice value);

/* What Remove asks for. */
struct list_remove {
    bool by_index;
    int64_t index;
    struct slice value;
    uint64_t most;  /* by value: remove so many at the most */
    bool from_last; /* by value: begin with the last */
};
/* ERR_FIELD_INVALID: neither index nor value, or a count with an index. */
enum err list_remove_make(const struct list_remove_request *, struct diag *, struct list_remove *ret_remove);
/* Where Insert puts a value: 0 to length. ERR_INDEX_OUT_OF_RANGE elsewhere. */
enum err list_insert_position(int64_t index, uint64_t length, struct diag *, uint64_t *ret_position);
/* ERR_INDEX_OUT_OF_RANGE with index and length. */
enum err list_out_of_range(int64_t index, uint64_t length, struct diag *);
/* ERR_STORE_FULL where a list would get more values than LIMIT_COLLECTION_ITEMS. */
enum err list_check_room(uint64_t length, uint64_t more, struct diag *);

/* timeout of a blocking pop in milliseconds: LIMIT_DEADLINE_MAX_MS at the most, and where it is absent (the deadline comes first).
 * ERR_FIELD_INVALID: 0 or less, or not a duration. */
enum err list_timeout(struct call *, int64_t *ret_timeout_ms);

#endif

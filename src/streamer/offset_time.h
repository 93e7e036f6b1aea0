/* Records by time. The journal finds the batch; inside of it records are looked at one by one, but of a compressed batch, which is
 * not taken apart: there the answer is its first record, which may be earlier than what was asked for, never later.
 *
 * Reads a batch on the calling thread: for rare requests. Thread: the shard's. */
#ifndef PRISM_STREAMER_OFFSET_TIME_H
#define PRISM_STREAMER_OFFSET_TIME_H

#include "journal/journal.h"

/* The first record at or after time_ms. *ret_offset and *ret_time_ms are left alone where there is none. */
enum err offset_of_time(struct journal_log *, int64_t time_ms, int64_t *ret_offset, int64_t *ret_time_ms)
    __attribute__((warn_unused_result));
/* The first record of the largest time. */
enum err offset_of_max_time(struct journal_log *, int64_t *ret_offset, int64_t *ret_time_ms)
    __attribute__((warn_unused_result));

#endif

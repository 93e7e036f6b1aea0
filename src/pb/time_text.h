/* Timestamps and durations as ProtoJSON writes them. Internal to pb.
 * Source: RFC 3339; comments of google/protobuf/timestamp.proto and duration.proto. */
#ifndef PRISM_PB_TIME_TEXT_H
#define PRISM_PB_TIME_TEXT_H

#include "base/buf.h"

/* "1972-01-01T10:00:20.021Z", offsets taken too. false: not a time of the years 1 to 9999. */
bool pb_timestamp_parse(struct slice text, int64_t *ret_seconds, int32_t *ret_nanos);
/* false: out of range; nothing is written. */
bool pb_timestamp_format(int64_t seconds, int32_t nanos, struct buf *);
/* "-1.5s": at most 315,576,000,000 seconds either way. */
bool pb_duration_parse(struct slice text, int64_t *ret_seconds, int32_t *ret_nanos);
bool pb_duration_format(int64_t seconds, int32_t nanos, struct buf *);

#endif

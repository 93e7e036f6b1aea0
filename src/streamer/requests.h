/* Making and ending requests: for connection.c. A request's memory is kept for the next one, as much of it as is small. */
#ifndef PRISM_STREAMER_REQUESTS_H
#define PRISM_STREAMER_REQUESTS_H

#include "streamer/request.h"

struct requests {
    struct shard *shard;
    struct request *kept;
    uint32_t kept_count;
};

enum err requests_new(struct shard *, struct requests **ret_requests) __attribute__((warn_unused_result));
void requests_free(struct requests *); /* NULL is fine; all have ended */
struct request *request_new(struct requests *, struct connection *)
    __attribute__((warn_unused_result)); /* NULL: no memory */
/* Calls `ended`, gives everything back. */
void request_end(struct requests *, struct request *);
/* With an answer of another version than was asked for: ApiVersions (KIP-511). */
void request_reply_as(struct request *, int16_t version, const void *response);

#endif

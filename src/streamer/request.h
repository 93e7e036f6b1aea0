/* One request on its way: decoded for its handler, which answers it exactly once, now or later, on its shard's thread.
 *
 *   void api_heartbeat(struct request *r)
 *   {
 *       const struct kafka_heartbeat_request *in = r->body;
 *       struct kafka_heartbeat_response out = kafka_heartbeat_response_default;
 *       ...
 *       request_reply(r, &out);                    encoded before it returns: `out` may lie on the stack
 *   }
 *
 * A handler is a function api_x(struct request *) in a file api_x.c with a row in dispatch.c; what has no row is not advertised.
 * Requests of a connection are handled in order as they come, several at a time; their answers leave in that order, whatever
 * the order of completion (connection.h).
 *
 * Memory. `body` borrows from `block`, arrays and what the handler makes lie in `arena`; all of it is there until `ended`, which
 * comes exactly once, after the reply, when the connection has taken its bytes or is gone. Work on other shards gets parts of its
 * own in the arena and must have come back before the reply.
 *
 * A handler that waits sets `abandoned`: it is called when the connection ends first; the handler then completes the request
 * soon, by request_reply (nothing is sent) or request_drop. NULL: it completes without being told. */
#ifndef PRISM_STREAMER_REQUEST_H
#define PRISM_STREAMER_REQUEST_H

#include "base/arena.h"
#include "base/block.h"
#include "kafka/errors.h"
#include "kafka/header.h"
#include "streamer/shard.h"

struct connection;
struct journal_file;

/* The source of a hole in a response (struct kafka_records.source): a piece of a segment, sent by reference. Lies in the arena;
 * the handler holds the file until `ended`, which waits for the bytes to be sent. */
struct request_range {
    struct journal_file *file;
    uint64_t position;
    uint64_t size;
};

enum request_state { REQUEST_RUNNING, REQUEST_DONE };

struct request {
    struct shard *shard;
    struct connection *connection; /* its peer: connection.h */
    struct kafka_request_header header;
    const void *body;    /* struct kafka_x_request of the version */
    struct block *block; /* the frame; its bytes belong to this request alone: a handler may stamp batches in place */
    struct slice frame;  /* behind the size */
    struct arena arena;
    uint64_t received_ns; /* loop time */
    /* The handler's own. */
    void *context;
    void (*abandoned)(struct request *);
    void (*ended)(struct request *);
    /* request.c and connection.c. */
    enum request_state state;
    bool silent;    /* no answer goes: Produce with acks 0 */
    bool closes;    /* the connection ends with this answer */
    uint64_t bytes; /* taken from the connection's share */
    uint32_t holds; /* itself, and ranges that are being sent */
    struct kafka_out out;
    struct request *next;
};

static inline int16_t request_version(const struct request *r)
{
    return r->header.version;
}

/* Completes it with the API's response struct. If it cannot be encoded (no memory) the connection ends. */
void request_reply(struct request *, const void *response);
/* Completes it without an answer: acks 0. */
void request_reply_nothing(struct request *);
/* Completes it by closing the connection, after the answers before it have gone: for what the protocol cannot say. */
void request_drop(struct request *);
/* Whether the connection has ended: nobody waits for the answer any more. */
bool request_abandoned(const struct request *);

/* Who asks, for logs and for groups: "10.0.0.1:40123"; the client id as sent. */
const char *request_peer(const struct request *);
static inline struct slice request_client_id(const struct request *r)
{
    return r->header.client_id;
}

#endif

/* Kafka's framing over a byte stream: frames become requests, answers leave in the order of the requests.
 *
 *   bytes ──▶ frame (borrowed from the read where it is whole in it, else gathered in a block of its own)
 *         ──▶ request: header, API and version known, body decoded ──▶ handler (dispatch.c) ──▶ answer ──▶ out, in order
 *
 * What a peer can ask for is bounded: the size of a frame (LIMIT_STREAM_FIRST_FRAME_BYTES until a request has been understood,
 * then LIMIT_STREAM_FRAME_BYTES), the time that a frame may take, requests in flight and their bytes a connection, bytes of frames and
 * answers a shard, connections, idle time. Memory for a frame grows with the bytes that have come, not with the size that was
 * announced. Past its share a connection is not read from until answers have gone; what breaks the protocol is closed, with a
 * line in the log. Thread: the shard's. */
#ifndef PRISM_STREAMER_CONNECTION_H
#define PRISM_STREAMER_CONNECTION_H

#include "rt/conn.h"
#include "streamer/request.h"

struct connection;

enum err connections_new(struct shard *, uint32_t connections_max, struct connections **ret_connections)
    __attribute__((warn_unused_result));
/* Listens; all shards on one port. */
enum err connections_listen(struct connections *, const char *address, struct diag *)
    __attribute__((warn_unused_result));
const char *connections_address(const struct connections *);
/* No more connections, no more requests: what was read and not begun is forgotten. First of the two steps of the end; what is
 * under way goes on. */
void connections_deafen(struct connections *);
/* Answers that are still to come go out, then connections close; at the deadline they are cut. drained comes from the loop. */
void connections_drain(struct connections *, uint64_t deadline_ns, void (*drained)(void *context), void *context);
void connections_free(struct connections *); /* NULL is fine; all are closed */

struct connections_counts {
    uint32_t open;
    uint64_t accepted, refused;
    uint64_t bytes_in, bytes_out;
    uint64_t faults;      /* closed for breaking the protocol */
    uint64_t frame_bytes; /* held now */
};
void connections_counts(const struct connections *, struct connections_counts *ret_counts);

/* Of request.c: the answer is ready. */
void connection_completed(struct connection *, struct request *);
bool connection_is_open(const struct connection *);
const char *connection_peer(const struct connection *);

#endif

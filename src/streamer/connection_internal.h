/* What connection.c (life), frames.c (input) and answers.c (output) share. Private to them. */
#ifndef PRISM_STREAMER_CONNECTION_INTERNAL_H
#define PRISM_STREAMER_CONNECTION_INTERNAL_H

#include "kafka/header.h"
#include "streamer/connection.h"
#include "streamer/requests.h"

/* A frame that comes in pieces. */
struct frame {
    uint8_t size_bytes[KAFKA_FRAME_SIZE_BYTES];
    uint32_t size_have;
    uint32_t size;       /* of the frame; valid once size_have is all of them */
    struct block *block; /* grows */
    uint32_t have;
    uint64_t since_ns; /* its first byte */
};

struct connection {
    struct connections *all;
    struct connection *previous, *next;
    struct conn *conn; /* NULL: it has ended, requests may still be under way */
    char peer[64];
    /* Input. */
    struct frame frame;
    struct block *rest_block; /* read, and not looked at yet: past its share */
    struct slice rest;
    bool reading;
    bool understood; /* a request of it was decoded */
    bool closing;    /* no more requests */
    bool starved;    /* in all->starved */
    struct connection *next_starved;
    /* Requests, in the order of the frames. */
    struct request *first, **last;
    uint32_t in_flight;
    uint64_t bytes; /* of frames and answers held */
    uint64_t used_ns;
    struct task turn; /* what is to be done after the current callback */
    bool turn_due;
};

struct connections {
    struct shard *shard;
    struct listener *listener;
    struct connection *newest;
    uint32_t open_max;
    struct connections_counts counts;
    struct connection *starved, **starved_last; /* wait for room, longest first */
    struct timer look;
    bool draining;
    uint64_t drain_deadline_ns;
    struct timer drain_timer;
    void (*drained)(void *context);
    void *drained_context;
    struct task drained_task;
    bool drained_told;
};

/* connection.c */
void connection_turn_later(struct connection *);
/* Breaks the protocol: told once, closed. */
void connection_fault(struct connection *, const char *reason);
void connection_hold(struct connection *, uint64_t bytes);
void connection_give_back(struct connection *, uint64_t bytes);
/* frames.c */
/* block NULL: data lies where frames_room said. */
void frames_feed(struct connection *, struct block *, struct slice data);
uint8_t *frames_room(struct connection *, size_t *ret_room); /* for conn_events.on_room */
/* Goes on with what was left, where there is room now. */
void frames_resume(struct connection *);
void frames_fini(struct connection *);
/* answers.c */
void answers_send(struct connection *);
/* The connection has ended: requests that are done go. */
void answers_forget(struct connection *);

#endif

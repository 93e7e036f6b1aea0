/* A load generator for logs: one thread, epoll, requests that were encoded before. It knows several protocols, so that brokers are
 * asked by a client that costs as little everywhere; what it sends and how answers look is a protocol's (protocols.h).
 *
 *   produce   closed loop: each link keeps `depth` requests in flight, of `partitions` / `links` batches of `batch` messages each
 *   consume   what lies there, from the start, and from the start again
 *   latency   open loop: messages are due by a schedule (base/pace.h); what is due goes out, each message carries when it was due,
 *             and another link reads it back: latency counts from the schedule (no coordinated omission). The loop never sleeps,
 *             and notes when the machine was taken away from it: the gaps, control of the latency.
 *
 *   delete    topics and streams: their data would be written to the disk while the next ones are measured
 *
 *   link, closed loop:   request made ──▶ queued ──sendmsg──▶ in flight ──▶ all its messages acknowledged: made again
 *
 * Invariants: every answer is checked by its protocol; what is wrong is counted in failed or, where the stream has no meaning any
 * more, ends the run. Requests of a link are answered in their order. */
#ifndef PRISM_BENCH_STREAMER_LOAD_H
#define PRISM_BENCH_STREAMER_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pace.h"
#include "measure.h"

enum {
    LOAD_LINKS = 64,
    LOAD_PARTITIONS = 1024,
    LOAD_DEPTH = 512,
    LOAD_HEAD = 16,             /* bytes of a request that differ from one to the next */
    LOAD_REQUEST_MAX = 4 << 20, /* bytes */
    LOAD_PATIENCE_S = 20,       /* for an answer, before the run is given up */
    LOAD_STAMP = 8,             /* bytes of a payload: when it was due */
    LOAD_DUE_MAX = 1000,        /* messages of one request of an open loop */
};

enum load_mode { LOAD_PRODUCE, LOAD_CONSUME, LOAD_LATENCY, LOAD_DELETE };

struct request {
    uint8_t head[LOAD_HEAD];
    size_t head_size;
    const uint8_t *body; /* lives as long as the request */
    size_t body_size;
    uint8_t *own; /* where body is not shared */
    uint32_t messages;
    uint64_t sent_ns;
};

struct load;

struct link {
    struct load *load;
    unsigned index;
    int fd;
    bool consumer;
    void *state; /* the protocol's */
    uint8_t *in;
    size_t in_size, in_capacity;
    /* Requests by number: head is the oldest that is not acknowledged, tail the next one. */
    struct request ring[LOAD_DEPTH];
    uint64_t head, unwritten, tail;
    size_t written;        /* bytes of the first unwritten one */
    uint64_t acked;        /* messages of the oldest one */
    const uint8_t *shared; /* the request that is sent again and again */
    size_t shared_size;
};

struct protocol {
    const char *name;
    bool pulls; /* a consumer has to ask for more */
    /* Makes what the run needs (topics, streams), where it does not exist. Blocks. */
    void (*setup)(struct load *);
    /* Takes away what setup has made, with its data. Blocks. */
    void (*drop)(struct load *);
    /* The link is connected: says what has to be said first. Blocks. */
    void (*open)(struct link *);
    /* A request with n payloads for each partition of the link, which lie one behind the other. Its bytes, at most LOAD_REQUEST_MAX. */
    size_t (*encode)(struct link *, const uint8_t *payloads, unsigned n, uint8_t *to);
    /* Head and body of a request that was encoded: what differs each time. NULL: nothing does. */
    void (*stamp)(struct link *, struct request *);
    /* Asks for more (pulls), by load_queue. */
    void (*pull)(struct link *);
    /* One answer at the beginning of bytes: calls load_acked, load_delivered, load_failed. Its size; 0: it is not all there. */
    size_t (*take)(struct link *, const uint8_t *bytes, size_t size);
};

struct load {
    const struct protocol *protocol;
    enum load_mode mode;
    /* Options. */
    const char *host, *topic;
    const char *configs[16]; /* NAME=VALUE of a topic that is made */
    unsigned config_count;
    unsigned port, link_count, partitions, batch, payload_bytes, depth;
    double seconds, warmup, rate;
    uint64_t messages_max; /* 0: until the time is over */
    int broker_pid;        /* 0: its processor time is not told */
    bool unchecked;        /* CRCs of what is read */
    /* The run. */
    int poll;
    struct link links[LOAD_LINKS];
    struct pace pace;
    uint64_t now_ns, measure_ns, end_ns;
    uint64_t sent, acked, delivered, delivered_bytes, failed;
    uint8_t *payloads;
    struct hdr *latency, *gaps;
};

/* load.c */
void load_run(struct load *);
void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...);
/* The oldest requests of the link: so many of their messages are acknowledged. */
void load_acked(struct link *, uint64_t messages);
void load_delivered(struct link *, uint64_t messages, uint64_t bytes);
/* One message that came back, in latency mode. */
void load_returned(struct link *, const uint8_t *payload, size_t size);
void load_failed(struct link *, const char *why);
/* A request of the protocol's own, answered with so many messages acknowledged. body is copied. */
void load_queue(struct link *, const uint8_t *body, size_t size, uint32_t messages);

/* link.c: sockets */
void link_connect(struct link *);
/* Blocking, before the run: sends, and waits for one whole answer as `whole` finds it (bytes of it, 0: not yet). Lent. */
const uint8_t *link_call(struct link *, const void *bytes, size_t size, size_t (*whole)(const uint8_t *, size_t),
                         size_t *ret_size);
void link_send_all(struct link *, const void *bytes, size_t size);
/* Takes `size` bytes off what was received. */
void link_consume(struct link *, size_t size);
void link_flush(struct link *);
/* Reads what there is into in. */
void link_receive(struct link *);

#endif

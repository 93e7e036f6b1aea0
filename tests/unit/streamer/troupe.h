/* A group and those who talk to it, in virtual time, without a loop: what happens is a text, a line an event.
 *
 *   troupe_join(&t, "a")            a joins as it knows itself; "a!" lines are its answers
 *   troupe_pass(&t, 3000)           time passes
 *   CHECK_SLICE(troupe_said(&t), SLICE("0 a joins\n0 Empty > PreparingRebalance: a member joins\n…"))
 *
 * What is to be stored is stored at once after the event, unless the troupe is told to hold it. */
#ifndef PRISM_TESTS_STREAMER_TROUPE_H
#define PRISM_TESTS_STREAMER_TROUPE_H

#include "base/buf.h"
#include "streamer/group.h"

enum { TROUPE_ACTORS = 64 };

struct actor {
    char name[16];
    char id[64];       /* its member id; empty: none yet */
    char instance[16]; /* empty: dynamic */
    char likes[64];    /* protocols, the best first: "range,roundrobin" */
    char says[32];     /* metadata, for each protocol */
    int32_t generation;
    bool leads, waits_join, waits_sync;
    char given[64]; /* its assignment */
    enum kafka_error last;
    int32_t session_ms, rebalance_ms;
    bool old; /* a client before version 4: no MEMBER_ID_REQUIRED */
    bool skips;
    struct troupe *troupe;
};

struct troupe {
    struct group group;
    struct buf said;
    uint64_t now_ms;
    struct actor actors[TROUPE_ACTORS];
    uint32_t actor_count;
    uint32_t ids;
    uint64_t ticket; /* to be stored; 0: nothing */
    bool hold;       /* the test says when it is stored */
    bool quiet;
    uint64_t stores;
};

enum err troupe_init(struct troupe *, uint32_t initial_delay_ms);
void troupe_fini(struct troupe *);
/* Made where the name is new: range, 10 s session, 60 s rebalance. */
struct actor *troupe_actor(struct troupe *, const char *name);
struct slice troupe_said(struct troupe *); /* and then it is empty */

void troupe_join(struct troupe *, const char *name);
/* Joins, and comes back with its id where it is asked to. */
void troupe_enter(struct troupe *, const char *name);
/* assignments of the leader: "a=1,b=2", by the actors' names. */
void troupe_sync(struct troupe *, const char *name, const char *assignments);
enum kafka_error troupe_beat(struct troupe *, const char *name);
enum kafka_error troupe_leave(struct troupe *, const char *name);
enum kafka_error troupe_commit(struct troupe *, const char *name);
void troupe_vanish(struct troupe *, const char *name); /* its connection ends */
void troupe_stored(struct troupe *, enum kafka_error);
void troupe_pass(struct troupe *, uint64_t ms); /* ticks when the group asks for it */

#endif

/* Tells blocking pops of this gateway when a list comes to be at the server, whoever pushed.
 *
 * A pop that finds nothing leaves a note in its bucket (scripts_models.c, take): from then on whoever makes a list writes its key to the
 * bucket's stream. One watcher for each loop and bucket in which somebody waits reads that stream on a connection of its own, from
 * where it was when the pop found nothing: so nothing is missed, and no value travels before somebody takes it.
 *
 *   idle ──a pop missed──▶ reading (XREAD BLOCK) ──keys, or nothing for long──▶ renewing the note ──▶ reading …
 *     ▲                       │ failed                                              │ nobody waits any more
 *     ├──── pause: all who wait are told to look again ◀┘                           │
 *     └─────────────────────────────────────────────────────────────────────────────┘
 *
 * Thread: the loop's. */
#ifndef PRISM_DRIVERS_REDIS_WATCH_H
#define PRISM_DRIVERS_REDIS_WATCH_H

#include "drivers/redis/command.h"

enum redis_watch_state { REDIS_WATCH_IDLE, REDIS_WATCH_READING, REDIS_WATCH_RENEWING, REDIS_WATCH_PAUSED };
enum { REDIS_STREAM_ID_BYTES = 48 };

/* Somebody who waits, as long as it is in the list. */
struct redis_watched {
    struct redis_watched *next, *prev;
    struct slice key;
};

struct redis_watcher {
    struct redis_watcher *next; /* of the local */
    struct redis_local *local;
    uint32_t bucket;
    enum redis_watch_state state;
    struct redis_watched *first;
    char last[REDIS_STREAM_ID_BYTES]; /* entry of the stream that was read last */
    bool has_connection;
    struct redis_connection connection;
    struct redis_request request; /* XREAD */
    struct redis_command *renewal;
    struct arena arena; /* of either, and its answer */
    struct timer timer; /* a pause */
};

/* NULL: out of memory. */
struct redis_watcher *redis_watcher_of(struct redis_local *, uint32_t bucket);
void redis_watch_enter(struct redis_watcher *, struct redis_watched *);
void redis_watch_leave(struct redis_watcher *, struct redis_watched *);
/* A pop has found nothing when this was the last entry. */
void redis_watch_from(struct redis_watcher *, struct slice last_entry);
void redis_watchers_free(struct redis_local *);

#endif

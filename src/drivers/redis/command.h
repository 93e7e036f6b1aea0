/* A command of a call on its way to the server that has its bucket, whatever that takes: the topology, redirections, a script that
 * the server does not know.
 *
 *   made ──redis_send──▶ waits for the topology ──▶ with a connection ──▶ done, exactly once
 *                                                     ▲        │ MOVED, ASK: to another node; NOSCRIPT: with the text of the script
 *                                                     └────────┘
 *   redis_command_cancel: in any state, never done afterwards
 *
 * done gets OK with a reply that is no error, or an error with its words in the call's diag. It lives in the call's arena.
 * Thread: the loop's. */
#ifndef PRISM_DRIVERS_REDIS_COMMAND_H
#define PRISM_DRIVERS_REDIS_COMMAND_H

#include "drivers/redis/store.h"

struct redis_command;
typedef void redis_command_fn(struct redis_command *, enum err, const struct resp *reply);

struct redis_command {
    struct redis_request request; /* first */
    struct redis_local *local;
    struct arena *arena;
    struct diag *diag;
    struct resp_command words;
    const struct redis_script *script; /* NULL: none; else its name is the second word */
    redis_command_fn *done;
    void *owner;
    const struct redis_bucket *bucket;
    bool slow;    /* takes the connection for what is slow */
    bool waiting; /* for the topology */
    uint8_t redirects;
    struct redis_command *next;
};

/* Zeroed and in the arena. NULL: out of memory. */
struct redis_command *redis_command_new(struct redis_local *, struct arena *, struct diag *, uint32_t bucket,
                                        redis_command_fn *done, void *owner);
/* Words follow by resp_put(&command->words, …). */
void redis_command_script(struct redis_command *, enum redis_script_id, int64_t now_ms);
/* REDIS_PUT of a value: its own words follow. */
void redis_command_put(struct redis_command *, struct slice value_name);
void redis_send(struct redis_command *);
void redis_command_cancel(struct redis_command *);

#endif

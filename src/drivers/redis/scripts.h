/* What is done at the server in one step: Lua scripts, run by EVALSHA. A server that does not know one (it has been restarted, or is
 * new) says NOSCRIPT, has done nothing, and is sent the text once.
 *
 * Each is run with two keys, the root of a bucket, which never exists, and its index: so while a Cluster moves the bucket's slot it
 * answers TRYAGAIN and nothing is done by halves. All names that a script uses begin with the root and are in its slot. */
#ifndef PRISM_DRIVERS_REDIS_SCRIPTS_H
#define PRISM_DRIVERS_REDIS_SCRIPTS_H

#include "base/arena.h"
#include "base/err.h"

enum redis_script_id {
    REDIS_PUT,   /* key, packed → 1 done, or 0: REDIS_APPLY has to do it */
    REDIS_CLAIM, /* value → the value that is kept under the root */
    REDIS_MARK, /* idempotency → the fingerprint of the request that has the key: this one, unless another came first */
    REDIS_APPLY,  /* idempotency, changes → what became of each */
    REDIS_READ,   /* bytes, keys → each packed, nil, or false: does not fit */
    REDIS_SCAN,   /* range, direction, how much → keys and packed values in order */
    REDIS_COUNT,  /* range → keys in it, or -1: again */
    REDIS_BEGIN,  /* deadline, snapshots that have ended → number of the snapshot */
    REDIS_END,    /* snapshot */
    REDIS_PEEK,   /* snapshot, key → packed as of then */
    REDIS_COMMIT, /* as REDIS_APPLY, of a snapshot: all or nothing */
    REDIS_LIST,   /* scripts_models.c, as those below: a method of the model */
    REDIS_SET_MODEL,
    REDIS_SORTEDSET,
    REDIS_COUNTER,
    REDIS_SCRIPT_COUNT
};

/* scripts_models.c: what begins every script of a model, and the models. */
extern const char redis_script_models[], redis_script_list[], redis_script_set[], redis_script_sortedset[],
    redis_script_counter[];

enum { REDIS_SHA_DIGITS = 40 };

struct redis_script {
    struct slice text;
    char sha[REDIS_SHA_DIGITS + 1]; /* SHA-1 in hexadecimal: its name at the server */
};

/* Texts live in the arena. ERR_NOMEM. */
enum err redis_scripts_make(struct arena *, struct redis_script scripts[REDIS_SCRIPT_COUNT]);

#endif

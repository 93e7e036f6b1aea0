/* What a data call passes on its way to the driver: identify → limit → decode → route. A stage is one file with one `enter`;
 * the engine (stage.c) walks the namespace's list of them.
 *
 *                    NEXT                 NEXT                DONE
 *   stages_enter ──▶ stage 1 ──▶ … ──▶ stage n (route) ──▶ driver ──▶ call_reply / call_end
 *                      │ WAIT: parked until stages_resume           │
 *                      │ DONE: has completed the call itself        ▼
 *                      └──────────────────────────▶ stages_leave: `leave` of every stage that said NEXT, in reverse
 *
 * Invariants: after WAIT or DONE the engine touches the passage no more, it may be gone; leave is called exactly once for each
 * enter that said NEXT. Which stages a namespace has is settled when its configuration is loaded: what is off costs nothing. */
#ifndef PRISM_PROXY_STAGE_H
#define PRISM_PROXY_STAGE_H

#include "data/call.h"
#include "data/namespace.h"
#include "rpc/server.h"

struct front;
struct passage;

enum stage_verdict { STAGE_NEXT, STAGE_WAIT, STAGE_DONE };

struct stage {
    const char *name;
    enum stage_verdict (*enter)(struct passage *);
    void (*leave)(struct passage *, enum err); /* may be NULL */
};

/* A call that came over the network, in the arena of its rpc call. */
struct passage {
    struct call call; /* the first member: passage_of */
    struct rpc_call *rpc;
    struct rpc_message message;
    struct front *front;
    const struct stage *const *stages; /* NULL-terminated */
    uint32_t entered;                  /* stages that said NEXT */
};

static inline struct passage *passage_of(struct call *call)
{
    return (struct passage *)call;
}

/* Begins with the first stage. The passage may be gone when it returns. */
void stages_enter(struct passage *);
/* Goes on behind the stage that said WAIT. */
void stages_resume(struct passage *);
/* The call has been completed: by the sink, before the answer is finished. */
void stages_leave(struct passage *, enum err);

/* The stages of a namespace that has nothing special. */
extern const struct stage *const stages_plain[];
/* Of one whose driver is remote. */
extern const struct stage *const stages_guarded[];
/* The same, while they take no writes. */
extern const struct stage *const stages_paused[];
extern const struct stage *const stages_guarded_paused[];

extern const struct stage stage_identify; /* sets call->who */
extern const struct stage stage_limit;    /* refuses what is too much */
extern const struct stage stage_pause;    /* refuses writes */
extern const struct stage stage_decode;   /* sets call->request */
extern const struct stage stage_route;    /* hands the call to the driver */
extern const struct stage stage_guard;    /* the same by way of the namespace's guard */

#endif

/* A request about groups, on its way to the shards that own them: one group (or shard) after the other, each on its own thread.
 *
 *   struct join_call { struct group_call call; ... };             first member; in the request's arena
 *   group_call_begin(&c->call, request, 1, owner_of, run, finish)
 *      run(call)          on the owner's thread, for item call->at; call->groups are its groups. It calls
 *      group_call_done    there, then or later
 *      finish(call)       on the request's thread, when all items are done: it replies
 *
 * While an item is with its owner, that thread alone touches the request's arena. `abandoned`, where it is set before group_call_done
 * can be expected, is called on the owner's thread when the connection has ended: it calls group_call_done soon. With one worker
 * nothing is posted. */
#ifndef PRISM_STREAMER_GROUP_CALL_H
#define PRISM_STREAMER_GROUP_CALL_H

#include "streamer/groups.h"
#include "streamer/request.h"

struct group_call {
    struct request *request;
    uint32_t at, count;
    struct groups *groups; /* of the owner of item `at` */
    struct shard *owner;
    struct shard *(*owner_of)(struct group_call *, uint32_t at);
    void (*run)(struct group_call *);
    void (*finish)(struct group_call *);
    void (*abandoned)(struct group_call *);
    bool inside, returned; /* of run, on the request's own thread */
    bool with_owner;       /* owner's side: not done yet */
    bool told_gone;        /* a word about the end of the connection is on its way to the owner */
    bool back;             /* the item came back meanwhile */
    struct task task, gone;
};

void group_call_begin(struct group_call *, struct request *, uint32_t count,
                      struct shard *(*owner_of)(struct group_call *, uint32_t at), void (*run)(struct group_call *),
                      void (*finish)(struct group_call *));
void group_call_done(struct group_call *);

/* A copy in the request's arena; false: out of memory. NULL data stays NULL. */
bool group_call_copy(struct group_call *, struct slice from, struct slice *ret_copy)
    __attribute__((warn_unused_result));

#endif

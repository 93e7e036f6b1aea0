/* What the files of the state machine share: group.c moves it, group_join.c and group_sync.c take requests, group_member.c has the
 * members' memory and protocols. Others see group.h. */
#ifndef PRISM_STREAMER_GROUP_INTERNAL_H
#define PRISM_STREAMER_GROUP_INTERNAL_H

#include "streamer/group.h"

/* A copy in place of what was there; an empty one takes no memory. false: out of memory, nothing changed. */
bool slice_own(struct slice *owned, struct slice bytes);
void slice_disown(struct slice *owned);

/* With what the join says, not linked yet. NULL: out of memory. */
struct group_member *member_new(struct slice id, const struct group_join *);
void member_free(struct group_member *); /* NULL is fine */
/* Protocols and timeouts of a join in place of the old ones. false: out of memory, nothing changed. */
bool member_update(struct group *, struct group_member *, const struct group_join *);
/* Whether a join says what the member has said before. */
bool member_says(const struct group_member *, const struct group_join *);
/* false: out of memory. */
bool member_assign(struct group *, struct group_member *, struct slice assignment);
/* Under another id. false: out of memory. */
bool member_rename(struct group *, struct group_member *, struct slice id);
size_t join_bytes(const struct group_join *);

/* Behind the others; the first one leads. */
void group_link(struct group *, struct group_member *);
/* If it led, the first of the others does. */
void group_unlink(struct group *, struct group_member *);
/* Whether there is a protocol of the join's that all members but `except` (NULL: all) have, and the type is theirs. */
bool group_accepts(const struct group *, const struct group_join *, const struct group_member *except);
/* The protocol of the next generation: of those that all have, the one that most like best; among equals the one that the
 * longest member likes better. There are members. */
struct slice group_choose(const struct group *);

/* An id that has not come back: where it hangs, or where nothing does. */
struct group_pending **group_find_pending(struct group *, struct slice id);
bool group_forget_pending(struct group *, struct slice id);
void pending_remove(struct group *, struct group_pending **);

/* --- group.c ------------------------------------------------------------------------------------------------------------- */

void group_move(struct group *, enum group_state to, const char *why);
/* What is there now is to be made durable: outlet.store. */
void group_store_now(struct group *);
/* From EMPTY, COMPLETING or STABLE into a rebalance; else nothing. */
void group_prepare(struct group *, uint64_t now_ms, const char *why);
/* After every event: a rebalance that waits for nothing more goes on. */
void group_settle(struct group *, uint64_t now_ms);
uint64_t group_rebalance_ms(const struct group *);

/* Who is this, and may it speak? UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID. */
enum kafka_error group_identify(const struct group *, struct slice member_id, struct slice instance_id,
                                struct group_member **ret_member);
void member_heard_of(struct group_member *, uint64_t now_ms);
void group_hear_all(struct group *, uint64_t now_ms);
/* Answered, unlinked, freed; and then, lost, a rebalance. */
void group_remove(struct group *, struct group_member *, enum kafka_error);
void group_lose(struct group *, struct group_member *, uint64_t now_ms, const char *why);

void group_refuse_join(struct group *, void *waiter, struct slice member_id, enum kafka_error);
void group_end_sync(struct group *, struct group_member *, enum kafka_error);
void group_end_waits(struct group *, struct group_member *, enum kafka_error);
/* Answers its JoinGroup with the present generation. */
void group_tell(struct group *, struct group_member *);

#endif

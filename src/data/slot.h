/* Slots: how a pattern uses what other namespaces keep. A pattern says as data which slots it has and which interfaces each needs;
 * when configuration is loaded every slot is bound to a namespace and checked, so that a call never meets a backend that cannot
 * answer it. At run time the pattern makes child calls through its slots: typed structs, nothing is encoded in between.
 *
 *   slot_call ──▶ running ──on_message*──▶ ended (on_end, exactly once; then the child is gone)
 *                    └── the parent is cancelled: so is the child, which still ends
 *
 * A child is a call of its own: it has an arena of its own, inherits who calls, the deadline, request id and trace of its parent,
 * and holds its namespace. A parent completes after all its children have ended. Belongs to the parent's loop. */
#ifndef PRISM_DATA_SLOT_H
#define PRISM_DATA_SLOT_H

#include "data/call.h"
#include "data/namespace.h"

/* What a slot needs; constant data of the pattern. */
struct slot_spec {
    const char *name; /* "registry" */
    const enum interface *required;
    size_t required_count;
    bool optional; /* may stay unbound */
};

struct slot {
    const struct slot_spec *spec;
    struct namespace *ns; /* reference held; NULL: optional and unbound */
};

/* Binds a slot to a namespace (NULL: none is configured). ERR_CONFIG_INVALID names the slot, the namespace and the interfaces
 * that its driver lacks. */
enum err slot_bind(const struct slot_spec *, struct namespace *, struct diag *, struct slot *ret_slot)
    __attribute__((warn_unused_result));
void slot_unbind(struct slot *);
/* Whether the slot is bound and its driver implements an interface beyond the required ones. */
bool slot_offers(const struct slot *, enum interface);

struct child;

struct child_events {
    /* The message lives during the call only. CALL_HOLD: send no more before child_resume. NULL: messages are not wanted. */
    enum call_flow (*on_message)(struct child *, const void *message);
    /* err and child->call.diag say how it went. */
    void (*on_end)(struct child *, enum err);
};

struct child {
    struct call call; /* the first member */
    struct arena arena;
    struct call *parent;
    const struct slot *slot;
    const struct child_events *events;
    void *user;
    struct child *next; /* of the same parent */
};

/* Starts a child call; events may come before this returns, since a driver may answer at once. The slot is bound, the request
 * lives until on_end. ERR_NOMEM: it was not started, no event comes. */
enum err slot_call(const struct slot *, struct call *parent, enum method_id, const void *request,
                   const struct child_events *, void *user) __attribute__((warn_unused_result));
/* After on_message said CALL_HOLD: more may come. */
void child_resume(struct child *);
/* Cancels those that run; for call_cancel. false: their ends have completed the parent, which is gone. */
bool children_cancel(struct call *parent) __attribute__((warn_unused_result));

#endif

/* Where a loop's data calls begin and end: makes a struct call of an rpc call, finds its namespace, sends it through the stages,
 * and carries the driver's answers back. On the warm path it allocates from the call's arena alone.
 *
 * One front a loop, used by that loop's thread. */
#ifndef PRISM_PROXY_FRONT_H
#define PRISM_PROXY_FRONT_H

#include "proxy/access_log.h"
#include "proxy/snapshot.h"
#include "proxy/stage.h"

struct log;
struct measure;

/* What the handlers of an interface get as their context. */
struct front_interface {
    struct front *front;
    const struct interface_row *row;
};

struct front {
    struct loop *loop;
    struct snapshot *snapshot;      /* the configuration in effect; a reference is held */
    struct proxy_namespace *recent; /* of the snapshot: the one that was looked up last; NULL: none yet */
    const struct driver_registry *drivers;
    struct log *log;         /* access log; may be NULL */
    struct measure *measure; /* may be NULL */
    struct offence_lines offence_lines;
    uint32_t calls_in_flight;
    uint32_t calls_max;
    bool closed; /* the time to drain is over */
    struct front_interface interfaces[INTERFACE_COUNT];
};

/* Takes over the reference to the snapshot. */
void front_init(struct front *, struct loop *, struct snapshot *, const struct driver_registry *, uint32_t calls_max);
void front_fini(struct front *);
/* Adds every data interface to a server whose options were made by front_server_options. */
enum err front_serve(struct front *, struct rpc_server *) __attribute__((warn_unused_result));
struct rpc_server_options front_server_options(struct front *);
/* Puts another configuration into effect for the calls to come. Takes over the reference. */
void front_swap(struct front *, struct snapshot *);

#endif

/* A descriptor that a library owns and reads itself (libpq, hiredis, librdkafka), watched by a loop. Level-triggered: ready is
 * called in each turn in which one of the wanted events is there, until they are taken or no longer wanted.
 *
 *   watch_new(loop, PQsocket(conn), on_ready, connection, &watch);
 *   watch_set(watch, WATCH_READ);
 *   … watch_free(watch); PQfinish(conn);
 *
 * Thread: the loop's. The twin has no descriptors: ERR_UNIMPLEMENTED. */
#ifndef PRISM_RT_WATCH_H
#define PRISM_RT_WATCH_H

#include "rt/loop.h"

enum { WATCH_READ = 1, WATCH_WRITE = 2 };

struct watch;

/* Wants nothing yet. An error or the end of the stream is reported as both events: reading or writing tells which. ready may
 * free the watch. The descriptor stays the caller's and is made non-blocking; one watch a descriptor. */
enum err watch_new(struct loop *, int fd, void (*ready)(void *context, unsigned events), void *context,
                   struct watch **ret_watch) __attribute__((warn_unused_result));
/* What is waited for from now on: 0 is nothing. Cheap where it does not change. */
void watch_set(struct watch *, unsigned events);
/* Before the descriptor is closed. NULL is fine. ready is not called any more. */
void watch_free(struct watch *);

#endif

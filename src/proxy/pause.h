/* Waiting for the writes of a namespace that is being paused: a reload that sets pause_writes says that it is done when no call that
 * began before it is under way, so that what is read from then on is all that was ever acknowledged.
 *
 *   pause_begin ──▶ waiting ──the last call of each such namespace has ended──▶ done(true)
 *                      └──── LIMIT_PAUSE_MS have passed ──▶ done(false); the wait is forgotten when the calls have ended
 *
 * Thread: the control loop; namespaces end on any. */
#ifndef PRISM_PROXY_PAUSE_H
#define PRISM_PROXY_PAUSE_H

#include "proxy/snapshot.h"

typedef void pause_done_fn(void *context, bool all_ended);

/* For namespaces of the old snapshot that had writes and are paused in the new one. The caller holds a reference to old, and lets it
 * go afterwards. false: there is nothing to wait for, and done is not called. busy: counts up while the wait exists; idle is called
 * when it no longer does. */
bool pause_begin(const struct snapshot *old, const struct snapshot *new, struct loop *, pause_done_fn *done,
                 void (*idle)(void *context), void *context);

#endif

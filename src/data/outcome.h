/* What a failed call has done to its backend: decides whether it may be sent again (guard.h), and what its caller is told. A driver
 * of a remote backend says it by the error that it completes a call with:
 *
 *   error                     when                                                                executed   repeated by the guard
 *   ERR_BACKEND_UNREACHABLE   no connection, DNS, connect or handshake timed out; a connection    no         always
 *                             broke before the first byte of the call was written to it
 *   ERR_BACKEND_DENIED        credentials, certificate or database name refused                   no         never: a person must act
 *   ERR_BACKEND_REFUSED       the server answered that it cannot now: starting, shutting down,    no         always
 *                             loading, too many connections, cluster down, read-only replica
 *   ERR_BACKEND_LOST          the connection broke, or what came on it made no sense, after       unknown    where that is safe
 *                             bytes of the call were written and before its answer had come
 *   ERR_DEADLINE_EXCEEDED     the call's deadline passed at the backend                           unknown    never
 *   ERR_CANCELLED             call_cancel was told, the driver gave up                            unknown    never
 *   every other error         the server, or the driver itself, gave the answer of this call      settled    never
 *
 * A driver does not repeat a call by itself, but for what its protocol asks for (MOVED, ASK, NOSCRIPT). It sets no RetryInfo:
 * the guard does. It does not translate ERR_BACKEND_LOST of a write: the guard answers ERR_OUTCOME_UNKNOWN where the call may not
 * be repeated. On on_cancel it completes the call at once, whatever the server does: what it still expects from the server it
 * keeps apart from the call. */
#ifndef PRISM_DATA_OUTCOME_H
#define PRISM_DATA_OUTCOME_H

#include "base/err.h"

enum outcome {
    OUTCOME_SETTLED,        /* the backend is well and has answered, if only with an error of the caller's */
    OUTCOME_NOT_EXECUTED,   /* the backend is not well; certainly nothing was done */
    OUTCOME_MAYBE_EXECUTED, /* the backend is not well; whether something was done is not known */
};

static inline enum outcome outcome_of(enum err e)
{
    switch (e) {
    case ERR_BACKEND_UNREACHABLE:
    case ERR_BACKEND_DENIED:
    case ERR_BACKEND_REFUSED:
        return OUTCOME_NOT_EXECUTED;
    case ERR_BACKEND_LOST:
    case ERR_DEADLINE_EXCEEDED:
    case ERR_CANCELLED:
        return OUTCOME_MAYBE_EXECUTED;
    default:
        return OUTCOME_SETTLED;
    }
}

#endif

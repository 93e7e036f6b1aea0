#include "base/err.h"

#include <errno.h>
#include <string.h>

static const struct err_row rows[ERR_COUNT] = {
#define ERR(id, grpc, http, kafka, exit, scope, retry, text) [id] = {#id, grpc, http, kafka, exit, scope, retry, text},
#include "base/err.def"
#undef ERR
};

static const char *const status_names[] = {
    "OK",        "CANCELLED",       "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS",  "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",    "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED",
};

/* Identifiers start with ERR_, the names that clients see do not. */
static const char *public_name(const char *identifier)
{
    return strncmp(identifier, "ERR_", 4) == 0 ? identifier + 4 : identifier;
}

const struct err_row *err_row(enum err e)
{
    return (unsigned)e < ERR_COUNT ? &rows[e] : &rows[ERR_UNKNOWN];
}

const char *err_name(enum err e)
{
    return public_name(err_row(e)->name);
}

enum err err_from_grpc(unsigned status)
{
    for (enum err e = OK; e <= ERR_UNAUTHENTICATED; e++)
        if (rows[e].grpc == status)
            return e;
    return ERR_UNKNOWN;
}

const char *grpc_status_name(unsigned status)
{
    return status < sizeof status_names / sizeof *status_names ? status_names[status] : "UNKNOWN";
}

enum err err_by_name(const char *name)
{
    for (enum err e = OK; e < ERR_COUNT; e++)
        if (strcmp(public_name(rows[e].name), name) == 0)
            return e;
    return ERR_COUNT;
}

enum err err_from_errno(int error)
{
    switch (error) {
    case 0:
        return OK;
    case ENOMEM:
        return ERR_NOMEM;
    case ENOSPC:
    case EDQUOT:
        return ERR_DISK_FULL;
    case EROFS:
        return ERR_READ_ONLY;
    case EADDRINUSE:
        return ERR_ADDRESS_IN_USE;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return ERR_CONNECT_FAILED;
    case ECONNRESET:
    case EPIPE:
        return ERR_CONNECTION_LOST;
    case ETIMEDOUT:
        return ERR_DEADLINE_EXCEEDED;
    case EACCES:
    case EPERM:
    case ENOENT:
    case EISDIR:
    case ENOTDIR:
        return ERR_FILE;
    default:
        return ERR_IO;
    }
}

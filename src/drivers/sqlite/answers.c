/* Answers kept for calls with an idempotency key: written in the transaction of the data, found by a retry, swept when their time
 * has passed. */
#include "drivers/sqlite/store.h"

static enum err take_answer(struct sqlite_operation *o, sqlite3_stmt *s)
{
    if (!arena_copy(o->call->arena, sqlite_column_slice(s, 1), &o->replay_response))
        return ERR_NOMEM;
    o->replay_fingerprint = (uint64_t)sqlite3_column_int64(s, 0);
    o->replayed = true;
    return OK;
}

enum err sqlite_answer_find(struct sqlite_operation *o)
{
    sqlite3_stmt *s;
    bool row;
    enum err e = sqlite_prepare(o->connection, STATEMENT_ANSWER_GET, &s);
    if (e)
        return e;
    sqlite_bind_slice(s, 1, o->idem.key);
    sqlite3_bind_int64(s, 2, o->now_ms);
    e = sqlite_step(o->connection, s, &row);
    if (!e && row)
        e = take_answer(o, s);
    sqlite_reset(s);
    return e;
}

enum err sqlite_answer_keep(struct sqlite_operation *o)
{
    struct sqlite_writer *w = &o->store->writer;
    sqlite3_stmt *s;
    struct slice encoded;
    enum err e = idem_response(o->call, o->response, &encoded);
    if (!e)
        e = sqlite_prepare(o->connection, STATEMENT_ANSWER_PUT, &s);
    if (e)
        return e;
    sqlite_bind_slice(s, 1, o->idem.key);
    sqlite3_bind_int64(s, 2, (int64_t)o->idem.fingerprint);
    sqlite3_bind_int64(s, 3, o->idem.expires_ms);
    sqlite_bind_slice(s, 4, encoded);
    e = sqlite_finish(o->connection, s);
    if (!e && o->idem.expires_ms < w->answer_expiry_ms)
        w->answer_expiry_ms = o->idem.expires_ms;
    return e;
}

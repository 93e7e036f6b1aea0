/* An operation with an idempotency key: looked up, done and kept in one transaction.
 *
 *   look: BEGIN, lock of the key, kept answer, the operation's statements ─▶ nothing kept, and it succeeded ─▶ keep: answer, COMMIT
 *                                                                        └▶ kept, or it failed ─▶ undo: ROLLBACK, then answered
 *
 * What found nothing to do (a blocking pop) leaves no response and is undone. The lock is an advisory one, which ends with the transaction: a retry that comes at the same time waits, and then finds the
 * answer. Until COMMIT is sent nothing has happened. */
#include "data/siphash.h"
#include "drivers/postgres/store.h"

enum step { STEP_LOOK, STEP_KEEP, STEP_UNDO };
enum { LOOK_STATEMENTS = 3 };

static const struct postgres_params none;

/* --- look -------------------------------------------------------------------------------------------------------------------- */

/* Keys that share a lock only wait for each other. */
static int64_t lock_of(const struct postgres_lane *l, struct slice key)
{
    uint8_t secret[16] = "prism-answers";
    memcpy(secret + 12, &l->namespace, 4);
    return (int64_t)siphash24(secret, key);
}

static enum err put_look(struct postgres_unit *u, struct postgres_operation *o)
{
    struct postgres_params lock = {0}, find = {0};
    enum err e = postgres_put(u, STATEMENT_BEGIN, &none);
    postgres_put_int8(&lock, lock_of(u->lane, o->idem.key));
    if (!e)
        e = postgres_put(u, STATEMENT_ANSWER_LOCK, &lock);
    postgres_put_int4(&find, u->lane->namespace);
    postgres_put_bytes(&find, o->idem.key);
    postgres_put_time(&find, o->now_ms);
    if (!e)
        e = postgres_put(u, STATEMENT_ANSWER_GET, &find);
    return e ? e : o->put(o, u);
}

void postgres_idem_put(struct postgres_unit *u)
{
    struct postgres_operation *o = u->members[0];
    u->step = STEP_LOOK;
    o->replayed = false;
    postgres_unit_sync(u, put_look(u, o));
}

enum err postgres_take_answer(struct postgres_operation *o, const PGresult *r)
{
    if (!PQntuples(r))
        return OK;
    o->replay_fingerprint = (uint64_t)postgres_int8(r, 0, 0);
    o->replayed = true;
    return arena_copy(o->call->arena, postgres_bytes(r, 0, 1), &o->replay_response) ? OK : ERR_NOMEM;
}

static enum err take(struct postgres_unit *u, unsigned index, const PGresult *r)
{
    struct postgres_operation *o = u->members[0];
    if (!o || u->step != STEP_LOOK || o->replayed || index < LOOK_STATEMENTS - 1)
        return OK;
    return index == LOOK_STATEMENTS - 1 ? postgres_take_answer(o, r) : o->take(o, index - LOOK_STATEMENTS, r);
}

/* --- keep, undo -------------------------------------------------------------------------------------------------------------- */

struct postgres_params postgres_answer_params(const struct postgres_unit *u, const struct idem *idem,
                                              struct slice response)
{
    struct postgres_params p = {0};
    postgres_put_int4(&p, u->lane->namespace);
    postgres_put_bytes(&p, idem->key);
    postgres_put_int8(&p, (int64_t)idem->fingerprint);
    postgres_put_bytes(&p, response);
    postgres_put_time(&p, idem->expires_ms);
    return p;
}

static enum err put_keep(struct postgres_unit *u, struct postgres_operation *o)
{
    struct slice response;
    enum err e = idem_response(o->call, o->response, &response);
    if (e)
        return e;
    struct postgres_params p = postgres_answer_params(u, &o->idem, response);
    e = postgres_put(u, STATEMENT_ANSWER_KEEP, &p);
    return e ? e : postgres_put(u, STATEMENT_COMMIT, &none);
}

static void undo(struct postgres_unit *u, enum err why)
{
    u->step = STEP_UNDO;
    u->outcome = why;
    u->kept_problem = *u->problem;
    postgres_unit_sync(u, postgres_put(u, STATEMENT_ROLLBACK, &none));
}

static void keep(struct postgres_unit *u, struct postgres_operation *o)
{
    u->step = STEP_KEEP;
    postgres_unit_sync(u, put_keep(u, o));
}

static void done(struct postgres_unit *u, enum err e)
{
    struct postgres_operation *o = u->members[0];
    if (u->step == STEP_UNDO && !u->lane->lost)
        *u->problem = u->kept_problem;
    if (u->lane->lost || (u->step == STEP_KEEP && !e))
        postgres_unit_conclude(u, e);
    else if (u->step == STEP_UNDO)
        postgres_unit_conclude(u, u->outcome);
    else if (u->step == STEP_LOOK && o && !e && !o->replayed && o->response)
        keep(u, o);
    else
        undo(u, e);
}

const struct postgres_unit_events postgres_idem_events = {take, done};

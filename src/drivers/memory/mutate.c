/* How a mutation runs: at once, or under its idempotency record. */
#include "drivers/memory/internal.h"

void memory_answer(struct call *call, enum err e, const void *response)
{
    if (e)
        call_end(call, e);
    else
        call_reply(call, response);
}

enum err memory_token_slice(const struct store *s, uint64_t token, struct arena *arena, struct slice *ret_token)
{
    uint8_t *bytes = arena_alloc(arena, TOKEN_BYTES);
    if (!bytes)
        return ERR_NOMEM;
    memory_token(s, token, bytes);
    *ret_token = slice_of(bytes, TOKEN_BYTES);
    return OK;
}

enum err memory_mismatch(const struct store *s, struct outcome *o, const struct kv_expected *expected,
                         struct diag *diag)
{
    uint8_t token[TOKEN_BYTES];
    memory_token(s, o->token, token);
    memory_version_unref(o->current);
    o->current = NULL;
    return kv_version_mismatch(expected, slice_of(token, o->existed ? TOKEN_BYTES : 0), diag);
}

/* The answer is encoded before the record is kept: from then on nothing can fail. */
static void keep(struct memory *m, struct stripe *stripe, struct call *call, struct record *r, const void *response)
{
    struct slice encoded;
    if (idem_response(call, response, &encoded))
        memory_records_give_up(&m->records, stripe, r);
    else
        memory_records_keep(&m->records, stripe, r, encoded);
}

/* The stored answer is copied while the stripe is locked, and sent after. */
static void take_stored(struct call *call, const struct record *r, struct settled *s)
{
    s->fingerprint = r->fingerprint;
    s->err = arena_copy(call->arena, record_response(r), &s->stored) ? OK : ERR_NOMEM;
    s->replayed = !s->err;
}

static void do_and_keep(struct memory *m, struct call *call, int64_t now_ms, struct stripe *stripe,
                        memory_mutation_fn *fn, struct settled *s)
{
    struct record *r;
    s->err = memory_records_begin(&m->records, stripe, &s->idem, now_ms, &r);
    if (s->err)
        return;
    s->err = fn(m, call, call->request, now_ms, &s->response);
    if (s->err || !s->response)
        memory_records_give_up(&m->records, stripe, r);
    else
        keep(m, stripe, call, r, s->response);
}

void memory_mutate_once(struct memory *m, struct call *call, memory_mutation_fn *fn, struct settled *s)
{
    int64_t now_ms = store_now_ms(&m->store);
    s->response = NULL;
    s->replayed = false;
    if (!s->idem.used) {
        s->err = fn(m, call, call->request, now_ms, &s->response);
        return;
    }
    struct stripe *stripe = memory_records_lock(&m->records, &s->idem);
    const struct record *done = memory_records_find(stripe, &s->idem, now_ms);
    if (done)
        take_stored(call, done, s);
    else
        do_and_keep(m, call, now_ms, stripe, fn, s);
    memory_records_unlock(stripe);
}

void memory_settled_answer(struct call *call, const struct settled *s)
{
    if (s->replayed)
        idem_replay(call, &s->idem, s->fingerprint, s->stored);
    else
        memory_answer(call, s->err, s->response);
}

void memory_mutate(struct backend *backend, struct call *call, const void *request, memory_mutation_fn *fn)
{
    struct memory *m = (struct memory *)backend;
    struct settled s;
    (void)request;
    memory_transactions_sweep(&m->transactions);
    s.err = idem_begin(call, store_now_ms(&m->store), &s.idem);
    if (s.err) {
        call_end(call, s.err);
        return;
    }
    memory_mutate_once(m, call, fn, &s);
    memory_settled_answer(call, &s);
}

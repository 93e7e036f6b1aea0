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

/* The stored answer is copied while the stripe is locked, and sent after. */
static void replay(struct stripe *stripe, struct call *call, const struct idem *idem, const struct record *r)
{
    struct slice copy;
    uint64_t fingerprint = r->fingerprint;
    enum err e = arena_copy(call->arena, record_response(r), &copy) ? OK : ERR_NOMEM;
    memory_records_unlock(stripe);
    if (e)
        call_end(call, e);
    else
        idem_replay(call, idem, fingerprint, copy);
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

static void mutate_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                        const struct idem *idem, memory_mutation_fn *fn)
{
    struct stripe *stripe = memory_records_lock(&m->records, idem);
    const struct record *done = memory_records_find(stripe, idem, now_ms);
    if (done) {
        replay(stripe, call, idem, done);
        return;
    }
    struct record *r;
    const void *response = NULL;
    enum err e = memory_records_begin(&m->records, stripe, idem, now_ms, &r);
    if (!e) {
        e = fn(m, call, request, now_ms, &response);
        if (e)
            memory_records_give_up(&m->records, stripe, r);
        else
            keep(m, stripe, call, r, response);
    }
    memory_records_unlock(stripe);
    memory_answer(call, e, response);
}

void memory_mutate(struct backend *backend, struct call *call, const void *request, memory_mutation_fn *fn)
{
    struct memory *m = (struct memory *)backend;
    int64_t now_ms = store_now_ms(&m->store);
    struct idem idem;
    memory_transactions_sweep(&m->transactions);
    const void *response = NULL;
    enum err e = idem_begin(call, now_ms, &idem);
    if (!e && idem.used) {
        mutate_once(m, call, request, now_ms, &idem, fn);
        return;
    }
    if (!e)
        e = fn(m, call, request, now_ms, &response);
    memory_answer(call, e, response);
}

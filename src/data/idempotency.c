/* Idempotency keys: a retried mutation with the same key answers with the first result.
 *
 * A record belongs to caller, method and key. Its name joins them so that no two triples give the same bytes: lengths first. */
#include "data/keyvalue.h"
#include "data/siphash.h"

/* Fingerprints are no secret: they tell a caller that it has used its own key for two requests. Never changes: they are stored. */
static const uint8_t fingerprint_key[16] = "prism-idempotent";

static enum err check_idempotency_key(struct call *call)
{
    if (call->idempotency_key.size <= LIMIT_IDEMPOTENCY_KEY_BYTES)
        return OK;
    diag_set(&call->diag, ERR_FIELD_INVALID, "prism-idempotency-key has %zu bytes, at most %d are allowed",
             call->idempotency_key.size, LIMIT_IDEMPOTENCY_KEY_BYTES);
    diag_field(&call->diag, "prism-idempotency-key", "must have at most %d bytes", LIMIT_IDEMPOTENCY_KEY_BYTES);
    return ERR_FIELD_INVALID;
}

static void put_u32(uint8_t *out, size_t x)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(x >> (8 * i));
}

static enum err record_key(struct call *call, struct slice *ret_key)
{
    struct slice who = slice_str(call->who.name), method = slice_str(call->method->pb->path),
                 key = call->idempotency_key;
    size_t size = 8 + who.size + method.size + key.size;
    uint8_t *out = arena_alloc(call->arena, size), *at = out;
    if (!out)
        return ERR_NOMEM;
    put_u32(at, who.size);
    put_u32(at + 4, method.size);
    at += 8;
    if (who.size)
        memcpy(at, who.data, who.size);
    memcpy(at + who.size, method.data, method.size);
    memcpy(at + who.size + method.size, key.data, key.size);
    *ret_key = slice_of(out, size);
    return OK;
}

static enum err encode(const struct pb_message *table, const void *message, struct arena *arena,
                       struct slice *ret_encoded)
{
    size_t size = pb_encoded_size(table, message);
    uint8_t *out = arena_alloc(arena, size);
    if (!out)
        return ERR_NOMEM;
    pb_encode(table, message, out);
    *ret_encoded = slice_of(out, size);
    return OK;
}

static enum err fingerprint(struct call *call, uint64_t *ret_fingerprint)
{
    struct slice encoded;
    enum err e = encode(call->method->pb->input, call->request, call->arena, &encoded);
    if (!e)
        *ret_fingerprint = siphash24(fingerprint_key, encoded);
    return e;
}

enum err idem_begin(struct call *call, int64_t now_ms, struct idem *ret_idem)
{
    if (!call->idempotency_key.size || !call->method->pb->mutation) {
        *ret_idem = (struct idem){0};
        return OK;
    }
    struct idem idem = {.used = true, .expires_ms = now_ms + call->ns->idempotency_retention_ms};
    enum err e = check_idempotency_key(call);
    if (!e)
        e = record_key(call, &idem.key);
    if (!e)
        e = fingerprint(call, &idem.fingerprint);
    if (!e)
        *ret_idem = idem;
    return e;
}

enum err idem_response(struct call *call, const void *response, struct slice *ret_encoded)
{
    return encode(call->method->pb->output, response, call->arena, ret_encoded);
}

static void replay(struct call *call, struct slice stored)
{
    struct slice copy;
    void *response;
    enum err e = arena_copy(call->arena, stored, &copy) ? OK : ERR_NOMEM;
    if (!e)
        e = pb_decode(call->method->pb->output, copy, call->arena, &pb_limits_default, &response);
    if (e)
        call_end(call, e == ERR_NOMEM ? e : ERR_CORRUPT);
    else
        call_reply(call, response);
}

void idem_replay(struct call *call, const struct idem *idem, uint64_t stored_fingerprint, struct slice stored_response)
{
    if (stored_fingerprint == idem->fingerprint) {
        replay(call, stored_response);
        return;
    }
    diag_set(&call->diag, ERR_IDEMPOTENCY_REUSED, "prism-idempotency-key \"%.*s\" was used before with another request",
             SLICE_ARG(call->idempotency_key));
    call_end(call, ERR_IDEMPOTENCY_REUSED);
}

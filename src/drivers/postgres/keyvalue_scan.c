/* Scan, ScanKeys, Count.
 *
 *   one page, a statement of its own ──▶ send it ──▶ more? ──▶ the next page …
 *                                            └ CALL_HOLD: wait for on_resume (or on_cancel)
 *
 * Between pages nothing is held: no connection, no transaction. A page begins behind the last key of the one before, so a key that
 * is there all the time comes exactly once, whatever is written meanwhile. The server cuts a page by its bytes too. */
#include "drivers/postgres/items.h"
#include "prism/keyvalue/v1/keyvalue_scan.ops.h"

struct scan_operation {
    struct postgres_operation operation;
    struct kv_scan *scan;
    bool more; /* the page that has been read is not the last */
};

/* Above every key: longer than any, and of the highest byte. */
static const uint8_t top[LIMIT_KEY_BYTES + 1] = {[0 ... LIMIT_KEY_BYTES] = 0xff};

/* Parameters of the statements over a range. */
static struct postgres_params range_params(const struct postgres_unit *u, const struct kv_range *range, int64_t now_ms)
{
    struct postgres_params p = postgres_key_params(u, range->start);
    postgres_put_bytes(&p, range->has_end ? range->end : slice_of(top, sizeof top));
    postgres_put_time(&p, now_ms);
    return p;
}

/* --- a page ------------------------------------------------------------------------------------------------------------------ */

static enum postgres_statement statement_of(const struct kv_scan *scan)
{
    if (scan->keys_only)
        return scan->reverse ? STATEMENT_SCAN_KEYS_REVERSE : STATEMENT_SCAN_KEYS;
    return scan->reverse ? STATEMENT_SCAN_REVERSE : STATEMENT_SCAN;
}

/* One row more than a page holds tells whether there is more. */
static enum err put_page(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct kv_scan *scan = ((struct scan_operation *)o)->scan;
    struct postgres_params p = range_params(u, &scan->range, o->now_ms);
    uint64_t rows = scan->limit_left < scan->page_items_max ? scan->limit_left : scan->page_items_max;
    postgres_put_int8(&p, (int64_t)rows + 1);
    if (!scan->keys_only)
        postgres_put_int8(&p, LIMIT_PAGE_BYTES);
    return postgres_put(u, statement_of(scan), &p);
}

static struct kv_item item_of(const PGresult *r, int row, bool keys_only)
{
    struct slice key = postgres_bytes(r, row, 0);
    return keys_only ? (struct kv_item){.key = key, .expires_ms = KV_NEVER} : postgres_row_item(r, row, 1, key);
}

static enum err take_page(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct scan_operation *s = (struct scan_operation *)o;
    int rows = PQntuples(r);
    (void)index;
    s->more = rows && postgres_int8(r, 0, PQnfields(r) - 1) > rows; /* its bytes cut the page */
    for (int row = 0; row < rows; row++) {
        struct kv_item item = item_of(r, row, s->scan->keys_only);
        enum err e;
        enum kv_scan_state state = kv_scan_add(s->scan, &item, &e);
        if (e || state != KV_SCAN_MORE) {
            s->more = state == KV_SCAN_FLUSH_FIRST;
            return e;
        }
    }
    return OK;
}

/* --- sending ----------------------------------------------------------------------------------------------------------------- */

static void finish_scan(struct scan_operation *s, enum err e)
{
    struct call *call = s->operation.call;
    call->on_resume = call->on_cancel = NULL;
    kv_scan_fini(s->scan);
    s->operation.answer = NULL;
    if (e && call->diag.err != e)
        diag_set(&call->diag, e, "%s", err_row(e)->text);
    call_end(call, e);
}

static void cancelled(struct call *call)
{
    finish_scan(call->driver, postgres_gone(call));
}

static void resumed(struct call *call)
{
    struct scan_operation *s = call->driver;
    call->on_resume = call->on_cancel = NULL;
    postgres_submit(&s->operation);
}

static void send_page(struct postgres_operation *o)
{
    struct scan_operation *s = (struct scan_operation *)o;
    struct call *call = o->call;
    enum err e = o->outcome;
    enum call_flow flow = CALL_GO;
    if (!e)
        flow = kv_scan_flush(s->scan, s->more, &e);
    if (!e && atomic_load_explicit(&call->cancelled, memory_order_relaxed))
        e = postgres_gone(call);
    if (e || !s->more) {
        finish_scan(s, e);
    } else if (flow == CALL_HOLD) {
        call->on_resume = resumed;
        call->on_cancel = cancelled;
    } else {
        postgres_submit(o);
    }
}

static void begin_scan(struct backend *backend, struct call *call)
{
    struct scan_operation *s = postgres_operation_new(backend, call, sizeof *s, CLASS_HEAVY);
    if (!s)
        return;
    enum err e = kv_scan_begin(call, &s->scan);
    if (e) {
        postgres_finish(&s->operation, e);
        return;
    }
    s->operation.put = put_page;
    s->operation.take = take_page;
    s->operation.answer = send_page;
    postgres_submit(&s->operation);
}

static void scan(struct backend *backend, struct call *call, const struct keyvalue_scan_request *request)
{
    (void)request;
    begin_scan(backend, call);
}

static void scan_keys(struct backend *backend, struct call *call, const struct keyvalue_scan_keys_request *request)
{
    (void)request;
    begin_scan(backend, call);
}

/* --- count ------------------------------------------------------------------------------------------------------------------- */

struct count_operation {
    struct postgres_operation operation;
    struct kv_range range;
    struct keyvalue_count_response response;
};

static enum err put_count(struct postgres_operation *o, struct postgres_unit *u)
{
    struct postgres_params p = range_params(u, &((struct count_operation *)o)->range, o->now_ms);
    return postgres_put(u, STATEMENT_COUNT, &p);
}

static enum err take_count(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    (void)index;
    ((struct count_operation *)o)->response.count = (uint64_t)postgres_int8(r, 0, 0);
    return OK;
}

static void count(struct backend *backend, struct call *call, const struct keyvalue_count_request *request)
{
    struct count_operation *o = postgres_operation_new(backend, call, sizeof *o, CLASS_HEAVY);
    if (!o)
        return;
    o->operation.response = &o->response;
    o->operation.put = put_count;
    o->operation.take = take_count;
    enum err e = kv_range_make(request->prefix, request->start, request->end, call->arena, &call->diag, &o->range);
    if (e)
        postgres_finish(&o->operation, e);
    else
        postgres_submit(&o->operation);
}

const struct keyvalue_scan_ops postgres_keyvalue_scan = {.scan = scan, .scan_keys = scan_keys, .count = count};

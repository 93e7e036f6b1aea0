/* Scan, ScanKeys, Count.
 *
 *   reader: one page, in a read transaction of its own ──▶ loop: send it ──▶ more? ──▶ reader …
 *                                                              └ CALL_HOLD: wait for on_resume (or on_cancel)
 *
 * Between pages nothing is held: no transaction, no connection, no thread. A page begins behind the last key of the one before, so
 * a key that is there all the time comes exactly once, whatever is written meanwhile. */
#include "drivers/sqlite/store.h"
#include "prism/keyvalue/v1/keyvalue_scan.ops.h"

struct scan_operation {
    struct sqlite_operation operation;
    struct kv_scan *scan;
    bool more; /* the page that has been read is not the last */
};

/* Above every key: longer than any, and of the highest byte. */
static const uint8_t top[LIMIT_KEY_BYTES + 1] = {[0 ... LIMIT_KEY_BYTES] = 0xff};

/* Parameters of the statements over a range. */
static void bind_range(sqlite3_stmt *s, const struct kv_range *range, int64_t now_ms)
{
    sqlite_bind_slice(s, 1, range->start);
    sqlite3_bind_int64(s, 2, now_ms);
    sqlite_bind_slice(s, 3, range->has_end ? range->end : slice_of(top, sizeof top));
}

/* --- a page, on a reader's thread ------------------------------------------------------------------------------------------- */

static enum sqlite_statement statement_of(const struct kv_scan *scan)
{
    if (scan->keys_only)
        return scan->reverse ? STATEMENT_SCAN_KEYS_REVERSE : STATEMENT_SCAN_KEYS;
    return scan->reverse ? STATEMENT_SCAN_REVERSE : STATEMENT_SCAN;
}

/* The row that the statement is at. Borrows from it, but for the version. */
static enum err take_item(const struct sqlite_versions *versions, sqlite3_stmt *s, bool keys_only,
                          uint8_t version[VERSION_BYTES], struct kv_item *ret_item)
{
    *ret_item = (struct kv_item){.key = sqlite_column_slice(s, 0), .expires_ms = KV_NEVER};
    if (keys_only)
        return OK;
    if (!sqlite_version_write(versions, sqlite3_column_int64(s, 1), version))
        return ERR_CORRUPT;
    ret_item->version = slice_of(version, VERSION_BYTES);
    if (sqlite3_column_type(s, 2) != SQLITE_NULL)
        ret_item->expires_ms = sqlite3_column_int64(s, 2);
    ret_item->tags = sqlite_column_slice(s, 3);
    ret_item->value = sqlite_column_slice(s, 4);
    return OK;
}

static enum err fill_page(struct scan_operation *o, sqlite3_stmt *s)
{
    struct sqlite_operation *operation = &o->operation;
    o->more = false;
    for (;;) {
        bool row;
        uint8_t version[VERSION_BYTES];
        struct kv_item item;
        enum err e = sqlite_step(operation->connection, s, &row);
        if (e || !row)
            return e;
        e = take_item(&operation->store->versions, s, o->scan->keys_only, version, &item);
        if (e)
            return e;
        enum kv_scan_state state = kv_scan_add(o->scan, &item, &e);
        if (e || state != KV_SCAN_MORE) {
            o->more = state == KV_SCAN_FLUSH_FIRST;
            return e;
        }
    }
}

static enum err run_page(struct sqlite_operation *operation)
{
    struct scan_operation *o = (struct scan_operation *)operation;
    struct kv_range range = o->scan->range; /* it moves while the page fills */
    sqlite3_stmt *s;
    enum err e = sqlite_prepare(operation->connection, statement_of(o->scan), &s);
    if (e)
        return e;
    bind_range(s, &range, operation->now_ms);
    e = fill_page(o, s);
    sqlite_reset(s);
    return e;
}

/* --- sending, on the loop --------------------------------------------------------------------------------------------------- */

static void finish_scan(struct scan_operation *o, enum err e)
{
    struct call *call = o->operation.call;
    call->on_resume = call->on_cancel = NULL;
    kv_scan_fini(o->scan);
    if (e)
        sqlite_refuse(&o->operation, e);
    else
        call_end(call, OK);
}

static void cancelled(struct call *call)
{
    finish_scan(call->driver, ERR_CANCELLED);
}

static void resumed(struct call *call)
{
    struct scan_operation *o = call->driver;
    call->on_resume = call->on_cancel = NULL;
    sqlite_read(&o->operation);
}

static void hold(struct scan_operation *o)
{
    struct call *call = o->operation.call;
    call->on_resume = resumed;
    call->on_cancel = cancelled;
}

static void send_page(struct sqlite_operation *operation)
{
    struct scan_operation *o = (struct scan_operation *)operation;
    enum err e = operation->outcome ? operation->outcome : sqlite_call_alive(operation->store, operation->call);
    enum call_flow flow = CALL_GO;
    if (!e)
        flow = kv_scan_flush(o->scan, o->more, &e);
    if (!e)
        e = o->more ? sqlite_call_alive(operation->store, operation->call) : OK;
    if (e || !o->more)
        finish_scan(o, e);
    else if (flow == CALL_HOLD)
        hold(o);
    else
        sqlite_read(operation);
}

static void begin_scan(struct backend *backend, struct call *call)
{
    struct scan_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_page);
    if (!o)
        return;
    o->operation.heavy = true;
    enum err e = kv_scan_begin(call, &o->scan);
    if (e) {
        sqlite_reject(&o->operation, e);
        return;
    }
    o->operation.answer = send_page;
    sqlite_read(&o->operation);
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

/* --- count ------------------------------------------------------------------------------------------------------------------ */

struct count_operation {
    struct sqlite_operation operation;
    struct kv_range range;
};

static enum err count_rows(struct sqlite_operation *o, const struct kv_range *range, uint64_t *ret_count)
{
    sqlite3_stmt *s;
    bool row;
    enum err e = sqlite_prepare(o->connection, STATEMENT_COUNT_RANGE, &s);
    if (e)
        return e;
    bind_range(s, range, o->now_ms);
    e = sqlite_step(o->connection, s, &row);
    if (!e)
        *ret_count = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite_reset(s);
    return e;
}

static enum err run_count(struct sqlite_operation *o)
{
    struct keyvalue_count_response *response = arena_new(o->call->arena, struct keyvalue_count_response);
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    return count_rows(o, &((struct count_operation *)o)->range, &response->count);
}

static void count(struct backend *backend, struct call *call, const struct keyvalue_count_request *request)
{
    struct count_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_count);
    if (!o)
        return;
    o->operation.heavy = true;
    enum err e = kv_range_make(request->prefix, request->start, request->end, call->arena, &call->diag, &o->range);
    if (e)
        sqlite_reject(&o->operation, e);
    else
        sqlite_read(&o->operation);
}

const struct keyvalue_scan_ops sqlite_keyvalue_scan = {.scan = scan, .scan_keys = scan_keys, .count = count};

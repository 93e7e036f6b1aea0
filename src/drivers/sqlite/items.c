/* Rows of the table items, and versions. A row whose time has passed is not there for anybody, whether the sweeper has been
 * at it or not; it is counted in keys until then. */
#include "drivers/sqlite/store.h"

/* A damaged row may name an epoch that does not exist. */
bool sqlite_version_write(const struct sqlite_versions *v, int64_t version, uint8_t out[VERSION_BYTES])
{
    if (version < 0 || (uint64_t)version >> VERSION_COUNT_BITS >= v->epoch_count)
        return false;
    uint64_t parts[2] = {v->epochs[version >> VERSION_COUNT_BITS],
                         (uint64_t)version & (((uint64_t)1 << VERSION_COUNT_BITS) - 1)};
    for (int i = 0; i < VERSION_BYTES; i++)
        out[i] = (uint8_t)(parts[i / 8] >> (56 - i % 8 * 8));
    return true;
}

enum err sqlite_version_token(const struct sqlite_versions *v, int64_t version, struct arena *arena,
                              struct slice *ret_token)
{
    uint8_t *token = arena_alloc(arena, VERSION_BYTES);
    if (!token)
        return ERR_NOMEM;
    if (!sqlite_version_write(v, version, token))
        return ERR_CORRUPT;
    *ret_token = slice_of(token, VERSION_BYTES);
    return OK;
}

enum err sqlite_version_next(struct sqlite_versions *v, struct diag *d, int64_t *ret_version)
{
    if ((v->last + 1) >> VERSION_COUNT_BITS != v->last >> VERSION_COUNT_BITS)
        return diag_set(d, ERR_STORE_FULL, "this opening of the database has given out all its versions; restart");
    *ret_version = ++v->last;
    return OK;
}

static int64_t column_expiry(sqlite3_stmt *s, int column)
{
    return sqlite3_column_type(s, column) == SQLITE_NULL ? KV_NEVER : sqlite3_column_int64(s, column);
}

/* The two columns that every look-up of a key begins with. */
static void take_head(sqlite3_stmt *s, bool there, int64_t now_ms, struct sqlite_row *row)
{
    *row = (struct sqlite_row){.expires_ms = KV_NEVER};
    if (!there || column_expiry(s, 1) <= now_ms)
        return;
    row->found = true;
    row->version = sqlite3_column_int64(s, 0);
    row->expires_ms = column_expiry(s, 1);
}

static enum err take_content(sqlite3_stmt *s, struct arena *arena, struct sqlite_row *row)
{
    bool ok = arena_copy(arena, sqlite_column_slice(s, 2), &row->tags) &&
              arena_copy(arena, sqlite_column_slice(s, 3), &row->value);
    return ok ? OK : ERR_NOMEM;
}

enum err sqlite_item_get(struct sqlite_connection *c, struct slice key, int64_t now_ms, struct arena *arena,
                         struct sqlite_row *ret_row)
{
    sqlite3_stmt *s;
    enum err e = sqlite_prepare(c, STATEMENT_ITEM_GET, &s);
    if (e)
        return e;
    bool there;
    struct sqlite_row row = {0};
    sqlite_bind_slice(s, 1, key);
    e = sqlite_step(c, s, &there);
    if (!e) {
        take_head(s, there, now_ms, &row);
        e = row.found ? take_content(s, arena, &row) : OK;
    }
    sqlite_reset(s);
    if (!e)
        *ret_row = row;
    return e;
}

enum err sqlite_item_head(struct sqlite_connection *c, struct slice key, int64_t now_ms, struct sqlite_row *ret_row)
{
    sqlite3_stmt *s;
    enum err e = sqlite_prepare(c, STATEMENT_ITEM_HEAD, &s);
    if (e)
        return e;
    bool there;
    sqlite_bind_slice(s, 1, key);
    e = sqlite_step(c, s, &there);
    if (!e)
        take_head(s, there, now_ms, ret_row);
    sqlite_reset(s);
    return e;
}

enum err sqlite_row_item(const struct sqlite_versions *v, const struct sqlite_row *row, struct slice key,
                         struct arena *arena, struct kv_item *ret_item)
{
    struct kv_item item = {.key = key, .value = row->value, .tags = row->tags, .expires_ms = row->expires_ms};
    enum err e = sqlite_version_token(v, row->version, arena, &item.version);
    if (!e)
        *ret_item = item;
    return e;
}

static void bind_expiry(sqlite3_stmt *s, int parameter, int64_t expires_ms)
{
    if (expires_ms == KV_NEVER)
        sqlite3_bind_null(s, parameter);
    else
        sqlite3_bind_int64(s, parameter, expires_ms);
}

static void expects_expiry(struct sqlite_writer *w, int64_t expires_ms)
{
    if (expires_ms < w->item_expiry_ms)
        w->item_expiry_ms = expires_ms;
}

enum err sqlite_item_put(struct sqlite_store *store, const struct kv_write *write, int64_t version)
{
    struct sqlite_writer *w = &store->writer;
    struct sqlite_connection *c = w->connection;
    sqlite3_stmt *s;
    enum err e = sqlite_prepare(c, STATEMENT_ITEM_PUT, &s);
    if (e)
        return e;
    sqlite_bind_slice(s, 1, write->key);
    sqlite3_bind_int64(s, 2, version);
    bind_expiry(s, 3, write->expires_ms);
    if (write->tags.size)
        sqlite_bind_slice(s, 4, write->tags);
    else
        sqlite3_bind_null(s, 4);
    sqlite_bind_slice(s, 5, write->value);
    sqlite3_set_last_insert_rowid(c->db, 0); /* stays 0 where the row was there */
    e = sqlite_finish(c, s);
    if (e)
        return e;
    w->keys += sqlite3_last_insert_rowid(c->db) != 0;
    expects_expiry(w, write->expires_ms);
    if (write->expires_ms == KV_NEVER)
        atomic_fetch_add_explicit(&w->forever, 1, memory_order_relaxed);
    return OK;
}

/* Runs a statement with key and time bound; *ret_changed: it changed a row, without giving it a new version. */
static enum err change_row(struct sqlite_store *store, sqlite3_stmt *s, struct slice key, int64_t now_ms,
                           bool *ret_changed)
{
    struct sqlite_connection *c = store->writer.connection;
    sqlite_bind_slice(s, 1, key);
    sqlite3_bind_int64(s, 2, now_ms);
    enum err e = sqlite_finish(c, s);
    if (e)
        return e;
    *ret_changed = sqlite3_changes(c->db) > 0;
    if (*ret_changed)
        sqlite_touch(store, key);
    return OK;
}

enum err sqlite_item_delete(struct sqlite_store *store, struct slice key, int64_t now_ms, bool *ret_existed)
{
    struct sqlite_writer *w = &store->writer;
    sqlite3_stmt *s;
    enum err e = sqlite_prepare(w->connection, STATEMENT_ITEM_DELETE, &s);
    if (!e)
        e = change_row(store, s, key, now_ms, ret_existed);
    if (!e)
        w->keys -= *ret_existed;
    return e;
}

enum err sqlite_item_expire(struct sqlite_store *store, struct slice key, int64_t now_ms, int64_t expires_ms,
                            bool *ret_existed)
{
    struct sqlite_writer *w = &store->writer;
    sqlite3_stmt *s;
    enum err e = sqlite_prepare(w->connection, STATEMENT_ITEM_EXPIRE, &s);
    if (e)
        return e;
    bind_expiry(s, 3, expires_ms);
    e = change_row(store, s, key, now_ms, ret_existed);
    if (!e)
        expects_expiry(w, expires_ms);
    return e;
}

enum err sqlite_item_persist(struct sqlite_store *store, struct slice key, int64_t now_ms, bool *ret_removed)
{
    sqlite3_stmt *s;
    enum err e = sqlite_prepare(store->writer.connection, STATEMENT_ITEM_PERSIST, &s);
    return e ? e : change_row(store, s, key, now_ms, ret_removed);
}

enum err sqlite_item_write(struct sqlite_operation *o, const struct kv_write *write, struct slice *ret_version)
{
    struct sqlite_store *store = o->store;
    int64_t version = 0;
    struct slice token = SLICE_EMPTY;
    enum err e = sqlite_version_next(&store->versions, &o->call->diag, &version);
    if (!e)
        e = sqlite_version_token(&store->versions, version, o->call->arena, &token);
    if (!e)
        e = sqlite_item_put(store, write, version);
    if (!e)
        *ret_version = token;
    return e;
}

enum err sqlite_item_check(struct sqlite_operation *o, struct slice key, const struct kv_expected *expected,
                           struct diag *d)
{
    if (expected->what == KV_EXPECT_ANYTHING)
        return OK;
    struct sqlite_row row;
    struct kv_item item = {0};
    enum err e = sqlite_item_head(o->connection, key, o->now_ms, &row);
    if (!e && row.found)
        e = sqlite_row_item(&o->store->versions, &row, key, o->call->arena, &item);
    if (e || kv_expected_holds(expected, row.found ? &item : NULL))
        return e;
    return kv_version_mismatch(expected, item.version, d);
}

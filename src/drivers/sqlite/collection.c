/* The table `collections`, and how operations on them are queued. */
#include "drivers/sqlite/collection.h"

enum err sqlite_collection_find(struct sqlite_connection *c, enum sqlite_model model, struct slice key,
                                struct sqlite_collection *ret_collection)
{
    sqlite3_stmt *s;
    bool row;
    enum err e = sqlite_prepare(c, STATEMENT_COLLECTION_GET, &s);
    if (e)
        return e;
    sqlite3_bind_int(s, 1, model);
    sqlite_bind_slice(s, 2, key);
    e = sqlite_step(c, s, &row);
    if (!e)
        *ret_collection = row ? (struct sqlite_collection){.id = sqlite3_column_int64(s, 0),
                                                           .size = (uint64_t)sqlite3_column_int64(s, 1)}
                              : (struct sqlite_collection){0};
    sqlite_reset(s);
    return e;
}

enum err sqlite_collection_make(struct sqlite_connection *c, enum sqlite_model model, struct slice key,
                                struct sqlite_collection *ret_collection)
{
    sqlite3_stmt *s;
    enum err e = sqlite_collection_find(c, model, key, ret_collection);
    if (e || ret_collection->id)
        return e;
    e = sqlite_prepare(c, STATEMENT_COLLECTION_PUT, &s);
    if (e)
        return e;
    sqlite3_bind_int(s, 1, model);
    sqlite_bind_slice(s, 2, key);
    e = sqlite_finish(c, s);
    if (!e)
        ret_collection->id = sqlite3_last_insert_rowid(c->db);
    return e;
}

enum err sqlite_collection_resize(struct sqlite_connection *c, struct sqlite_collection *collection, uint64_t size)
{
    sqlite3_stmt *s;
    bool drop = size == 0;
    if (!drop && size == collection->size)
        return OK;
    enum err e = sqlite_prepare_for(c, drop ? STATEMENT_COLLECTION_DROP : STATEMENT_COLLECTION_RESIZE, collection, &s);
    if (e)
        return e;
    if (!drop)
        sqlite3_bind_int64(s, 2, (int64_t)size);
    e = sqlite_finish(c, s);
    if (!e)
        *collection = (struct sqlite_collection){.id = drop ? 0 : collection->id, .size = size};
    return e;
}

enum err sqlite_collection_clear(struct sqlite_connection *c, enum sqlite_model model, enum sqlite_statement clear,
                                 struct slice key, uint64_t *ret_removed)
{
    struct sqlite_collection collection;
    sqlite3_stmt *s;
    enum err e = sqlite_collection_find(c, model, key, &collection);
    *ret_removed = e ? 0 : collection.size;
    if (e || !collection.id)
        return e;
    e = sqlite_prepare_for(c, clear, &collection, &s);
    if (!e)
        e = sqlite_finish(c, s);
    return e ? e : sqlite_collection_resize(c, &collection, 0);
}

/* --- statements --------------------------------------------------------------------------------------------------------------- */

enum err sqlite_prepare_for(struct sqlite_connection *c, enum sqlite_statement which,
                            const struct sqlite_collection *collection, sqlite3_stmt **ret_statement)
{
    enum err e = sqlite_prepare(c, which, ret_statement);
    if (!e)
        sqlite3_bind_int64(*ret_statement, 1, collection->id);
    return e;
}

enum err sqlite_change(struct sqlite_connection *c, sqlite3_stmt *s, uint64_t *ret_changed)
{
    enum err e = sqlite_finish(c, s);
    if (!e)
        *ret_changed = (uint64_t)sqlite3_changes64(c->db);
    return e;
}

/* --- operations --------------------------------------------------------------------------------------------------------------- */

void sqlite_write_checked(struct sqlite_operation *o, enum err e)
{
    o->several = true;
    if (e)
        sqlite_reject(o, e);
    else
        sqlite_write(o);
}

void sqlite_read_checked(struct sqlite_operation *o, enum err e)
{
    o->several = true;
    if (e)
        sqlite_reject(o, e);
    else
        sqlite_read(o);
}

void sqlite_write_plain(struct backend *backend, struct call *call, sqlite_run_fn *run, enum err e)
{
    struct sqlite_operation *o = sqlite_operation_new(backend, call, sizeof *o, run);
    if (o)
        sqlite_write_checked(o, e);
}

void sqlite_read_plain(struct backend *backend, struct call *call, sqlite_run_fn *run, enum err e)
{
    struct sqlite_operation *o = sqlite_operation_new(backend, call, sizeof *o, run);
    if (o)
        sqlite_read_checked(o, e);
}

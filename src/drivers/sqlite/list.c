#include "drivers/sqlite/list.h"

enum { LIST_GAP = 1 << 20 };
/* Pushed at one end for ever, a list reaches this after 4e12 values. */
#define POSITION_MAX (INT64_MAX / 2)

enum err sqlite_list_find(struct sqlite_connection *c, struct slice key, struct sqlite_collection *ret_list)
{
    return sqlite_collection_find(c, SQLITE_LIST, key, ret_list);
}

/* --- positions ---------------------------------------------------------------------------------------------------------------- */

/* The one integer that a statement about the list answers. */
static enum err integer_of(struct sqlite_connection *c, enum sqlite_statement which,
                           const struct sqlite_collection *list, int64_t parameter, int64_t *ret_value)
{
    sqlite3_stmt *s;
    bool row;
    enum err e = sqlite_prepare_for(c, which, list, &s);
    if (e)
        return e;
    if (sqlite3_bind_parameter_count(s) > 1)
        sqlite3_bind_int64(s, 2, parameter);
    e = sqlite_step(c, s, &row);
    if (!e && !row)
        e = ERR_CORRUPT;
    if (!e)
        *ret_value = sqlite3_column_int64(s, 0);
    sqlite_reset(s);
    return e;
}

enum err sqlite_list_position(struct sqlite_connection *c, const struct sqlite_collection *list, uint64_t index,
                              int64_t *ret_position)
{
    if (index < list->size / 2)
        return integer_of(c, STATEMENT_LIST_AT, list, (int64_t)index, ret_position);
    return integer_of(c, STATEMENT_LIST_AT_FROM_END, list, (int64_t)(list->size - 1 - index), ret_position);
}

static enum err edge(struct sqlite_connection *c, const struct sqlite_collection *list, enum list_end end,
                     int64_t *ret_position)
{
    return integer_of(c, end == LIST_LEFT ? STATEMENT_LIST_FIRST : STATEMENT_LIST_LAST, list, 0, ret_position);
}

enum err sqlite_list_change(struct sqlite_connection *c, enum sqlite_statement which,
                            const struct sqlite_collection *list, int64_t position, uint64_t *ret_changed)
{
    sqlite3_stmt *s;
    enum err e = sqlite_prepare_for(c, which, list, &s);
    if (e)
        return e;
    sqlite3_bind_int64(s, 2, position);
    return sqlite_change(c, s, ret_changed);
}

static enum err put(struct sqlite_connection *c, const struct sqlite_collection *list, int64_t position,
                    struct slice value)
{
    sqlite3_stmt *s;
    enum err e = sqlite_prepare_for(c, STATEMENT_LIST_PUT, list, &s);
    if (e)
        return e;
    sqlite3_bind_int64(s, 2, position);
    sqlite_bind_slice(s, 3, value);
    return sqlite_finish(c, s);
}

/* --- reading ------------------------------------------------------------------------------------------------------------------- */

/* The value that the statement is at, where the page has room for it. */
static enum err take(sqlite3_stmt *s, struct arena *arena, struct page *page, struct pb_array *values, bool *ret_full)
{
    struct slice value = sqlite_column_slice(s, 1), copy;
    *ret_full = !page_take(page, value.size);
    if (*ret_full)
        return OK;
    struct slice *slot = arena_copy(arena, value, &copy) ? pb_array_add(values, sizeof *slot, arena) : NULL;
    if (!slot)
        return ERR_NOMEM;
    *slot = copy;
    return OK;
}

/* Values from a position on, upwards or downwards, at most so many; *ret_last: position of the last one taken. */
static enum err walk(struct sqlite_connection *c, sqlite3_stmt *s, uint64_t count, struct arena *arena,
                     struct page *page, struct pb_array *values, int64_t *ret_last)
{
    enum err e = OK;
    bool row = true, full = false;
    for (uint64_t i = 0; i < count && !e; i++) {
        e = sqlite_step(c, s, &row);
        if (e || !row)
            break;
        e = take(s, arena, page, values, &full);
        if (e || full)
            break;
        *ret_last = sqlite3_column_int64(s, 0);
    }
    sqlite_reset(s);
    return !e && !row ? ERR_CORRUPT : e;
}

static enum err walk_from(struct sqlite_connection *c, enum sqlite_statement which,
                          const struct sqlite_collection *list, int64_t position, sqlite3_stmt **ret_statement)
{
    enum err e = sqlite_prepare_for(c, which, list, ret_statement);
    if (!e)
        sqlite3_bind_int64(*ret_statement, 2, position);
    return e;
}

enum err sqlite_list_read(struct sqlite_connection *c, const struct sqlite_collection *list, struct span span,
                          struct arena *arena, struct page *page, struct pb_array *ret_values)
{
    sqlite3_stmt *s;
    int64_t position, last;
    if (!span.count)
        return OK;
    enum err e = sqlite_list_position(c, list, span.first, &position);
    if (!e)
        e = walk_from(c, STATEMENT_LIST_WALK, list, position, &s);
    return e ? e : walk(c, s, span.count, arena, page, ret_values, &last);
}

/* --- pushing and popping --------------------------------------------------------------------------------------------------------- */

static enum err push_all(struct sqlite_operation *o, const struct sqlite_collection *list, const struct list_push *push)
{
    int64_t step = push->end == LIST_LEFT ? -LIST_GAP : LIST_GAP, position = -step;
    enum err e = list->size ? edge(o->connection, list, push->end, &position) : OK;
    if (!e && (position > POSITION_MAX || position < -POSITION_MAX))
        e = diag_set(&o->call->diag, ERR_STORE_FULL,
                     "the list has been pushed to more often than its positions allow; "
                     "copy it to another key");
    for (uint32_t i = 0; i < push->values->count && !e; i++)
        e = put(o->connection, list, position += step, PB_AT(*push->values, struct slice, i));
    return e;
}

enum err sqlite_list_push(struct sqlite_operation *o, const struct list_push *push, uint64_t *ret_length)
{
    struct sqlite_connection *c = o->connection;
    struct sqlite_collection list;
    enum err e = sqlite_collection_make(c, SQLITE_LIST, push->key, &list);
    if (!e)
        e = list_check_room(list.size, push->values->count, &o->call->diag);
    if (!e)
        e = push_all(o, &list, push);
    if (!e)
        e = sqlite_collection_resize(c, &list, list.size + push->values->count);
    *ret_length = list.size;
    return e;
}

/* Takes the values first: a table is not changed while it is walked. */
static enum err pop_all(struct sqlite_operation *o, const struct sqlite_collection *list, const struct list_pop *pop,
                        struct pb_array *values)
{
    struct sqlite_connection *c = o->connection;
    struct page page = {.items_max = pop->count};
    bool left = pop->end == LIST_LEFT;
    uint64_t count = pop->count < list->size ? pop->count : list->size, removed;
    int64_t position, last = 0;
    sqlite3_stmt *s;
    enum err e = edge(c, list, pop->end, &position);
    if (!e)
        e = walk_from(c, left ? STATEMENT_LIST_WALK : STATEMENT_LIST_WALK_BACK, list, position, &s);
    if (!e)
        e = walk(c, s, count, o->call->arena, &page, values, &last);
    if (e)
        return e;
    return left ? sqlite_list_change(c, STATEMENT_LIST_REMOVE_BELOW, list, last + 1, &removed)
                : sqlite_list_change(c, STATEMENT_LIST_REMOVE_ABOVE, list, last - 1, &removed);
}

enum err sqlite_list_pop(struct sqlite_operation *o, const struct list_pop *pop, struct pb_array *values,
                         uint64_t *ret_length)
{
    struct sqlite_collection list;
    enum err e = sqlite_list_find(o->connection, pop->key, &list);
    if (!e && list.id)
        e = pop_all(o, &list, pop, values);
    if (!e && list.id)
        e = sqlite_collection_resize(o->connection, &list, list.size - values->count);
    *ret_length = e ? 0 : list.size;
    return e;
}

/* --- inserting ------------------------------------------------------------------------------------------------------------------- */

/* Gives all values new positions with room between them. They lie behind the old ones, or before where that would be too far. */
static enum err spread(struct sqlite_connection *c, const struct sqlite_collection *list)
{
    sqlite3_stmt *s;
    int64_t first = 0, last = 0, length = (int64_t)list->size * LIST_GAP;
    enum err e = edge(c, list, LIST_LEFT, &first);
    if (!e)
        e = edge(c, list, LIST_RIGHT, &last);
    if (!e)
        e = sqlite_prepare_for(c, STATEMENT_LIST_SPREAD, list, &s);
    if (e)
        return e;
    sqlite3_bind_int64(s, 2, last < POSITION_MAX - length ? last + LIST_GAP : first - length - LIST_GAP);
    sqlite3_bind_int64(s, 3, LIST_GAP);
    return sqlite_finish(c, s);
}

/* Between the values at index - 1 and index; before the first and behind the last as a push does. */
static enum err find_room(struct sqlite_connection *c, const struct sqlite_collection *list, uint64_t index,
                          int64_t *ret_position)
{
    int64_t before = 0, behind = 0;
    enum err e = index ? sqlite_list_position(c, list, index - 1, &before) : OK;
    if (!e && index < list->size)
        e = sqlite_list_position(c, list, index, &behind);
    if (!index)
        before = behind - 2 * LIST_GAP;
    else if (index == list->size)
        behind = before + 2 * LIST_GAP;
    if (!e)
        *ret_position = before + (behind - before) / 2;
    return e || behind - before > 1 ? e : ERR_STORE_FULL;
}

enum err sqlite_list_insert(struct sqlite_operation *o, struct sqlite_collection *list, uint64_t index,
                            struct slice value)
{
    struct sqlite_connection *c = o->connection;
    int64_t position = 0;
    enum err e = list_check_room(list->size, 1, &o->call->diag);
    if (e)
        return e;
    if (list->size && (e = find_room(c, list, index, &position)) == ERR_STORE_FULL) {
        e = spread(c, list);
        if (!e)
            e = find_room(c, list, index, &position);
    }
    if (!e)
        e = put(c, list, position, value);
    return e ? e : sqlite_collection_resize(c, list, list->size + 1);
}

void sqlite_list_grew(struct sqlite_operation *o)
{
    const struct list_push_left_request *request = o->call->request;
    waiting_notify(&o->store->pops, request->key);
}

/* The pool: files enter by copy, get decoded, and their names and tables are kept until the pool goes. */
#include "pb/pool.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"

enum { SYMBOLS_MIN = 64 };

enum err pb_pool_new(const struct pb_pool_options *options, struct pb_pool **ret_pool)
{
    struct pb_pool *pool = mem_zalloc(sizeof *pool);
    if (!pool)
        return ERR_NOMEM;
    arena_init(&pool->arena, LIMIT_PB_POOL_BYTES);
    if (options)
        pool->options = *options;
    *ret_pool = pool;
    return OK;
}

void pb_pool_free(struct pb_pool *pool)
{
    if (!pool)
        return;
    arena_fini(&pool->arena);
    mem_free(pool);
}

/* --- names ------------------------------------------------------------------------------------------------------------------ */

/* FNV-1a. */
static uint32_t hash(enum symbol_kind kind, struct slice name)
{
    uint32_t h = 2166136261u ^ (uint32_t)kind;
    for (size_t i = 0; i < name.size; i++)
        h = (h ^ name.data[i]) * 16777619u;
    return h;
}

/* Files have names of their own; all types share one space. */
static bool same_space(enum symbol_kind a, enum symbol_kind b)
{
    return (a == SYMBOL_FILE) == (b == SYMBOL_FILE);
}

static struct symbol *slot_of(struct symbol *symbols, uint32_t capacity, enum symbol_kind kind, struct slice name)
{
    uint32_t i = hash(kind == SYMBOL_FILE, name);
    for (;; i++) {
        struct symbol *s = &symbols[i & (capacity - 1)];
        if (!s->name.data || (same_space(s->kind, kind) && slice_eq(s->name, name)))
            return s;
    }
}

static enum err grow_symbols(struct pb_pool *pool)
{
    uint32_t capacity = pool->symbol_capacity ? pool->symbol_capacity * 2 : SYMBOLS_MIN;
    struct symbol *symbols = arena_array(&pool->arena, struct symbol, capacity);
    if (!symbols)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < pool->symbol_capacity; i++) {
        struct symbol *old = &pool->symbols[i];
        if (old->name.data)
            *slot_of(symbols, capacity, old->kind, old->name) = *old;
    }
    pool->symbols = symbols;
    pool->symbol_capacity = capacity;
    return OK;
}

enum err pb_pool_enter(struct draft *d, enum symbol_kind kind, struct slice name, void *table)
{
    struct pb_pool *pool = d->pool;
    if (pool->symbol_count >= LIMIT_PB_SYMBOLS)
        return pb_draft_invalid(d, "more than %d types", LIMIT_PB_SYMBOLS);
    if (pool->symbol_count * 2 >= pool->symbol_capacity) {
        enum err err = grow_symbols(pool);
        if (err)
            return err;
    }
    struct symbol *s = slot_of(pool->symbols, pool->symbol_capacity, kind, name);
    if (s->name.data)
        return pb_draft_invalid(d, "%.*s is defined twice", SLICE_ARG(name));
    *s = (struct symbol){.kind = kind, .name = name, .table = table};
    pool->symbol_count++;
    return OK;
}

struct symbol *pb_pool_find(const struct pb_pool *pool, enum symbol_kind kind, struct slice name)
{
    if (!pool->symbol_capacity || !name.data)
        return NULL;
    struct symbol *s = slot_of(pool->symbols, pool->symbol_capacity, kind, name);
    return s->name.data && s->kind == kind ? s : NULL;
}

void *pb_pool_resolve(const struct pb_pool *pool, enum symbol_kind kind, struct slice reference)
{
    if (reference.size == 0 || reference.data[0] != '.')
        return NULL;
    struct symbol *s = pb_pool_find(pool, kind, slice_skip(reference, 1));
    return s ? s->table : NULL;
}

static void *table_of(const struct pb_pool *pool, enum symbol_kind kind, struct slice name)
{
    struct symbol *s = pb_pool_find(pool, kind, name);
    return s ? s->table : NULL;
}

const struct pb_message *pb_pool_message(const struct pb_pool *pool, struct slice name)
{
    return table_of(pool, SYMBOL_MESSAGE, name);
}

const struct pb_enum *pb_pool_enum(const struct pb_pool *pool, struct slice name)
{
    return table_of(pool, SYMBOL_ENUM, name);
}

const struct pb_service *pb_pool_service(const struct pb_pool *pool, struct slice name)
{
    return table_of(pool, SYMBOL_SERVICE, name);
}

const struct pb_file *pb_pool_file(const struct pb_pool *pool, struct slice name)
{
    return table_of(pool, SYMBOL_FILE, name);
}

const struct pb_method *pb_pool_method(const struct pb_pool *pool, struct slice path)
{
    if (path.size && path.data[0] == '/')
        path = slice_skip(path, 1);
    const uint8_t *slash = path.size ? memchr(path.data, '/', path.size) : NULL;
    if (!slash)
        return NULL;
    size_t split = (size_t)(slash - path.data);
    const struct pb_service *service = pb_pool_service(pool, slice_take(path, split));
    struct slice name = slice_skip(path, split + 1);
    for (uint32_t i = 0; service && i < service->method_count; i++)
        if (slice_eq(slice_str(service->methods[i].name), name))
            return &service->methods[i];
    return NULL;
}

const struct pb_file *const *pb_pool_files(const struct pb_pool *pool, uint32_t *ret_count)
{
    *ret_count = pool->files.count;
    return pool->files.items;
}

/* --- what drafts need --------------------------------------------------------------------------------------------------------- */

enum err pb_draft_invalid(struct draft *d, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return diag_set(d->diag, ERR_DESCRIPTOR_INVALID, "%.*s: %s", SLICE_ARG(d->proto->name), text);
}

enum err pb_draft_text(struct draft *d, struct slice s, const char **ret_text)
{
    struct slice copy;
    if (s.size && memchr(s.data, 0, s.size))
        return pb_draft_invalid(d, "a NUL in a text");
    if (!arena_copy(&d->pool->arena, s, &copy))
        return ERR_NOMEM;
    *ret_text = (const char *)copy.data;
    return OK;
}

/* As protoc has it: letters, digits, underscores, no digit first. Code is made of names. */
static bool is_name(struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return s.size > 0;
}

enum err pb_draft_name(struct draft *d, const char *scope, struct slice name, const char **ret_name)
{
    if (!is_name(name))
        return pb_draft_invalid(d, "\"%.*s\" is not a name", SLICE_ARG(slice_take(name, 80)));
    *ret_name = arena_printf(&d->pool->arena, "%s%s%.*s", scope, *scope ? "." : "", SLICE_ARG(name));
    return *ret_name ? OK : ERR_NOMEM;
}

enum err pb_draft_options(struct draft *d, const struct pb_message *table, const void *options, void *ret_options)
{
    const struct pb_unknown *unknown = options;
    struct slice bytes = unknown ? slice_of(unknown->data, unknown->size) : SLICE_EMPTY;
    enum err err = pb_decode(table, bytes, &d->pool->arena, NULL, ret_options);
    return err && err != ERR_NOMEM ? pb_draft_invalid(d, "its options: %s", err_row(err)->text) : err;
}

/* --- files ------------------------------------------------------------------------------------------------------------------ */

/* A NULL-terminated list of the pointers in an array. */
static const void *list_of(struct draft *d, const struct pb_array *array)
{
    const void **list = arena_array(&d->pool->arena, const void *, array->count + (size_t)1);
    if (list && array->count)
        memcpy(list, array->items, array->count * sizeof *list);
    return list;
}

static enum err link_dependencies(struct draft *d)
{
    const struct pb_array names = d->proto->dependency;
    const struct pb_file **list = arena_array(&d->pool->arena, const struct pb_file *, names.count + (size_t)1);
    if (!list)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < names.count; i++) {
        struct slice name = PB_AT(names, struct slice, i);
        list[i] = pb_pool_file(d->pool, name);
        if (!list[i])
            return pb_draft_invalid(d, "its dependency %.*s is missing", SLICE_ARG(name));
    }
    d->file->dependencies = list;
    return OK;
}

static enum err name_file(struct draft *d, struct slice descriptor)
{
    struct slice syntax = d->proto->syntax;
    d->proto3 = slice_eq(syntax, SLICE("proto3"));
    if (d->proto->name.size == 0 || (syntax.size && !d->proto3 && !slice_eq(syntax, SLICE("proto2"))))
        return pb_draft_invalid(d, "it has no name, or a syntax that is neither proto2 nor proto3");
    d->file = arena_new(&d->pool->arena, struct pb_file);
    if (!d->file)
        return ERR_NOMEM;
    d->file->descriptor = descriptor;
    enum err err = pb_draft_text(d, d->proto->name, &d->file->name);
    return err ? err : pb_draft_text(d, d->proto->package, &d->file->package);
}

static enum err finish_file(struct draft *d)
{
    struct pb_file *file = d->file;
    file->messages = list_of(d, &d->messages);
    file->enums = list_of(d, &d->enums);
    file->services = list_of(d, &d->services);
    const struct pb_file **entry = pb_array_add(&d->pool->files, sizeof *entry, &d->pool->arena);
    if (!file->messages || !file->enums || !file->services || !entry)
        return ERR_NOMEM;
    *entry = file;
    return pb_pool_enter(d, SYMBOL_FILE, slice_str(file->name), file);
}

static enum err make_file(struct draft *d, struct slice descriptor)
{
    static enum err (*const steps[])(struct draft *) = {link_dependencies,  pb_draft_index_comments, pb_declare_types,
                                                        pb_define_messages, pb_define_services,      finish_file};
    enum err err = name_file(d, descriptor);
    for (size_t i = 0; i < sizeof steps / sizeof *steps && !err; i++)
        err = steps[i](d);
    return err;
}

enum err pb_pool_add(struct pb_pool *pool, struct slice bytes, struct diag *diag)
{
    struct slice copy;
    void *proto;
    if (!arena_copy(&pool->arena, bytes, &copy))
        return ERR_NOMEM;
    enum err err = pb_decode(&google_protobuf_file_descriptor_proto_pb, copy, &pool->arena, NULL, &proto);
    if (err)
        return diag_set(diag, err, "a file descriptor: %s", err_row(err)->text);
    struct draft d = {.pool = pool, .proto = proto, .diag = diag};
    if (pb_pool_file(pool, d.proto->name))
        return OK;
    if (pool->files.count >= LIMIT_PB_FILES)
        return pb_draft_invalid(&d, "more than %d files", LIMIT_PB_FILES);
    return make_file(&d, copy);
}

/* Adds those files whose dependencies are there. */
static enum err add_ready(struct pb_pool *pool, const struct pb_array *files, struct diag *diag, bool *ret_added)
{
    for (uint32_t i = 0; i < files->count; i++) {
        const struct google_protobuf_file_descriptor_proto *f = PB_AT(*files, void *, i);
        bool ready = !pb_pool_file(pool, f->name);
        for (uint32_t k = 0; ready && k < f->dependency.count; k++)
            ready = pb_pool_file(pool, PB_AT(f->dependency, struct slice, k)) != NULL;
        if (!ready)
            continue;
        struct buf b;
        buf_init(&b, LIMIT_PB_POOL_BYTES);
        enum err err = pb_encode_buf(&google_protobuf_file_descriptor_proto_pb, f, &b);
        if (!err)
            err = pb_pool_add(pool, buf_slice(&b), diag);
        buf_fini(&b);
        if (err)
            return err;
        *ret_added = true;
    }
    return OK;
}

static enum err refuse_missing(struct pb_pool *pool, const struct pb_array *files, struct diag *diag)
{
    for (uint32_t i = 0; i < files->count; i++) {
        const struct google_protobuf_file_descriptor_proto *f = PB_AT(*files, void *, i);
        if (!pb_pool_file(pool, f->name))
            return diag_set(diag, ERR_DESCRIPTOR_INVALID, "%.*s: a dependency is missing or circular",
                            SLICE_ARG(f->name));
    }
    return OK;
}

enum err pb_pool_add_set(struct pb_pool *pool, struct slice bytes, struct diag *diag)
{
    struct arena scratch;
    void *set;
    arena_init(&scratch, LIMIT_PB_POOL_BYTES);
    enum err err = pb_decode(&google_protobuf_file_descriptor_set_pb, bytes, &scratch, NULL, &set);
    if (!err) {
        const struct pb_array *files = &((const struct google_protobuf_file_descriptor_set *)set)->file;
        bool added = true;
        while (added && !err) {
            added = false;
            err = add_ready(pool, files, diag, &added);
        }
        if (!err)
            err = refuse_missing(pool, files, diag);
    }
    arena_fini(&scratch);
    return err;
}

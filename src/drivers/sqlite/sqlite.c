/* The driver's table, and a store from open to close.
 *
 *   open:  settings ─▶ folder, lock, file ─▶ schema, migrations, epoch ─▶ transactions ─▶ readers ─▶ writer
 *   close: writer (does what is queued) ─▶ readers ─▶ transactions (rolled back) ─▶ writer's connection (empties the WAL) ─▶ lock
 *
 * Closing takes a store that was opened half way. */
#include "drivers/sqlite/sqlite.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "base/mem.h"
#include "drivers/sqlite/store.h"

enum { READERS_DEFAULT = 4, CACHE_BYTES_DEFAULT = 8 << 20 };

/* --- settings --------------------------------------------------------------------------------------------------------------- */

struct settings {
    int32_t synchronous;
    struct slice directory;
    uint32_t readers;
    uint64_t cache_bytes;
};

/* What options say takes the place of what was there. */
static void apply(struct settings *s, const struct config_sqlite_options *options)
{
    if (!options)
        return;
    if (options->synchronous)
        s->synchronous = options->synchronous;
    if (options->directory.size)
        s->directory = options->directory;
    if (options->readers)
        s->readers = options->readers;
    if (options->cache_bytes)
        s->cache_bytes = options->cache_bytes;
}

static struct settings settle(const struct backend_open *open)
{
    struct settings s = {.synchronous = CONFIG_SQLITE_OPTIONS_SYNCHRONOUS_FULL,
                         .readers = READERS_DEFAULT,
                         .cache_bytes = CACHE_BYTES_DEFAULT};
    apply(&s, open->backend ? open->backend->sqlite : NULL);
    apply(&s, open->ns ? open->ns->sqlite : NULL);
    if (s.readers > LIMIT_READERS)
        s.readers = LIMIT_READERS;
    return s;
}

static char *join(struct slice folder, const char *name, const char *suffix)
{
    size_t size = folder.size + strlen(name) + strlen(suffix) + 2;
    char *text = mem_alloc(size);
    if (text)
        snprintf(text, size, "%.*s/%s%s", SLICE_ARG(folder), name, suffix);
    return text;
}

static enum err set_paths(struct sqlite_store *store, const struct backend_open *open, struct slice directory)
{
    const char *name = open->namespace_name;
    store->namespace_name = mem_strdup(name);
    store->folder = directory.size ? join(directory, "", "") : join(slice_str(open->data_dir), "sqlite", "");
    if (!store->namespace_name || !store->folder)
        return ERR_NOMEM;
    struct slice folder = slice_str(store->folder);
    store->path = join(folder, name, ".db");
    store->wal_path = join(folder, name, ".db-wal");
    store->lock_path = join(folder, name, ".db-lock");
    return store->path && store->wal_path && store->lock_path ? OK : ERR_NOMEM;
}

/* The name becomes a file's: configuration has checked it, this does not depend on it. */
static bool is_file_name(const char *name)
{
    size_t size = strlen(name);
    return size >= 1 && size <= LIMIT_NAMESPACE_NAME_BYTES && name[0] != '.' && !strchr(name, '/');
}

/* --- open and close --------------------------------------------------------------------------------------------------------- */

static void drain(struct backend *backend)
{
    waiting_drain(&sqlite_store(backend)->pops);
}

static void close_store(struct backend *backend)
{
    struct sqlite_store *store = sqlite_store(backend);
    sqlite_writer_stop(store);
    sqlite_readers_stop(store);
    sqlite_transactions_fini(store);
    waiting_fini(&store->pops);
    sqlite_connection_close(store->writer.connection);
    sqlite_files_close(store);
    mem_free(store->versions.epochs);
    mem_free(store->folder);
    mem_free(store->path);
    mem_free(store->wal_path);
    mem_free(store->lock_path);
    mem_free((char *)(uintptr_t)store->namespace_name);
    mem_free(store);
}

static enum err start(struct sqlite_store *store, unsigned readers, struct diag *d)
{
    enum err e = sqlite_files_open(store, d);
    if (!e)
        e = sqlite_schema_open(store, d);
    if (!e)
        e = sqlite_transactions_init(store);
    if (!e)
        e = sqlite_readers_start(store, readers, d);
    return e ? e : sqlite_writer_start(store);
}

static enum err open_store(const struct backend_open *open, struct backend **ret_backend)
{
    struct diag *d = open->diag;
    if (!is_file_name(open->namespace_name))
        return diag_set(d, ERR_FIELD_INVALID, "namespace %s cannot name a file", open->namespace_name);
    struct settings s = settle(open);
    struct sqlite_store *store = mem_zalloc(sizeof *store);
    if (!store)
        return diag_set(d, ERR_NOMEM, "%s", err_row(ERR_NOMEM)->text);
    store->backend.driver = &driver_sqlite;
    store->env = open->env;
    store->log = open->log;
    store->lock_fd = -1;
    store->synchronous = s.synchronous;
    store->cache_bytes = s.cache_bytes;
    waiting_init(&store->pops, store->env, LIMIT_WAITING_POPS);
    enum err e = set_paths(store, open, s.directory);
    if (!e)
        e = start(store, s.readers, d);
    if (e) {
        close_store(&store->backend);
        return e;
    }
    *ret_backend = &store->backend;
    return OK;
}

/* --- health and figures ----------------------------------------------------------------------------------------------------- */

static uint64_t free_bytes(const struct sqlite_store *store)
{
    struct statvfs fs;
    return statvfs(store->folder, &fs) ? UINT64_MAX : (uint64_t)fs.f_bavail * fs.f_frsize;
}

/* After a failure the writer is asked to try again, so that health comes back without traffic. */
static enum err probe(struct backend *backend, struct diag *d)
{
    struct sqlite_store *store = sqlite_store(backend);
    uint64_t left = free_bytes(store);
    enum err e = (enum err)atomic_load_explicit(&store->writer.last_error, memory_order_relaxed);
    if (e)
        sqlite_writer_verify(store);
    if (left < LIMIT_DISK_FREE_BYTES)
        return sqlite_at(d,
                         diag_set(d, ERR_DISK_FULL, "%s has %llu bytes left", store->folder, (unsigned long long)left),
                         store->folder);
    return e ? sqlite_at(d, diag_set(d, e, "the last write failed: %s", err_row(e)->text), store->path) : OK;
}

static uint64_t file_bytes(const char *path)
{
    struct stat st;
    return stat(path, &st) ? 0 : (uint64_t)st.st_size;
}

static void queue_depths(struct sqlite_store *store, uint64_t *ret_writes, uint64_t *ret_reads)
{
    struct sqlite_readers *r = &store->readers;
    pthread_mutex_lock(&store->writer.lock);
    *ret_writes = store->writer.queue.count;
    pthread_mutex_unlock(&store->writer.lock);
    pthread_mutex_lock(&r->lock);
    *ret_reads = r->light.count + r->heavy.count;
    pthread_mutex_unlock(&r->lock);
}

/* Keys include those that have expired and were not swept yet. */
static void stats(struct backend *backend, backend_stat_fn *tell, void *context)
{
    struct sqlite_store *store = sqlite_store(backend);
    struct sqlite_writer *w = &store->writer;
    struct sqlite_readers *r = &store->readers;
    uint64_t writes, reads;
    queue_depths(store, &writes, &reads);
    tell(context, "keys", (uint64_t)atomic_load_explicit(&w->keys_shown, memory_order_relaxed));
    tell(context, "file_bytes", file_bytes(store->path));
    tell(context, "wal_bytes", file_bytes(store->wal_path));
    tell(context, "disk_free_bytes", free_bytes(store));
    tell(context, "commits", atomic_load_explicit(&w->groups, memory_order_relaxed));
    tell(context, "committed_operations", atomic_load_explicit(&w->group_operations, memory_order_relaxed));
    tell(context, "checkpoints", atomic_load_explicit(&w->checkpoints, memory_order_relaxed));
    tell(context, "expired_rows_swept", atomic_load_explicit(&w->swept, memory_order_relaxed));
    tell(context, "writes_without_ttl", atomic_load_explicit(&w->forever, memory_order_relaxed));
    tell(context, "read_batches", atomic_load_explicit(&r->batches, memory_order_relaxed));
    tell(context, "read_operations", atomic_load_explicit(&r->operations, memory_order_relaxed));
    tell(context, "writes_queued", writes);
    tell(context, "reads_queued", reads);
    tell(context, "transactions_open", sqlite_transactions_open(store));
    tell(context, "pops_waiting", waiting_count(&store->pops));
}

const struct driver driver_sqlite = {
    .name = "sqlite",
    .summary = "In a file of its own: on the disk before it is answered, ordered, survives crashes",
    .durable = true,
    .ordered_scan = true,
    .expires = true,
    .implements =
        {
            [INTERFACE_COUNTER_BASIC] = &sqlite_counter_basic,
            [INTERFACE_KEYVALUE_BASIC] = &sqlite_keyvalue_basic,
            [INTERFACE_KEYVALUE_BATCH] = &sqlite_keyvalue_batch,
            [INTERFACE_KEYVALUE_CAS] = &sqlite_keyvalue_cas,
            [INTERFACE_KEYVALUE_SCAN] = &sqlite_keyvalue_scan,
            [INTERFACE_KEYVALUE_TRANSACTIONAL] = &sqlite_keyvalue_transactional,
            [INTERFACE_KEYVALUE_TTL] = &sqlite_keyvalue_ttl,
            [INTERFACE_LIST_BASIC] = &sqlite_list_basic,
            [INTERFACE_LIST_BLOCKING] = &sqlite_list_blocking,
            [INTERFACE_LIST_INDEXING] = &sqlite_list_indexing,
            [INTERFACE_LIST_RANGE] = &sqlite_list_range,
            [INTERFACE_SET_BASIC] = &sqlite_set_basic,
            [INTERFACE_SET_CARDINALITY] = &sqlite_set_cardinality,
            [INTERFACE_SET_OPERATIONS] = &sqlite_set_operations,
            [INTERFACE_SET_RANDOM] = &sqlite_set_random,
            [INTERFACE_SORTEDSET_BASIC] = &sqlite_sortedset_basic,
            [INTERFACE_SORTEDSET_LEX] = &sqlite_sortedset_lex,
            [INTERFACE_SORTEDSET_OPERATIONS] = &sqlite_sortedset_operations,
            [INTERFACE_SORTEDSET_RANGE] = &sqlite_sortedset_range,
            [INTERFACE_SORTEDSET_RANK] = &sqlite_sortedset_rank,
        },
    .open = open_store,
    .drain = drain,
    .close = close_store,
    .probe = probe,
    .stats = stats,
};

#include "world.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/hash.h"
#include "base/mem.h"
#include "rt/sim/disk.h"

/* ---- entries -------------------------------------------------------------------------------------------------------------------- */

static uint64_t get(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    memcpy(&value, at, bytes);
    return value;
}

static uint32_t crc_of(const uint8_t *entry, uint32_t size)
{
    return crc32c(crc32c(0, entry, 28), entry + 32, size - 32);
}

static bool measure(const uint8_t *header, struct journal_entry *ret_entry)
{
    uint32_t records = (uint32_t)get(header + 12, 4);
    *ret_entry = (struct journal_entry){.first_offset = (int64_t)get(header, 8),
                                        .size = (uint32_t)get(header + 8, 4),
                                        .max_time_ms = (int64_t)get(header + 16, 8),
                                        .epoch = (int32_t)get(header + 24, 4)};
    ret_entry->last_offset = ret_entry->first_offset + records - 1;
    return records > 0 && records < 1000000 && ret_entry->size >= ENTRY_HEADER_BYTES && ret_entry->first_offset >= 0;
}

static bool verify(struct slice entry)
{
    return get(entry.data + 28, 4) == crc_of(entry.data, (uint32_t)entry.size);
}

const struct journal_format entry_format = {
    .header_bytes = ENTRY_HEADER_BYTES,
    .entry_bytes_max = ENTRY_BYTES_MAX,
    .measure = measure,
    .verify = verify,
};

void entry_fill(uint8_t *to, uint32_t size, uint32_t log, int64_t first, uint32_t records, int64_t time_ms)
{
    uint64_t seed = hash_mix((uint64_t)first * 31 + log);
    int32_t epoch = 7;
    memcpy(to, &first, 8);
    memcpy(to + 8, &size, 4);
    memcpy(to + 12, &records, 4);
    memcpy(to + 16, &time_ms, 8);
    memcpy(to + 24, &epoch, 4);
    for (uint32_t i = ENTRY_HEADER_BYTES; i < size; i++)
        to[i] = (uint8_t)(seed >> (i % 57));
    uint32_t crc = crc_of(to, size);
    memcpy(to + 28, &crc, 4);
}

/* ---- life ----------------------------------------------------------------------------------------------------------------------- */

enum err world_new(struct world *w, uint64_t seed)
{
    *w = (struct world){.random = seed};
    enum err e = OK;
    if (seed) {
        e = sim_new(seed, &w->sim);
        if (!e)
            w->env = sim_env(w->sim);
        snprintf(w->folder, sizeof w->folder, "/data");
    } else {
        const char *tmp = getenv("TMPDIR");
        w->env = env_real();
        snprintf(w->folder, sizeof w->folder, "%.40s/journal-XXXXXX", tmp ? tmp : "/tmp");
        if (!mkdtemp(w->folder))
            e = ERR_FILE;
    }
    if (!e)
        e = loop_new(w->env, 0, &w->loop);
    if (!e && !seed)
        e = pool_new(2, &w->pool);
    for (uint32_t i = 0; i < WORLD_LOGS; i++) {
        struct world_log *l = &w->logs[i];
        l->world = w;
        memset(l->key.id, (int)(0xA0 + i), sizeof l->key.id);
        l->key.partition = i * 10;
        l->options = (struct journal_log_options){.replay_from = -1};
    }
    return e;
}

void world_free(struct world *w)
{
    if (w->journal)
        world_close(w);
    if (w->store)
        journal_store_close(w->store);
    if (w->pool)
        pool_free(w->pool);
    if (w->loop)
        loop_free(w->loop);
    for (uint32_t i = 0; i < WORLD_LOGS; i++)
        mem_free(w->logs[i].known);
    if (!w->sim && w->folder[0]) {
        char command[128];
        snprintf(command, sizeof command, "rm -rf '%s'", w->folder);
        CHECK_EQ(system(command), 0);
    }
    sim_free(w->sim);
}

uint64_t world_choose(struct world *w, uint64_t n)
{
    w->random = w->random * 6364136223846793005u + 1442695040888963407u;
    return (w->random >> 33) % n;
}

static void replayed(void *context, struct journal_log *log, const struct journal_entry *entry, struct slice header)
{
    struct world *w = context;
    (void)header;
    for (uint32_t i = 0; i < WORLD_LOGS; i++) {
        struct world_log *l = &w->logs[i];
        if (memcmp(&l->key, journal_log_key(log), sizeof l->key) != 0)
            continue;
        if (l->replayed_next >= 0)
            CHECK_EQ(entry->first_offset, l->replayed_next);
        l->replayed_next = entry->last_offset + 1;
    }
}

static void on_closed(void *context, enum err e)
{
    struct world *w = context;
    w->closed = true;
    w->closed_err = e;
    w->journal = NULL;
    for (uint32_t i = 0; i < WORLD_LOGS; i++)
        w->logs[i].log = NULL;
}

void world_turn(struct world *w)
{
    loop_turn(w->loop, true);
}

enum err world_close(struct world *w)
{
    w->closed = false;
    journal_close(w->journal, on_closed, w);
    while (!w->closed)
        world_turn(w);
    CHECK_EQ(w->in_flight, 0);
    journal_store_close(w->store);
    w->store = NULL;
    return w->closed_err;
}

enum err world_open(struct world *w, uint32_t count)
{
    struct journal_store_options o = {
        .env = w->env, .folder = w->folder, .format = &entry_format, .replayed = replayed, .context = w};
    struct arena arena;
    struct diag diag;
    arena_init(&arena, 1 << 20);
    diag_init(&diag, &arena);
    w->options.loop = w->loop;
    w->options.pool = w->pool;
    enum err e = journal_store_open(&o, &diag, &w->store);
    if (!e)
        e = journal_open(w->store, &w->options, &w->journal);
    for (uint32_t i = 0; !e && i < count; i++) {
        w->logs[i].replayed_next = -1;
        e = journal_log_open(w->journal, &w->logs[i].key, &w->logs[i].options, &w->logs[i].log);
    }
    if (!e)
        e = journal_store_recovered(w->store, &diag);
    arena_fini(&arena);
    w->log_count = count;
    if (e && w->journal)
        world_close(w);
    if (e && w->store)
        journal_store_close(w->store);
    if (e)
        w->store = NULL;
    return e;
}

void world_die(struct world *w, bool power)
{
    sim_disk_halt(w->sim);
    if (w->journal)
        (void)world_close(w);
    if (power)
        sim_crash_disk(w->sim);
    else
        sim_disk_restart(w->sim);
}

/* ---- appends -------------------------------------------------------------------------------------------------------------------- */

struct flight {
    struct journal_append append;
    struct world_log *log;
    uint64_t known;
};

static void appended(struct journal_append *a, enum err e)
{
    struct flight *f = (struct flight *)a;
    struct world_log *l = f->log;
    l->world->in_flight--;
    if (e) {
        l->world->done_failed++;
        l->world->last_err = e;
    } else {
        CHECK(a->first_offset >= l->acknowledged);
        CHECK(journal_log_stable(l->log) > a->last_offset);
        l->acknowledged = a->last_offset + 1;
        l->world->done_ok++;
    }
    mem_free(f);
}

static bool remember(struct world_log *l, const struct known *k)
{
    /* What was refused before had these offsets. */
    while (l->known_count && l->known[l->known_count - 1].first >= k->first)
        l->known_count--;
    if (l->known_count == l->known_capacity) {
        uint32_t capacity = l->known_capacity ? l->known_capacity * 2 : 64;
        struct known *more = mem_realloc(l->known, capacity * sizeof *more);
        if (!more)
            return false;
        l->known = more;
        l->known_capacity = capacity;
    }
    l->known[l->known_count++] = *k;
    return true;
}

enum err world_append(struct world *w, uint32_t log, uint32_t size, uint32_t records)
{
    struct world_log *l = &w->logs[log];
    struct known k = {.first = journal_log_end(l->log), .size = size, .time_ms = loop_realtime_ms(w->loop)};
    k.last = k.first + records - 1;
    struct flight *f = mem_zalloc(sizeof *f);
    struct block *block = block_new(size);
    if (!f || !block || !remember(l, &k)) {
        mem_free(f);
        block_unref(block);
        return ERR_NOMEM;
    }
    entry_fill(block->bytes, size, log, k.first, records, k.time_ms);
    f->log = l;
    f->append = (struct journal_append){.log = l->log,
                                        .block = block,
                                        .bytes = slice_of(block->bytes, size),
                                        .first_offset = k.first,
                                        .last_offset = k.last,
                                        .max_time_ms = k.time_ms,
                                        .entries = 1,
                                        .epoch = 7,
                                        .flush = w->flushes,
                                        .done = appended};
    w->in_flight++;
    journal_submit(&f->append);
    return OK;
}

void world_settle(struct world *w)
{
    while (w->in_flight)
        world_turn(w);
}

/* ---- what is there -------------------------------------------------------------------------------------------------------------- */

static void check_entry(const struct world_log *l, const uint8_t *bytes, const struct journal_entry *entry,
                        const struct known *k)
{
    uint8_t *want = malloc(k->size);
    CHECK(want);
    CHECK_EQ(entry->first_offset, k->first);
    CHECK_EQ(entry->size, k->size);
    entry_fill(want, k->size, (uint32_t)(l - l->world->logs), k->first, (uint32_t)(k->last - k->first + 1), k->time_ms);
    CHECK(memcmp(want, bytes, k->size) == 0);
    free(want);
}

/* The entries of a range, against the model from *at on. */
static enum err check_range(struct world_log *l, const struct journal_range *r, uint32_t *at)
{
    uint8_t *bytes = malloc(r->size);
    struct journal_entry entry;
    size_t got;
    CHECK(bytes);
    enum err e = journal_range_read(r, 0, bytes, r->size, &got);
    if (!e)
        CHECK_EQ(got, r->size);
    for (size_t done = 0; !e && done < got; done += entry.size) {
        CHECK(got - done >= ENTRY_HEADER_BYTES);
        CHECK(measure(bytes + done, &entry));
        CHECK(*at < l->known_count);
        check_entry(l, bytes + done, &entry, &l->known[(*at)++]);
    }
    free(bytes);
    return e;
}

static uint32_t known_at(const struct world_log *l, int64_t offset)
{
    uint32_t i = 0;
    while (i < l->known_count && l->known[i].last < offset)
        i++;
    return i;
}

static enum err read_all(struct world_log *l, uint64_t bytes_max)
{
    int64_t offset = journal_log_start(l->log), stable = journal_log_stable(l->log);
    uint32_t at = known_at(l, offset);
    while (offset < stable) {
        struct journal_range r;
        enum err e = journal_find(l->log, offset, bytes_max, &r);
        if (e)
            return e;
        e = journal_range_resolve(&r);
        if (!e) {
            CHECK(r.size > 0);
            CHECK_EQ(r.first_offset, l->known[at].first);
            CHECK(r.size <= bytes_max || r.size == l->known[at].size);
            e = check_range(l, &r, &at);
        }
        journal_range_release(&r);
        if (e)
            return e;
        offset = l->known[at - 1].last + 1;
    }
    CHECK_EQ(offset, stable);
    return OK;
}

enum err world_check(struct world *w, uint32_t log)
{
    struct world_log *l = &w->logs[log];
    struct journal_log_status status;
    journal_log_status(l->log, &status);
    CHECK(!status.damaged);
    CHECK(journal_log_stable(l->log) >= l->acknowledged);
    CHECK_EQ(journal_log_stable(l->log), journal_log_end(l->log));
    enum err e = read_all(l, 1 + world_choose(w, 100000));
    l->known_count = known_at(l, journal_log_end(l->log));
    return e;
}

enum err world_check_all(struct world *w)
{
    enum err e = OK;
    for (uint32_t i = 0; !e && i < w->log_count; i++)
        e = world_check(w, i);
    return e;
}

void world_check_whole(struct world *w, uint32_t log)
{
    const struct world_log *l = &w->logs[log];
    int64_t end = l->known_count ? l->known[l->known_count - 1].last + 1 : 0;
    CHECK_EQ(journal_log_end(l->log), end);
    CHECK_ERR(world_check(w, log), OK);
}

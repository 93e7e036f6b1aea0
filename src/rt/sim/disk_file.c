/* Contents of files. A sync brings dirty sectors from the cache to the platter; so does the system, when it likes; a crash brings
 * some of them, and the cache is then what the platter is.
 *
 *   write ──▶ cache, dirty ──sync, write back──▶ platter          lost write: cache, clean      misdirected: platter elsewhere */
#include <assert.h>

#include "base/mem.h"
#include "rt/sim/disk_internal.h"

void sim_file_init(struct sim_node *f)
{
    buf_init(&f->cache, FILE_BYTES_MAX);
    buf_init(&f->platter, FILE_BYTES_MAX);
    buf_init(&f->dirty, FILE_BYTES_MAX / SECTOR_BYTES + 1);
    f->lock_fd = -1;
}

void sim_file_fini(struct sim_node *f)
{
    buf_fini(&f->cache);
    buf_fini(&f->platter);
    buf_fini(&f->dirty);
}

static size_t sectors(uint64_t size)
{
    return (size_t)((size + SECTOR_BYTES - 1) / SECTOR_BYTES);
}

/* ---- sizes -------------------------------------------------------------------------------------------------------------- */

static enum err reserve(struct buf *b, size_t size)
{
    if (size <= b->capacity || buf_reserve(b, size - b->size))
        return OK;
    enum err e = buf_err(b) == ERR_NOMEM ? ERR_NOMEM : ERR_DISK_FULL;
    b->err = OK;
    return e;
}

/* Room is there. */
static void set_size(struct buf *b, size_t size)
{
    assert(size <= b->capacity || size == b->size);
    if (size > b->size)
        memset(b->data + b->size, 0, size - b->size);
    b->size = size;
}

static void mark(struct sim_node *f, uint64_t offset, uint64_t size, bool dirty)
{
    for (size_t i = offset / SECTOR_BYTES; size && i < sectors(offset + size); i++)
        f->dirty.data[i] = dirty;
}

enum err sim_file_resize(struct sim_node *f, uint64_t size)
{
    size_t before = f->cache.size;
    enum err e = size > FILE_BYTES_MAX ? ERR_DISK_FULL : reserve(&f->cache, size);
    if (!e)
        e = reserve(&f->platter, size);
    if (!e)
        e = reserve(&f->dirty, sectors(size));
    if (e)
        return e;
    set_size(&f->cache, size);
    set_size(&f->dirty, sectors(size));
    if (size > before) /* zeros, where the platter may have what was cut off */
        mark(f, before, size - before, true);
    return OK;
}

/* ---- to the platter -------------------------------------------------------------------------------------------------------- */

static size_t sector_size(const struct sim_node *f, size_t i)
{
    size_t left = f->cache.size - i * SECTOR_BYTES;
    return left < SECTOR_BYTES ? left : SECTOR_BYTES;
}

static void keep_sector(struct sim_node *f, size_t i)
{
    size_t at = i * SECTOR_BYTES, size = sector_size(f, i);
    if (f->platter.size < at + size)
        set_size(&f->platter, at + size);
    memcpy(f->platter.data + at, f->cache.data + at, size);
    f->dirty.data[i] = 0;
}

void sim_file_sync(struct sim_node *f)
{
    for (size_t i = 0; i < f->dirty.size; i++)
        if (f->dirty.data[i])
            keep_sector(f, i);
    set_size(&f->platter, f->cache.size);
}

/* What the platter did not get is clean all the same: nobody will bring it there. It may leave the cache at once. */
void sim_file_fail_sync(struct sim_node *f, bool evicts)
{
    for (size_t i = 0; i < f->dirty.size; i++) {
        if (f->dirty.data[i] && sim_choose(f->sim, 2))
            keep_sector(f, i);
        f->dirty.data[i] = 0;
    }
    if (evicts)
        sim_file_evict(f);
}

void sim_file_write_back(struct sim_node *f)
{
    enum { PAGE_SECTORS = BLOCK_BYTES / SECTOR_BYTES };
    size_t pages = (f->dirty.size + PAGE_SECTORS - 1) / PAGE_SECTORS;
    size_t begin = pages ? sim_choose(f->sim, pages) * PAGE_SECTORS : 0;
    for (size_t i = begin; i < begin + PAGE_SECTORS && i < f->dirty.size; i++)
        if (f->dirty.data[i])
            keep_sector(f, i);
}

/* Another page of the file; its own where there is only one. */
static uint64_t elsewhere(struct sim_node *f, uint64_t offset)
{
    uint64_t pages = f->cache.size / BLOCK_BYTES;
    uint64_t page = pages ? sim_choose(f->sim, pages) : 0;
    return page == offset / BLOCK_BYTES ? offset : page * BLOCK_BYTES + offset % BLOCK_BYTES;
}

static void misdirect(struct sim_node *f, struct slice from, uint64_t offset)
{
    uint64_t at = elsewhere(f, offset);
    struct slice fits = slice_take(from, at < f->cache.size ? f->cache.size - at : 0);
    if (f->platter.size < at + fits.size)
        set_size(&f->platter, at + fits.size);
    if (fits.size)
        memcpy(f->platter.data + at, fits.data, fits.size);
}

void sim_file_write(struct sim_node *f, struct slice from, uint64_t offset, enum sim_write how)
{
    if (from.size == 0)
        return;
    assert(offset + from.size <= f->cache.size);
    memcpy(f->cache.data + offset, from.data, from.size);
    mark(f, offset, from.size, how == SIM_WRITE_GOOD);
    if (how == SIM_WRITE_MISDIRECTED)
        misdirect(f, from, offset);
}

/* ---- losing --------------------------------------------------------------------------------------------------------------- */

void sim_file_evict(struct sim_node *f)
{
    for (size_t i = 0; i < f->dirty.size; i++) {
        size_t at = i * SECTOR_BYTES, size = sector_size(f, i);
        struct slice kept = slice_take(slice_skip(buf_slice(&f->platter), at), size);
        if (f->dirty.data[i])
            continue;
        memset(f->cache.data + at, 0, size);
        if (kept.size)
            memcpy(f->cache.data + at, kept.data, kept.size);
    }
}

/* Of a hundred; extremes are as likely as what lies between. */
static uint64_t likelihood(struct sim *s)
{
    uint64_t of = sim_choose(s, 4);
    return of == 0 ? 0 : of == 1 ? 100 : sim_choose(s, 100);
}

/* A page is lost, kept, or torn between its sectors. */
static void tear_page(struct sim_node *f, size_t begin, size_t end, uint64_t kept_percent)
{
    bool kept = sim_choose(f->sim, 100) < kept_percent;
    bool torn = end - begin > 1 && sim_choose(f->sim, 4) == 0;
    for (size_t i = begin; i < end; i++) {
        if (torn)
            kept = sim_choose(f->sim, 2);
        if (f->dirty.data[i] && kept)
            keep_sector(f, i);
    }
}

static void tear(struct sim_node *f, uint32_t page_bytes)
{
    uint64_t kept_percent = likelihood(f->sim);
    size_t step = (page_bytes ? page_bytes : sim_choose(f->sim, 2) ? SECTOR_BYTES : BLOCK_BYTES) / SECTOR_BYTES;
    for (size_t i = 0; i < f->dirty.size; i += step)
        tear_page(f, i, i + step < f->dirty.size ? i + step : f->dirty.size, kept_percent);
}

/* A size that was not synced may be the new one: of a file that grew with zeros where nothing was written, of one that was cut
 * without its end. */
static void tear_size(struct sim_node *f)
{
    if (sim_choose(f->sim, 2))
        set_size(&f->platter, f->cache.size);
}

void sim_file_crash(struct sim_node *f, const struct sim_disk_plan *plan)
{
    if (plan->crash == SIM_CRASH_TEARS) {
        tear(f, plan->page_bytes);
        tear_size(f);
    }
    f->cache.size = 0;
    f->dirty.size = 0;
    enum err e = sim_file_resize(f, f->platter.size);
    assert(e == OK); /* it has been as large before, and a buffer keeps its memory */
    (void)e;
    if (f->platter.size)
        memcpy(f->cache.data, f->platter.data, f->platter.size);
    mark(f, 0, f->cache.size, false);
    f->lock_fd = -1;
}

/* ledger_file.h has the format.
 *
 * Reading stops at the first frame that is not whole. Then all that follows is searched for a whole frame at any byte: one there
 * proves that the bad one had been durable, so something has damaged it since. */
#include "journal/ledger_file.h"

#include <assert.h>
#include <endian.h>

#include "base/crc32c.h"
#include "base/limits.h"
#include "base/mem.h"

enum { VERSION = 1, FRAME_MAGIC = 0x4D52464C, SEARCH_BYTES = 64 << 10 };

static const char MAGIC[8] = {'P', 'R', 'S', 'M', 'L', 'E', 'D', 'G'};

static void put32(uint8_t *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof value);
}

static void put64(uint8_t *to, uint64_t value)
{
    value = htole64(value);
    memcpy(to, &value, sizeof value);
}

static uint32_t get32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return le32toh(value);
}

static uint64_t get64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return le64toh(value);
}

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

void ledger_header_write(struct ledger_file *f, struct slice kind, uint8_t out[LEDGER_HEADER_BYTES])
{
    assert(kind.size == LEDGER_KIND_BYTES);
    f->env->random(f->env, &f->salt, sizeof f->salt);
    f->end = LEDGER_HEADER_BYTES;
    memcpy(out, MAGIC, sizeof MAGIC);
    put32(out + 8, VERSION);
    memcpy(out + 12, kind.data, LEDGER_KIND_BYTES);
    put64(out + 16, f->salt);
    put32(out + 24, 0);
    put32(out + 28, crc32c(0, out, LEDGER_HEADER_BYTES - 4));
}

/* Of a frame whose head, but for the checksum, and payload are there. */
static uint32_t frame_crc(const struct ledger_file *f, const uint8_t *frame, size_t payload_bytes)
{
    uint8_t salt[8];
    put64(salt, f->salt);
    uint32_t crc = crc32c(0, salt, sizeof salt);
    crc = crc32c(crc, frame, LEDGER_FRAME_BYTES - 4);
    return crc32c(crc, frame + LEDGER_FRAME_BYTES, payload_bytes);
}

void ledger_frame_begin(struct buf *b)
{
    static const uint8_t room[LEDGER_FRAME_BYTES];
    buf_put(b, room, sizeof room);
}

void ledger_frame_put(struct buf *b, struct slice entry)
{
    uint8_t size[4];
    put32(size, (uint32_t)entry.size);
    buf_put(b, size, sizeof size);
    buf_put_slice(b, entry);
}

void ledger_frame_seal(const struct ledger_file *f, struct buf *b, size_t start, uint64_t position, uint32_t entries)
{
    assert(b->size >= start + LEDGER_FRAME_BYTES);
    uint8_t *frame = b->data + start;
    size_t payload_bytes = b->size - start - LEDGER_FRAME_BYTES;
    put32(frame, FRAME_MAGIC);
    put32(frame + 4, (uint32_t)payload_bytes);
    put64(frame + 8, position);
    put32(frame + 16, entries);
    put32(frame + 20, frame_crc(f, frame, payload_bytes));
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

struct reader {
    struct ledger_file *file;
    const char *path;
    uint64_t size; /* of the file */
    struct buf frame;
    struct diag *diag;
};

static enum err read_at(const struct reader *r, void *to, size_t size, uint64_t offset, size_t *ret_size)
{
    const struct env *env = r->file->env;
    enum err e = env->disk->pread(env, r->file->fd, to, size, offset, ret_size);
    return e ? diag_set(r->diag, e, "%s cannot be read at byte %llu", r->path, (unsigned long long)offset) : OK;
}

static enum err read_header(struct reader *r, struct slice kind)
{
    uint8_t h[LEDGER_HEADER_BYTES];
    size_t size;
    enum err e = read_at(r, h, sizeof h, 0, &size);
    if (e)
        return e;
    if (size < sizeof h || memcmp(h, MAGIC, sizeof MAGIC) != 0 || get32(h + 28) != crc32c(0, h, sizeof h - 4))
        return diag_set(r->diag, ERR_CORRUPT, "%s is damaged in its first %zu bytes", r->path, sizeof h);
    if (get32(h + 8) > VERSION)
        return diag_set(r->diag, ERR_SCHEMA_FUTURE, "%s has version %u, this program reads up to %d", r->path,
                        get32(h + 8), VERSION);
    if (!slice_eq(slice_of(h + 12, LEDGER_KIND_BYTES), kind))
        return diag_set(r->diag, ERR_CORRUPT, "%s is a ledger of kind %.4s, not %.*s", r->path, (char *)h + 12,
                        SLICE_ARG(kind));
    r->file->salt = get64(h + 16);
    r->file->end = sizeof h;
    return OK;
}

/* Whether a frame at this position may begin so: cheap, and true of almost nothing else. */
static bool plausible(const struct reader *r, const uint8_t *head, uint64_t position)
{
    uint32_t size = get32(head + 4);
    return get32(head) == FRAME_MAGIC && get64(head + 8) == position && size <= LIMIT_LEDGER_COMMIT_BYTES &&
           size <= r->size - position - LEDGER_FRAME_BYTES;
}

/* Into r->frame, without its head where it is not plausible; whether it is whole. */
static enum err read_frame(struct reader *r, uint64_t position, bool *ret_whole)
{
    size_t size = 0;
    *ret_whole = false;
    if (r->size - position < LEDGER_FRAME_BYTES)
        return OK;
    uint8_t head[LEDGER_FRAME_BYTES];
    enum err e = read_at(r, head, sizeof head, position, &size);
    if (e || size < sizeof head || !plausible(r, head, position))
        return e;
    size_t whole = LEDGER_FRAME_BYTES + (size_t)get32(head + 4);
    buf_reset(&r->frame);
    uint8_t *room = buf_reserve(&r->frame, whole);
    if (!room)
        return buf_err(&r->frame);
    e = read_at(r, room, whole, position, &size);
    if (e)
        return e;
    buf_advance(&r->frame, size);
    *ret_whole = size == whole && get32(room + 20) == frame_crc(r->file, room, whole - LEDGER_FRAME_BYTES);
    return OK;
}

/* Entries fill their frame exactly: that is part of what its checksum vouches for. */
static enum err visit_frame(struct reader *r, ledger_visit_fn *visit, void *context)
{
    struct slice rest = slice_skip(buf_slice(&r->frame), LEDGER_FRAME_BYTES);
    uint32_t entries = get32(r->frame.data + 16);
    for (uint32_t i = 0; i < entries; i++) {
        uint32_t size = rest.size >= 4 ? get32(rest.data) : UINT32_MAX;
        if (size > slice_skip(rest, 4).size)
            return diag_set(r->diag, ERR_CORRUPT, "%s has a frame at byte %llu whose entries do not fit", r->path,
                            (unsigned long long)r->file->end);
        rest = slice_skip(rest, 4);
        enum err e = visit ? visit(context, slice_take(rest, size)) : OK;
        if (e)
            return diag_set(r->diag, e, "%s holds an entry in its frame at byte %llu that cannot be taken", r->path,
                            (unsigned long long)r->file->end);
        rest = slice_skip(rest, size);
    }
    return OK;
}

/* A whole frame that begins in (from, from + bytes of the window]; the window begins at from. */
static enum err search_window(struct reader *r, struct slice window, uint64_t from, uint64_t *ret_found)
{
    for (size_t i = 0; i + LEDGER_FRAME_BYTES <= window.size; i++) {
        bool whole = false;
        if (!plausible(r, window.data + i, from + i))
            continue;
        enum err e = read_frame(r, from + i, &whole);
        if (e)
            return e;
        if (whole) {
            *ret_found = from + i;
            return OK;
        }
    }
    return OK;
}

/* The first whole frame behind a bad one; 0: none. */
static enum err search(struct reader *r, uint64_t from, uint64_t *ret_found)
{
    uint8_t *window = mem_alloc(SEARCH_BYTES);
    enum err e = window ? OK : ERR_NOMEM;
    *ret_found = 0;
    while (!e && !*ret_found && r->size - from >= LEDGER_FRAME_BYTES) {
        size_t size;
        e = read_at(r, window, SEARCH_BYTES, from, &size);
        if (!e)
            e = search_window(r, slice_of(window, size), from, ret_found);
        if (size < SEARCH_BYTES)
            break;
        from += SEARCH_BYTES - LEDGER_FRAME_BYTES + 1;
    }
    mem_free(window);
    return e;
}

static enum err judge_rest(struct reader *r, uint64_t *ret_torn_bytes)
{
    uint64_t found = 0, end = r->file->end;
    enum err e = end < r->size ? search(r, end + 1, &found) : OK;
    if (e)
        return e;
    if (found)
        return diag_set(r->diag, ERR_CORRUPT, "%s is damaged at byte %llu: what follows from byte %llu is whole",
                        r->path, (unsigned long long)end, (unsigned long long)found);
    *ret_torn_bytes = r->size - end;
    return OK;
}

static enum err read_frames(struct reader *r, ledger_visit_fn *visit, void *context)
{
    for (;;) {
        bool whole;
        enum err e = read_frame(r, r->file->end, &whole);
        if (e || !whole)
            return e;
        e = visit_frame(r, visit, context);
        if (e)
            return e;
        r->file->end += r->frame.size;
    }
}

enum err ledger_file_read(struct ledger_file *f, const char *path, struct slice kind, ledger_visit_fn *visit,
                          void *context, struct diag *diag, uint64_t *ret_torn_bytes)
{
    struct reader r = {.file = f, .path = path, .diag = diag};
    buf_init(&r.frame, LEDGER_FRAME_BYTES + LIMIT_LEDGER_COMMIT_BYTES);
    enum err e = f->env->disk->size(f->env, f->fd, &r.size);
    if (!e)
        e = read_header(&r, kind);
    if (!e)
        e = read_frames(&r, visit, context);
    if (!e)
        e = judge_rest(&r, ret_torn_bytes);
    buf_fini(&r.frame);
    return e;
}

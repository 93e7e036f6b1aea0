/* Scanning: from entry to entry, each one read and verified as a whole. Thread: any; the file is pinned. */
#include "base/mem.h"
#include "journal/internal.h"

enum { SCAN_BYTES = 256 << 10 };

static enum err scan_fill(struct scan *s, size_t need)
{
    const struct env *env = s->file->journal->env;
    if (s->position >= s->have_at && s->position + need <= s->have_at + s->have)
        return OK;
    if (need > s->capacity) {
        size_t capacity = need > SCAN_BYTES ? need : SCAN_BYTES;
        uint8_t *more = mem_realloc(s->bytes, capacity);
        if (!more)
            return ERR_NOMEM;
        s->bytes = more;
        s->capacity = capacity;
    }
    s->have_at = s->position;
    enum err e = env->disk->pread(env, s->file->fd, s->bytes, s->capacity, s->position, &s->have);
    if (!e && s->have < need)
        e = ERR_CORRUPT;
    if (e)
        s->have = 0;
    return e;
}

enum err scan_next(struct scan *s, uint64_t limit, struct journal_entry *ret_entry, struct slice *ret_header)
{
    const struct journal_format *format = s->file->journal->store->options.format;
    struct journal_entry entry;
    if (limit - s->position < format->header_bytes)
        return ERR_CORRUPT;
    enum err e = scan_fill(s, format->header_bytes);
    if (e)
        return e;
    if (!format->measure(s->bytes + (s->position - s->have_at), &entry) || entry.size < format->header_bytes ||
        entry.size > format->entry_bytes_max || entry.size > limit - s->position || entry.first_offset != s->expected ||
        entry.last_offset < entry.first_offset)
        return ERR_CORRUPT;
    e = scan_fill(s, entry.size);
    if (e)
        return e;
    const uint8_t *whole = s->bytes + (s->position - s->have_at);
    if (!format->verify(slice_of(whole, entry.size)))
        return ERR_CORRUPT;
    *ret_entry = entry;
    *ret_header = slice_of(whole, format->header_bytes);
    return OK;
}

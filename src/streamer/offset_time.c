#include "streamer/offset_time.h"

#include "base/limits.h"
#include "base/mem.h"
#include "kafka/batch.h"

/* The batch at this offset; the caller frees the bytes. */
static enum err read_range(struct journal_range *range, uint8_t **ret_bytes)
{
    enum err e = range->warm ? OK : journal_range_resolve(range);
    if (e)
        return e;
    uint8_t *bytes = mem_alloc(range->size);
    if (!bytes)
        return ERR_NOMEM;
    size_t got = 0;
    e = journal_range_read(range, 0, bytes, range->size, &got);
    if (!e && got < range->size)
        e = ERR_CORRUPT;
    if (e)
        mem_free(bytes);
    else
        *ret_bytes = bytes;
    return e;
}

static enum err read_batch(struct journal_log *log, int64_t offset, struct slice *ret_batch)
{
    struct journal_range range;
    uint8_t *bytes = NULL;
    enum err e = journal_find(log, offset, 1, &range);
    if (e)
        return e;
    if (range.file)
        e = read_range(&range, &bytes);
    if (!e)
        *ret_batch = slice_of(bytes, bytes ? range.size : 0);
    journal_range_release(&range);
    return e;
}

static void look_inside(struct slice batch, const struct batch_header *h, int64_t start, int64_t time_ms,
                        int64_t *ret_offset, int64_t *ret_time_ms)
{
    struct batch_records records;
    struct batch_record record;
    batch_records_init(&records, h, batch_payload(batch));
    while (batch_next_record(&records, &record))
        if (record.time_ms >= time_ms && record.offset >= start) {
            *ret_offset = record.offset;
            *ret_time_ms = record.time_ms;
            return;
        }
}

static void look_at(struct slice batch, int64_t start, int64_t time_ms, int64_t *ret_offset, int64_t *ret_time_ms)
{
    struct batch_header h;
    if (batch_read(batch, &h) || h.max_time_ms < time_ms)
        return;
    bool append_time = h.attributes & BATCH_APPEND_TIME;
    *ret_offset = h.base_offset > start ? h.base_offset : start;
    *ret_time_ms = append_time || h.base_time_ms < time_ms ? h.max_time_ms : h.base_time_ms;
    if (!append_time && batch_codec(&h) == BATCH_PLAIN)
        look_inside(slice_take(batch, h.size), &h, start, time_ms, ret_offset, ret_time_ms);
}

enum err offset_of_time(struct journal_log *log, int64_t time_ms, int64_t *ret_offset, int64_t *ret_time_ms)
{
    int64_t offset = -1, batch_ms = -1;
    struct slice batch = SLICE_EMPTY;
    enum err e = journal_find_time(log, time_ms, &offset, &batch_ms);
    if (e || offset < 0)
        return e;
    int64_t start = journal_log_start(log);
    e = read_batch(log, offset > start ? offset : start, &batch);
    if (!e)
        look_at(batch, start, time_ms, ret_offset, ret_time_ms);
    mem_free((void *)(uintptr_t)batch.data);
    return e;
}

enum err offset_of_max_time(struct journal_log *log, int64_t *ret_offset, int64_t *ret_time_ms)
{
    struct journal_log_status status;
    journal_log_status(log, &status);
    return status.last_time_ms < 0 ? OK : offset_of_time(log, status.last_time_ms, ret_offset, ret_time_ms);
}

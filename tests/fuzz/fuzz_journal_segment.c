/* A segment and its index as anybody may have left them: opening ends, nothing is read that does not verify, nothing is lost by a
 * second opening, and the log goes on behind.
 *
 * The first two bytes say how much of the rest is the segment; what follows is the index. Entries of the form of tests/unit/journal;
 * where the third byte is odd their checksums and offsets are put right first, so that the search gets behind them. */
#include <fcntl.h>
#include <stdlib.h>

#include "../unit/journal/world.h"
#include "base/crc32c.h"
#include "journal/check.h"
#include "journal/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool condition)
{
    if (!condition)
        abort();
}

static void put(struct world *w, const char *suffix, struct slice bytes)
{
    char path[JOURNAL_PATH_BYTES];
    int fd;
    need(layout_log_folder(path, w->folder, &w->logs[0].key));
    need(w->env->disk->mkdir(w->env, path, 0700) == OK);
    need(layout_log_path(path, w->folder, &w->logs[0].key, 0, suffix));
    need(w->env->disk->open(w->env, path, O_RDWR | O_CREAT, 0600, &fd) == OK);
    need(w->env->disk->pwrite(w->env, fd, bytes, 0) == OK);
    w->env->disk->close(w->env, fd);
}

/* Walks as a reader does, mending what it passes. */
static void mend(uint8_t *bytes, size_t size)
{
    int64_t next = 0;
    for (size_t at = 0; size - at >= ENTRY_HEADER_BYTES;) {
        uint32_t entry_size, records;
        memcpy(&entry_size, bytes + at + 8, 4);
        memcpy(&records, bytes + at + 12, 4);
        if (entry_size < ENTRY_HEADER_BYTES || entry_size > size - at || records == 0 || records >= 1000000)
            return;
        memcpy(bytes + at, &next, 8);
        uint32_t crc = crc32c(crc32c(0, bytes + at, 28), bytes + at + 32, entry_size - 32);
        memcpy(bytes + at + 28, &crc, 4);
        next += records;
        at += entry_size;
    }
}

static void ignore(void *context, const struct journal_dumped *d)
{
    *(uint64_t *)context += d->bytes.size;
}

static void read_all(struct journal_log *log)
{
    for (int64_t at = journal_log_start(log); at < journal_log_stable(log);) {
        struct journal_range r;
        uint8_t header[ENTRY_HEADER_BYTES];
        struct journal_entry entry;
        size_t got;
        need(journal_find(log, at, 1, &r) == OK);
        enum err e = journal_range_resolve(&r);
        if (!e) {
            need(journal_range_read(&r, 0, header, sizeof header, &got) == OK && got == sizeof header);
            need(entry_format.measure(header, &entry) && entry.first_offset <= at && entry.last_offset >= at);
            at = entry.last_offset;
        }
        journal_range_release(&r);
        at++;
        if (e)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    char path[JOURNAL_PATH_BYTES];
    uint64_t end, whole, sum = 0;
    int64_t time_ms, offset;
    if (size < 3 || world_new(&w, 1))
        return 0;
    size_t segment = ((size_t)data[0] << 8 | data[1]) % (size - 2);
    uint8_t *bytes = malloc(segment + 1);
    memcpy(bytes, data + 3, segment);
    if (data[2] & 1)
        mend(bytes, segment);
    put(&w, ".log", slice_of(bytes, segment));
    put(&w, ".index", slice_of(data + 3 + segment, size - 3 - segment));
    free(bytes);
    need(layout_log_path(path, w.folder, &w.logs[0].key, 0, ".log"));
    need(journal_dump(w.env, path, &entry_format, 0, ignore, &sum, &end, &whole) == OK && sum == end && end <= whole);
    w.options.wal_file_bytes = 64 << 10;
    need(world_open(&w, 1) == OK);
    int64_t first_end = journal_log_end(w.logs[0].log);
    read_all(w.logs[0].log);
    (void)journal_find_time(w.logs[0].log, 1, &offset, &time_ms);
    need(world_append(&w, 0, 100, 1) == OK);
    world_settle(&w);
    need(world_close(&w) == OK);
    need(world_open(&w, 1) == OK);
    need(journal_log_end(w.logs[0].log) == first_end + (int64_t)w.done_ok);
    world_free(&w);
    return 0;
}

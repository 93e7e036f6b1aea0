/* A file of the write-ahead stream as anybody may have left it: opening ends, with what it holds or with ERR_CORRUPT.
 *
 * Each byte string is cut into batches of the sizes that its bytes name; where the first byte is odd their headers and checksums are
 * put right, so that the search gets to the records. */
#include <fcntl.h>
#include <stdlib.h>

#include "../unit/journal/world.h"
#include "journal/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILE_BYTES = 64 << 10 };

static void need(bool condition)
{
    if (!condition)
        abort();
}

static void seal_batches(uint8_t *file, size_t size)
{
    struct wal_batch b = {.number = 1, .sequence = 1};
    for (uint64_t at = 0; at < size; at += layout_padded(b.bytes, JOURNAL_WAL_ALIGN)) {
        uint16_t bytes;
        memcpy(&bytes, file + at + 32, 2);
        b.position = at;
        b.bytes = (uint32_t)(bytes < JOURNAL_WAL_BATCH_BYTES ? JOURNAL_WAL_BATCH_BYTES : bytes);
        b.records = file[at + 36];
        if (b.bytes > FILE_BYTES - at)
            return;
        layout_batch_seal(&b, file + at);
        b.sequence++;
    }
}

/* The log that the world has, so that records find it. */
static void name_log(const struct world *w, uint8_t *file, size_t size)
{
    for (size_t at = JOURNAL_WAL_BATCH_BYTES; at + JOURNAL_WAL_RECORD_BYTES < size; at += JOURNAL_WAL_ALIGN)
        layout_key_bytes(&w->logs[0].key, file + at);
}

static void put(struct world *w, struct slice bytes)
{
    char path[JOURNAL_PATH_BYTES];
    int fd;
    need(layout_wal_folder(path, w->folder, 0));
    need(w->env->disk->mkdir(w->env, path, 0700) == OK);
    need(layout_wal_path(path, w->folder, 0, 1));
    need(w->env->disk->open(w->env, path, O_RDWR | O_CREAT, 0600, &fd) == OK);
    need(w->env->disk->pwrite(w->env, fd, bytes, 0) == OK);
    w->env->disk->close(w->env, fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    static uint8_t file[FILE_BYTES];
    if (size < 1 || size > FILE_BYTES || world_new(&w, 1))
        return 0;
    memset(file, 0, sizeof file);
    memcpy(file, data + 1, size - 1);
    if (data[0] & 2)
        name_log(&w, file, size);
    if (data[0] & 1)
        seal_batches(file, size);
    put(&w, slice_of(file, sizeof file));
    w.options.wal_file_bytes = FILE_BYTES;
    w.logs[0].options.logged = true;
    enum err e = world_open(&w, 1);
    need(e == OK || e == ERR_CORRUPT);
    if (!e) {
        need(world_append(&w, 0, 100, 1) == OK);
        world_settle(&w);
        need(world_close(&w) == OK);
        need(world_open(&w, 1) == OK);
    }
    world_free(&w);
    return 0;
}

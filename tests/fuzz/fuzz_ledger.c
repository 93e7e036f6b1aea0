/* The reader of ledgers. Of a file with any of its bytes changed, cut or added, it gives the entries that were written, in order,
 * up to a torn end, or it refuses the file: it never gives anything else. Input: a byte for the number of entries and one for their
 * size, then changes of three bytes (place, place, xor). As it is, without a valid header, it is read too. */
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "journal/ledger_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory {
    struct env env; /* first */
    struct slice bytes;
};

static enum err memory_pread(const struct env *env, int fd, void *to, size_t size, uint64_t offset, size_t *ret_size)
{
    (void)fd;
    struct slice rest = slice_take(slice_skip(((const struct memory *)env)->bytes, offset), size);
    if (rest.size)
        memcpy(to, rest.data, rest.size);
    *ret_size = rest.size;
    return OK;
}

static enum err memory_size(const struct env *env, int fd, uint64_t *ret_size)
{
    (void)fd;
    *ret_size = ((const struct memory *)env)->bytes.size;
    return OK;
}

static void memory_random(const struct env *env, void *out, size_t size)
{
    (void)env;
    memset(out, 0x5A, size);
}

static const struct env_disk memory_disk = {.pread = memory_pread, .size = memory_size};

struct expected {
    uint32_t next, entry_bytes;
};

static enum err check_entry(void *context, struct slice entry)
{
    struct expected *x = context;
    if (entry.size != 1 + x->entry_bytes || entry.data[0] != (uint8_t)x->next)
        abort();
    x->next++;
    return OK;
}

static enum err read_it(struct slice bytes, ledger_visit_fn *visit, void *context, uint64_t *ret_torn)
{
    struct memory m = {.env = {.disk = &memory_disk, .random = memory_random}, .bytes = bytes};
    struct ledger_file f = {.env = &m.env};
    return ledger_file_read(&f, "fuzzed", SLICE("FUZZ"), visit, context, NULL, ret_torn);
}

static void build(struct buf *b, uint32_t entries, uint32_t entry_bytes)
{
    static const uint8_t padding[256];
    struct memory m = {.env = {.disk = &memory_disk, .random = memory_random}};
    struct ledger_file f = {.env = &m.env};
    uint8_t header[LEDGER_HEADER_BYTES];
    ledger_header_write(&f, SLICE("FUZZ"), header);
    buf_put(b, header, sizeof header);
    for (uint32_t i = 0; i < entries; i += 2) {
        size_t start = b->size;
        uint32_t of_frame = i + 2 <= entries ? 2 : 1;
        ledger_frame_begin(b);
        for (uint32_t j = i; j < i + of_frame; j++) {
            uint8_t entry[257] = {(uint8_t)j};
            memcpy(entry + 1, padding, entry_bytes);
            ledger_frame_put(b, slice_of(entry, 1 + entry_bytes));
        }
        ledger_frame_seal(&f, b, start, start, of_frame);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t torn;
    (void)!read_it(slice_of(data, size), NULL, NULL, &torn);
    if (size < 2)
        return 0;
    struct buf file;
    struct expected x = {.entry_bytes = data[1]};
    uint32_t entries = data[0] % 32;
    buf_init(&file, 1 << 20);
    build(&file, entries, data[1]);
    for (size_t i = 2; i + 3 <= size && !buf_err(&file); i += 3)
        file.data[(data[i] << 8 | data[i + 1]) % file.size] ^= data[i + 2];
    if (size % 3 == 1)
        file.size -= data[size - 1] % file.size;
    enum err e = read_it(buf_slice(&file), check_entry, &x, &torn);
    if (x.next > entries || (!e && torn > file.size))
        abort();
    buf_fini(&file);
    return 0;
}

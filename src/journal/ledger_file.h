/* The file of a ledger: what its bytes mean, and reading it. Inside src/journal; others see ledger.h.
 *
 *   header   magic "PRSMLEDG" · version u32 · kind 4 bytes · salt u64 · 0 u32 · crc u32
 *   frame*   magic u32 · size u32 · position u64 · entries u32 · crc u32 · size bytes: { size u32 · bytes }*
 *
 * Little-endian; crc is CRC-32C over salt, the header's other fields and the payload. The salt is random and new with each file, so
 * that no bytes of another file, and none that a client sends, pass for a frame; the position finds frames that a disk has put
 * in the wrong place. Invariant: a frame is written only when all before it is durable. */
#ifndef PRISM_JOURNAL_LEDGER_FILE_H
#define PRISM_JOURNAL_LEDGER_FILE_H

#include "base/buf.h"
#include "base/diag.h"
#include "rt/env.h"

enum { LEDGER_HEADER_BYTES = 32, LEDGER_FRAME_BYTES = 24, LEDGER_KIND_BYTES = 4 };

typedef enum err ledger_visit_fn(void *context, struct slice entry);

struct ledger_file {
    const struct env *env;
    int fd;
    uint64_t salt;
    uint64_t end; /* behind the last whole frame: where the next one goes */
};

/* A header for a new file: salt and end are set, fd is not. */
void ledger_header_write(struct ledger_file *, struct slice kind, uint8_t out[LEDGER_HEADER_BYTES]);

/* Frames are built in a buffer: begin leaves room for the head, put adds entries, seal fills the head in. Errors stick to the
 * buffer. A frame begins at `start` of the buffer and will lie at `position` of the file. */
void ledger_frame_begin(struct buf *);
void ledger_frame_put(struct buf *, struct slice entry);
void ledger_frame_seal(const struct ledger_file *, struct buf *, size_t start, uint64_t position, uint32_t entries);

/* Reads header and frames of file->fd, sets salt and end. ret_torn_bytes: what lies behind the end. ERR_CORRUPT: not such a file,
 * of another kind, or a bad frame before a good one; ERR_SCHEMA_FUTURE; ERR_NOMEM; what disk or visit say. */
enum err ledger_file_read(struct ledger_file *, const char *path, struct slice kind, ledger_visit_fn *visit,
                          void *context, struct diag *diag, uint64_t *ret_torn_bytes)
    __attribute__((warn_unused_result));

#endif

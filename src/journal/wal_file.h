/* Files of the write-ahead stream, on a pool's thread. Private. */
#ifndef PRISM_JOURNAL_WAL_FILE_H
#define PRISM_JOURNAL_WAL_FILE_H

#include "journal/internal.h"

/* For batches: past the page cache where the file system can. */
enum err wal_file_open(const struct journal *, uint64_t number, int *ret_fd);
/* The file that wal.make_… describes. */
void wal_make_run(struct work *);

#endif

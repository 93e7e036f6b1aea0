/* The folder of everything that is kept. One process owns it at a time: it holds a lock on data_dir/lock. data_dir/secret has
 * 32 random bytes, made at the first start and readable by the owner alone, from which keys are derived.
 * Thread: one, before anything is served. */
#ifndef PRISM_PROXY_DATA_DIR_H
#define PRISM_PROXY_DATA_DIR_H

#include "base/diag.h"
#include "rt/env.h"

enum { DATA_DIR_SECRET_BYTES = 32 };

struct data_dir {
    int lock_fd;
    uint8_t secret[DATA_DIR_SECRET_BYTES];
};

/* Makes the folder where there is none. ERR_FAILED_PRECONDITION: another process has it; ERR_FILE, ERR_IO, ERR_CORRUPT. */
enum err data_dir_open(const struct env *, const char *path, struct diag *, struct data_dir *ret_dir)
    __attribute__((warn_unused_result));
void data_dir_close(struct data_dir *);

#endif

/* Looking at a data folder without changing it: `memorystreamer fsck` and `memorystreamer dump`.
 *
 * Blocks, reads everything. Thread: any. */
#ifndef PRISM_JOURNAL_CHECK_H
#define PRISM_JOURNAL_CHECK_H

#include "journal/journal.h"

/* ---- one segment ------------------------------------------------------------------------------------------------------------ */

struct journal_dumped {
    uint64_t position;
    struct journal_entry entry;
    struct slice bytes; /* all of it; lent */
    bool whole;         /* its checksum is right */
    bool dense;         /* its offset is the next one */
};
/* Entry by entry, until one cannot be told from what follows it: that, with its position, is the end. `base` is in the file's
 * name; below 0: whatever the first entry says. ERR_NOT_FOUND, ERR_IO, ERR_FILE, ERR_NOMEM. */
enum err journal_dump(const struct env *, const char *path, const struct journal_format *, int64_t base,
                      void (*visit)(void *context, const struct journal_dumped *), void *context, uint64_t *ret_end,
                      uint64_t *ret_size) __attribute__((warn_unused_result));
/* The base offset in a segment's name; -1: another name. */
int64_t journal_base_of(const char *path);

/* ---- a data folder ---------------------------------------------------------------------------------------------------------- */

enum journal_finding {
    JOURNAL_DAMAGED, /* what was acknowledged cannot be read, or is not what was written */
    JOURNAL_TORN,    /* behind the checkpoint: the next start cuts it, and takes from the stream what belongs there */
    JOURNAL_REBUILT, /* an index that the next start makes again */
    JOURNAL_STRAY,   /* a name that does not belong there */
};
struct journal_problem {
    enum journal_finding finding;
    const char *path;
    uint64_t position; /* in the file */
    int64_t offset;    /* of the log; -1: none */
    const char *what;
};
struct journal_check {
    void (*problem)(void *context, const struct journal_problem *); /* lent; NULL: only counts */
    void *context;
    /* Results. */
    uint64_t logs, segments, entries, bytes, records_in_stream;
    uint64_t damaged, other; /* problems */
};
/* Every entry of every log, indexes, checkpoints, write-ahead streams. ERR_FILE: a process has the folder, or there is none; ERR_CORRUPT:
 * a checkpoint or a stream cannot be read (told of as a problem, too; logs are looked at in any case). */
enum err journal_check(const struct env *, const char *folder, const struct journal_format *, struct journal_check *,
                       struct diag *) __attribute__((warn_unused_result));

#endif

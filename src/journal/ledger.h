/* A ledger: the durable memory of a small state machine. Entries are appended, and an entry that was acknowledged is read back
 * by the next opening, in order. Grown mostly dead, the file is rewritten from the state that it leads to.
 *
 *   struct ledger_options o = {.env = env, .loop = loop, .pool = pool, .path = "meta/groups-0.ledger", .kind = SLICE("GRPS"),
 *                              .apply = apply_entry, .snapshot = write_state, .context = groups};
 *   enum err e = ledger_open(&o, &diag, &ledger);        applies what the file holds; blocks
 *   e = ledger_append(ledger, entry, &commit->append);   commit->append.done comes from the loop: now it is durable
 *   ledger_close(ledger, closed, context);               what waits is finished first
 *
 * Entries that are appended while a write is under way share the next one and its one sync (group commit); nothing waits for
 * company. A state machine changes its state in done, so that state is never ahead of the disk.
 *
 * The file: a header, then frames, one a commit (ledger_file.h). A frame is begun only when the one before it is durable: so a bad
 * frame at the end is one that a crash tore, and is cut; a bad frame with a good one behind it is damage, and the file is refused.
 * What a crash tore was never acknowledged. What was refused as failed may still be read back after a crash, as with any log.
 *
 * Failures. ERR_DISK_FULL: what waited is refused and undone; later appends try again. Any other failure of a write or a sync: the
 * disk's state is not known, and this and all later appends are refused with it until the file is opened anew.
 *
 * Thread: the loop's. Invariant: done comes exactly once for each append that was taken, in order, never from inside a call. */
#ifndef PRISM_JOURNAL_LEDGER_H
#define PRISM_JOURNAL_LEDGER_H

#include "base/diag.h"
#include "base/slice.h"
#include "rt/loop.h"

struct ledger;
struct ledger_snapshot;

struct ledger_options {
    const struct env *env; /* whose disk */
    struct loop *loop;
    struct pool *pool;
    const char *path;  /* its folder exists; path.new is the ledger's too */
    struct slice kind; /* four letters: whose entries. A file of another kind is refused */
    /* An entry of the file, in order, lent for the call. What it returns ends the opening: ERR_CORRUPT for what it does not know. */
    enum err (*apply)(void *context, struct slice entry);
    /* The present state by ledger_snapshot_put: applied in order these entries lead to it. NULL: the file only grows. */
    void (*snapshot)(void *context, struct ledger_snapshot *);
    void *context;
    uint64_t compact_bytes; /* a file below is never rewritten; 0: LIMIT_LEDGER_COMPACT_BYTES */
};

/* No file: it is made. ERR_CORRUPT: damage, another kind, with file and place in diag; ERR_SCHEMA_FUTURE; what the disk says; what
 * apply says; ERR_NOMEM. */
enum err ledger_open(const struct ledger_options *, struct diag *, struct ledger **ret_ledger)
    __attribute__((warn_unused_result));

/* One append on its way; the caller's memory until done. */
struct ledger_append {
    void (*done)(struct ledger_append *, enum err);
    struct ledger_append *next;
};
/* The entry's bytes are copied. Not taken (done does not come): ERR_MESSAGE_TOO_LARGE above LIMIT_LEDGER_ENTRY_BYTES,
 * ERR_RESOURCE_EXHAUSTED where too much waits already, ERR_NOMEM, or the failure that the ledger has ended with. */
enum err ledger_append(struct ledger *, struct slice entry, struct ledger_append *) __attribute__((warn_unused_result));

/* Inside options.snapshot. Errors are kept and give the rewriting up; the file stays as it was. */
void ledger_snapshot_put(struct ledger_snapshot *, struct slice entry);
/* The caller cannot say what its state is: the rewriting is given up. */
void ledger_snapshot_fail(struct ledger_snapshot *, enum err);

/* How well it is: OK; ERR_DISK_FULL while the last write met that; any other: appends are refused. */
enum err ledger_status(const struct ledger *);

struct ledger_counts {
    uint64_t bytes;       /* of the file */
    uint64_t entries;     /* appended and durable since it was opened */
    uint64_t commits;     /* writes with their sync */
    uint64_t compactions; /* times it was rewritten */
    uint64_t cut_bytes;   /* at the opening, torn by a crash */
};
void ledger_counts(const struct ledger *, struct ledger_counts *ret_counts);

/* Writes what waits, then gives everything back; closed comes from the loop as the last. No append after this. */
void ledger_close(struct ledger *, void (*closed)(void *context), void *context);

/* A new file at `path` in place of any that is there, whole or not at all, with what fill puts into it. Not one that is open. Blocks. */
enum err ledger_write(const struct env *, const char *path, struct slice kind,
                      enum err (*fill)(void *context, struct ledger_snapshot *), void *context)
    __attribute__((warn_unused_result));

/* For `fsck`: reads the file without changing it. visit may be NULL. ret_torn_bytes: behind the last whole frame. Errors as
 * ledger_open. Blocks. */
enum err ledger_check(const struct env *, const char *path, struct slice kind,
                      enum err (*visit)(void *context, struct slice entry), void *context, struct diag *,
                      uint64_t *ret_torn_bytes) __attribute__((warn_unused_result));

#endif

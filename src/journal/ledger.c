/* ledger.h has the promises, ledger_file.h the format.
 *
 *   idle ──append──▶ gathering ──end of the callback──▶ writing ──▶ (dones) ──nothing waits──▶ idle
 *                        ▲                                 │  │
 *                        └────────something waits──────────┘  └──mostly dead──▶ rewriting ──▶ idle | gathering
 *
 * Writing and rewriting are works of the pool, never two at once; while one runs, the pool's thread alone touches `file`, `writing`
 * and `rewrite`, and what is appended gathers in `waiting`.
 *
 * A rewriting begins right after the dones of a commit: then the state is exactly what the file says, and what waits comes after it
 * in the new file. It is written beside the old one, synced, and renamed over it. */
#include "journal/ledger.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/fault.h"
#include "base/limits.h"
#include "base/mem.h"
#include "journal/ledger_file.h"

enum { FRAME_BYTES = 1 << 20 /* about, in a rewritten file */, KEPT_BYTES = 1 << 20, GROWTH = 3 };

enum ledger_state { LEDGER_IDLE, LEDGER_GATHERING, LEDGER_BUSY /* a work of the pool runs, or is told about */ };

struct batch {
    struct buf bytes; /* one frame, or nothing */
    struct ledger_append *first, **last;
    uint32_t entries;
};

struct ledger_snapshot {
    struct ledger_file file;
    struct buf bytes; /* the whole new file */
    size_t frame;     /* where the last frame begins; 0: none is open */
    uint32_t entries; /* in it */
    enum err err;     /* rename: whether the new file is the one is not known */
};

struct ledger {
    struct ledger_options options;
    char *path, *path_new;
    char kind[LEDGER_KIND_BYTES];
    enum ledger_state state;
    struct ledger_file file;
    bool tail_dirty; /* a write failed: there may be bytes behind the end */
    struct batch waiting, writing;
    struct ledger_snapshot rewrite;
    enum err outcome; /* of the work that ran last */
    enum err status;
    uint64_t base_bytes; /* of the file when it was rewritten, or that failed, last */
    struct ledger_counts counts;
    struct task turn;
    struct work work;
    void (*closed)(void *context);
    void *closed_context;
};

static struct ledger *ledger_of_turn(struct task *t)
{
    return (struct ledger *)((char *)t - offsetof(struct ledger, turn));
}

static struct ledger *ledger_of_work(struct work *w)
{
    return (struct ledger *)((char *)w - offsetof(struct ledger, work));
}

/* ---- batches ---------------------------------------------------------------------------------------------------------- */

static void batch_init(struct batch *b)
{
    *b = (struct batch){.last = &b->first};
    buf_init(&b->bytes, LEDGER_FRAME_BYTES + LIMIT_LEDGER_COMMIT_BYTES);
}

static enum err batch_add(struct batch *b, struct slice entry, struct ledger_append *a)
{
    size_t head = b->entries ? 0 : LEDGER_FRAME_BYTES;
    if (!buf_reserve(&b->bytes, head + 4 + entry.size)) {
        enum err e = buf_err(&b->bytes);
        b->bytes.err = OK;
        return e == ERR_NOMEM ? e : ERR_RESOURCE_EXHAUSTED;
    }
    if (head)
        ledger_frame_begin(&b->bytes);
    ledger_frame_put(&b->bytes, entry);
    b->entries++;
    a->next = NULL;
    *b->last = a;
    b->last = &a->next;
    return OK;
}

/* Everything that waits is now being written; the emptied buffer of the last write gathers the next. */
static void batch_move(struct batch *from, struct batch *to)
{
    struct buf emptied = to->bytes;
    *to = *from;
    to->last = NULL; /* nothing is added to it */
    *from = (struct batch){.bytes = emptied, .last = &from->first};
}

/* Its appends, in order; then it is empty. One that is told may append again: that goes to the other batch. */
static void batch_tell(struct batch *b, enum err e)
{
    struct ledger_append *a = b->first;
    b->first = NULL;
    b->entries = 0;
    buf_reset(&b->bytes);
    if (b->bytes.capacity > KEPT_BYTES)
        buf_fini(&b->bytes);
    while (a) {
        struct ledger_append *next = a->next;
        a->done(a, e);
        a = next;
    }
}

/* ---- on the pool's thread --------------------------------------------------------------------------------------------- */

static enum err sync_file(const struct ledger_file *f)
{
    enum err e = FAULT("ledger.sync") ? ERR_IO : f->env->disk->sync(f->env, f->fd);
    return e == ERR_DISK_FULL ? ERR_IO : e; /* what the kernel could not place is lost: nothing is known any more */
}

static enum err write_frame(struct ledger *l)
{
    const struct ledger_file *f = &l->file;
    const struct env_disk *disk = f->env->disk;
    enum err e = l->tail_dirty ? disk->truncate(f->env, f->fd, f->end) : OK;
    if (e)
        return e;
    l->tail_dirty = true;
    e = FAULT("ledger.write") ? ERR_DISK_FULL : disk->pwrite(f->env, f->fd, buf_slice(&l->writing.bytes), f->end);
    if (e) {
        l->tail_dirty = disk->truncate(f->env, f->fd, f->end) != OK;
        return e;
    }
    e = sync_file(f);
    l->tail_dirty = e != OK;
    return e;
}

static void run_write(struct work *w)
{
    struct ledger *l = ledger_of_work(w);
    ledger_frame_seal(&l->file, &l->writing.bytes, 0, l->file.end, l->writing.entries);
    l->outcome = write_frame(l);
    if (!l->outcome)
        l->file.end += l->writing.bytes.size;
}

/* A whole new file under the new path. */
static enum err write_new(struct ledger_file *f, const char *path, struct slice bytes)
{
    const struct env_disk *disk = f->env->disk;
    enum err e = disk->open(f->env, path, O_RDWR | O_CREAT | O_TRUNC, 0600, &f->fd);
    if (e)
        return e;
    e = FAULT("ledger.rewrite") ? ERR_DISK_FULL : disk->pwrite(f->env, f->fd, bytes, 0);
    if (!e)
        e = sync_file(f);
    if (!e)
        return OK;
    disk->close(f->env, f->fd);
    (void)disk->unlink(f->env, path);
    return e;
}

/* The outcome is the rename's, after which nobody could say which file the path leads to. A failure before it costs nothing but the
 * attempt, and is kept in rewrite.err. */
static void run_rewrite(struct work *w)
{
    struct ledger *l = ledger_of_work(w);
    struct ledger_snapshot *s = &l->rewrite;
    const struct env *env = s->file.env;
    l->outcome = OK;
    s->err = write_new(&s->file, l->path_new, buf_slice(&s->bytes));
    if (s->err)
        return;
    l->outcome = env->disk->rename(env, l->path_new, l->path);
    env->disk->close(env, l->outcome ? s->file.fd : l->file.fd);
    if (!l->outcome)
        l->file = s->file;
}

/* ---- snapshots -------------------------------------------------------------------------------------------------------- */

static void snapshot_seal(struct ledger_snapshot *s)
{
    if (!s->entries || buf_err(&s->bytes))
        return;
    ledger_frame_seal(&s->file, &s->bytes, s->frame, s->frame, s->entries);
    s->entries = 0;
}

void ledger_snapshot_put(struct ledger_snapshot *s, struct slice entry)
{
    if (entry.size > LIMIT_LEDGER_ENTRY_BYTES) {
        s->bytes.err = ERR_MESSAGE_TOO_LARGE;
        return;
    }
    if (s->entries && s->bytes.size - s->frame >= FRAME_BYTES)
        snapshot_seal(s);
    if (!s->entries) {
        s->frame = s->bytes.size;
        ledger_frame_begin(&s->bytes);
    }
    ledger_frame_put(&s->bytes, entry);
    s->entries++;
}

void ledger_snapshot_fail(struct ledger_snapshot *s, enum err e)
{
    s->bytes.err = e;
}

static void snapshot_begin(struct ledger_snapshot *s, const struct env *env, struct slice kind)
{
    uint8_t header[LEDGER_HEADER_BYTES];
    *s = (struct ledger_snapshot){.file = {.env = env}};
    buf_init(&s->bytes, LIMIT_LEDGER_SNAPSHOT_BYTES);
    ledger_header_write(&s->file, kind, header);
    buf_put(&s->bytes, header, sizeof header);
}

static enum err snapshot_end(struct ledger_snapshot *s)
{
    snapshot_seal(s);
    s->file.end = s->bytes.size;
    return buf_err(&s->bytes);
}

static enum err snapshot_take(struct ledger *l)
{
    snapshot_begin(&l->rewrite, l->file.env, slice_of(l->kind, sizeof l->kind));
    l->options.snapshot(l->options.context, &l->rewrite);
    return snapshot_end(&l->rewrite);
}

/* ---- the loop's side -------------------------------------------------------------------------------------------------- */

static void finish(struct ledger *l)
{
    void (*closed)(void *) = l->closed;
    void *context = l->closed_context;
    l->file.env->disk->close(l->file.env, l->file.fd);
    buf_fini(&l->waiting.bytes);
    buf_fini(&l->writing.bytes);
    mem_free(l->path);
    mem_free(l->path_new);
    mem_free(l);
    closed(context);
}

/* From a callback of the caller's nothing is begun at once: others of this turn come along. */
static void gather(struct ledger *l)
{
    l->state = LEDGER_GATHERING;
    loop_defer(l->options.loop, &l->turn);
}

static void settle(struct ledger *l)
{
    l->state = LEDGER_IDLE;
    if (l->waiting.entries || l->closed)
        gather(l);
}

static bool mostly_dead(const struct ledger *l)
{
    uint64_t end = l->file.end;
    return l->options.snapshot && !l->closed && end >= l->options.compact_bytes && end / GROWTH >= l->base_bytes;
}

static void done_rewrite(struct work *w)
{
    struct ledger *l = ledger_of_work(w);
    buf_fini(&l->rewrite.bytes);
    l->base_bytes = l->file.end;
    l->counts.bytes = l->file.end;
    l->counts.compactions += !l->outcome && !l->rewrite.err;
    if (l->outcome) {
        l->status = ERR_IO;
        batch_move(&l->waiting, &l->writing);
        batch_tell(&l->writing, l->status);
    }
    settle(l);
}

static void rewrite(struct ledger *l)
{
    if (snapshot_take(l)) { /* tried again when there is more to gain */
        buf_fini(&l->rewrite.bytes);
        l->base_bytes = l->file.end;
        settle(l);
        return;
    }
    l->state = LEDGER_BUSY;
    l->work.run = run_rewrite;
    l->work.done = done_rewrite;
    pool_submit(l->options.pool, l->options.loop, &l->work);
}

static void done_write(struct work *w)
{
    struct ledger *l = ledger_of_work(w);
    enum err e = l->outcome;
    l->status = e;
    l->counts.bytes = l->file.end;
    l->counts.commits += !e;
    l->counts.entries += e ? 0 : l->writing.entries;
    batch_tell(&l->writing, e);
    if (!e && mostly_dead(l))
        rewrite(l);
    else
        settle(l);
}

static bool ended(const struct ledger *l)
{
    return l->status && l->status != ERR_DISK_FULL;
}

static void run_turn(struct task *t)
{
    struct ledger *l = ledger_of_turn(t);
    assert(l->state == LEDGER_GATHERING);
    if (!l->waiting.entries) {
        l->state = LEDGER_IDLE;
        if (l->closed)
            finish(l);
        return;
    }
    batch_move(&l->waiting, &l->writing);
    if (ended(l)) {
        batch_tell(&l->writing, l->status);
        settle(l);
        return;
    }
    l->state = LEDGER_BUSY;
    l->work.run = run_write;
    l->work.done = done_write;
    pool_submit(l->options.pool, l->options.loop, &l->work);
}

enum err ledger_append(struct ledger *l, struct slice entry, struct ledger_append *a)
{
    assert(!l->closed && a->done);
    if (ended(l))
        return l->status;
    if (entry.size > LIMIT_LEDGER_ENTRY_BYTES)
        return ERR_MESSAGE_TOO_LARGE;
    enum err e = batch_add(&l->waiting, entry, a);
    if (!e && l->state == LEDGER_IDLE)
        gather(l);
    return e;
}

enum err ledger_status(const struct ledger *l)
{
    return l->status;
}

void ledger_counts(const struct ledger *l, struct ledger_counts *ret_counts)
{
    *ret_counts = l->counts;
}

void ledger_close(struct ledger *l, void (*closed)(void *context), void *context)
{
    assert(!l->closed);
    l->closed = closed;
    l->closed_context = context;
    if (l->state == LEDGER_IDLE)
        gather(l);
}

/* ---- opening ---------------------------------------------------------------------------------------------------------- */

/* An empty ledger, whole from the moment that its path exists. */
static enum err make(struct ledger *l)
{
    const struct env *env = l->file.env;
    uint8_t header[LEDGER_HEADER_BYTES];
    ledger_header_write(&l->file, slice_of(l->kind, sizeof l->kind), header);
    enum err e = write_new(&l->file, l->path_new, slice_of(header, sizeof header));
    if (e)
        return e;
    e = env->disk->rename(env, l->path_new, l->path);
    if (e)
        env->disk->close(env, l->file.fd);
    return e;
}

static enum err cut_tail(struct ledger *l)
{
    const struct env *env = l->file.env;
    enum err e = env->disk->truncate(env, l->file.fd, l->file.end);
    return e ? e : env->disk->sync(env, l->file.fd);
}

static enum err read_existing(struct ledger *l, struct diag *diag)
{
    const struct ledger_options *o = &l->options;
    uint64_t torn_bytes;
    enum err e =
        ledger_file_read(&l->file, l->path, slice_of(l->kind, sizeof l->kind), o->apply, o->context, diag, &torn_bytes);
    if (!e && torn_bytes)
        e = cut_tail(l);
    if (!e)
        l->counts.cut_bytes = torn_bytes;
    return e;
}

static enum err open_file(struct ledger *l, struct diag *diag)
{
    const struct env *env = l->file.env;
    enum err e = env->disk->open(env, l->path, O_RDWR, 0, &l->file.fd);
    if (e == ERR_NOT_FOUND)
        e = make(l);
    else if (!e && (e = read_existing(l, diag)))
        env->disk->close(env, l->file.fd);
    if (e && diag && diag->err != e)
        diag_set(diag, e, "%s cannot be opened", l->path);
    return e;
}

static void free_unopened(struct ledger *l)
{
    if (!l)
        return;
    mem_free(l->path);
    mem_free(l->path_new);
    mem_free(l);
}

static struct ledger *allocate(const struct ledger_options *o)
{
    enum { SUFFIX = sizeof ".new" };
    struct ledger *l = mem_zalloc(sizeof *l);
    if (!l)
        return NULL;
    size_t size = strlen(o->path) + SUFFIX;
    l->path = mem_strdup(o->path);
    l->path_new = mem_alloc(size);
    if (!l->path || !l->path_new) {
        free_unopened(l);
        return NULL;
    }
    snprintf(l->path_new, size, "%s.new", o->path);
    return l;
}

enum err ledger_open(const struct ledger_options *o, struct diag *diag, struct ledger **ret_ledger)
{
    assert(o->kind.size == LEDGER_KIND_BYTES && o->apply);
    struct ledger *l = allocate(o);
    if (!l)
        return ERR_NOMEM;
    l->options = *o;
    l->options.path = NULL;
    l->options.compact_bytes = o->compact_bytes ? o->compact_bytes : LIMIT_LEDGER_COMPACT_BYTES;
    memcpy(l->kind, o->kind.data, sizeof l->kind);
    l->file = (struct ledger_file){.env = o->env};
    l->turn.run = run_turn;
    batch_init(&l->waiting);
    batch_init(&l->writing);
    enum err e = open_file(l, diag);
    if (e) {
        free_unopened(l);
        return e;
    }
    l->counts.bytes = l->file.end;
    *ret_ledger = l;
    return OK;
}

enum err ledger_check(const struct env *env, const char *path, struct slice kind, ledger_visit_fn *visit, void *context,
                      struct diag *diag, uint64_t *ret_torn_bytes)
{
    struct ledger_file f = {.env = env};
    enum err e = env->disk->open(env, path, O_RDONLY, 0, &f.fd);
    if (e)
        return diag_set(diag, e, "%s cannot be opened", path);
    e = ledger_file_read(&f, path, kind, visit, context, diag, ret_torn_bytes);
    env->disk->close(env, f.fd);
    return e;
}

enum err ledger_write(const struct env *env, const char *path, struct slice kind,
                      enum err (*fill)(void *context, struct ledger_snapshot *), void *context)
{
    struct ledger_snapshot s;
    size_t size = strlen(path) + sizeof ".new";
    char *path_new = mem_alloc(size);
    if (!path_new)
        return ERR_NOMEM;
    snprintf(path_new, size, "%s.new", path);
    snapshot_begin(&s, env, kind);
    enum err e = fill(context, &s);
    if (!e)
        e = snapshot_end(&s);
    if (!e)
        e = write_new(&s.file, path_new, buf_slice(&s.bytes));
    if (!e) {
        env->disk->close(env, s.file.fd);
        e = env->disk->rename(env, path_new, path);
    }
    buf_fini(&s.bytes);
    mem_free(path_new);
    return e;
}

#include "book.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../harness.h"
#include "base/mem.h"

/* ---- a disk that fails ------------------------------------------------------------------------------------------------ */

static struct flaky *flaky_of(const struct env *env)
{
    return (struct flaky *)env;
}

static enum err pass(struct flaky *f)
{
    f->calls++;
    bool fails = f->fail_at && (f->forever ? f->calls >= f->fail_at : f->calls == f->fail_at);
    return fails ? f->err : OK;
}

static enum err flaky_open(const struct env *env, const char *path, int flags, mode_t mode, int *ret_fd)
{
    struct flaky *f = flaky_of(env);
    enum err e = pass(f);
    return e ? e : f->under->disk->open(f->under, path, flags, mode, ret_fd);
}

static void flaky_close(const struct env *env, int fd)
{
    flaky_of(env)->under->disk->close(flaky_of(env)->under, fd);
}

static enum err flaky_pread(const struct env *env, int fd, void *to, size_t size, uint64_t offset, size_t *ret_size)
{
    struct flaky *f = flaky_of(env);
    enum err e = pass(f);
    return e ? e : f->under->disk->pread(f->under, fd, to, size, offset, ret_size);
}

static enum err flaky_pwrite(const struct env *env, int fd, struct slice from, uint64_t offset)
{
    struct flaky *f = flaky_of(env);
    enum err e = pass(f);
    if (e && f->torn_bytes)
        (void)f->under->disk->pwrite(f->under, fd, slice_take(from, f->torn_bytes), offset);
    return e ? e : f->under->disk->pwrite(f->under, fd, from, offset);
}

static enum err flaky_sync(const struct env *env, int fd)
{
    struct flaky *f = flaky_of(env);
    enum err e = pass(f);
    return e ? e : f->under->disk->sync(f->under, fd);
}

static enum err flaky_truncate(const struct env *env, int fd, uint64_t size)
{
    struct flaky *f = flaky_of(env);
    enum err e = pass(f);
    return e ? e : f->under->disk->truncate(f->under, fd, size);
}

static enum err flaky_size(const struct env *env, int fd, uint64_t *ret_size)
{
    struct flaky *f = flaky_of(env);
    enum err e = pass(f);
    return e ? e : f->under->disk->size(f->under, fd, ret_size);
}

static enum err flaky_rename(const struct env *env, const char *from, const char *to)
{
    struct flaky *f = flaky_of(env);
    enum err e = pass(f);
    return e ? e : f->under->disk->rename(f->under, from, to);
}

static enum err flaky_unlink(const struct env *env, const char *path)
{
    struct flaky *f = flaky_of(env);
    enum err e = pass(f);
    return e ? e : f->under->disk->unlink(f->under, path);
}

static void flaky_random(const struct env *env, void *out, size_t size)
{
    flaky_of(env)->under->random(flaky_of(env)->under, out, size);
}

void flaky_init(struct flaky *f, const struct env *under)
{
    *f = (struct flaky){.under = under,
                        .disk = {.open = flaky_open,
                                 .close = flaky_close,
                                 .pread = flaky_pread,
                                 .pwrite = flaky_pwrite,
                                 .sync = flaky_sync,
                                 .truncate = flaky_truncate,
                                 .size = flaky_size,
                                 .rename = flaky_rename,
                                 .unlink = flaky_unlink}};
    f->env.random = flaky_random;
    f->env.disk = &f->disk;
}

void flaky_plan(struct flaky *f, uint64_t n, bool forever, enum err e)
{
    f->fail_at = n ? f->calls + n : 0;
    f->forever = forever;
    f->err = e;
}

/* ---- entries ---------------------------------------------------------------------------------------------------------- */

static uint64_t number_of(struct slice entry)
{
    uint64_t n = 0;
    CHECK(entry.size >= sizeof n);
    memcpy(&n, entry.data, sizeof n);
    return n;
}

static enum err apply(void *context, struct slice entry)
{
    struct book *b = context;
    uint64_t n = number_of(entry);
    if (n == 0)
        return ERR_CORRUPT;
    b->found[n % BOOK_CELLS] = n;
    b->applied++;
    b->last_found = n > b->last_found ? n : b->last_found;
    return OK;
}

static void write_state(void *context, struct ledger_snapshot *s)
{
    struct book *b = context;
    for (int i = 0; i < BOOK_CELLS; i++)
        if (b->cells[i])
            ledger_snapshot_put(s, slice_of(&b->cells[i], sizeof b->cells[i]));
}

struct pending {
    struct ledger_append append; /* first */
    struct book *book;
    uint64_t n;
};

static void told(struct ledger_append *a, enum err e)
{
    struct pending *p = (struct pending *)a;
    struct book *b = p->book;
    b->out_of_order |= p->n <= b->last_acknowledged;
    if (e) {
        b->refused++;
        b->refused_with = e;
    } else {
        b->acknowledged++;
        b->last_acknowledged = p->n;
        b->cells[p->n % BOOK_CELLS] = p->n;
    }
    mem_free(p);
}

enum err book_append(struct book *b)
{
    struct pending *p = mem_zalloc(sizeof *p);
    uint8_t *entry = mem_zalloc(sizeof p->n + b->padding_bytes);
    enum err e = p && entry ? OK : ERR_NOMEM;
    if (!e) {
        *p = (struct pending){.append = {.done = told}, .book = b, .n = b->appended + 1};
        memcpy(entry, &p->n, sizeof p->n);
        e = ledger_append(b->ledger, slice_of(entry, sizeof p->n + b->padding_bytes), &p->append);
    }
    mem_free(entry);
    if (e)
        mem_free(p);
    else
        b->appended++;
    return e;
}

/* ---- its life --------------------------------------------------------------------------------------------------------- */

static enum err make_world(struct book *b, uint64_t seed)
{
    const struct env *env = env_real();
    enum err e = seed ? sim_new(seed, &b->sim) : pool_new(1, &b->pool);
    if (e)
        return e;
    if (b->sim)
        env = sim_env(b->sim);
    flaky_init(&b->disk, env);
    return loop_new(env, 0, &b->loop);
}

enum err book_new(struct book *b, uint64_t seed)
{
    *b = (struct book){.compact_bytes = 1 << 30};
    arena_init(&b->arena, 64 << 20);
    diag_init(&b->diag, &b->arena);
    enum err e = make_world(b, seed);
    snprintf(b->path, sizeof b->path, "/book");
    if (!e && !seed) {
        char folder[] = "/tmp/prism-ledger-XXXXXX";
        CHECK(mkdtemp(folder) != NULL);
        snprintf(b->path, sizeof b->path, "%s/book", folder);
    }
    return e;
}

static void remove_files(struct book *b)
{
    char *slash = strrchr(b->path, '/');
    unlink(b->path);
    *slash = '\0';
    rmdir(b->path);
}

void book_free(struct book *b)
{
    if (b->pool && b->path[1])
        remove_files(b);
    if (b->loop)
        loop_free(b->loop);
    pool_free(b->pool);
    sim_free(b->sim);
    arena_fini(&b->arena);
}

enum err book_open(struct book *b)
{
    struct ledger_options o = {.env = &b->disk.env,
                               .loop = b->loop,
                               .pool = b->pool,
                               .path = b->path,
                               .kind = SLICE("BOOK"),
                               .apply = apply,
                               .snapshot = b->forgetful ? NULL : write_state,
                               .context = b,
                               .compact_bytes = b->compact_bytes};
    memset(b->found, 0, sizeof b->found);
    b->applied = b->last_found = 0;
    b->closed = false;
    diag_init(&b->diag, &b->arena);
    return ledger_open(&o, &b->diag, &b->ledger);
}

static void note_closed(void *context)
{
    ((struct book *)context)->closed = true;
}

void book_close(struct book *b)
{
    if (!b->ledger)
        return;
    ledger_close(b->ledger, note_closed, b);
    b->ledger = NULL;
    while (!b->closed)
        loop_turn(b->loop, true);
}

void book_settle(struct book *b)
{
    while (b->acknowledged + b->refused < b->appended)
        loop_turn(b->loop, true);
}

void book_write(struct book *b, uint64_t n)
{
    for (uint64_t i = 0; i < n && book_append(b) == OK; i++)
        book_settle(b);
}

struct slice book_bytes(struct book *b)
{
    const struct env *env = b->disk.under;
    uint64_t size;
    int fd;
    CHECK_ERR(env->disk->open(env, b->path, O_RDONLY, 0, &fd), OK);
    CHECK_ERR(env->disk->size(env, fd, &size), OK);
    uint8_t *bytes = arena_alloc(&b->arena, size + 1);
    size_t got;
    CHECK(bytes != NULL);
    CHECK_ERR(env->disk->pread(env, fd, bytes, size, 0, &got), OK);
    env->disk->close(env, fd);
    return slice_of(bytes, got);
}

void book_replace(struct book *b, struct slice bytes)
{
    const struct env *env = b->disk.under;
    int fd;
    CHECK_ERR(env->disk->open(env, b->path, O_RDWR | O_CREAT | O_TRUNC, 0600, &fd), OK);
    CHECK_ERR(env->disk->pwrite(env, fd, bytes, 0), OK);
    CHECK_ERR(env->disk->sync(env, fd), OK);
    env->disk->close(env, fd);
}

/* What entries 1 to n lead to. */
static bool leads_to(uint64_t n, const uint64_t cells[BOOK_CELLS])
{
    for (uint64_t i = 0; i < BOOK_CELLS; i++) {
        uint64_t newest = n >= i ? n - (n - i) % BOOK_CELLS : 0;
        if (cells[i] != newest)
            return false;
    }
    return true;
}

bool book_is_honest(const struct book *b)
{
    return b->last_found >= b->last_acknowledged && b->last_found <= b->appended && leads_to(b->last_found, b->found);
}

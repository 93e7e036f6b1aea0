/* `memorystreamer fsck DIR` and `memorystreamer dump SEGMENT`: what is on disk, looked at without changing it. */
#include <stdio.h>

#include "base/limits.h"
#include "cmd/memorystreamer/memorystreamer.h"
#include "journal/check.h"
#include "journal/ledger.h"
#include "kafka/batch.h"
#include "streamer/partition.h"

/* --- fsck --------------------------------------------------------------------------------------------------------------------- */

static const char *const findings[] = {
    [JOURNAL_DAMAGED] = "damaged",
    [JOURNAL_TORN] = "torn, the next start cuts it",
    [JOURNAL_REBUILT] = "index, the next start makes it again",
    [JOURNAL_STRAY] = "does not belong there",
};

static void print_problem(void *context, const struct journal_problem *p)
{
    (void)context;
    printf("%s:%llu: %s: %s", p->path, (unsigned long long)p->position, findings[p->finding], p->what);
    if (p->offset >= 0)
        printf(" (offset %lld)", (long long)p->offset);
    putchar('\n');
}

/* A ledger of the folder meta, by its name; of names that begin alike the longer stands first. */
static const struct ledger_kind {
    const char *prefix, *kind;
} ledger_kinds[] = {{"catalog", "CTLG"}, {"groups", "GRPS"}, {"producer-ids", "PIDS"}, {"producers", "PROD"}};

struct checking {
    const char *folder;
    uint64_t ledgers, torn, damaged;
};

static const char *kind_of(const char *name)
{
    size_t size = strlen(name);
    if (size < 7 || strcmp(name + size - 7, ".ledger") != 0)
        return NULL;
    for (size_t i = 0; i < sizeof ledger_kinds / sizeof *ledger_kinds; i++)
        if (strncmp(name, ledger_kinds[i].prefix, strlen(ledger_kinds[i].prefix)) == 0)
            return ledger_kinds[i].kind;
    return NULL;
}

static void check_ledger(void *context, const char *name, bool folder)
{
    struct checking *c = context;
    const char *kind = kind_of(name);
    char path[4096];
    struct arena arena;
    struct diag diag;
    uint64_t torn = 0;
    if (folder || !kind)
        return;
    arena_init(&arena, 1 << 20);
    diag_init(&diag, &arena);
    snprintf(path, sizeof path, "%s/meta/%s", c->folder, name);
    enum err e = ledger_check(env_real(), path, slice_str(kind), NULL, NULL, &diag, &torn);
    if (e)
        printf("%s: damaged: %s\n", path, diag.message ? diag.message : err_row(e)->text);
    else if (torn)
        printf("%s: torn, the next start cuts it: %llu bytes\n", path, (unsigned long long)torn);
    c->ledgers++;
    c->damaged += e != OK;
    c->torn += torn != 0;
    arena_fini(&arena);
}

static enum err check_ledgers(struct checking *c)
{
    char meta[4096];
    snprintf(meta, sizeof meta, "%s/meta", c->folder);
    enum err e = env_real()->disk->list(env_real(), meta, check_ledger, c);
    return e == ERR_NOT_FOUND ? OK : e;
}

static int complain(const char *what, enum err e, const struct diag *diag)
{
    fprintf(stderr, "memorystreamer: %s: %s\n", what, diag && diag->message ? diag->message : err_row(e)->text);
    return err_row(e)->exit_code;
}

int fsck(const char *folder)
{
    struct journal_check check = {.problem = print_problem};
    struct checking meta = {.folder = folder};
    struct arena arena;
    struct diag diag;
    arena_init(&arena, 1 << 20);
    diag_init(&diag, &arena);
    enum err e = journal_check(env_real(), folder, &partition_format, &check, &diag);
    if (!e || e == ERR_CORRUPT) {
        enum err listed = check_ledgers(&meta);
        e = listed ? listed : e;
    }
    uint64_t damaged = check.damaged + meta.damaged;
    int code = e && e != ERR_CORRUPT ? complain(folder, e, &diag) : 0;
    if (!code) {
        printf("%llu logs, %llu segments, %llu batches, %llu bytes, %llu ledgers: %llu damaged, %llu to be put right "
               "by the "
               "next start\n",
               (unsigned long long)check.logs, (unsigned long long)check.segments, (unsigned long long)check.entries,
               (unsigned long long)check.bytes, (unsigned long long)meta.ledgers, (unsigned long long)damaged,
               (unsigned long long)check.other + meta.torn);
        code = e || damaged ? err_row(ERR_CORRUPT)->exit_code : 0;
    }
    arena_fini(&arena);
    return code;
}

/* --- dump --------------------------------------------------------------------------------------------------------------------- */

static const char *const codecs[] = {[BATCH_PLAIN] = "none",
                                     [BATCH_GZIP] = "gzip",
                                     [BATCH_SNAPPY] = "snappy",
                                     [BATCH_LZ4] = "lz4",
                                     [BATCH_ZSTD] = "zstd"};

static void print_batch(void *context, const struct journal_dumped *d)
{
    struct batch_header h;
    (void)context;
    if (batch_read_header(d->bytes.data, &h))
        return;
    printf("position %llu offset %lld to %lld records %u bytes %u time %lld codec %s", (unsigned long long)d->position,
           (long long)h.base_offset, (long long)batch_last_offset(&h), h.record_count, h.size, (long long)h.max_time_ms,
           batch_codec(&h) < BATCH_CODEC_COUNT ? codecs[batch_codec(&h)] : "unknown");
    if (h.producer_id >= 0)
        printf(" producer %lld epoch %d sequence %d", (long long)h.producer_id, h.producer_epoch, (int)h.base_sequence);
    printf("%s%s\n", d->whole ? "" : " CHECKSUM WRONG", d->dense ? "" : " OFFSET WRONG");
}

int dump(const char *path)
{
    uint64_t end, size;
    enum err e =
        journal_dump(env_real(), path, &partition_format, journal_base_of(path), print_batch, NULL, &end, &size);
    if (e)
        return complain(path, e, NULL);
    if (end < size)
        printf("position %llu: no batch; %llu bytes are left\n", (unsigned long long)end,
               (unsigned long long)(size - end));
    return end < size ? err_row(ERR_CORRUPT)->exit_code : 0;
}

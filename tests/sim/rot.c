/* After a run that ended well: one byte of one file changes, and the server is opened again. What is said and read then must be true:
 * each offset is read as it was, or refused as damaged; the end stays where it was. An index is made again, so that its damage
 * costs nothing. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/run.h"

enum { FILES_MAX = 512, PATH_BYTES = 160, READ_BYTES = 4000 };

struct files {
    struct run *run;
    char folder[PATH_BYTES];
    char paths[FILES_MAX][PATH_BYTES];
    uint32_t count;
};

static void note_file(void *context, const char *name, bool folder)
{
    struct files *f = context;
    if (!folder && f->count < FILES_MAX)
        snprintf(f->paths[f->count++], PATH_BYTES, "%.90s/%.60s", f->folder, name);
}

static void note_folder(void *context, const char *name, bool folder)
{
    struct files *f = context;
    if (!folder)
        return;
    snprintf(f->folder, sizeof f->folder, "/data/logs/%.80s", name);
    (void)f->run->env->disk->list(f->run->env, f->folder, note_file, f);
}

static uint64_t size_of(struct run *r, const char *path)
{
    uint64_t size = 0;
    int fd;
    if (r->env->disk->open(r->env, path, 0, 0, &fd) != OK)
        return 0;
    (void)r->env->disk->size(r->env, fd, &size);
    r->env->disk->close(r->env, fd);
    return size;
}

/* Of the logs, any file, any byte, any bits. false: there are none. */
static bool damage(struct run *r, bool *ret_index)
{
    struct files *f = mem_zalloc(sizeof *f);
    bool done = false;
    if (!f)
        return false;
    f->run = r;
    (void)r->env->disk->list(r->env, "/data/logs", note_folder, f);
    const char *path = f->count ? f->paths[sim_choose(r->sim, f->count)] : "";
    uint64_t size = size_of(r, path), at = size ? sim_choose(r->sim, size) : 0;
    uint8_t bits = (uint8_t)(1 + sim_choose(r->sim, 255));
    if (size) {
        done = sim_disk_rot(r->sim, path, at, bits) == OK;
        *ret_index = strstr(path, ".index") != NULL;
        run_trace(r, "byte %" PRIu64 " of %" PRIu64 " of %s changes by %02x", at, size, path, bits);
    }
    mem_free(f);
    return done;
}

/* ---- reading what is left ------------------------------------------------------------------------------------------------------- */

struct rereading {
    struct run *run;
    uint32_t partition;
    int64_t next;
};

static void check_record(void *context, int64_t offset, uint64_t value)
{
    struct rereading *r = context;
    if (offset != r->next++)
        run_violate(r->run, "partition %u: after damage offset %" PRId64 " is passed over", r->partition, r->next - 1);
    if (!judge_knows(r->run->judge, r->partition, offset, value))
        run_violate(r->run, "partition %u: after damage another value is read at %" PRId64, r->partition, offset);
}

/* Offsets that are refused as damaged. */
static int64_t reread(struct run *r, uint32_t partition)
{
    struct rereading context = {r, partition, 0};
    struct node_bounds b = node_bounds(r->node, partition);
    int64_t refused = 0;
    for (int64_t at = b.start; at < b.end && !run_failed(r);) {
        int64_t next = context.next = at;
        enum err e = node_fetch(r->node, partition, at, READ_BYTES, check_record, &context, &next);
        if (e && e != ERR_CORRUPT)
            run_violate(r, "partition %u: after damage reading %" PRId64 " says %s", partition, at, err_name(e));
        if (!e && (next == at || next != context.next))
            run_violate(r, "partition %u: after damage %" PRId64 " is not read, and nothing is said", partition,
                        context.next);
        refused += e != OK;
        at = e ? at + 1 : next;
    }
    return refused;
}

static void check_damaged(struct run *r, bool index)
{
    for (uint32_t i = 0; i < r->choices.partitions && !run_failed(r); i++) {
        struct node_bounds b = node_bounds(r->node, i);
        if (!judge_knows_bounds(r->judge, i, b.start, b.end))
            run_violate(r, "partition %u: after damage it reaches from %" PRId64 " to %" PRId64, i, b.start, b.end);
        int64_t refused = reread(r, i);
        run_trace(r, "partition %u: %" PRId64 " offsets are refused as damaged", i, refused);
        if (index && (refused || b.damaged))
            run_violate(r, "partition %u: a damaged index costs %" PRId64 " offsets", i, refused);
    }
}

void rot_and_check(struct run *r)
{
    bool index = false;
    if (!damage(r, &index))
        return;
    enum err e = node_open(r, &r->node);
    run_trace(r, "open: %s", err_name(e));
    if (e) {
        run_violate(r, "does not open with one damaged byte in a log: %s", err_name(e));
        return;
    }
    check_damaged(r, index);
    (void)node_stop(r->node);
    r->node = NULL;
}

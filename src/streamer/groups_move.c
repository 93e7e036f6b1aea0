/* The ledgers of groups follow the number of workers. They are meta/groups-<shard>-of-<shards>.ledger; another number of shards
 * makes others:
 *
 *   old set ──▶ new set, each as .ledger.moved ──all written──▶ old set removed ──▶ new set renamed ──▶ opened
 *
 * Wherever this stops, the next start goes on: as long as the old set is whole, it is what counts, and the move begins again; once
 * one of it is gone, all of the new set is there. Entries are copied as they are, those of a group in their order. */
#include <assert.h>
#include <stdio.h>

#include "base/fault.h"
#include "base/limits.h"
#include "streamer/groups.h"

enum { NAME_BYTES = 64, PATH_BYTES = 4096, SHARDS_MAX = LIMIT_WORKERS };

/* What is in the folder: a bit a shard, by the number of shards. */
struct sets {
    uint64_t whole[SHARDS_MAX + 1];
    uint64_t moved[SHARDS_MAX + 1];
};

static_assert(SHARDS_MAX <= 64, "a bit a shard");

static void note_name(void *context, const char *name, bool folder)
{
    struct sets *sets = context;
    unsigned shard, shards;
    int end = 0;
    if (folder || sscanf(name, "groups-%u-of-%u.ledger%n", &shard, &shards, &end) != 2 || !end)
        return;
    if (!shards || shards > SHARDS_MAX || shard >= shards)
        return;
    if (!name[end])
        sets->whole[shards] |= UINT64_C(1) << shard;
    else if (strcmp(name + end, ".moved") == 0)
        sets->moved[shards] |= UINT64_C(1) << shard;
}

static uint64_t all_of(unsigned shards)
{
    return shards == 64 ? UINT64_MAX : (UINT64_C(1) << shards) - 1;
}

/* A set other than `but` of which anything is there; 0: none. */
static unsigned other_than(const uint64_t by_count[SHARDS_MAX + 1], unsigned but)
{
    for (unsigned n = 1; n <= SHARDS_MAX; n++)
        if (n != but && by_count[n])
            return n;
    return 0;
}

struct move {
    struct broker *broker;
    const struct env *env;
    struct diag *diag;
    unsigned from, to, shard; /* the one that is written now */
    struct ledger_snapshot *out;
};

static bool path_of(const struct move *m, unsigned shard, unsigned shards, const char *suffix, char out[PATH_BYTES])
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "meta/groups-%u-of-%u.ledger%s", shard, shards, suffix);
    return broker_path(m->broker, name, out, PATH_BYTES);
}

static enum err too_long(struct move *m)
{
    return diag_set(m->diag, ERR_FILE, "the path of the data folder is too long");
}

/* ---- writing the new set ----------------------------------------------------------------------------------------------- */

static enum err copy_entry(void *context, struct slice entry)
{
    struct move *m = context;
    struct slice group;
    if (!group_of_entry(entry, &group))
        return ERR_CORRUPT;
    if (shard_index_of_group(group, m->to) == m->shard)
        ledger_snapshot_put(m->out, entry);
    return OK;
}

static enum err fill(void *context, struct ledger_snapshot *out)
{
    struct move *m = context;
    enum err e = OK;
    m->out = out;
    for (unsigned i = 0; i < m->from && !e; i++) {
        char path[PATH_BYTES];
        uint64_t torn;
        e = path_of(m, i, m->from, "", path) ? OK : too_long(m);
        if (!e)
            e = ledger_check(m->env, path, SLICE("GRPS"), copy_entry, m, m->diag, &torn);
    }
    return e;
}

static enum err write_set(struct move *m)
{
    enum err e = OK;
    for (m->shard = 0; m->shard < m->to && !e; m->shard++) {
        char path[PATH_BYTES];
        e = path_of(m, m->shard, m->to, ".moved", path) ? OK : too_long(m);
        if (!e)
            e = FAULT("groups.move.write") ? ERR_IO : ledger_write(m->env, path, SLICE("GRPS"), fill, m);
    }
    return e;
}

/* ---- putting it in place ------------------------------------------------------------------------------------------------ */

static enum err remove_set(struct move *m, unsigned shards, uint64_t there, const char *suffix)
{
    enum err e = OK;
    for (unsigned i = 0; i < shards && !e; i++) {
        char path[PATH_BYTES];
        if (!(there >> i & 1))
            continue;
        e = !path_of(m, i, shards, suffix, path) ? too_long(m)
            : FAULT("groups.move.remove")        ? ERR_IO
                                                 : m->env->disk->unlink(m->env, path);
    }
    return e;
}

static enum err rename_set(struct move *m, unsigned shards, uint64_t there)
{
    enum err e = OK;
    for (unsigned i = 0; i < shards && !e; i++) {
        char from[PATH_BYTES], to[PATH_BYTES];
        if (!(there >> i & 1))
            continue;
        e = path_of(m, i, shards, ".moved", from) && path_of(m, i, shards, "", to) ? OK : too_long(m);
        if (!e)
            e = FAULT("groups.move.rename") ? ERR_IO : m->env->disk->rename(m->env, from, to);
    }
    return e;
}

static enum err look(struct move *m, struct sets *sets)
{
    char folder[PATH_BYTES];
    *sets = (struct sets){0};
    if (!broker_path(m->broker, "meta", folder, sizeof folder))
        return too_long(m);
    return m->env->disk->list(m->env, folder, note_name, sets);
}

/* A move that was interrupted is taken back, or ended. */
static enum err recover(struct move *m)
{
    struct sets sets;
    enum err e = look(m, &sets);
    unsigned to = e ? 0 : other_than(sets.moved, 0);
    if (!to)
        return e;
    unsigned from = other_than(sets.whole, to);
    if (from && sets.whole[from] == all_of(from))
        return remove_set(m, to, sets.moved[to], ".moved");
    e = from ? remove_set(m, from, sets.whole[from], "") : OK;
    return e ? e : rename_set(m, to, sets.moved[to]);
}

static enum err move(struct move *m, const struct sets *sets)
{
    if (sets->whole[m->from] != all_of(m->from))
        return diag_set(m->diag, ERR_CORRUPT, "of the %u ledgers of groups some are missing", m->from);
    log_info(broker_shard(m->broker, 0)->log, "groups move to another number of workers", LOG_INT("from", m->from),
             LOG_INT("to", m->to));
    enum err e = write_set(m);
    if (!e)
        e = remove_set(m, m->from, sets->whole[m->from], "");
    return e ? e : rename_set(m, m->to, all_of(m->to));
}

enum err groups_move(struct broker *b, struct diag *diag)
{
    struct move m = {.broker = b, .env = broker_env(b), .diag = diag, .to = broker_shards(b)};
    struct sets sets;
    enum err e = recover(&m);
    if (!e)
        e = look(&m, &sets);
    if (!e && (m.from = other_than(sets.whole, m.to)))
        e = move(&m, &sets);
    if (e && diag && diag->err != e)
        diag_set(diag, e, "the ledgers of groups cannot be moved to another number of workers");
    return e;
}

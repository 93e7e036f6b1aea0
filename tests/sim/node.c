/* The life of the server under test: journal, ledger and memory of producers as production has them, opened and closed as the
 * broker does it. */
#include "node.h"

#include "base/mem.h"

enum { TURNS_TO_CLOSE = 20000 };

/* ---- the end ----------------------------------------------------------------------------------------------------------------- */

static void on_journal_closed(void *context, enum err e)
{
    struct node *n = context;
    n->closed_err = e;
    n->closing--;
}

static void on_ledger_closed(void *context)
{
    ((struct node *)context)->closing--;
}

static void begin_close(struct node *n)
{
    n->closing = (n->journal != NULL) + (n->ledger != NULL);
    if (n->journal)
        journal_close(n->journal, on_journal_closed, n);
    if (n->ledger)
        ledger_close(n->ledger, on_ledger_closed, n);
}

static enum err close_node(struct node *n)
{
    begin_close(n);
    for (int turns = 0; n->closing && turns < TURNS_TO_CLOSE; turns++)
        loop_turn(n->run->loop, true);
    if (n->closing)
        run_give_up(n->run, "the server does not close");
    enum err e = n->closed_err;
    node_drop_repeats(n);
    journal_store_close(n->store);
    for (uint32_t i = 0; i < PARTITIONS_MAX; i++)
        producers_fini(&n->producers[i]);
    mem_free(n);
    return e;
}

enum err node_stop(struct node *n)
{
    return close_node(n);
}

void node_die(struct node *n)
{
    (void)close_node(n);
}

/* ---- the beginning ------------------------------------------------------------------------------------------------------------ */

static enum err open_ledger(struct node *n)
{
    const struct env *env = n->run->env;
    enum err e = env->disk->mkdir(env, "/data/meta", 0700);
    if (!e)
        e = env->disk->sync_folder(env, "/data");
    struct ledger_options o = {.env = env,
                               .loop = n->run->loop,
                               .pool = n->run->pool,
                               .path = "/data/meta/groups.ledger",
                               .kind = SLICE("GRPS"),
                               .apply = node_apply_commit,
                               .snapshot = node_snapshot_commits,
                               .context = n,
                               .compact_bytes = 2000};
    return e ? e : ledger_open(&o, NULL, &n->ledger);
}

static struct journal_key key_of(uint32_t partition)
{
    return (struct journal_key){.id = "simulated topic", .partition = partition};
}

static enum err open_log(struct node *n, uint32_t partition)
{
    const struct choices *c = &n->run->choices;
    struct journal_key key = key_of(partition);
    struct journal_log_options o = {.segment_bytes = c->segment_bytes,
                                    .logged = c->flush[partition] && n->run->plant != PLANT_ACK_EARLY};
    return journal_log_open(n->journal, &key, &o, &n->logs[partition]);
}

static enum err open_journal(struct node *n)
{
    const struct choices *c = &n->run->choices;
    struct journal_options o = {.loop = n->run->loop,
                                .pool = n->run->pool,
                                .files_open_max = 4,
                                .wal_file_bytes = c->wal_file_bytes,
                                .wal_files_max = c->wal_files,
                                .warm_bytes = 3 * c->segment_bytes,
                                .checkpoint_ms = c->checkpoint_ms,
                                .syncs_max = c->syncs_max};
    enum err e = journal_open(n->store, &o, &n->journal);
    for (uint32_t i = 0; i < c->partitions && !e; i++)
        e = open_log(n, i);
    return e ? e : journal_store_recovered(n->store, NULL);
}

static enum err open_all(struct node *n)
{
    struct journal_store_options o = {
        .env = n->run->env, .folder = "/data", .format = &node_format, .replayed = node_replayed, .context = n};
    enum err e = journal_store_open(&o, NULL, &n->store);
    if (!e)
        e = open_ledger(n);
    return e ? e : open_journal(n);
}

static void init_memory(struct node *n)
{
    struct hash_key secret;
    n->run->env->random(n->run->env, &secret, sizeof secret);
    producer_pool_init(&n->pool, &secret);
    for (uint32_t i = 0; i < PARTITIONS_MAX; i++)
        producers_init(&n->producers[i], &n->pool);
    memset(n->committed, 0xff, sizeof n->committed); /* -1 */
}

enum err node_open(struct run *r, struct node **ret_node)
{
    struct node *n = mem_zalloc(sizeof *n);
    if (!n)
        return ERR_NOMEM;
    n->run = r;
    init_memory(n);
    enum err e = open_all(n);
    if (e) {
        (void)close_node(n);
        return e;
    }
    *ret_node = n;
    return OK;
}

/* ---- how it is ---------------------------------------------------------------------------------------------------------------- */

bool node_is_broken(const struct node *n)
{
    struct journal_status journal;
    struct journal_log_status log;
    enum err ledger = ledger_status(n->ledger);
    journal_status(n->journal, &journal);
    bool broken = journal.failed || (ledger && ledger != ERR_DISK_FULL);
    for (uint32_t i = 0; i < n->run->choices.partitions; i++) {
        journal_log_status(n->logs[i], &log);
        broken |= log.failed != OK;
    }
    return broken;
}

struct node_bounds node_bounds(const struct node *n, uint32_t partition)
{
    const struct journal_log *log = n->logs[partition];
    struct journal_log_status status;
    journal_log_status(log, &status);
    return (struct node_bounds){.start = journal_log_start(log),
                                .stable = journal_log_stable(log),
                                .end = journal_log_end(log),
                                .damaged = status.damaged};
}

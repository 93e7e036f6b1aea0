/* Asking the shards. */
#include "streamer/figures.h"

#include "base/mem.h"
#include "streamer/groups.h"
#include "streamer/partition.h"

enum { ARENA_BYTES = 512 << 20 };

/* --- on the shard ------------------------------------------------------------------------------------------------------------- */

static void tell_partition(const struct partition *p, struct partition_figures *out)
{
    *out = (struct partition_figures){.topic = topic_ref(p->topic),
                                      .index = p->index,
                                      .records_in = p->records_in,
                                      .bytes_in = p->bytes_in,
                                      .bytes_out = p->bytes_out,
                                      .failed = !p->log};
    if (!p->log)
        return;
    struct journal_log_status status;
    journal_log_status(p->log, &status);
    out->start = journal_log_start(p->log);
    out->end = journal_log_stable(p->log);
    out->bytes = status.bytes;
    out->failed = status.failed != OK || status.damaged;
}

static void tell_partitions(struct shard_figures *f)
{
    const struct map *all = &f->shard->partitions->by_key;
    struct partition *p;
    f->partitions = arena_array(&f->arena, struct partition_figures, all->count + 1);
    if (!f->partitions) {
        f->err = ERR_NOMEM;
        return;
    }
    for (uint32_t at = 0; map_next(all, &at, NULL, (void **)&p);)
        tell_partition(p, &f->partitions[f->partition_count++]);
}

static void tell_offsets(struct shard_figures *f, const struct group_entry *entry, struct slice name)
{
    const struct offset *o;
    for (uint32_t at = 0; offsets_next(&entry->offsets, &at, &o);)
        f->offsets[f->offset_count++] =
            (struct offset_figures){name, o->key.topic, (uint32_t)o->key.partition, o->offset};
}

static bool tell_group(struct shard_figures *f, const struct group_entry *entry)
{
    struct slice name;
    if (!arena_copy(&f->arena, entry->group.id, &name))
        return false;
    f->groups[f->group_count++] =
        (struct group_figures){name, group_state_name(entry->group.state), entry->group.member_count};
    tell_offsets(f, entry, name);
    return true;
}

static void tell_groups(struct shard_figures *f)
{
    const struct groups *all = f->shard->groups;
    struct group_entry *entry;
    f->groups = arena_array(&f->arena, struct group_figures, all->by_id.count + 1);
    f->offsets = arena_array(&f->arena, struct offset_figures, all->offsets + 1);
    bool ok = f->groups && f->offsets;
    for (uint32_t at = 0; ok && map_next(&all->by_id, &at, NULL, (void **)&entry);)
        ok = tell_group(f, entry);
    if (!ok)
        f->err = ERR_NOMEM;
}

static void came_back(struct task *task)
{
    struct figures *all = ((struct shard_figures *)task)->all;
    if (--all->left == 0)
        all->done(all);
}

static void tell(struct task *task)
{
    struct shard_figures *f = (struct shard_figures *)task;
    f->topics = topics_ref(f->shard->topics);
    connections_counts(f->shard->connections, &f->connections);
    if (f->shard->journal)
        journal_status(f->shard->journal, &f->journal);
    if (f->shard->partitions)
        tell_partitions(f);
    if (f->shard->groups)
        tell_groups(f);
    task->run = came_back;
    loop_post(f->all->asker, task);
}

/* --- by the asker ------------------------------------------------------------------------------------------------------------- */

enum err figures_ask(struct broker *b, struct loop *asker, void (*done)(struct figures *), void *context,
                     struct figures **ret_figures)
{
    uint32_t count = broker_shards(b);
    struct figures *all = mem_zalloc(sizeof *all + count * sizeof *all->shards);
    if (!all)
        return ERR_NOMEM;
    *all = (struct figures){.broker = b,
                            .asker = asker,
                            .done = done,
                            .context = context,
                            .shards = (struct shard_figures *)(all + 1),
                            .shard_count = count,
                            .left = count};
    for (uint32_t i = 0; i < count; i++) {
        struct shard_figures *f = &all->shards[i];
        f->task.run = tell;
        f->all = all;
        f->shard = broker_shard(b, i);
        arena_init(&f->arena, ARENA_BYTES);
        shard_post(f->shard, &f->task);
    }
    *ret_figures = all;
    return OK;
}

void figures_free(struct figures *all)
{
    for (uint32_t i = 0; i < all->shard_count; i++) {
        struct shard_figures *f = &all->shards[i];
        for (uint32_t p = 0; p < f->partition_count; p++)
            topic_unref(f->partitions[p].topic);
        topics_unref(f->topics);
        arena_fini(&f->arena);
    }
    mem_free(all);
}

const char *figures_trouble(const struct figures *all)
{
    for (uint32_t i = 0; i < all->shard_count; i++) {
        const struct shard_figures *f = &all->shards[i];
        if (f->journal.failed)
            return "the journal takes no writes: a write or a sync has failed; restart the broker";
        if (f->journal.disk_full)
            return "the disk is full: nothing is written until there is room";
        for (uint32_t p = 0; p < f->partition_count; p++)
            if (f->partitions[p].failed)
                return "a partition is damaged or could not be opened: see the log, and memorystreamer fsck";
    }
    return NULL;
}

#include "streamer/scatter.h"

#include <stddef.h>

#include "streamer/partition.h"

static struct scatter_part *part_of(struct task *task)
{
    return (struct scatter_part *)((char *)task - offsetof(struct scatter_part, task));
}

static void part_init(struct scatter_part *p, struct scatter *s, struct shard *shard)
{
    *p = (struct scatter_part){.scatter = s, .shard = shard, .items_end = &p->items, .next = s->parts};
    s->parts = p;
}

void scatter_init(struct scatter *s, struct shard *shard, struct arena *arena, void (*run)(struct scatter_part *),
                  void (*done)(struct scatter *))
{
    *s = (struct scatter){.shard = shard, .arena = arena, .run = run, .done = done};
}

static struct scatter_part *part_on(struct scatter *s, struct shard *shard)
{
    for (struct scatter_part *p = s->parts; p; p = p->next)
        if (p->shard == shard)
            return p;
    struct scatter_part *p = shard == s->shard ? &s->here : arena_new(s->arena, struct scatter_part);
    if (p)
        part_init(p, s, shard);
    return p;
}

bool scatter_add(struct scatter *s, struct scatter_item *item, const struct kafka_uuid *topic, uint32_t index)
{
    struct scatter_part *p = part_on(s, shard_of_partition(s->shard->broker, topic, index));
    if (!p)
        return false;
    *item = (struct scatter_item){.topic = *topic, .index = index};
    *p->items_end = item;
    p->items_end = &item->next;
    return true;
}

static void run_part(struct task *task)
{
    struct scatter_part *p = part_of(task);
    for (struct scatter_item *i = p->items; i; i = i->next)
        i->partition = partition_find(p->shard, &i->topic, i->index);
    p->scatter->run(p);
}

static void one_back(struct scatter *s)
{
    if (--s->waiting == 0)
        s->done(s);
}

static void part_back(struct task *task)
{
    one_back(part_of(task)->scatter);
}

/* One is held back until all have been sent out: done comes after that. */
void scatter_go(struct scatter *s)
{
    s->waiting = 1;
    for (struct scatter_part *p = s->parts; p; p = p->next)
        s->waiting++;
    struct scatter_part *here = NULL;
    for (struct scatter_part *p = s->parts; p; p = p->next) {
        p->task.run = run_part;
        if (p->shard == s->shard)
            here = p;
        else
            shard_post(p->shard, &p->task);
    }
    if (here)
        run_part(&here->task);
    one_back(s);
}

void scatter_finished(struct scatter_part *p)
{
    if (p->shard == p->scatter->shard) {
        one_back(p->scatter);
        return;
    }
    p->task.run = part_back;
    shard_post(p->scatter->shard, &p->task);
}

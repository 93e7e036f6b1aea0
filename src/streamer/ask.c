#include "streamer/ask.h"

#include <assert.h>
#include <stddef.h>

static struct ask *ask_of(struct scatter *s)
{
    return (struct ask *)((char *)s - offsetof(struct ask, scatter));
}

struct ask_item *ask_item(const struct ask *ask, uint32_t n)
{
    assert(n < ask->count_max);
    return (struct ask_item *)(ask->items + n * ask->item_size);
}

static void run(struct scatter_part *part)
{
    const struct ask *ask = ask_of(part->scatter);
    for (struct scatter_item *i = part->items; i; i = i->next) {
        struct ask_item *item = (struct ask_item *)i; /* its first member */
        item->error = partition_error(i->partition);
        if (!item->error)
            ask->answer(item);
    }
    scatter_finished(part);
}

static void answered(struct scatter *s)
{
    struct ask *ask = ask_of(s);
    ask->reply(ask);
}

struct ask *ask_new(struct request *r, size_t item_size, uint32_t count, void (*answer)(struct ask_item *),
                    void (*reply)(struct ask *))
{
    struct ask *ask = arena_new(&r->arena, struct ask);
    uint8_t *items = ask ? arena_zalloc_array(&r->arena, (size_t)count + 1, item_size) : NULL;
    if (!items) {
        request_drop(r);
        return NULL;
    }
    *ask = (struct ask){
        .request = r, .items = items, .item_size = item_size, .count_max = count, .answer = answer, .reply = reply};
    scatter_init(&ask->scatter, r->shard, &r->arena, run, answered);
    return ask;
}

struct ask_item *ask_add(struct ask *ask, struct slice name, int32_t index)
{
    assert(ask->count < ask->count_max);
    struct ask_item *item = ask_item(ask, ask->count++);
    const struct topic *topic = topics_find(ask->request->shard->topics, name);
    if (!topic || index < 0 || (uint32_t)index >= topic->partitions)
        item->error = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    else if (!scatter_add(&ask->scatter, &item->part_of, &topic->id, (uint32_t)index))
        ask->no_memory = true;
    return item;
}

void ask_go(struct ask *ask)
{
    if (ask->no_memory)
        request_drop(ask->request);
    else
        scatter_go(&ask->scatter);
}

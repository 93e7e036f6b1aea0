/* Lists and slots (requests.h). */
#include "drivers/redis/requests.h"

#include "base/limits.h"
#include "base/mem.h"

enum { SLOTS_MIN = 64 };

void redis_requests_push(struct redis_requests *list, struct redis_request *r)
{
    r->next = NULL;
    r->prev = list->last;
    *(list->last ? &list->last->next : &list->first) = r;
    list->last = r;
    list->count++;
}

void redis_requests_remove(struct redis_requests *list, struct redis_request *r)
{
    *(r->prev ? &r->prev->next : &list->first) = r->next;
    *(r->next ? &r->next->prev : &list->last) = r->prev;
    list->count--;
}

bool redis_slots_reserve(struct redis_slots *s, unsigned more)
{
    uint32_t used = (uint32_t)(s->tail - s->head), capacity = s->capacity ? s->capacity : SLOTS_MIN;
    while (capacity < used + more)
        capacity *= 2;
    if (capacity == s->capacity)
        return true;
    struct redis_request **items =
        capacity <= LIMIT_REDIS_IN_FLIGHT ? mem_alloc(capacity * sizeof(struct redis_request *)) : NULL;
    if (!items)
        return false;
    for (uint64_t n = s->head; n < s->tail; n++)
        items[n & (capacity - 1)] = *redis_slot(s, n);
    mem_free(s->items);
    s->items = items;
    s->capacity = capacity;
    return true;
}

void redis_slots_push(struct redis_slots *s, struct redis_request *r)
{
    *redis_slot(s, s->tail) = r;
    if (r) {
        r->number = s->tail;
        r->place = REDIS_IN_FLIGHT;
    }
    s->tail++;
}

struct redis_request *redis_slots_pop(struct redis_slots *s)
{
    return *redis_slot(s, s->head++);
}

void redis_slots_fini(struct redis_slots *s)
{
    mem_free(s->items);
    *s = (struct redis_slots){0};
}

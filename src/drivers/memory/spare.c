/* Blocks of replaced versions, kept for the next write of the same size: a store whose keys are written again and again asks the
 * heap for nothing. A ring: the newest takes the place of the oldest, so that sizes that are no longer written go. */
#include "base/mem.h"
#include "drivers/memory/store.h"

void *memory_spare_take(struct spares *s, size_t size)
{
    for (unsigned i = 1; i <= SPARES; i++) {
        struct spare *spare = &s->ring[(s->next - i) % SPARES];
        if (spare->block && spare->size == size) {
            void *block = spare->block;
            spare->block = NULL;
            s->next = (s->next - i) % SPARES; /* the free place is the next one to fill */
            return block;
        }
    }
    return NULL;
}

bool memory_spare_put(struct spares *s, void *block, size_t size)
{
    if (size > SPARE_BYTES)
        return false;
    struct spare *spare = &s->ring[s->next % SPARES];
    mem_free(spare->block);
    *spare = (struct spare){block, (uint32_t)size};
    s->next = (s->next + 1) % SPARES;
    return true;
}

void memory_spares_fini(struct spares *s)
{
    for (unsigned i = 0; i < SPARES; i++)
        mem_free(s->ring[i].block);
}

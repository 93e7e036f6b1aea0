/* A deque against an array: the same random pushes, pops, inserts, removals and cuts. */
#include <stdlib.h>

#include "../../harness.h"
#include "base/hash.h"
#include "base/mem.h"
#include "drivers/memory/deque.h"

enum { ROUNDS = 40000, LENGTH_MAX = 3000 };

struct model {
    struct deque deque;
    uint32_t numbers[LENGTH_MAX + 1000];
    uint32_t length;
    uint32_t next;
    uint64_t random;
};

static uint64_t roll(struct model *m, uint64_t sides)
{
    return hash_mix(m->random++) % sides;
}

static uint32_t number_of(const struct value *v)
{
    uint32_t n;
    memcpy(&n, v->bytes, sizeof n);
    return n;
}

static void open_gap(struct model *m, uint32_t at, uint32_t count)
{
    memmove(&m->numbers[at + count], &m->numbers[at], (m->length - at) * sizeof m->numbers[0]);
    m->length += count;
}

static void close_gap(struct model *m, uint32_t at, uint32_t count)
{
    m->length -= count;
    memmove(&m->numbers[at], &m->numbers[at + count], (m->length - at) * sizeof m->numbers[0]);
}

static struct value *new_value(uint32_t number)
{
    struct value *v = memory_value_new(slice_of(&number, sizeof number));
    CHECK(v);
    return v;
}

static void push(struct model *m)
{
    enum list_end end = roll(m, 2) ? LIST_LEFT : LIST_RIGHT;
    uint32_t count = (uint32_t)(1 + roll(m, 5) * roll(m, 30));
    struct value *values[200];
    for (uint32_t i = 0; i < count; i++)
        values[i] = new_value(m->next + i);
    CHECK_ERR(memory_deque_push(&m->deque, end, values, count), OK);
    uint32_t at = end == LIST_LEFT ? 0 : m->length;
    open_gap(m, at, count);
    for (uint32_t i = 0; i < count; i++)
        m->numbers[end == LIST_LEFT ? count - 1 - i : at + i] = m->next + i;
    m->next += count;
}

static void pop(struct model *m)
{
    enum list_end end = roll(m, 2) ? LIST_LEFT : LIST_RIGHT;
    if (!m->length)
        return;
    struct value *v = memory_deque_pop(&m->deque, end);
    CHECK_EQ(number_of(v), m->numbers[end == LIST_LEFT ? 0 : m->length - 1]);
    mem_free(v);
    close_gap(m, end == LIST_LEFT ? 0 : m->length - 1, 1);
}

static void insert(struct model *m)
{
    uint32_t at = (uint32_t)roll(m, m->length + 1);
    CHECK_ERR(memory_deque_insert(&m->deque, at, new_value(m->next)), OK);
    open_gap(m, at, 1);
    m->numbers[at] = m->next++;
}

static void take(struct model *m)
{
    if (!m->length)
        return;
    uint32_t at = (uint32_t)roll(m, m->length);
    struct value *v = memory_deque_take(&m->deque, at);
    CHECK_EQ(number_of(v), m->numbers[at]);
    mem_free(v);
    close_gap(m, at, 1);
}

static void cut(struct model *m)
{
    enum list_end end = roll(m, 2) ? LIST_LEFT : LIST_RIGHT;
    uint32_t count = (uint32_t)roll(m, m->length + 1);
    struct deque garbage = {0};
    size_t cost = memory_deque_cut(&m->deque, end, count, &garbage);
    cost += memory_deque_free(&garbage);
    CHECK_EQ(cost, count * memory_value_cost(sizeof(uint32_t)));
    close_gap(m, end == LIST_LEFT ? 0 : m->length - count, count);
}

/* Makes some equal first. */
static void drop_equal(struct model *m)
{
    uint32_t equal = m->next++, kept = 0, seen = 0;
    uint64_t skip = roll(m, 3), most = roll(m, 4);
    for (uint32_t i = 0; i < m->length; i += 1 + (uint32_t)roll(m, 90)) {
        struct value **slot = deque_value(memory_deque_at(&m->deque, i));
        mem_free(*slot);
        *slot = new_value(equal);
        m->numbers[i] = equal;
    }
    struct slice bytes = slice_of(&equal, sizeof equal);
    uint64_t all = memory_deque_count_equal(&m->deque, bytes);
    uint64_t dropped = memory_deque_drop_equal(&m->deque, bytes, skip, most);
    CHECK_EQ(dropped, all < skip ? 0 : all - skip < most ? all - skip : most);
    for (uint32_t i = 0; i < m->length; i++)
        if (m->numbers[i] != equal || seen++ < skip || seen - skip > most)
            m->numbers[kept++] = m->numbers[i];
    m->length = kept;
}

static void check_all(const struct model *m)
{
    uint32_t i = 0;
    CHECK_EQ(m->deque.length, m->length);
    for (struct deque_at at = {.chunk = m->deque.first}; at.chunk; at = memory_deque_next(at))
        CHECK_EQ(number_of(*deque_value(at)), m->numbers[i++]);
    CHECK_EQ(i, m->length);
    for (uint32_t k = 0; k < m->length; k += 1 + m->length / 7)
        CHECK_EQ(number_of(*deque_value(memory_deque_at(&m->deque, k))), m->numbers[k]);
}

TEST(a_deque_agrees_with_an_array)
{
    static void (*const moves[])(struct model *) = {push, pop, pop, pop, insert, insert, insert, take, take, take};
    static struct model m;
    for (unsigned round = 0; round < ROUNDS; round++) {
        moves[roll(&m, sizeof moves / sizeof *moves)](&m);
        if (m.length > LENGTH_MAX || roll(&m, 400) == 0)
            cut(&m);
        if (roll(&m, 200) == 0)
            drop_equal(&m);
        if (round % 50 == 0)
            check_all(&m);
    }
    check_all(&m);
    memory_deque_free(&m.deque);
    CHECK_EQ(mem_live(), 0);
}

/* A push that finds no memory changes nothing. */
SCENARIO(a_deque_takes_all_or_nothing)
{
    enum { COUNT = 3 * CHUNK_VALUES };
    struct deque d = {0};
    struct value *values[COUNT];
    unsigned made = 0;
    while (made < COUNT && (values[made] = memory_value_new(SLICE("v"))))
        made++;
    enum err e = made == COUNT ? memory_deque_push(&d, LIST_LEFT, values, COUNT) : ERR_NOMEM;
    CHECK_EQ(d.length, e ? 0 : COUNT);
    for (unsigned i = 0; e && i < made; i++)
        mem_free(values[i]);
    struct value *one = e ? NULL : memory_value_new(SLICE("w"));
    if (one && memory_deque_insert(&d, COUNT / 2, one)) {
        CHECK_EQ(d.length, COUNT);
        mem_free(one);
    }
    memory_deque_free(&d);
    return e;
}

/* Members picked at random: by rank, which the skip list turns into a member. */
#include "prism/set/v1/set_random.ops.h"

#include "base/mem.h"
#include "data/set.h"
#include "drivers/memory/internal.h"

/* A number below limit from 64 random bits; the bias is below limit / 2^64. */
static uint32_t below(uint64_t random, uint32_t limit)
{
    return (uint32_t)(((unsigned __int128)random * limit) >> 64);
}

/* Random bits for as many choices, made before any lock is taken. NULL: out of memory. */
static uint64_t *dice(struct memory *m, struct arena *arena, uint32_t count)
{
    uint64_t *bits = arena_array(arena, uint64_t, count);
    if (bits)
        m->store.env->random(m->store.env, bits, count * sizeof *bits);
    return bits;
}

/* Puts rank into a sorted array of count ranks. false: it is there. */
static bool insert_rank(uint32_t *ranks, uint32_t count, uint32_t rank)
{
    uint32_t from = 0, to = count;
    while (from < to) {
        uint32_t middle = (from + to) / 2;
        if (ranks[middle] < rank)
            from = middle + 1;
        else
            to = middle;
    }
    if (from < count && ranks[from] == rank)
        return false;
    memmove(&ranks[from + 1], &ranks[from], (count - from) * sizeof *ranks);
    ranks[from] = rank;
    return true;
}

/* count different ranks below size, every subset as likely. Source: Bentley, Floyd, "A Sample of Brilliance", 1987. */
static void choose(uint32_t *ranks, uint32_t count, uint32_t size, const uint64_t *bits)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t last = size - count + i;
        if (!insert_rank(ranks, i, below(bits[i], last + 1)))
            insert_rank(ranks, i, last);
    }
}

static uint32_t at_most(const struct ranked *r, uint32_t count)
{
    return ranked_count(r) < count ? ranked_count(r) : count;
}

static enum err copy_ranks(const struct ranked *r, const uint32_t *ranks, uint32_t count, struct arena *arena,
                           struct pb_array *members)
{
    for (uint32_t i = 0; i < count; i++) {
        struct slice bytes = member_slice(memory_ranked_at(r, ranks[i]));
        if (!arena_copy(arena, bytes, &PB_AT(*members, struct slice, i)))
            return ERR_NOMEM;
        members->count++;
    }
    return OK;
}

struct choice {
    uint32_t count;
    uint64_t *bits;
    uint32_t *ranks;
    struct set_pop_random_member_response *response;
};

static enum err choice_make(struct memory *m, struct call *call, uint32_t asked, struct slice key, struct choice *c)
{
    enum err e = collection_check_key(key, &call->diag);
    if (!e)
        e = collection_count(asked, &call->diag, &c->count);
    if (e)
        return e;
    c->bits = dice(m, call->arena, c->count);
    c->ranks = arena_array(call->arena, uint32_t, c->count + 1);
    c->response = set_random_answer(call, c->count);
    return c->bits && c->ranks && c->response ? OK : ERR_NOMEM;
}

/* Copies the chosen members into the answer. */
static enum err choose_locked(const struct ranked *r, struct choice *c, struct arena *arena)
{
    uint32_t count = at_most(r, c->count);
    choose(c->ranks, count, ranked_count(r), c->bits);
    return copy_ranks(r, c->ranks, count, arena, &c->response->members);
}

static void get_random_member(struct backend *backend, struct call *call, const struct set_get_random_member_request *r)
{
    struct memory *m = (struct memory *)backend;
    struct choice c;
    enum err e = choice_make(m, call, r->count, r->key, &c);
    if (e) {
        call_end(call, e);
        return;
    }
    struct visit v = visit_begin(m, SHELF_SETS, r->key);
    if (v.box)
        e = choose_locked(&v.box->members, &c, call->arena);
    visit_end(&v);
    struct set_get_random_member_response response = {.members = c.response->members};
    memory_answer(call, e, &response);
}

static void remove_chosen(struct memory *m, struct ranked *r, const struct pb_array *members)
{
    for (uint32_t i = 0; i < members->count; i++) {
        struct member *one = memory_ranked_find(r, PB_AT(*members, struct slice, i));
        memory_ranked_remove(r, one);
        memory_refund(&m->store, memory_member_cost(one));
        mem_free(one);
    }
}

static enum err pop_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                         const void **ret_response)
{
    const struct set_pop_random_member_request *r = request;
    struct choice c;
    (void)now_ms;
    enum err e = choice_make(m, call, r->count, r->key, &c);
    if (e)
        return e;
    struct visit v = visit_begin(m, SHELF_SETS, r->key);
    if (v.box) {
        e = choose_locked(&v.box->members, &c, call->arena);
        if (!e)
            remove_chosen(m, &v.box->members, &c.response->members);
        c.response->size = ranked_count(&v.box->members);
    }
    visit_end(&v);
    if (!e)
        *ret_response = c.response;
    return e;
}

static void pop_random_member(struct backend *backend, struct call *call, const struct set_pop_random_member_request *r)
{
    memory_mutate(backend, call, r, pop_once);
}

const struct set_random_ops memory_set_random = {.get_random_member = get_random_member,
                                                 .pop_random_member = pop_random_member};

/* Collections in memory when memory fails: every allocation in turn, in every operation. Afterwards all can be cleared, and then not a
 * byte is charged; an operation has happened or has not, and has where its answer arrived (the answer may be what finds no memory). */
#include "../../harness.h"
#include "base/mem.h"
#include "data/counter.h"
#include "data/set.h"
#include "data/sortedset.h"
#include "memory_fixture.h"

static uint8_t large[3000];

static const void *run(struct memory_fixture *f, enum method_id method, const void *request)
{
    const void *answer = fake_call(&f->call, method, request);
    CHECK(f->call.err == OK || f->call.err == ERR_NOMEM);
    return f->call.err ? NULL : answer;
}

static enum err begin(struct memory_fixture *f, uint64_t max_bytes)
{
    enum err e = memory_fixture_init(f, max_bytes);
    if (e)
        memory_fixture_fini(f);
    return e;
}

/* Memory is there again. */
static enum err tidy_up(struct memory_fixture *f)
{
    static const char *const keys[] = {"a", "b"};
    mem_fail_at(0, false);
    for (unsigned i = 0; i < 2; i++) {
        struct slice key = slice_str(keys[i]);
        run(f, METHOD_LIST_BASIC_CLEAR, &(struct list_clear_request){.key = key});
        run(f, METHOD_SET_BASIC_CLEAR, &(struct set_clear_request){.key = key});
        run(f, METHOD_SORTEDSET_BASIC_CLEAR, &(struct sortedset_clear_request){.key = key});
        run(f, METHOD_COUNTER_BASIC_CLEAR, &(struct counter_clear_request){.key = key});
    }
    CHECK_EQ(memory_fixture_stat(f, "lists"), 0);
    CHECK_EQ(memory_fixture_stat(f, "sets"), 0);
    CHECK_EQ(memory_fixture_stat(f, "sorted_sets"), 0);
    CHECK_EQ(memory_fixture_stat(f, "counters"), 0);
    CHECK_EQ(memory_fixture_stat(f, "bytes"), 0);
    memory_fixture_fini(f);
    return OK;
}

/* --- lists ---------------------------------------------------------------------------------------------------------------------- */

enum { VALUES = 70 }; /* more than a chunk */

static uint64_t length_of(struct memory_fixture *f, struct slice key)
{
    mem_fail_at(0, false);
    const struct list_get_range_response *r = fake_call(
        &f->call, METHOD_LIST_RANGE_GET_RANGE, &(struct list_get_range_request){.key = key, .start = 0, .end = 0});
    return r->length;
}

static uint64_t push_many(struct memory_fixture *f)
{
    struct slice values[VALUES];
    for (unsigned i = 0; i < VALUES; i++)
        values[i] = slice_of(large, i);
    struct list_push_left_request r = {.key = SLICE("a"), .values = {.items = values, .count = VALUES}};
    const struct list_push_left_response *answer = run(f, METHOD_LIST_BASIC_PUSH_LEFT, &r);
    return answer ? answer->length : 0;
}

SCENARIO(a_push_is_all_or_nothing)
{
    struct memory_fixture f;
    if (begin(&f, 0))
        return ERR_NOMEM;
    uint64_t pushed = push_many(&f);
    uint64_t length = length_of(&f, SLICE("a"));
    CHECK(length == VALUES || (length == 0 && !pushed));
    return tidy_up(&f);
}

SCENARIO(lists_are_pushed_popped_and_changed)
{
    struct memory_fixture f;
    struct slice values[] = {slice_of(large, sizeof large), SLICE("x")};
    if (begin(&f, 0))
        return ERR_NOMEM;
    push_many(&f);
    run(&f, METHOD_LIST_BASIC_PUSH_RIGHT,
        &(struct list_push_right_request){.key = SLICE("b"), .values = {.items = values, .count = 2}});
    run(&f, METHOD_LIST_BASIC_POP_LEFT, &(struct list_pop_left_request){.key = SLICE("b"), .count = 2});
    run(&f, METHOD_LIST_BASIC_POP_RIGHT, &(struct list_pop_right_request){.key = SLICE("a"), .count = 3});
    run(&f, METHOD_LIST_RANGE_GET_RANGE, &(struct list_get_range_request){.key = SLICE("a"), .start = 0, .end = -1});
    run(&f, METHOD_LIST_INDEXING_GET, &(struct list_get_request){.key = SLICE("a"), .index = 1});
    run(&f, METHOD_LIST_INDEXING_INSERT, &(struct list_insert_request){.key = SLICE("b"), .value = values[0]});
    struct list_remove_request remove = {.key = SLICE("b"), .what_case = LIST_REMOVE_REQUEST_INDEX, .index = 0};
    run(&f, METHOD_LIST_INDEXING_REMOVE, &remove);
    run(&f, METHOD_LIST_RANGE_TRIM, &(struct list_trim_request){.key = SLICE("a"), .start = 2, .end = -3});
    return tidy_up(&f);
}

SCENARIO(a_set_value_is_there_or_the_old_one)
{
    struct memory_fixture f;
    if (begin(&f, 0))
        return ERR_NOMEM;
    if (push_many(&f)) {
        struct list_set_request set = {.key = SLICE("a"), .index = 3, .value = slice_of(large, sizeof large)};
        const void *answer = run(&f, METHOD_LIST_INDEXING_SET, &set);
        mem_fail_at(0, false);
        const struct list_get_response *got =
            run(&f, METHOD_LIST_INDEXING_GET, &(struct list_get_request){.key = SLICE("a"), .index = 3});
        CHECK(got->value.size == sizeof large || (got->value.size == VALUES - 4 && !answer));
    }
    return tidy_up(&f);
}

/* --- sets ------------------------------------------------------------------------------------------------------------------------ */

enum { MEMBERS = 20 };
static const char *const names[MEMBERS] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j",
                                           "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"};

static uint64_t add_members(struct memory_fixture *f, struct slice key, unsigned first, unsigned count)
{
    struct slice members[MEMBERS];
    for (unsigned i = 0; i < count; i++)
        members[i] = slice_str(names[first + i]);
    struct set_add_request r = {.key = key, .members = {.items = members, .count = count}};
    const struct set_add_response *answer = run(f, METHOD_SET_BASIC_ADD, &r);
    return answer ? answer->added : 0;
}

SCENARIO(an_add_is_all_or_nothing)
{
    struct memory_fixture f;
    if (begin(&f, 0))
        return ERR_NOMEM;
    uint64_t first = add_members(&f, SLICE("a"), 0, 8), second = add_members(&f, SLICE("a"), 4, 16);
    mem_fail_at(0, false);
    const struct set_get_size_response *size =
        run(&f, METHOD_SET_CARDINALITY_GET_SIZE, &(struct set_get_size_request){.key = SLICE("a")});
    CHECK(size->size == 20 || (size->size == 16 && !first) || (size->size == 8 && !second) ||
          (size->size == 0 && !first && !second));
    return tidy_up(&f);
}

SCENARIO(sets_are_read_joined_and_drawn_from)
{
    struct memory_fixture f;
    struct slice keys[] = {SLICE("a"), SLICE("b")};
    struct pb_array both = {.items = keys, .count = 2};
    if (begin(&f, 0))
        return ERR_NOMEM;
    add_members(&f, keys[0], 0, 12);
    add_members(&f, keys[1], 8, 12);
    run(&f, METHOD_SET_BASIC_GET_MEMBERS, &(struct set_get_members_request){.key = keys[0], .page_size = 5});
    run(&f, METHOD_SET_OPERATIONS_UNION, &(struct set_union_request){.keys = both, .page_size = 7});
    run(&f, METHOD_SET_OPERATIONS_INTERSECTION, &(struct set_intersection_request){.keys = both});
    run(&f, METHOD_SET_OPERATIONS_DIFFERENCE, &(struct set_difference_request){.keys = both});
    run(&f, METHOD_SET_CARDINALITY_IS_MEMBER, &(struct set_is_member_request){.key = keys[0], .members = both});
    run(&f, METHOD_SET_RANDOM_GET_RANDOM_MEMBER, &(struct set_get_random_member_request){.key = keys[0], .count = 5});
    run(&f, METHOD_SET_RANDOM_POP_RANDOM_MEMBER, &(struct set_pop_random_member_request){.key = keys[1], .count = 5});
    run(&f, METHOD_SET_BASIC_REMOVE, &(struct set_remove_request){.key = keys[0], .members = both});
    return tidy_up(&f);
}

/* --- sorted sets and counters --------------------------------------------------------------------------------------------------- */

static void add_scores(struct memory_fixture *f, struct slice key, double factor)
{
    struct sortedset_scored_member scored[MEMBERS], *items[MEMBERS];
    for (unsigned i = 0; i < MEMBERS; i++) {
        scored[i] = (struct sortedset_scored_member){.member = slice_str(names[i]), .score = factor * (i % 7)};
        items[i] = &scored[i];
    }
    run(f, METHOD_SORTEDSET_BASIC_ADD,
        &(struct sortedset_add_request){.key = key, .members = {.items = items, .count = MEMBERS}});
}

SCENARIO(sorted_sets_are_scored_ranked_and_joined)
{
    struct memory_fixture f;
    struct slice keys[] = {SLICE("a"), SLICE("b")};
    struct pb_array both = {.items = keys, .count = 2};
    if (begin(&f, 0))
        return ERR_NOMEM;
    add_scores(&f, keys[0], 1);
    add_scores(&f, keys[0], -2);
    add_scores(&f, keys[1], 0);
    run(&f, METHOD_SORTEDSET_RANGE_GET_RANGE,
        &(struct sortedset_get_range_request){.key = keys[0], .start = 2, .end = -1});
    run(&f, METHOD_SORTEDSET_RANGE_GET_RANGE_BY_SCORE,
        &(struct sortedset_get_range_by_score_request){.key = keys[0], .reverse = true, .page_size = 5});
    run(&f, METHOD_SORTEDSET_LEX_GET_RANGE_BY_LEX,
        &(struct sortedset_get_range_by_lex_request){.key = keys[1], .page_size = 5});
    run(&f, METHOD_SORTEDSET_RANK_GET_RANK, &(struct sortedset_get_rank_request){.key = keys[0], .member = SLICE("c")});
    run(&f, METHOD_SORTEDSET_OPERATIONS_UNION, &(struct sortedset_union_request){.keys = both, .page_size = 7});
    run(&f, METHOD_SORTEDSET_OPERATIONS_INTERSECTION, &(struct sortedset_intersection_request){.keys = both});
    run(&f, METHOD_SORTEDSET_BASIC_REMOVE, &(struct sortedset_remove_request){.key = keys[0], .members = both});
    return tidy_up(&f);
}

SCENARIO(a_counter_counts_what_was_answered)
{
    struct memory_fixture f;
    int64_t counted = 0;
    if (begin(&f, 0))
        return ERR_NOMEM;
    for (unsigned i = 0; i < 3; i++) {
        f.call.idempotency_key = slice_str(names[i]);
        struct counter_add_request r = {.key = SLICE("a"), .delta = 5};
        counted += run(&f, METHOD_COUNTER_BASIC_ADD, &r) ? 5 : 0;
    }
    mem_fail_at(0, false);
    const struct counter_get_response *got =
        run(&f, METHOD_COUNTER_BASIC_GET, &(struct counter_get_request){.key = SLICE("a")});
    CHECK(got->value % 5 == 0 && got->value >= counted && got->value <= 15);
    memory_fixture_fini(&f);
    return OK;
}

/* --- a store that is full ------------------------------------------------------------------------------------------------------- */

TEST(a_full_store_refuses_and_changes_nothing)
{
    struct memory_fixture f;
    CHECK_ERR(begin(&f, 4000), OK);
    struct slice one = slice_of(large, sizeof large);
    struct list_push_right_request push = {.key = SLICE("a"), .values = {.items = &one, .count = 1}};
    CHECK(run(&f, METHOD_LIST_BASIC_PUSH_RIGHT, &push));
    fake_call(&f.call, METHOD_LIST_BASIC_PUSH_RIGHT, &push);
    CHECK_ERR(f.call.err, ERR_STORE_FULL);
    CHECK_EQ(length_of(&f, SLICE("a")), 1);
    fake_call(&f.call, METHOD_LIST_INDEXING_INSERT, &(struct list_insert_request){.key = SLICE("b"), .value = one});
    CHECK_ERR(f.call.err, ERR_STORE_FULL);
    struct slice member = slice_of(large, 1000);
    struct set_add_request add = {.key = SLICE("a"), .members = {.items = &member, .count = 1}};
    fake_call(&f.call, METHOD_SET_BASIC_ADD, &add);
    CHECK_ERR(f.call.err, ERR_STORE_FULL);
    CHECK_EQ(memory_fixture_stat(&f, "sets"), 0);
    CHECK_EQ(memory_fixture_stat(&f, "lists"), 1);
    tidy_up(&f);
}

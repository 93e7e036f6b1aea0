/* The rules of collections that drivers share: positions, pages, checks, weights, cursors. */
#include <math.h>

#include "../harness.h"
#include "data/counter.h"
#include "data/list.h"
#include "data/set.h"
#include "data/sortedset.h"
#include "fake_call.h"

/* A call that nobody answers: what the rules read of it. */
struct rules {
    struct namespace ns;
    struct arena arena;
    struct call call;
};

static void begin(struct rules *r, enum method_id method, const void *request)
{
    fake_namespace_init(&r->ns, "n");
    arena_init(&r->arena, 16 << 20);
    r->call = (struct call){
        .method = &methods[method], .ns = &r->ns, .arena = &r->arena, .request = request, .deadline_ns = UINT64_MAX};
    diag_init(&r->call.diag, &r->arena);
}

static void end(struct rules *r)
{
    arena_fini(&r->arena);
}

static struct pb_array slices(struct slice *items, uint32_t count)
{
    return (struct pb_array){.items = items, .count = count};
}

static void check_span(int64_t start, int64_t end_, uint64_t length, uint64_t first, uint64_t count)
{
    struct span s = span_clamp(start, end_, length);
    CHECK_EQ(s.first, first);
    CHECK_EQ(s.count, count);
}

TEST(a_span_is_clamped_to_what_is_there)
{
    check_span(0, -1, 5, 0, 5);
    check_span(1, 3, 5, 1, 3);
    check_span(-2, -1, 5, 3, 2);
    check_span(-100, 100, 5, 0, 5);
    check_span(4, 4, 5, 4, 1);
    check_span(5, 9, 5, 0, 0);
    check_span(3, 2, 5, 0, 0);
    check_span(0, -6, 5, 0, 0);
    check_span(0, -1, 0, 0, 0);
    check_span(INT64_MIN, INT64_MAX, 3, 0, 3);
    check_span(INT64_MAX, INT64_MIN, 3, 0, 0);
}

TEST(an_index_counts_from_either_end)
{
    uint64_t at = 99;
    CHECK(span_index(0, 3, &at) && at == 0);
    CHECK(span_index(-1, 3, &at) && at == 2);
    CHECK(span_index(-3, 3, &at) && at == 0);
    CHECK(!span_index(3, 3, &at));
    CHECK(!span_index(-4, 3, &at));
    CHECK(!span_index(0, 0, &at));
    CHECK(!span_index(INT64_MIN, 3, &at));
    CHECK_ERR(list_insert_position(3, 3, NULL, &at), OK);
    CHECK_EQ(at, 3);
    CHECK_ERR(list_insert_position(-1, 3, NULL, &at), OK);
    CHECK_EQ(at, 2);
    CHECK_ERR(list_insert_position(0, 0, NULL, &at), OK);
    CHECK_EQ(at, 0);
    CHECK_ERR(list_insert_position(4, 3, NULL, &at), ERR_INDEX_OUT_OF_RANGE);
    CHECK_ERR(list_insert_position(-1, 0, NULL, &at), ERR_INDEX_OUT_OF_RANGE);
}

TEST(a_page_ends_at_its_items_or_bytes_and_takes_one_of_any_size)
{
    struct page p = page_of(2);
    CHECK(page_take(&p, 10) && page_take(&p, 10) && !page_take(&p, 0));
    p = page_of(0);
    for (int i = 0; i < LIMIT_PAGE_ITEMS_DEFAULT; i++)
        CHECK(page_take(&p, 1));
    CHECK(!page_take(&p, 1));
    CHECK_EQ(page_of(UINT32_MAX).items_max, LIMIT_PAGE_ITEMS);
    p = page_largest();
    CHECK(page_take(&p, 4 << 20) && !page_take(&p, 1));
    p = page_largest();
    CHECK(page_take(&p, LIMIT_PAGE_BYTES / 2) && !page_take(&p, LIMIT_PAGE_BYTES / 2));
}

TEST(members_keys_and_scores_are_checked_with_their_place_in_the_request)
{
    struct rules r;
    struct slice members[] = {SLICE("a"), SLICE("")};
    struct set_add_request add = {.key = SLICE("k"), .members = slices(members, 2)};
    begin(&r, METHOD_SET_BASIC_ADD, &add);
    CHECK_ERR(set_check_add(&r.call, &add), ERR_FIELD_INVALID);
    CHECK_STR(r.call.diag.fields->name, "members[1]");
    add.members.count = 1;
    CHECK_ERR(set_check_add(&r.call, &add), OK);
    add.members.count = 0;
    CHECK_ERR(set_check_add(&r.call, &add), ERR_FIELD_INVALID);
    add.members.count = LIMIT_BATCH_ITEMS + 1;
    CHECK_ERR(set_check_add(&r.call, &add), ERR_FIELD_INVALID);
    add = (struct set_add_request){.members = slices(members, 1)};
    CHECK_ERR(set_check_add(&r.call, &add), ERR_KEY_INVALID);
    end(&r);

    struct sortedset_scored_member good = {.member = SLICE("m"), .score = -INFINITY},
                                   bad = {.member = SLICE("m"), .score = NAN};
    struct sortedset_scored_member *scored[] = {&good, &bad};
    struct sortedset_add_request scores = {.key = SLICE("k"), .members = {.items = scored, .count = 2}};
    begin(&r, METHOD_SORTEDSET_BASIC_ADD, &scores);
    CHECK_ERR(sortedset_check_add(&r.call, &scores), ERR_FIELD_INVALID);
    CHECK_STR(r.call.diag.fields->name, "members[1].score");
    scores.members.count = 1;
    CHECK_ERR(sortedset_check_add(&r.call, &scores), OK);
    end(&r);
}

TEST(a_namespace_that_forbids_forever_takes_no_collections)
{
    struct rules r;
    struct counter_add_and_get_request add = {.key = SLICE("k"), .delta = 1};
    begin(&r, METHOD_COUNTER_BASIC_ADD, &add);
    CHECK_ERR(counter_check_add(&r.call, &add), OK);
    r.ns.ttl_allow_infinite = false;
    CHECK_ERR(counter_check_add(&r.call, &add), ERR_TTL_REQUIRED);
    end(&r);
}

TEST(a_counter_does_not_wrap)
{
    int64_t sum = 7;
    CHECK_ERR(counter_sum(INT64_MAX, 1, NULL, &sum), ERR_COUNTER_OVERFLOW);
    CHECK_ERR(counter_sum(INT64_MIN, -1, NULL, &sum), ERR_COUNTER_OVERFLOW);
    CHECK_EQ(sum, 7);
    CHECK_ERR(counter_sum(INT64_MAX, INT64_MIN, NULL, &sum), OK);
    CHECK_EQ(sum, -1);
}

TEST(remove_takes_an_index_or_a_value)
{
    struct list_remove what;
    struct list_remove_request r = {.key = SLICE("k")};
    CHECK_ERR(list_remove_make(&r, NULL, &what), ERR_FIELD_INVALID);
    r.what_case = LIST_REMOVE_REQUEST_INDEX, r.index = -1, r.count = 1;
    CHECK_ERR(list_remove_make(&r, NULL, &what), ERR_FIELD_INVALID);
    r.count = 0;
    CHECK_ERR(list_remove_make(&r, NULL, &what), OK);
    CHECK(what.by_index && what.index == -1);
    r.what_case = LIST_REMOVE_REQUEST_VALUE;
    CHECK_ERR(list_remove_make(&r, NULL, &what), OK);
    CHECK(!what.by_index && what.most == UINT64_MAX && !what.from_last);
    r.count = INT64_MIN;
    CHECK_ERR(list_remove_make(&r, NULL, &what), OK);
    CHECK(what.most == UINT64_C(1) << 63 && what.from_last);
}

TEST(what_is_not_a_number_counts_as_nothing)
{
    CHECK(score_weigh(INFINITY, 0) == 0);
    CHECK(score_weigh(2, -1.5) == -3);
    CHECK(!signbit(score_weigh(0, -1)));
    CHECK(score_join(SCORE_AGGREGATE_SUM, INFINITY, -INFINITY) == 0);
    CHECK(score_join(SCORE_AGGREGATE_SUM, 1, 2) == 3);
    CHECK(score_join(SCORE_AGGREGATE_MIN, 1, 2) == 1);
    CHECK(score_join(SCORE_AGGREGATE_MAX, 1, 2) == 2);
}

TEST(ranges_keep_their_bounds)
{
    struct score_range open = {.min = 1, .max = 2, .min_exclusive = true, .max_exclusive = true};
    CHECK(score_is_before(&open, 1) && score_is_behind(&open, 2) && !score_is_before(&open, 1.5));
    struct score_range closed = {.min = 1, .max = 2};
    CHECK(!score_is_before(&closed, 1) && !score_is_behind(&closed, 2) && score_is_behind(&closed, 2.5));
    struct lex_range lex = {.min = SLICE("b"), .max = SLICE("d"), .has_max = true, .max_exclusive = true};
    CHECK(lex_is_before(&lex, SLICE("a")) && !lex_is_before(&lex, SLICE("b")) && lex_is_behind(&lex, SLICE("d")));
    CHECK(!lex_is_behind(&lex, SLICE("czzz")));
    CHECK(place_cmp(1, SLICE("b"), 1, SLICE("a")) > 0 && place_cmp(1, SLICE("b"), 2, SLICE("a")) < 0);
}

/* The next page's walk of the same request. */
static enum err again(struct rules *r, struct sortedset_get_range_by_score_request *request, struct slice cursor,
                      struct sortedset_walk *w)
{
    request->cursor = cursor;
    return sortedset_walk_make(&r->call, w);
}

TEST(a_cursor_carries_score_and_member_and_belongs_to_its_range)
{
    struct rules r;
    struct sortedset_score_bound min = {.score = -1};
    struct sortedset_get_range_by_score_request request = {.key = SLICE("k"), .min = &min, .page_size = 1};
    struct sortedset_walk w;
    struct slice place, cursor;
    uint8_t longest[8 + LIMIT_MEMBER_BYTES];
    memset(longest, 'm', sizeof longest);
    begin(&r, METHOD_SORTEDSET_RANGE_GET_RANGE_BY_SCORE, &request);
    CHECK_ERR(sortedset_walk_make(&r.call, &w), OK);
    CHECK(!w.has_after);
    place = slice_of(longest, sizeof longest);
    CHECK_ERR(walk_cursor(&r.call, w.hash, place, &cursor), OK);
    CHECK_ERR(again(&r, &request, cursor, &w), OK);
    CHECK(w.has_after);
    CHECK_SLICE(w.after_member, slice_of(longest, LIMIT_MEMBER_BYTES));
    min.exclusive = true;
    CHECK_ERR(again(&r, &request, cursor, &w), ERR_CURSOR_OTHER_SCAN);
    CHECK_ERR(again(&r, &request, SLICE("no cursor at all, but long enough"), &w), ERR_CURSOR_INVALID);
    min.score = NAN;
    CHECK_ERR(again(&r, &request, SLICE_EMPTY, &w), ERR_FIELD_INVALID);
    end(&r);
}

TEST(weights_are_none_or_one_for_each_key)
{
    struct rules r;
    struct slice keys[] = {SLICE("a"), SLICE("b")};
    double weights[] = {2, NAN};
    struct sortedset_union_request request = {.keys = slices(keys, 2)};
    struct sortedset_operation o;
    begin(&r, METHOD_SORTEDSET_OPERATIONS_UNION, &request);
    CHECK_ERR(sortedset_operation_make(&r.call, &o), OK);
    CHECK(o.weights[0] == 1 && o.weights[1] == 1 && o.aggregate == SCORE_AGGREGATE_SUM && !o.intersection);
    request.weights = (struct pb_array){.items = weights, .count = 1};
    CHECK_ERR(sortedset_operation_make(&r.call, &o), ERR_FIELD_INVALID);
    request.weights.count = 2;
    CHECK_ERR(sortedset_operation_make(&r.call, &o), ERR_FIELD_INVALID);
    weights[1] = -1;
    CHECK_ERR(sortedset_operation_make(&r.call, &o), OK);
    request.aggregate = 17;
    CHECK_ERR(sortedset_operation_make(&r.call, &o), ERR_FIELD_INVALID);
    end(&r);
}

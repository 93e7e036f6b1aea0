/* Lists, sets, sorted sets and counters in SQLite against simple models of them: what the acceptance suites say of one operation at
 * a time, here in long random sequences, with restarts in between. The seed is printed where one fails. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "data/counter.h"
#include "data/list.h"
#include "data/set.h"
#include "data/sortedset.h"
#include "google/protobuf/duration.pb.h"

enum { VALUES_MAX = 400, VALUE_BYTES = 12 };

struct world {
    struct fixture f;
    uint64_t random;
};

static uint64_t choose(struct world *w, uint64_t n)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (w->random >> 33) % n;
}

static void begin(struct world *w, uint64_t seed)
{
    *w = (struct world){.random = seed};
    fixture_init(&w->f);
    w->f.options.synchronous = CONFIG_SQLITE_OPTIONS_SYNCHRONOUS_OFF;
    CHECK_ERR(fixture_open(&w->f), OK);
}

static const void *ask(struct world *w, enum method_id id, const void *request)
{
    const void *answer = fake_call(&w->f.call, id, request);
    CHECK_ERR(w->f.call.err, OK);
    return answer;
}

static void restart(struct world *w)
{
    fixture_close(&w->f);
    CHECK_ERR(fixture_open(&w->f), OK);
}

/* --- lists ---------------------------------------------------------------------------------------------------------------------- */

struct model_list {
    char values[VALUES_MAX][VALUE_BYTES];
    unsigned count;
};

static void model_insert(struct model_list *m, unsigned at, const char *value)
{
    memmove(m->values[at + 1], m->values[at], (m->count - at) * VALUE_BYTES);
    snprintf(m->values[at], VALUE_BYTES, "%s", value);
    m->count++;
}

static void model_remove(struct model_list *m, unsigned at)
{
    m->count--;
    memmove(m->values[at], m->values[at + 1], (m->count - at) * VALUE_BYTES);
}

static void check_list(struct world *w, const struct model_list *m)
{
    const struct list_get_range_response *r =
        ask(w, METHOD_LIST_RANGE_GET_RANGE, &(struct list_get_range_request){.key = SLICE("l"), .end = -1});
    CHECK_EQ(r->length, m->count);
    CHECK_EQ(r->values.count, m->count);
    for (unsigned i = 0; i < m->count; i++)
        CHECK_SLICE(PB_AT(r->values, struct slice, i), slice_str(m->values[i]));
}

static void push_some(struct world *w, struct model_list *m, bool left)
{
    char texts[3][VALUE_BYTES];
    struct slice values[3];
    unsigned count = 1 + (unsigned)choose(w, 3);
    if (m->count + count >= VALUES_MAX)
        return;
    for (unsigned i = 0; i < count; i++) {
        snprintf(texts[i], VALUE_BYTES, "v%u", (unsigned)choose(w, 20));
        values[i] = slice_str(texts[i]);
        model_insert(m, left ? 0 : m->count, texts[i]);
    }
    struct list_push_left_request r = {.key = SLICE("l"), .values = {.items = values, .count = count}};
    const struct list_push_left_response *a =
        ask(w, left ? METHOD_LIST_BASIC_PUSH_LEFT : METHOD_LIST_BASIC_PUSH_RIGHT, &r);
    CHECK_EQ(a->length, m->count);
}

static void pop_some(struct world *w, struct model_list *m, bool left)
{
    uint32_t count = 1 + (uint32_t)choose(w, 4);
    struct list_pop_left_request r = {.key = SLICE("l"), .count = count};
    const struct list_pop_left_response *a =
        ask(w, left ? METHOD_LIST_BASIC_POP_LEFT : METHOD_LIST_BASIC_POP_RIGHT, &r);
    CHECK_EQ(a->values.count, count < m->count ? count : m->count);
    for (uint32_t i = 0; i < a->values.count; i++) {
        unsigned at = left ? 0 : m->count - 1;
        CHECK_SLICE(PB_AT(a->values, struct slice, i), slice_str(m->values[at]));
        model_remove(m, at);
    }
    CHECK_EQ(a->length, m->count);
}

/* Often at one place, so that the gap there is used up. */
static void insert_one(struct world *w, struct model_list *m, unsigned turn)
{
    char text[VALUE_BYTES];
    if (m->count + 1 >= VALUES_MAX)
        return;
    unsigned at = choose(w, 4) ? m->count / 2 : (unsigned)choose(w, m->count + 1);
    snprintf(text, sizeof text, "i%u", turn);
    struct list_insert_request r = {.key = SLICE("l"), .index = at, .value = slice_str(text)};
    if (at < m->count && choose(w, 2))
        r.index = (int64_t)at - (int64_t)m->count;
    const struct list_insert_response *a = ask(w, METHOD_LIST_INDEXING_INSERT, &r);
    model_insert(m, at, text);
    CHECK_EQ(a->length, m->count);
}

static void set_one(struct world *w, struct model_list *m, unsigned turn)
{
    if (!m->count)
        return;
    unsigned at = (unsigned)choose(w, m->count);
    snprintf(m->values[at], VALUE_BYTES, "s%u", turn);
    struct list_set_request r = {.key = SLICE("l"), .index = at, .value = slice_str(m->values[at])};
    ask(w, METHOD_LIST_INDEXING_SET, &r);
    const struct list_get_response *a = ask(
        w, METHOD_LIST_INDEXING_GET, &(struct list_get_request){.key = SLICE("l"), .index = (int64_t)at - m->count});
    CHECK(a->found);
    CHECK_SLICE(a->value, slice_str(m->values[at]));
}

static void remove_one(struct world *w, struct model_list *m)
{
    if (!m->count)
        return;
    unsigned at = (unsigned)choose(w, m->count);
    struct list_remove_request r = {.key = SLICE("l"), .what_case = LIST_REMOVE_REQUEST_INDEX, .index = at};
    const struct list_remove_response *a = ask(w, METHOD_LIST_INDEXING_REMOVE, &r);
    CHECK_EQ(a->removed, 1);
    CHECK_SLICE(a->value, slice_str(m->values[at]));
    model_remove(m, at);
    CHECK_EQ(a->length, m->count);
}

static unsigned model_remove_equal(struct model_list *m, const char *value, int64_t count)
{
    unsigned removed = 0, most = count ? (unsigned)llabs(count) : UINT32_MAX;
    for (unsigned i = 0, seen = m->count; i < seen && removed < most; i++) {
        unsigned at = count < 0 ? seen - 1 - i : i - removed;
        if (strcmp(m->values[at], value) != 0)
            continue;
        model_remove(m, at);
        removed++;
    }
    return removed;
}

static void remove_equal(struct world *w, struct model_list *m)
{
    char text[VALUE_BYTES];
    snprintf(text, sizeof text, "v%u", (unsigned)choose(w, 20));
    int64_t count = (int64_t)choose(w, 5) - 2;
    struct list_remove_request r = {
        .key = SLICE("l"), .what_case = LIST_REMOVE_REQUEST_VALUE, .value = slice_str(text), .count = count};
    const struct list_remove_response *a = ask(w, METHOD_LIST_INDEXING_REMOVE, &r);
    CHECK_EQ(a->removed, model_remove_equal(m, text, count));
    CHECK_EQ(a->length, m->count);
}

static void trim_some(struct world *w, struct model_list *m)
{
    int64_t start = (int64_t)choose(w, 3), end = -1 - (int64_t)choose(w, 3);
    const struct list_trim_response *a =
        ask(w, METHOD_LIST_RANGE_TRIM, &(struct list_trim_request){.key = SLICE("l"), .start = start, .end = end});
    unsigned before = m->count;
    for (int64_t i = end; i < -1 && m->count; i++)
        model_remove(m, m->count - 1);
    for (int64_t i = 0; i < start && m->count; i++)
        model_remove(m, 0);
    CHECK_EQ(a->removed, before - m->count);
    CHECK_EQ(a->length, m->count);
}

static void list_turn(struct world *w, struct model_list *m, unsigned turn)
{
    switch (choose(w, 12)) {
    case 0:
    case 1:
        push_some(w, m, true);
        break;
    case 2:
    case 3:
        push_some(w, m, false);
        break;
    case 4:
        pop_some(w, m, choose(w, 2));
        break;
    case 5:
        set_one(w, m, turn);
        break;
    case 6:
        remove_one(w, m);
        break;
    case 7:
        remove_equal(w, m);
        break;
    case 8:
        trim_some(w, m);
        break;
    default:
        insert_one(w, m, turn);
    }
}

TEST(lists_are_what_a_model_says)
{
    enum { TURNS = 4000 };
    struct world w;
    struct model_list m = {0};
    begin(&w, 1);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        list_turn(&w, &m, turn);
        if (turn % 50 == 0)
            check_list(&w, &m);
        if (turn % 1000 == 999)
            restart(&w);
    }
    check_list(&w, &m);
    const struct list_clear_response *c =
        ask(&w, METHOD_LIST_BASIC_CLEAR, &(struct list_clear_request){.key = SLICE("l")});
    CHECK_EQ(c->removed, m.count);
    m.count = 0;
    check_list(&w, &m);
    fixture_fini(&w.f);
}

TEST(a_place_where_much_is_inserted_gets_new_room)
{
    struct world w;
    struct model_list m = {0};
    struct slice ends[] = {SLICE("first"), SLICE("last")};
    begin(&w, 2);
    ask(&w, METHOD_LIST_BASIC_PUSH_RIGHT,
        &(struct list_push_right_request){.key = SLICE("l"), .values = {.items = ends, .count = 2}});
    model_insert(&m, 0, "first");
    model_insert(&m, 1, "last");
    for (unsigned i = 0; i < 200; i++) {
        char text[VALUE_BYTES];
        snprintf(text, sizeof text, "%u", i);
        ask(&w, METHOD_LIST_INDEXING_INSERT,
            &(struct list_insert_request){.key = SLICE("l"), .index = 1, .value = slice_str(text)});
        model_insert(&m, 1, text);
    }
    check_list(&w, &m);
    fixture_fini(&w.f);
}

TEST(a_refused_insert_leaves_no_list)
{
    struct world w;
    begin(&w, 3);
    struct list_insert_request r = {.key = SLICE("l"), .index = 1, .value = SLICE("x")};
    fake_call(&w.f.call, METHOD_LIST_INDEXING_INSERT, &r);
    CHECK_ERR(w.f.call.err, ERR_INDEX_OUT_OF_RANGE);
    check_list(&w, &(struct model_list){0});
    fixture_fini(&w.f);
}

/* --- waiting -------------------------------------------------------------------------------------------------------------------- */

TEST(a_waiting_pop_gets_the_next_value_or_gives_up)
{
    struct world w;
    struct calls calls;
    struct slice value = SLICE("x");
    struct google_protobuf_duration soon = {.seconds = 1}, late = {.seconds = 60};
    begin(&w, 4);
    calls_init(&calls, &w.f, 2);
    struct list_blocking_pop_left_request waits = {.key = SLICE("l"), .timeout = &late};
    fake_call_start(&calls.items[0], METHOD_LIST_BLOCKING_BLOCKING_POP_LEFT, &waits);
    while (!fixture_stat(&w.f, "pops_waiting"))
        loop_turn(w.f.loop, false);
    ask(&w, METHOD_LIST_BASIC_PUSH_LEFT,
        &(struct list_push_left_request){.key = SLICE("l"), .values = {.items = &value, .count = 1}});
    fake_call_finish(&calls.items[0]);
    const struct list_blocking_pop_left_response *a = calls.items[0].messages[0];
    CHECK(a->found);
    CHECK_SLICE(a->value, value);
    CHECK_EQ(fixture_stat(&w.f, "pops_waiting"), 0);
    waits.timeout = &soon;
    fake_call_start(&calls.items[1], METHOD_LIST_BLOCKING_BLOCKING_POP_LEFT, &waits);
    fake_call_finish(&calls.items[1]);
    a = calls.items[1].messages[0];
    CHECK(!a->found);
    check_list(&w, &(struct model_list){0});
    calls_fini(&calls);
    fixture_fini(&w.f);
}

/* --- sets ----------------------------------------------------------------------------------------------------------------------- */

enum { MEMBERS = 64, SETS = 3 };

static const struct slice set_keys[SETS] = {
    {(const uint8_t *)"s0", 2}, {(const uint8_t *)"s1", 2}, {(const uint8_t *)"s2", 2}};

/* Members in bytewise order by their number. */
static struct slice member(unsigned i, char out[8])
{
    snprintf(out, 8, "m%02u", i);
    return slice_str(out);
}

static unsigned number_of(struct slice member)
{
    CHECK_EQ(member.size, 3);
    return (unsigned)(member.data[1] - '0') * 10 + (unsigned)(member.data[2] - '0');
}

static void change_set(struct world *w, bool sets[SETS][MEMBERS])
{
    char text[8];
    unsigned s = (unsigned)choose(w, SETS), i = (unsigned)choose(w, MEMBERS);
    struct slice m = member(i, text);
    struct set_add_request r = {.key = set_keys[s], .members = {.items = &m, .count = 1}};
    if (choose(w, 3)) {
        const struct set_add_response *a = ask(w, METHOD_SET_BASIC_ADD, &r);
        CHECK_EQ(a->added, !sets[s][i]);
        sets[s][i] = true;
    } else {
        const struct set_remove_response *a = ask(w, METHOD_SET_BASIC_REMOVE, &r);
        CHECK_EQ(a->removed, sets[s][i]);
        sets[s][i] = false;
    }
}

static bool holds(enum set_operator operator, bool sets[SETS][MEMBERS], unsigned i)
{
    if (operator== SET_UNION)
        return sets[0][i] || sets[1][i] || sets[2][i];
    return operator== SET_INTERSECTION ? sets[0][i] && sets[1][i] && sets[2][i]
                                       : sets[0][i] && !sets[1][i] && !sets[2][i];
}

/* All pages of an operation, a few members each. */
static void check_operation(struct world *w, enum set_operator operator, bool sets[SETS][MEMBERS])
{
    static const enum method_id ids[] = {METHOD_SET_OPERATIONS_UNION, METHOD_SET_OPERATIONS_INTERSECTION,
                                         METHOD_SET_OPERATIONS_DIFFERENCE};
    struct slice keys[SETS];
    uint8_t cursor[2048];
    memcpy(keys, set_keys, sizeof keys);
    struct set_union_request r = {.keys = {.items = keys, .count = SETS}, .page_size = 1 + (uint32_t)choose(w, 9)};
    unsigned at = 0;
    do {
        const struct set_union_response *a = ask(w, ids[operator], &r);
        CHECK(a->members.count <= r.page_size);
        for (uint32_t i = 0; i < a->members.count; i++, at++) {
            char text[8];
            while (at < MEMBERS && !holds(operator, sets, at))
                at++;
            CHECK_SLICE(PB_AT(a->members, struct slice, i), member(at, text));
        }
        CHECK(a->next_cursor.size <= sizeof cursor);
        memcpy(cursor, a->next_cursor.data ? a->next_cursor.data : cursor, a->next_cursor.size);
        r.cursor = slice_of(cursor, a->next_cursor.size);
    } while (r.cursor.size);
    for (; at < MEMBERS; at++)
        CHECK(!holds(operator, sets, at));
}

static void check_random(struct world *w, bool set[MEMBERS])
{
    unsigned size = 0;
    bool seen[MEMBERS] = {0};
    for (unsigned i = 0; i < MEMBERS; i++)
        size += set[i];
    struct set_get_random_member_request r = {.key = set_keys[0], .count = 1 + (uint32_t)choose(w, MEMBERS)};
    const struct set_get_random_member_response *a = ask(w, METHOD_SET_RANDOM_GET_RANDOM_MEMBER, &r);
    CHECK_EQ(a->members.count, r.count < size ? r.count : size);
    for (uint32_t i = 0; i < a->members.count; i++) {
        unsigned which = number_of(PB_AT(a->members, struct slice, i));
        CHECK(set[which] && !seen[which]);
        seen[which] = true;
    }
}

TEST(sets_are_what_a_model_says)
{
    struct world w;
    bool sets[SETS][MEMBERS] = {0};
    begin(&w, 5);
    for (unsigned turn = 0; turn < 1200; turn++) {
        change_set(&w, sets);
        if (turn % 40 == 0) {
            for (int operator= SET_UNION; operator<= SET_DIFFERENCE; operator++)
                check_operation(&w, (enum set_operator) operator, sets);
            check_random(&w, sets[0]);
        }
        if (turn == 600)
            restart(&w);
    }
    fixture_fini(&w.f);
}

/* 30 random choices of one of ten: that one of them is never chosen in 3,000 has a probability below 1e-130. */
TEST(random_members_are_fair_enough)
{
    struct world w;
    unsigned seen[10] = {0};
    begin(&w, 6);
    for (unsigned i = 0; i < 10; i++) {
        char text[8];
        struct slice m = member(i, text);
        ask(&w, METHOD_SET_BASIC_ADD,
            &(struct set_add_request){.key = set_keys[0], .members = {.items = &m, .count = 1}});
    }
    for (unsigned turn = 0; turn < 3000; turn++) {
        const struct set_get_random_member_response *a =
            ask(&w, METHOD_SET_RANDOM_GET_RANDOM_MEMBER, &(struct set_get_random_member_request){.key = set_keys[0]});
        seen[number_of(PB_AT(a->members, struct slice, 0))]++;
    }
    for (unsigned i = 0; i < 10; i++)
        CHECK(seen[i] > 200 && seen[i] < 400);
    fixture_fini(&w.f);
}

TEST(popped_random_members_are_gone)
{
    struct world w;
    bool seen[MEMBERS] = {0};
    begin(&w, 7);
    for (unsigned i = 0; i < MEMBERS; i++) {
        char text[8];
        struct slice m = member(i, text);
        ask(&w, METHOD_SET_BASIC_ADD,
            &(struct set_add_request){.key = set_keys[0], .members = {.items = &m, .count = 1}});
    }
    for (unsigned left = MEMBERS; left;) {
        const struct set_pop_random_member_response *a =
            ask(&w, METHOD_SET_RANDOM_POP_RANDOM_MEMBER,
                &(struct set_pop_random_member_request){.key = set_keys[0], .count = 5});
        for (uint32_t i = 0; i < a->members.count; i++) {
            unsigned which = number_of(PB_AT(a->members, struct slice, i));
            CHECK(!seen[which]);
            seen[which] = true;
        }
        left -= a->members.count;
        CHECK_EQ(a->size, left);
    }
    fixture_fini(&w.f);
}

/* --- sorted sets ----------------------------------------------------------------------------------------------------------------- */

struct model_member {
    bool there;
    double score;
};

static int place_of(const struct model_member *m, unsigned a, unsigned b)
{
    char x[8], y[8];
    return place_cmp(m[a].score, member(a, x), m[b].score, member(b, y));
}

static unsigned model_rank(const struct model_member *m, unsigned i)
{
    unsigned rank = 0;
    for (unsigned j = 0; j < MEMBERS; j++)
        rank += m[j].there && place_of(m, j, i) < 0;
    return rank;
}

static unsigned model_size(const struct model_member *m)
{
    unsigned size = 0;
    for (unsigned j = 0; j < MEMBERS; j++)
        size += m[j].there;
    return size;
}

static void change_sorted(struct world *w, struct model_member *m)
{
    char text[8];
    unsigned i = (unsigned)choose(w, MEMBERS);
    struct sortedset_scored_member one = {.member = member(i, text), .score = (double)choose(w, 10) - 5};
    if (choose(w, 4)) {
        struct sortedset_scored_member *items[] = {&one};
        const struct sortedset_add_response *a =
            ask(w, METHOD_SORTEDSET_BASIC_ADD,
                &(struct sortedset_add_request){.key = SLICE("z"), .members = {.items = items, .count = 1}});
        CHECK_EQ(a->added, !m[i].there);
        CHECK_EQ(a->updated, m[i].there && m[i].score != one.score);
        m[i] = (struct model_member){true, one.score};
        return;
    }
    const struct sortedset_remove_response *a =
        ask(w, METHOD_SORTEDSET_BASIC_REMOVE,
            &(struct sortedset_remove_request){.key = SLICE("z"), .members = {.items = &one.member, .count = 1}});
    CHECK_EQ(a->removed, m[i].there);
    m[i].there = false;
}

static void check_rank(struct world *w, const struct model_member *m)
{
    char text[8];
    unsigned i = (unsigned)choose(w, MEMBERS);
    struct sortedset_get_rank_request r = {.key = SLICE("z"), .member = member(i, text)};
    const struct sortedset_get_rank_response *a = ask(w, METHOD_SORTEDSET_RANK_GET_RANK, &r);
    CHECK_EQ(a->found, m[i].there);
    CHECK_EQ(a->rank, m[i].there ? model_rank(m, i) : 0);
    a = ask(w, METHOD_SORTEDSET_RANK_GET_REVERSE_RANK, &r);
    CHECK_EQ(a->rank, m[i].there ? model_size(m) - 1 - model_rank(m, i) : 0);
}

/* By rank: every member stands where the model says. */
static void check_order(struct world *w, const struct model_member *m, bool reverse)
{
    unsigned size = model_size(m);
    const struct sortedset_get_range_response *a =
        ask(w, METHOD_SORTEDSET_RANGE_GET_RANGE,
            &(struct sortedset_get_range_request){.key = SLICE("z"), .end = -1, .reverse = reverse});
    CHECK_EQ(a->size, size);
    CHECK_EQ(a->members.count, size);
    for (unsigned at = 0; at < size; at++) {
        const struct sortedset_scored_member *s = PB_AT(a->members, const struct sortedset_scored_member *, at);
        unsigned i = number_of(s->member);
        CHECK(m[i].there && m[i].score == s->score);
        CHECK_EQ(model_rank(m, i), reverse ? size - 1 - at : at);
    }
}

static bool in_range(const struct sortedset_get_range_by_score_request *r, double score)
{
    bool above = r->min->exclusive ? score > r->min->score : score >= r->min->score;
    return above && (r->max->exclusive ? score < r->max->score : score <= r->max->score);
}

static void check_by_score(struct world *w, const struct model_member *m)
{
    uint8_t cursor[2048];
    struct sortedset_score_bound min = {.score = (double)choose(w, 10) - 6, .exclusive = choose(w, 2)},
                                 max = {.score = (double)choose(w, 10) - 4, .exclusive = choose(w, 2)};
    struct sortedset_get_range_by_score_request r = {
        .key = SLICE("z"), .min = &min, .max = &max, .reverse = choose(w, 2), .page_size = 1 + (uint32_t)choose(w, 7)};
    unsigned expected = 0, found = 0, last = MEMBERS;
    for (unsigned i = 0; i < MEMBERS; i++)
        expected += m[i].there && in_range(&r, m[i].score);
    do {
        const struct sortedset_get_range_by_score_response *a = ask(w, METHOD_SORTEDSET_RANGE_GET_RANGE_BY_SCORE, &r);
        for (uint32_t at = 0; at < a->members.count; at++, found++) {
            unsigned i = number_of(PB_AT(a->members, const struct sortedset_scored_member *, at)->member);
            CHECK(m[i].there && in_range(&r, m[i].score));
            CHECK(last == MEMBERS || (r.reverse ? place_of(m, i, last) < 0 : place_of(m, last, i) < 0));
            last = i;
        }
        CHECK(a->next_cursor.size <= sizeof cursor);
        memcpy(cursor, a->next_cursor.data ? a->next_cursor.data : cursor, a->next_cursor.size);
        r.cursor = slice_of(cursor, a->next_cursor.size);
    } while (r.cursor.size);
    CHECK_EQ(found, expected);
}

TEST(sorted_sets_are_what_a_model_says)
{
    struct world w;
    struct model_member m[MEMBERS] = {0};
    begin(&w, 8);
    for (unsigned turn = 0; turn < 1500; turn++) {
        change_sorted(&w, m);
        if (turn % 30 == 0) {
            check_rank(&w, m);
            check_order(&w, m, turn % 60);
            check_by_score(&w, m);
        }
        if (turn == 700)
            restart(&w);
    }
    fixture_fini(&w.f);
}

TEST(a_range_by_bytes_takes_both_bounds_and_directions)
{
    struct world w;
    uint8_t cursor[2048];
    begin(&w, 9);
    for (unsigned i = 0; i < 20; i++) {
        char text[8];
        struct sortedset_scored_member one = {.member = member(i, text), .score = 7}, *items[] = {&one};
        ask(&w, METHOD_SORTEDSET_BASIC_ADD,
            &(struct sortedset_add_request){.key = SLICE("z"), .members = {.items = items, .count = 1}});
    }
    struct sortedset_lex_bound min = {.member = SLICE("m03"), .exclusive = true}, max = {.member = SLICE("m15")};
    for (int reverse = 0; reverse < 2; reverse++) {
        struct sortedset_get_range_by_lex_request r = {
            .key = SLICE("z"), .min = &min, .max = &max, .reverse = reverse, .page_size = 5};
        unsigned at = reverse ? 15 : 4, found = 0;
        do {
            const struct sortedset_get_range_by_lex_response *a = ask(&w, METHOD_SORTEDSET_LEX_GET_RANGE_BY_LEX, &r);
            for (uint32_t i = 0; i < a->members.count; i++, found++) {
                char text[8];
                CHECK_SLICE(PB_AT(a->members, struct slice, i), member(at, text));
                at += reverse ? -1u : 1u;
            }
            memcpy(cursor, a->next_cursor.data ? a->next_cursor.data : cursor, a->next_cursor.size);
            r.cursor = slice_of(cursor, a->next_cursor.size);
        } while (r.cursor.size);
        CHECK_EQ(found, 12);
    }
    fixture_fini(&w.f);
}

TEST(operations_on_sorted_sets_weigh_and_join)
{
    struct world w;
    begin(&w, 10);
    static const struct {
        const char *key, *member;
        double score;
    } rows[] = {{"a", "x", 1}, {"a", "y", 2}, {"b", "y", 3}, {"b", "z", 4}};
    for (unsigned i = 0; i < 4; i++) {
        struct sortedset_scored_member one = {.member = slice_str(rows[i].member), .score = rows[i].score},
                                       *items[] = {&one};
        ask(&w, METHOD_SORTEDSET_BASIC_ADD,
            &(struct sortedset_add_request){.key = slice_str(rows[i].key), .members = {.items = items, .count = 1}});
    }
    struct slice keys[] = {SLICE("a"), SLICE("b")};
    double weights[] = {10, 1};
    struct sortedset_union_request r = {.keys = {.items = keys, .count = 2}, .weights = {.items = weights, .count = 2}};
    const struct sortedset_union_response *a = ask(&w, METHOD_SORTEDSET_OPERATIONS_UNION, &r);
    static const double scores[] = {4, 10, 23};
    CHECK_EQ(a->members.count, 3);
    for (uint32_t i = 0; i < 3; i++)
        CHECK(PB_AT(a->members, const struct sortedset_scored_member *, i)->score == scores[i]);
    a = ask(&w, METHOD_SORTEDSET_OPERATIONS_INTERSECTION, &r);
    CHECK_EQ(a->members.count, 1);
    CHECK_SLICE(PB_AT(a->members, const struct sortedset_scored_member *, 0)->member, SLICE("y"));
    fixture_fini(&w.f);
}

/* --- counters -------------------------------------------------------------------------------------------------------------------- */

TEST(a_counter_adds_and_refuses_what_does_not_fit)
{
    struct world w;
    begin(&w, 11);
    struct counter_add_and_get_request r = {.key = SLICE("c"), .delta = INT64_MAX};
    const struct counter_add_and_get_response *a = ask(&w, METHOD_COUNTER_BASIC_ADD_AND_GET, &r);
    CHECK_EQ(a->value, INT64_MAX);
    r.delta = 1;
    fake_call(&w.f.call, METHOD_COUNTER_BASIC_ADD, &r);
    CHECK_ERR(w.f.call.err, ERR_COUNTER_OVERFLOW);
    restart(&w);
    const struct counter_clear_response *c =
        ask(&w, METHOD_COUNTER_BASIC_CLEAR, &(struct counter_clear_request){.key = SLICE("c")});
    CHECK_EQ(c->value, INT64_MAX);
    r.delta = -3;
    for (int i = 0; i < 3; i++) {
        w.f.call.idempotency_key = SLICE("once");
        a = ask(&w, METHOD_COUNTER_BASIC_ADD_AND_GET, &r);
    }
    CHECK_EQ(a->value, -3);
    fixture_fini(&w.f);
}

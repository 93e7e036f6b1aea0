#include "../harness.h"
#include "proxy/nearest.h"

TEST(distance_counts_letters_added_dropped_changed_swapped)
{
    static const struct {
        const char *a, *b;
        unsigned distance;
    } rows[] = {{"", "", 0},
                {"a", "", 1},
                {"", "abc", 3},
                {"same", "same", 0},
                {"bakend", "backend", 1},
                {"memroy", "memory", 1},
                {"kitten", "sitting", 3},
                {"ab", "ba", 1},
                {"ca", "abc", 3}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_EQ(nearest_distance(slice_str(rows[i].a), slice_str(rows[i].b)), rows[i].distance);
        CHECK_EQ(nearest_distance(slice_str(rows[i].b), slice_str(rows[i].a)), rows[i].distance);
    }
}

TEST(the_nearest_candidate_is_kept)
{
    struct nearest n = {.word = SLICE("orderz")};
    nearest_offer(&n, SLICE("payments"));
    CHECK(!n.best.data);
    nearest_offer(&n, SLICE("border"));
    nearest_offer(&n, SLICE("orders"));
    nearest_offer(&n, SLICE("orderly"));
    CHECK_SLICE(n.best, SLICE("orders"));
}

TEST(short_words_are_not_near_everything)
{
    CHECK(!nearest_is_near(SLICE("x"), SLICE("abc")));
    CHECK(!nearest_is_near(SLICE("ttl"), SLICE("name")));
    CHECK(nearest_is_near(SLICE("ttk"), SLICE("ttl")));
}

TEST(long_words_cost_nothing)
{
    char text[5000];
    memset(text, 'a', sizeof text);
    CHECK(!nearest_is_near(slice_of(text, sizeof text), SLICE("a")) ||
          nearest_distance(slice_of(text, 5000), SLICE("a")) == 64);
    struct nearest n = {.word = slice_of(text, sizeof text)};
    nearest_offer(&n, SLICE("aaaa"));
    CHECK(!n.best.data || n.distance == 64);
}

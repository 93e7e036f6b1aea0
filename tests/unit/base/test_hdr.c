#include <stdlib.h>

#include "../harness.h"
#include "base/hash.h"
#include "base/hdr.h"

static bool within_a_thousandth(uint64_t value, uint64_t exact)
{
    return value >= exact && value - exact <= exact / 1000;
}

SCENARIO(small_values_are_exact)
{
    struct hdr *h;
    enum err e = hdr_new(&h);
    if (e)
        return e;
    for (uint64_t v = 1; v <= 1000; v++)
        hdr_add(h, v);
    CHECK_EQ(hdr_count(h), 1000);
    CHECK_EQ(hdr_min(h), 1);
    CHECK_EQ(hdr_max(h), 1000);
    CHECK_EQ(hdr_quantile(h, 0), 1);
    CHECK_EQ(hdr_quantile(h, 0.5), 500);
    CHECK_EQ(hdr_quantile(h, 0.99), 990);
    CHECK_EQ(hdr_quantile(h, 1), 1000);
    CHECK(hdr_mean(h) > 500.49 && hdr_mean(h) < 500.51);
    hdr_free(h);
    return OK;
}

SCENARIO(an_empty_one_answers_zero)
{
    struct hdr *h;
    enum err e = hdr_new(&h);
    if (e)
        return e;
    CHECK_EQ(hdr_quantile(h, 0.5), 0);
    CHECK_EQ(hdr_min(h), 0);
    CHECK_EQ(hdr_max(h), 0);
    CHECK(hdr_mean(h) == 0);
    hdr_free(h);
    return OK;
}

/* Every value, alone in the lower half of two, comes back to three digits: around each power of two, and at random. */
static void check_digits(struct hdr *h, uint64_t value)
{
    hdr_reset(h);
    hdr_add(h, value);
    hdr_add(h, HDR_VALUE_MAX);
    CHECK(within_a_thousandth(hdr_quantile(h, 0.5), value));
}

TEST(three_digits_everywhere)
{
    struct hdr *h;
    CHECK_ERR(hdr_new(&h), OK);
    for (unsigned bit = 1; bit < 42; bit++)
        for (uint64_t v = (UINT64_C(1) << bit) - 1; v <= (UINT64_C(1) << bit) + 1; v++)
            check_digits(h, v);
    for (uint64_t i = 0; i < 2000; i++)
        check_digits(h, hash_mix(i) >> (22 + i % 40));
    hdr_free(h);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Against the sorted values themselves, the far tail too. */
TEST(quantiles_are_those_of_the_sorted_values)
{
    enum { COUNT = 20000 };
    static uint64_t values[COUNT];
    static const double parts[] = {0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
    struct hdr *h;
    CHECK_ERR(hdr_new(&h), OK);
    for (unsigned i = 0; i < COUNT; i++) {
        values[i] = hash_mix(i) >> (24 + i % 16);
        hdr_add(h, values[i]);
    }
    qsort(values, COUNT, sizeof *values, by_value);
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
        unsigned rank = (unsigned)(parts[i] * COUNT + 0.5);
        CHECK(within_a_thousandth(hdr_quantile(h, parts[i]), values[rank - 1]));
    }
    hdr_free(h);
}

TEST(too_large_counts_as_the_largest)
{
    struct hdr *h;
    CHECK_ERR(hdr_new(&h), OK);
    hdr_add(h, UINT64_MAX);
    CHECK_EQ(hdr_quantile(h, 0.5), HDR_VALUE_MAX);
    CHECK_EQ(hdr_max(h), HDR_VALUE_MAX);
    hdr_free(h);
}

TEST(merging_is_adding_both)
{
    struct hdr *a, *b, *both;
    CHECK_ERR(hdr_new(&a), OK);
    CHECK_ERR(hdr_new(&b), OK);
    CHECK_ERR(hdr_new(&both), OK);
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t v = hash_mix(i) >> 30;
        hdr_add(i % 3 ? a : b, v);
        hdr_add(both, v);
    }
    hdr_merge(a, b);
    for (double part = 0; part <= 1; part += 0.125)
        CHECK_EQ(hdr_quantile(a, part), hdr_quantile(both, part));
    CHECK_EQ(hdr_count(a), 1000);
    CHECK_EQ(hdr_min(a), hdr_min(both));
    CHECK_EQ(hdr_max(a), hdr_max(both));
    hdr_free(a);
    hdr_free(b);
    hdr_free(both);
}

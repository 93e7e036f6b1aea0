#include "../harness.h"
#include "base/fault.h"

static bool commit(void)
{
    return FAULT("test.commit");
}

static bool append(void)
{
    return FAULT("test.append");
}

static int count_fires(bool (*fn)(void), int passes)
{
    int fires = 0;
    for (int i = 0; i < passes; i++)
        fires += fn();
    return fires;
}

TEST(fault_points_sleep_until_they_are_armed)
{
    CHECK_EQ(count_fires(commit, 100), 0);
    CHECK_ERR(fault_arm("test.commit=1/1", 1), OK);
    CHECK_EQ(count_fires(commit, 100), 100);
    CHECK_EQ(count_fires(append, 100), 0);
    CHECK_EQ(fault_count("test.commit"), 100);
    fault_disarm_all();
    CHECK_EQ(count_fires(commit, 100), 0);
}

TEST(fault_points_fire_the_same_way_for_the_same_seed)
{
    char first[201] = "", second[201] = "";
    for (int run = 0; run < 2; run++) {
        CHECK_ERR(fault_arm("test.commit=1/4", 42), OK);
        for (int i = 0; i < 200; i++)
            (run ? second : first)[i] = commit() ? 'x' : '.';
    }
    CHECK_STR(first, second);
    CHECK(fault_count("test.commit") > 25 && fault_count("test.commit") < 75);
    CHECK_ERR(fault_arm("test.commit=1/4", 43), OK);
    for (int i = 0; i < 200; i++)
        second[i] = commit() ? 'x' : '.';
    CHECK(strcmp(first, second) != 0);
    fault_disarm_all();
}

TEST(fault_points_fire_in_one_pass_when_asked)
{
    CHECK_ERR(fault_arm("test.commit=@3,test.append=@1", 0), OK);
    CHECK(!commit() && !commit() && commit() && !commit());
    CHECK(append() && !append());
    CHECK_ERR(fault_arm("test.commit=@3+", 0), OK);
    CHECK(!commit() && !commit() && commit() && commit() && commit());
    CHECK_ERR(fault_arm("test.*=1/1", 0), OK);
    CHECK(commit() && append());
    fault_disarm_all();
}

TEST(fault_lists_are_checked_before_anything_is_armed)
{
    static const char *const bad[] = {"test.commit",      "test.commit=",
                                      "test.commit=1",    "test.commit=1/",
                                      "test.commit=0/1",  "test.commit=@0",
                                      "test.commit=@1/2", "=1/1",
                                      "test.commit=1/1x", "test.commit=1/1,,",
                                      "test.commit=@3++", "test.commit=@+",
                                      "test.commit=1/2+", "test.commit=4294967296/1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (fault_arm(bad[i], 0) != ERR_INVALID_ARGUMENT)
            test_fail(__FILE__, __LINE__, "\"%s\" is taken for a list", bad[i]);
    CHECK_ERR(fault_arm("test.commit=1/1,no.such.point=1/1", 0), ERR_NOT_FOUND);
    CHECK(!commit());
    CHECK_ERR(fault_arm("", 0), OK);
}

TEST(fault_points_can_be_listed)
{
    int seen = 0;
    for (uint32_t i = 0; fault_at(i); i++)
        seen += strcmp(fault_at(i)->name, "test.commit") == 0 || strcmp(fault_at(i)->name, "test.append") == 0;
    CHECK(seen >= 2);
}

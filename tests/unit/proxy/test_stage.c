/* The engine: which stages are entered and left, and when. */
#include <stdio.h>

#include "../harness.h"
#include "proxy/stage.h"

static char trace[64];

static void note(const char *step)
{
    strcat(trace, step);
}

#define STAGE(id, verdict)                                                                                             \
    static enum stage_verdict enter_##id(struct passage *p)                                                            \
    {                                                                                                                  \
        (void)p;                                                                                                       \
        note(#id);                                                                                                     \
        return verdict;                                                                                                \
    }                                                                                                                  \
    static void leave_##id(struct passage *p, enum err e)                                                              \
    {                                                                                                                  \
        (void)p;                                                                                                       \
        note(e ? "!" #id : "-" #id);                                                                                   \
    }                                                                                                                  \
    static const struct stage stage_##id = {.name = #id, .enter = enter_##id, .leave = leave_##id}

STAGE(a, STAGE_NEXT);
STAGE(b, STAGE_NEXT);
STAGE(w, STAGE_WAIT);
STAGE(d, STAGE_DONE);
static const struct stage stage_silent = {.name = "silent", .enter = enter_a};

static struct passage begin(const struct stage *const *stages)
{
    *trace = '\0';
    struct passage p = {.stages = stages};
    return p;
}

TEST(stages_are_left_in_reverse_but_for_the_last)
{
    const struct stage *const stages[] = {&stage_a, &stage_b, &stage_d, NULL};
    struct passage p = begin(stages);
    stages_enter(&p);
    CHECK_STR(trace, "abd");
    stages_leave(&p, OK);
    CHECK_STR(trace, "abd-b-a");
    stages_leave(&p, OK);
    CHECK_STR(trace, "abd-b-a");
}

TEST(a_stage_that_ends_the_call_is_the_last)
{
    const struct stage *const stages[] = {&stage_a, &stage_d, &stage_b, NULL};
    struct passage p = begin(stages);
    stages_enter(&p);
    stages_leave(&p, ERR_INTERNAL);
    CHECK_STR(trace, "ad!a");
}

TEST(a_parked_call_goes_on_behind_the_stage)
{
    const struct stage *const stages[] = {&stage_a, &stage_w, &stage_b, &stage_d, NULL};
    struct passage p = begin(stages);
    stages_enter(&p);
    CHECK_STR(trace, "aw");
    stages_resume(&p);
    CHECK_STR(trace, "awbd");
    stages_leave(&p, OK);
    CHECK_STR(trace, "awbd-b-w-a");
}

TEST(a_call_that_ends_while_parked_does_not_leave_that_stage)
{
    const struct stage *const stages[] = {&stage_a, &stage_w, &stage_d, NULL};
    struct passage p = begin(stages);
    stages_enter(&p);
    stages_leave(&p, ERR_CANCELLED);
    CHECK_STR(trace, "aw!a");
}

TEST(leave_is_optional)
{
    const struct stage *const stages[] = {&stage_silent, &stage_b, &stage_d, NULL};
    struct passage p = begin(stages);
    stages_enter(&p);
    stages_leave(&p, OK);
    CHECK_STR(trace, "abd-b");
}

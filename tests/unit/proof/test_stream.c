/* The checker finds each planted violation, and accepts what only looks like one. */
#include "../../proof/stream.h"

#include "../harness.h"
#include "base/mem.h"

#define SEND(who, what)                                                                                                \
    {                                                                                                                  \
        .kind = STREAM_SEND, .process = (who), .value = (what)                                                         \
    }
#define ACKED(who, what, at)                                                                                           \
    {                                                                                                                  \
        .kind = STREAM_ACKED, .process = (who), .value = (what), .offset = (at)                                        \
    }
#define FAILED(who, what)                                                                                              \
    {                                                                                                                  \
        .kind = STREAM_FAILED, .process = (who), .value = (what)                                                       \
    }
#define ASSIGNED(who)                                                                                                  \
    {                                                                                                                  \
        .kind = STREAM_ASSIGNED, .process = (who)                                                                      \
    }
#define POLLED(who, at, what)                                                                                          \
    {                                                                                                                  \
        .kind = STREAM_POLLED, .process = (who), .value = (what), .offset = (at)                                       \
    }
#define COMMIT(group, at)                                                                                              \
    {                                                                                                                  \
        .kind = STREAM_COMMIT, .process = (group), .offset = (at)                                                      \
    }
#define COMMITTED(group, at)                                                                                           \
    {                                                                                                                  \
        .kind = STREAM_COMMITTED, .process = (group), .offset = (at)                                                   \
    }
#define RESUMED(group, at)                                                                                             \
    {                                                                                                                  \
        .kind = STREAM_RESUMED, .process = (group), .offset = (at)                                                     \
    }
#define BOUNDS(first, next)                                                                                            \
    {                                                                                                                  \
        .kind = STREAM_BOUNDS, .value = (first), .offset = (next)                                                      \
    }

enum { P = 1, Q = 2, C = 3, D = 4, G = 5 };

#define CHECKED(...)                                                                                                   \
    checked((struct stream_event[]){__VA_ARGS__},                                                                      \
            sizeof((struct stream_event[]){__VA_ARGS__}) / sizeof(struct stream_event))

static struct stream_report checked(const struct stream_event *events, size_t count)
{
    struct stream_report report;
    CHECK(stream_check(events, count, NULL, &report));
    return report;
}

/* Two values, and what the planted events say besides. */
#define TWO SEND(P, 10), ACKED(P, 10, 0), SEND(P, 11), ACKED(P, 11, 1)

static void only(struct stream_report r, enum stream_violation v, uint64_t times)
{
    for (int i = 0; i < STREAM_VIOLATIONS; i++)
        if (r.found[i] != (i == (int)v ? times : 0))
            test_fail(__FILE__, __LINE__, "%s: found %llu times", stream_violation_name((enum stream_violation)i),
                      (unsigned long long)r.found[i]);
}

TEST(a_true_history_is_clean)
{
    struct stream_report r = CHECKED(TWO, POLLED(C, 0, 10), POLLED(C, 1, 11), COMMIT(G, 2), COMMITTED(G, 2),
                                     RESUMED(G, 2), ASSIGNED(D), POLLED(D, 0, 10), POLLED(D, 1, 11), BOUNDS(0, 2));
    CHECK(stream_clean(&r));
    CHECK_EQ(r.sent, 2);
    CHECK_EQ(r.acknowledged, 2);
    CHECK_EQ(r.polled, 4);
    CHECK_EQ(r.commits, 1);
}

TEST(an_empty_history_is_clean)
{
    struct stream_report report;
    CHECK(stream_check(NULL, 0, NULL, &report));
    CHECK(stream_clean(&report));
}

TEST(a_send_without_an_answer_may_be_read_or_not)
{
    struct stream_report r =
        CHECKED(TWO, SEND(P, 12), SEND(Q, 13), POLLED(C, 0, 10), POLLED(C, 1, 11), POLLED(C, 2, 13), BOUNDS(0, 3));
    CHECK(stream_clean(&r));
    CHECK_EQ(r.unanswered_read, 1);
}

TEST(a_consumer_that_is_assigned_anew_may_go_back)
{
    struct stream_report r =
        CHECKED(TWO, POLLED(C, 0, 10), POLLED(C, 1, 11), ASSIGNED(C), POLLED(C, 0, 10), BOUNDS(0, 2));
    CHECK(stream_clean(&r));
}

TEST(what_retention_has_deleted_is_not_lost)
{
    struct stream_report r = CHECKED(TWO, POLLED(C, 1, 11), BOUNDS(1, 2));
    CHECK(stream_clean(&r));
}

TEST(a_group_may_be_told_of_a_commit_that_was_not_answered)
{
    struct stream_report r = CHECKED(COMMIT(G, 5), COMMITTED(G, 5), COMMIT(G, 9), RESUMED(G, 9), RESUMED(G, 5));
    CHECK(stream_clean(&r));
}

TEST(sends_at_the_same_time_may_lie_in_any_order)
{
    struct stream_report r = CHECKED(SEND(P, 10), SEND(Q, 11), ACKED(Q, 11, 0), ACKED(P, 10, 1), POLLED(C, 0, 11),
                                     POLLED(C, 1, 10), BOUNDS(0, 2));
    CHECK(stream_clean(&r));
}

TEST(finds_a_lost_value)
{
    only(CHECKED(TWO, POLLED(C, 0, 10), BOUNDS(0, 1)), STREAM_LOST, 1);
}

TEST(finds_a_value_elsewhere)
{
    struct stream_report r =
        CHECKED(SEND(P, 10), ACKED(P, 10, 1), SEND(Q, 11), POLLED(C, 0, 10), POLLED(C, 1, 11), BOUNDS(0, 2));
    CHECK_EQ(r.found[STREAM_MISPLACED], 1);
    CHECK_EQ(r.found[STREAM_DISAGREEMENT], 1);
}

TEST(finds_a_duplicate)
{
    only(CHECKED(TWO, POLLED(C, 0, 10), POLLED(C, 1, 11), POLLED(C, 2, 10), BOUNDS(0, 3)), STREAM_DUPLICATE, 1);
}

TEST(finds_two_values_at_one_offset)
{
    struct stream_report r =
        CHECKED(TWO, SEND(Q, 12), POLLED(C, 0, 10), POLLED(C, 1, 11), ASSIGNED(D), POLLED(D, 0, 10), POLLED(D, 1, 12));
    only(r, STREAM_DISAGREEMENT, 1);
}

TEST(finds_what_nobody_sent)
{
    only(CHECKED(TWO, POLLED(C, 0, 10), POLLED(C, 1, 11), POLLED(C, 2, 99)), STREAM_INVENTED, 1);
}

TEST(finds_what_was_read_before_it_was_sent)
{
    only(CHECKED(POLLED(C, 0, 10), SEND(P, 10), ACKED(P, 10, 0)), STREAM_INVENTED, 1);
}

TEST(finds_what_lies_in_another_partition)
{
    struct stream_event elsewhere = POLLED(C, 0, 10);
    elsewhere.partition = 7;
    only(CHECKED(SEND(P, 10), elsewhere), STREAM_INVENTED, 1);
}

TEST(finds_a_read_of_what_was_refused)
{
    only(CHECKED(SEND(P, 10), FAILED(P, 10), POLLED(C, 0, 10), BOUNDS(0, 1)), STREAM_ABORTED_READ, 1);
}

TEST(finds_a_gap)
{
    only(CHECKED(SEND(P, 10), ACKED(P, 10, 1), POLLED(C, 1, 10), BOUNDS(0, 2)), STREAM_GAP, 1);
}

TEST(finds_a_consumer_that_goes_back)
{
    only(CHECKED(TWO, POLLED(C, 0, 10), POLLED(C, 1, 11), POLLED(C, 1, 11), BOUNDS(0, 2)), STREAM_BACKWARDS, 1);
}

TEST(finds_a_value_passed_over)
{
    only(CHECKED(TWO, SEND(P, 12), ACKED(P, 12, 2), POLLED(D, 0, 10), POLLED(D, 1, 11), POLLED(D, 2, 12),
                 POLLED(C, 0, 10), POLLED(C, 2, 12), BOUNDS(0, 3)),
         STREAM_SKIPPED, 1);
}

TEST(finds_sends_of_one_producer_in_another_order)
{
    only(CHECKED(SEND(P, 10), SEND(P, 11), ACKED(P, 11, 0), ACKED(P, 10, 1), POLLED(C, 0, 11), POLLED(C, 1, 10),
                 BOUNDS(0, 2)),
         STREAM_REORDERED, 1);
}

TEST(finds_a_later_send_before_an_earlier_one)
{
    only(CHECKED(SEND(P, 10), ACKED(P, 10, 1), SEND(Q, 11), ACKED(Q, 11, 0), POLLED(C, 0, 11), POLLED(C, 1, 10),
                 BOUNDS(0, 2)),
         STREAM_STALE, 1);
}

TEST(finds_a_lost_commit)
{
    only(CHECKED(COMMIT(G, 5), COMMITTED(G, 5), RESUMED(G, 4)), STREAM_COMMIT_LOST, 1);
    only(CHECKED(COMMIT(G, 5), COMMITTED(G, 5), RESUMED(G, -1)), STREAM_COMMIT_LOST, 1);
}

TEST(finds_a_commit_that_nobody_asked_for)
{
    only(CHECKED(COMMIT(G, 5), COMMITTED(G, 5), RESUMED(G, 6)), STREAM_COMMIT_INVENTED, 1);
}

TEST(partitions_and_groups_are_apart)
{
    struct stream_event send = SEND(P, 20), acked = ACKED(P, 20, 0), poll = POLLED(C, 0, 20), commit = COMMIT(G, 1);
    send.partition = acked.partition = poll.partition = commit.partition = 1;
    struct stream_report r =
        CHECKED(TWO, send, acked, POLLED(C, 0, 10), poll, POLLED(C, 1, 11), commit, RESUMED(G, -1), BOUNDS(0, 2));
    CHECK(stream_clean(&r));
}

/* A thousand values in ten partitions, and then one event too few or too many at a random place. */
TEST(finds_one_wrong_event_among_thousands)
{
    enum { N = 1000, PARTITIONS = 10 };
    struct stream_event *events = mem_zalloc((3 * N + PARTITIONS) * sizeof(*events));
    CHECK(events);
    size_t n = 0;
    for (unsigned i = 0; i < N; i++) {
        uint32_t partition = i % PARTITIONS;
        int64_t offset = i / PARTITIONS;
        events[n++] = (struct stream_event){STREAM_SEND, P, partition, i, 0};
        events[n++] = (struct stream_event){STREAM_ACKED, P, partition, i, offset};
        events[n++] = (struct stream_event){STREAM_POLLED, C, partition, i, offset};
    }
    for (uint32_t p = 0; p < PARTITIONS; p++)
        events[n++] = (struct stream_event){STREAM_BOUNDS, 0, p, 0, N / PARTITIONS};
    struct stream_report r = checked(events, n);
    CHECK(stream_clean(&r));
    for (size_t at = 2; at < 3 * N; at += 3 * 97) {
        struct stream_event was = events[at];
        events[at].kind = STREAM_SEND; /* the poll is gone; instead something is sent that nobody answers */
        events[at].value += N;
        r = checked(events, n);
        CHECK_EQ(r.found[STREAM_LOST], 1);
        CHECK_EQ(r.found[STREAM_GAP], 1);
        events[at] = was;
    }
    mem_free(events);
}

SCENARIO(memory_may_be_out)
{
    static const struct stream_event events[] = {TWO, POLLED(C, 0, 10), POLLED(C, 1, 11), BOUNDS(0, 2)};
    struct stream_report r;
    return stream_check(events, sizeof(events) / sizeof(*events), NULL, &r) ? OK : ERR_NOMEM;
}

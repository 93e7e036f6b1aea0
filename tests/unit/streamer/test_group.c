/* The state machine of groups, as traces: time in milliseconds, who says what. */
#include <stdio.h>

#include "../harness.h"
#include "base/mem.h"
#include "troupe.h"

static void begin(struct troupe *t, uint32_t initial_delay_ms)
{
    CHECK_ERR(troupe_init(t, initial_delay_ms), OK);
}

/* a leads, b follows, both have their parts. */
static void begin_with_two(struct troupe *t)
{
    begin(t, 100);
    t->quiet = true;
    troupe_enter(t, "a");
    troupe_enter(t, "b");
    troupe_pass(t, 200);
    troupe_sync(t, "a", "a=1,b=2");
    troupe_sync(t, "b", "");
    t->quiet = false;
    CHECK_EQ(t->group.state, GROUP_STABLE);
}

TEST(a_group_comes_together)
{
    struct troupe t;
    begin(&t, 3000);
    troupe_enter(&t, "a");
    troupe_pass(&t, 1000);
    troupe_enter(&t, "b");
    troupe_pass(&t, 6000);
    troupe_sync(&t, "b", "");
    troupe_sync(&t, "a", "a=1,b=2");
    CHECK_SLICE(troupe_said(&t), SLICE("0 a: it is a-1\n"
                                       "0 Empty > PreparingRebalance: a member joins\n"
                                       "1000 b: it is b-3\n"
                                       "6000 PreparingRebalance > CompletingRebalance: all joined\n"
                                       "6000 a: generation 1, range, leads\n"
                                       "6000 b: generation 1, range\n"
                                       "7000 CompletingRebalance > Stable: assigned\n"
                                       "7000 a: has 1\n"
                                       "7000 b: has 2\n"));
    CHECK_EQ(troupe_beat(&t, "a"), KAFKA_NONE);
    CHECK_EQ(troupe_commit(&t, "b"), KAFKA_NONE);
    troupe_fini(&t);
}

TEST(newcomers_make_the_first_rebalance_wait_no_longer_than_their_timeout)
{
    struct troupe t;
    begin(&t, 3000);
    for (int i = 0; i < 40; i++) {
        char name[8];
        snprintf(name, sizeof name, "m%d", i);
        troupe_actor(&t, name)->rebalance_ms = 30000;
        troupe_actor(&t, name)->session_ms = 60000;
        troupe_enter(&t, name);
        troupe_pass(&t, 1000);
        if (t.group.state == GROUP_COMPLETING)
            break;
    }
    CHECK_EQ(t.now_ms, 30000);
    troupe_fini(&t);
}

TEST(without_a_delay_the_first_member_has_a_generation_at_once)
{
    struct troupe t;
    begin(&t, 0);
    troupe_enter(&t, "a");
    troupe_sync(&t, "a", "a=all");
    CHECK_SLICE(troupe_said(&t), SLICE("0 a: it is a-1\n"
                                       "0 Empty > PreparingRebalance: a member joins\n"
                                       "0 PreparingRebalance > CompletingRebalance: all joined\n"
                                       "0 a: generation 1, range, leads\n"
                                       "0 CompletingRebalance > Stable: assigned\n"
                                       "0 a: has all\n"));
    troupe_fini(&t);
}

TEST(a_third_member_makes_the_others_join_again)
{
    struct troupe t;
    begin_with_two(&t);
    troupe_enter(&t, "c");
    CHECK_EQ(troupe_beat(&t, "a"), KAFKA_REBALANCE_IN_PROGRESS);
    CHECK_EQ(troupe_commit(&t, "b"), KAFKA_NONE); /* what it has read so far */
    troupe_join(&t, "a");
    troupe_join(&t, "b");
    CHECK_EQ(troupe_commit(&t, "b"), KAFKA_REBALANCE_IN_PROGRESS);
    troupe_sync(&t, "a", "a=1,b=2,c=3");
    troupe_sync(&t, "c", "");
    CHECK_SLICE(troupe_said(&t), SLICE("200 c: it is c-5\n"
                                       "200 Stable > PreparingRebalance: a member joins\n"
                                       "200 PreparingRebalance > CompletingRebalance: all joined\n"
                                       "200 a: generation 2, range, leads\n"
                                       "200 b: generation 2, range\n"
                                       "200 c: generation 2, range\n"
                                       "200 CompletingRebalance > Stable: assigned\n"
                                       "200 a: has 1\n"
                                       "200 c: has 3\n"));
    troupe_fini(&t);
}

TEST(who_does_not_come_back_in_time_is_left_behind)
{
    struct troupe t;
    begin_with_two(&t);
    troupe_actor(&t, "c")->rebalance_ms = 5000;
    troupe_actor(&t, "a")->rebalance_ms = 5000;
    troupe_actor(&t, "b")->session_ms = 30000;
    troupe_enter(&t, "c");
    troupe_join(&t, "a");
    for (int i = 0; i < 10; i++) {
        troupe_pass(&t, 6000);
        if (troupe_beat(&t, "b")) /* lives, but does not join */
            continue;
    }
    troupe_said(&t);
    CHECK_EQ(t.group.member_count, 2);
    CHECK_EQ(troupe_beat(&t, "b"), KAFKA_UNKNOWN_MEMBER_ID);
    CHECK_EQ(troupe_commit(&t, "b"), KAFKA_UNKNOWN_MEMBER_ID);
    troupe_fini(&t);
}

TEST(a_member_that_is_not_heard_of_is_removed)
{
    struct troupe t;
    begin_with_two(&t);
    troupe_pass(&t, 9000);
    CHECK_EQ(troupe_beat(&t, "a"), KAFKA_NONE);
    troupe_pass(&t, 1000);
    CHECK_EQ(troupe_beat(&t, "a"), KAFKA_REBALANCE_IN_PROGRESS);
    troupe_join(&t, "a");
    CHECK_SLICE(troupe_said(&t), SLICE("10200 Stable > PreparingRebalance: a member has vanished\n"
                                       "10200 PreparingRebalance > CompletingRebalance: all joined\n"
                                       "10200 a: generation 2, range, leads\n"));
    troupe_fini(&t);
}

TEST(the_leader_leaves_and_another_leads)
{
    struct troupe t;
    begin_with_two(&t);
    CHECK_EQ(troupe_leave(&t, "a"), KAFKA_NONE);
    troupe_join(&t, "b");
    troupe_sync(&t, "b", "b=12");
    CHECK_EQ(troupe_leave(&t, "b"), KAFKA_NONE);
    CHECK_SLICE(troupe_said(&t), SLICE("200 Stable > PreparingRebalance: a member leaves\n"
                                       "200 PreparingRebalance > CompletingRebalance: all joined\n"
                                       "200 b: generation 2, range, leads\n"
                                       "200 CompletingRebalance > Stable: assigned\n"
                                       "200 b: has 12\n"
                                       "200 Stable > PreparingRebalance: a member leaves\n"
                                       "200 PreparingRebalance > Empty: no members\n"));
    CHECK_EQ(t.group.generation, 3);
    troupe_fini(&t);
}

TEST(an_old_generation_is_refused)
{
    struct troupe t;
    begin_with_two(&t);
    struct actor *b = troupe_actor(&t, "b");
    b->generation = 0;
    CHECK_EQ(troupe_beat(&t, "b"), KAFKA_ILLEGAL_GENERATION);
    CHECK_EQ(troupe_commit(&t, "b"), KAFKA_ILLEGAL_GENERATION);
    troupe_sync(&t, "b", "");
    CHECK_EQ(b->last, KAFKA_ILLEGAL_GENERATION);
    b->generation = -1;
    CHECK_EQ(troupe_commit(&t, "b"), KAFKA_ILLEGAL_GENERATION);
    troupe_actor(&t, "nobody")->generation = -1;
    CHECK_EQ(troupe_commit(&t, "nobody"), KAFKA_UNKNOWN_MEMBER_ID);
    troupe_leave(&t, "a");
    b->generation = 1;
    troupe_leave(&t, "b");
    CHECK_EQ(t.group.state, GROUP_EMPTY);
    CHECK_EQ(troupe_commit(&t, "nobody"), KAFKA_NONE); /* a consumer that assigns itself */
    troupe_fini(&t);
}

TEST(the_protocol_is_one_that_all_have_and_most_like)
{
    struct troupe t;
    begin(&t, 100);
    static const char *const likes[] = {"range,sticky,roundrobin", "sticky,range", "sticky,range"};
    for (int i = 0; i < 3; i++) {
        char name[2] = {(char)('a' + i)};
        snprintf(troupe_actor(&t, name)->likes, 64, "%s", likes[i]);
        troupe_enter(&t, name);
    }
    snprintf(troupe_actor(&t, "z")->likes, 64, "roundrobin");
    troupe_enter(&t, "z");
    CHECK_EQ(troupe_actor(&t, "z")->last, KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    troupe_pass(&t, 200);
    CHECK_SLICE(t.group.protocol, SLICE("sticky"));
    troupe_fini(&t);
}

TEST(a_member_that_says_the_same_again_hears_the_same_again)
{
    struct troupe t;
    begin_with_two(&t);
    troupe_join(&t, "b");
    snprintf(troupe_actor(&t, "b")->says, 32, "other topics");
    troupe_join(&t, "b");
    troupe_join(&t, "a");
    CHECK_SLICE(troupe_said(&t), SLICE("200 b: generation 1, range\n"
                                       "200 Stable > PreparingRebalance: a member joins with another subscription\n"
                                       "200 PreparingRebalance > CompletingRebalance: all joined\n"
                                       "200 a: generation 2, range, leads\n"
                                       "200 b: generation 2, range\n"));
    troupe_fini(&t);
}

/* ---- static members --------------------------------------------------------------------------------------------------- */

static void begin_with_statics(struct troupe *t)
{
    begin(t, 100);
    t->quiet = true;
    for (int i = 0; i < 2; i++) {
        char name[2] = {(char)('a' + i)};
        struct actor *a = troupe_actor(t, name);
        snprintf(a->instance, sizeof a->instance, "host-%s", name);
        a->skips = true;
        troupe_enter(t, name);
    }
    troupe_pass(t, 200);
    troupe_sync(t, "a", "a=1,b=2");
    troupe_sync(t, "b", "");
    t->quiet = false;
    CHECK_EQ(t->group.state, GROUP_STABLE);
}

TEST(a_static_member_comes_back_without_a_rebalance)
{
    struct troupe t;
    begin_with_statics(&t);
    struct actor *b = troupe_actor(&t, "b"), *twin = troupe_actor(&t, "twin");
    *twin = *b; /* who still thinks that it is b */
    snprintf(twin->name, sizeof twin->name, "twin");
    b->id[0] = '\0';
    troupe_join(&t, "b");
    troupe_sync(&t, "b", "");
    CHECK_SLICE(troupe_said(&t), SLICE("200 b: generation 1, range\n"
                                       "200 b: has 2\n"));
    CHECK_EQ(troupe_beat(&t, "twin"), KAFKA_FENCED_INSTANCE_ID);
    CHECK_EQ(troupe_commit(&t, "twin"), KAFKA_FENCED_INSTANCE_ID);
    troupe_join(&t, "twin");
    CHECK_EQ(twin->last, KAFKA_FENCED_INSTANCE_ID);
    CHECK_EQ(troupe_beat(&t, "b"), KAFKA_NONE);
    CHECK_EQ(t.group.state, GROUP_STABLE);
    troupe_fini(&t);
}

TEST(a_static_leader_that_comes_back_does_not_assign_again)
{
    struct troupe t;
    begin_with_statics(&t);
    troupe_actor(&t, "a")->id[0] = '\0';
    troupe_join(&t, "a");
    troupe_sync(&t, "a", "");
    troupe_actor(&t, "a")->skips = false; /* an old client is told that another one leads */
    troupe_actor(&t, "a")->id[0] = '\0';
    troupe_join(&t, "a");
    CHECK_SLICE(troupe_said(&t), SLICE("200 a: generation 1, range, leads without assigning\n"
                                       "200 a: has 1\n"
                                       "200 a: generation 1, range\n"));
    troupe_fini(&t);
}

TEST(a_static_member_keeps_its_place_until_its_session_ends)
{
    struct troupe t;
    begin_with_statics(&t);
    troupe_actor(&t, "a")->rebalance_ms = 2000;
    troupe_actor(&t, "c")->rebalance_ms = 2000;
    troupe_said(&t);
    troupe_enter(&t, "c");
    troupe_join(&t, "a");
    t.group.due_ms = t.now_ms + 2000; /* b's own rebalance timeout is longer than its session */
    troupe_pass(&t, 2000);
    CHECK_EQ(t.group.state, GROUP_COMPLETING);
    CHECK_EQ(t.group.member_count, 3);
    CHECK(group_find_instance(&t.group, SLICE("host-b")) != NULL);
    troupe_pass(&t, 10000);
    CHECK(group_find_instance(&t.group, SLICE("host-b")) == NULL);
    troupe_fini(&t);
}

TEST(an_administrator_removes_by_instance)
{
    struct troupe t;
    begin_with_statics(&t);
    CHECK_EQ(group_leave(&t.group, SLICE_EMPTY, SLICE("host-b"), t.now_ms), KAFKA_NONE);
    CHECK_EQ(group_leave(&t.group, SLICE_EMPTY, SLICE("host-z"), t.now_ms), KAFKA_UNKNOWN_MEMBER_ID);
    CHECK_EQ(t.group.member_count, 1);
    troupe_fini(&t);
}

/* ---- what is stored --------------------------------------------------------------------------------------------------- */

TEST(nobody_hears_of_a_generation_before_it_is_stored)
{
    struct troupe t;
    begin(&t, 0);
    t.hold = true;
    troupe_enter(&t, "a");
    CHECK(troupe_actor(&t, "a")->waits_join);
    troupe_stored(&t, KAFKA_NONE);
    CHECK(!troupe_actor(&t, "a")->waits_join);
    troupe_sync(&t, "a", "a=1");
    CHECK(troupe_actor(&t, "a")->waits_sync);
    troupe_stored(&t, KAFKA_NONE);
    CHECK_STR(troupe_actor(&t, "a")->given, "1");
    troupe_fini(&t);
}

TEST(what_cannot_be_stored_is_told_and_tried_again)
{
    struct troupe t;
    begin_with_two(&t);
    t.hold = true;
    troupe_leave(&t, "a");
    troupe_join(&t, "b");
    troupe_stored(&t, KAFKA_COORDINATOR_NOT_AVAILABLE);
    troupe_join(&t, "b");
    troupe_stored(&t, KAFKA_NONE);
    troupe_sync(&t, "b", "b=12");
    troupe_stored(&t, KAFKA_COORDINATOR_NOT_AVAILABLE);
    t.hold = false;
    troupe_join(&t, "b");
    troupe_sync(&t, "b", "b=12");
    CHECK_SLICE(troupe_said(&t),
                SLICE("200 Stable > PreparingRebalance: a member leaves\n"
                      "200 PreparingRebalance > CompletingRebalance: all joined\n"
                      "200 b: COORDINATOR_NOT_AVAILABLE\n"
                      "200 CompletingRebalance > PreparingRebalance: the generation could not be stored\n"
                      "200 PreparingRebalance > CompletingRebalance: all joined\n"
                      "200 b: generation 3, range, leads\n"
                      "200 b: COORDINATOR_NOT_AVAILABLE\n"
                      "200 CompletingRebalance > PreparingRebalance: the assignment could not be stored\n"
                      "200 PreparingRebalance > CompletingRebalance: all joined\n"
                      "200 b: generation 4, range, leads\n"
                      "200 CompletingRebalance > Stable: assigned\n"
                      "200 b: has 12\n"));
    troupe_fini(&t);
}

TEST(a_store_that_comes_too_late_says_nothing)
{
    struct troupe t;
    begin_with_two(&t);
    t.hold = true;
    troupe_leave(&t, "a");
    troupe_join(&t, "b");
    uint64_t late = t.ticket;
    troupe_enter(&t, "c"); /* while the generation is being stored */
    group_stored(&t.group, late, KAFKA_NONE, t.now_ms);
    CHECK(troupe_actor(&t, "b")->waits_join); /* it waits for the next one */
    troupe_stored(&t, KAFKA_NONE);
    CHECK_EQ(troupe_actor(&t, "b")->generation, 3);
    CHECK_EQ(troupe_actor(&t, "c")->generation, 3);
    troupe_fini(&t);
}

/* ---- those who give up ------------------------------------------------------------------------------------------------ */

TEST(an_old_client_that_gives_up_leaves_no_member)
{
    struct troupe t;
    begin(&t, 3000);
    troupe_actor(&t, "a")->old = true;
    troupe_join(&t, "a");
    troupe_vanish(&t, "a");
    CHECK_EQ(t.group.member_count, 0);
    CHECK_EQ(t.group.state, GROUP_EMPTY);
    troupe_fini(&t);
}

TEST(an_id_that_does_not_come_back_expires)
{
    struct troupe t;
    begin_with_two(&t);
    troupe_join(&t, "c"); /* is told its id, and is not seen again */
    troupe_leave(&t, "b");
    troupe_join(&t, "a");
    CHECK(troupe_actor(&t, "a")->waits_join);
    troupe_pass(&t, 10000);
    CHECK_EQ(troupe_actor(&t, "a")->generation, 2);
    troupe_fini(&t);
}

TEST(who_was_told_and_does_not_sync_is_removed)
{
    struct troupe t;
    begin(&t, 100);
    for (int i = 0; i < 2; i++) {
        troupe_actor(&t, i ? "b" : "a")->session_ms = 100000;
        troupe_enter(&t, i ? "b" : "a");
    }
    troupe_pass(&t, 200);
    troupe_sync(&t, "a", "a=1,b=2");
    troupe_pass(&t, 60000);
    CHECK_EQ(troupe_beat(&t, "b"), KAFKA_UNKNOWN_MEMBER_ID);
    CHECK_EQ(troupe_beat(&t, "a"), KAFKA_REBALANCE_IN_PROGRESS);
    troupe_fini(&t);
}

TEST(limits_of_a_group)
{
    struct troupe t;
    begin_with_two(&t);
    t.group.rules.members_max = 2;
    troupe_join(&t, "c");
    CHECK_EQ(troupe_actor(&t, "c")->last, KAFKA_GROUP_MAX_SIZE_REACHED);
    t.group.rules.members_max = 60;
    troupe_actor(&t, "c")->session_ms = 1;
    troupe_join(&t, "c");
    CHECK_EQ(troupe_actor(&t, "c")->last, KAFKA_INVALID_SESSION_TIMEOUT);
    t.group.rules.bytes_max = t.group.bytes + 10;
    troupe_actor(&t, "c")->session_ms = 10000;
    troupe_join(&t, "c");
    CHECK_EQ(troupe_actor(&t, "c")->last, KAFKA_GROUP_MAX_SIZE_REACHED);
    troupe_join(&t, "b"); /* who is there may stay */
    CHECK_EQ(troupe_actor(&t, "b")->last, KAFKA_NONE);
    troupe_fini(&t);
}

SCENARIO(a_group_without_memory)
{
    struct troupe t;
    enum err e = troupe_init(&t, 100);
    t.quiet = true;
    for (int round = 0; round < 3 && !e; round++) {
        for (int i = 0; i < 3; i++)
            troupe_enter(&t, i == 0 ? "a" : i == 1 ? "b" : "c");
        troupe_pass(&t, 200);
        if (t.group.leader && t.group.state == GROUP_COMPLETING)
            troupe_sync(&t, "a", "a=1,b=2,c=3");
        troupe_leave(&t, "b");
    }
    bool whole = !e && t.group.state != GROUP_EMPTY;
    troupe_fini(&t);
    return whole && !mem_failed() ? OK : ERR_NOMEM;
}

/* Shares by client: who counts as one, and what goes back when. */
#include <pthread.h>

#include "../harness.h"
#include "base/limits.h"
#include "base/mem.h"
#include "rpc/share.h"

enum { LOOPS = 4 };

static struct rpc_shares *shares_of(uint32_t address, uint32_t identity, uint32_t calls)
{
    static const struct hash_key key = {1, 2};
    struct rpc_shares *s = NULL;
    CHECK_ERR(rpc_shares_new(&key, LOOPS, &(struct rpc_share_limits){address, identity, calls, 1000}, &s), OK);
    return s;
}

static struct rpc_share *connected(struct rpc_shares *s, const char *address)
{
    struct rpc_share *share = NULL;
    CHECK_ERR(rpc_share_connect(s, 0, RPC_BY_ADDRESS, address, &share), OK);
    return share;
}

static void refused(struct rpc_shares *s, enum rpc_share_kind kind, const char *name)
{
    struct rpc_share *share = NULL;
    CHECK_ERR(rpc_share_connect(s, 0, kind, name, &share), ERR_TOO_MANY_CONNECTIONS);
    CHECK(!share);
}

TEST(an_address_has_its_connections_and_another_one_its_own)
{
    struct rpc_shares *s = shares_of(2, 9, 9);
    struct rpc_share *a = connected(s, "192.0.2.1:1000"), *b = connected(s, "192.0.2.1:1001");
    CHECK(a == b);
    refused(s, RPC_BY_ADDRESS, "192.0.2.1:1002");
    struct rpc_share *other = connected(s, "192.0.2.2:1000");
    CHECK(other != a);
    rpc_share_disconnect(a);
    rpc_share_disconnect(connected(s, "192.0.2.1:1003"));
    rpc_share_disconnect(b);
    rpc_share_disconnect(other);
    rpc_shares_free(s);
}

TEST(of_ipv6_the_first_half_is_the_client)
{
    struct rpc_shares *s = shares_of(1, 9, 9);
    struct rpc_share *a = connected(s, "[2001:db8:1:2:3:4:5:6]:1000");
    refused(s, RPC_BY_ADDRESS, "[2001:db8:1:2::1]:1000");
    rpc_share_disconnect(connected(s, "[2001:db8:1:3::1]:1000"));
    struct rpc_share *mapped = connected(s, "[::ffff:192.0.2.1]:1000");
    refused(s, RPC_BY_ADDRESS, "192.0.2.1:1000");
    rpc_share_disconnect(connected(s, "[::ffff:192.0.2.2]:1000"));
    rpc_share_disconnect(mapped);
    rpc_share_disconnect(a);
    rpc_shares_free(s);
}

TEST(identities_and_addresses_do_not_mix)
{
    struct rpc_shares *s = shares_of(1, 1, 9);
    struct rpc_share *identity = NULL, *address = connected(s, "192.0.2.1:1000");
    CHECK_ERR(rpc_share_connect(s, 0, RPC_BY_IDENTITY, "192.0.2.1", &identity), OK);
    CHECK(identity != address);
    refused(s, RPC_BY_IDENTITY, "192.0.2.1");
    rpc_share_disconnect(identity);
    rpc_share_disconnect(address);
    rpc_shares_free(s);
}

TEST(unix_sockets_have_no_limit_by_client)
{
    struct rpc_shares *s = shares_of(1, 1, 1);
    for (int i = 0; i < 10; i++)
        CHECK(!connected(s, "unix:"));
    CHECK_ERR(rpc_share_call(NULL), OK);
    rpc_share_call_end(NULL);
    rpc_shares_free(s);
}

TEST(calls_are_counted_over_all_connections_and_may_outlive_them)
{
    struct rpc_shares *s = shares_of(9, 9, 2);
    int64_t before = mem_live();
    struct rpc_share *a = connected(s, "192.0.2.1:1"), *b = connected(s, "192.0.2.1:2");
    CHECK_ERR(rpc_share_call(a), OK);
    CHECK_ERR(rpc_share_call(b), OK);
    CHECK_ERR(rpc_share_call(b), ERR_TOO_MANY_CALLS);
    CHECK_EQ(rpc_share_calls(a), 2);
    rpc_share_call_end(a);
    CHECK_ERR(rpc_share_call(a), OK);
    rpc_share_disconnect(a);
    rpc_share_disconnect(b);
    rpc_share_call_end(a);
    struct rpc_share *again = connected(s, "192.0.2.1:3");
    CHECK_EQ(rpc_share_calls(again), 1);
    rpc_share_disconnect(again);
    rpc_share_call_end(a);
    CHECK(mem_live() <= before + 1); /* the map's table */
    rpc_shares_free(s);
}

TEST(who_does_not_take_his_answers_gets_no_more)
{
    struct rpc_shares *s = shares_of(9, 9, 9);
    struct rpc_share *a = connected(s, "192.0.2.1:1"), *b = connected(s, "192.0.2.2:1");
    rpc_share_output(a, 1001);
    CHECK_ERR(rpc_share_call(a), ERR_OUTPUT_NOT_TAKEN);
    CHECK(!rpc_share_is_clogged(a));
    rpc_share_output(a, 1000);
    CHECK(rpc_share_is_clogged(a));
    CHECK_ERR(rpc_share_call(b), OK);
    rpc_share_call_end(b);
    rpc_share_output(a, -2001);
    CHECK_ERR(rpc_share_call(a), OK);
    rpc_share_call_end(a);
    rpc_share_output(b, (int64_t)LIMIT_OUTPUT_ALL_BYTES + 1);
    CHECK_ERR(rpc_share_call(a), ERR_OUTPUT_NOT_TAKEN); /* all together have too much */
    rpc_share_output(b, -(int64_t)LIMIT_OUTPUT_ALL_BYTES - 1);
    rpc_share_disconnect(a);
    rpc_share_disconnect(b);
    rpc_shares_free(s);
}

TEST(other_limits_hold_for_what_comes_then)
{
    struct rpc_shares *s = shares_of(1, 1, 1);
    struct rpc_share *a = connected(s, "192.0.2.1:1");
    rpc_shares_set(s, &(struct rpc_share_limits){2, 1, 1, 1000});
    struct rpc_share *b = connected(s, "192.0.2.1:2");
    rpc_shares_set(s, &(struct rpc_share_limits){1, 1, 1, 1000});
    refused(s, RPC_BY_ADDRESS, "192.0.2.1:3");
    rpc_share_disconnect(a);
    rpc_share_disconnect(b);
    rpc_shares_free(s);
}

TEST(over_several_loops_a_client_has_at_most_twice_its_share)
{
    struct rpc_shares *s = shares_of(9, 9, 8);
    struct rpc_share *on[LOOPS];
    uint32_t let_in = 0;
    for (unsigned i = 0; i < LOOPS; i++)
        CHECK_ERR(rpc_share_connect(s, i, RPC_BY_ADDRESS, "192.0.2.1:1", &on[i]), OK);
    CHECK(on[0] != on[1]);
    for (uint32_t i = 0; i < 9; i++)
        let_in += rpc_share_call(on[0]) == OK;
    CHECK_EQ(let_in, 8); /* exactly, over one */
    for (unsigned i = 1; i < LOOPS; i++)
        while (rpc_share_call(on[i]) == OK)
            let_in++;
    CHECK(let_in < 16);
    CHECK_EQ(rpc_share_calls(on[0]), let_in);
    for (unsigned i = 0; i < LOOPS; i++)
        rpc_share_disconnect(on[i]);
    for (unsigned i = 1; i < LOOPS; i++)
        for (int k = 0; k < 2; k++)
            rpc_share_call_end(on[i]);
    for (int k = 0; k < 8; k++)
        rpc_share_call_end(on[0]);
    rpc_shares_free(s);
}

struct visitor {
    struct rpc_shares *shares;
    unsigned loop;
};

static void *come_and_go(void *context)
{
    struct visitor *v = context;
    struct rpc_share *share;
    for (int i = 0; i < 2000; i++) {
        const char *address = i % 2 ? "192.0.2.1:1" : "192.0.2.2:1";
        CHECK_ERR(rpc_share_connect(v->shares, v->loop, RPC_BY_ADDRESS, address, &share), OK);
        CHECK_ERR(rpc_share_call(share), OK);
        rpc_share_disconnect(share);
        rpc_share_call_end(share);
    }
    return NULL;
}

/* Under ThreadSanitizer too: a client goes with the last loop that leaves. */
TEST(loops_share_them)
{
    struct visitor visitors[LOOPS];
    pthread_t threads[LOOPS];
    struct rpc_shares *s = shares_of(100, 100, 100);
    int64_t before = mem_live();
    for (unsigned i = 0; i < LOOPS; i++) {
        visitors[i] = (struct visitor){s, i};
        CHECK_EQ(pthread_create(&threads[i], NULL, come_and_go, &visitors[i]), 0);
    }
    for (unsigned i = 0; i < LOOPS; i++)
        pthread_join(threads[i], NULL);
    CHECK(mem_live() <= before + 1);
    rpc_shares_free(s);
}

SCENARIO(a_connection_without_memory_leaves_nothing)
{
    static const struct hash_key key = {1, 2};
    struct rpc_shares *s = NULL;
    struct rpc_share *share = NULL;
    enum err e = rpc_shares_new(&key, LOOPS, &(struct rpc_share_limits){1, 1, 1, 1000}, &s);
    if (!e)
        e = rpc_share_connect(s, 0, RPC_BY_ADDRESS, "192.0.2.1:1", &share);
    rpc_share_disconnect(share);
    rpc_shares_free(s);
    return e;
}

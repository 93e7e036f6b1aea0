/* Calls that our client makes again on its own, and those that it must not. */
#include "raw_server.h"

enum { EXPIRED = 4, INTERNAL = 13, UNAVAILABLE = 14 };

static struct raw_server server;
static struct rpc_client *client;

struct attempt {
    struct rpc_client_call *call;
    uint32_t message_count;
    bool ended;
    unsigned status;
    enum err err;
};

static void note_message(struct rpc_client_call *call, struct slice message)
{
    (void)message;
    ((struct attempt *)rpc_client_call_user(call))->message_count++;
}

static void note_end(struct rpc_client_call *call, unsigned status, const struct diag *diag)
{
    struct attempt *a = rpc_client_call_user(call);
    CHECK(!a->ended);
    a->ended = true;
    a->status = status;
    a->err = diag->err;
}

/* Reactions of the connections in their order; those after them answer. */
static enum err open_world(const enum reaction *reactions, size_t count)
{
    server = (struct raw_server){0};
    client = NULL;
    for (size_t i = 0; i < count; i++)
        server.reactions[i] = reactions[i];
    enum err e = raw_server_open(&server);
    struct rpc_client_options o = {.loop = server.loop, .address = "server:80"};
    return e ? e : rpc_client_new(&o, NULL, &client);
}

static void close_world(void)
{
    rpc_client_free(client);
    raw_server_close(&server);
}

static enum err begin(struct attempt *a)
{
    static const struct rpc_client_events events = {.on_message = note_message, .on_end = note_end};
    struct rpc_client_call_options o = {.path = "/a.B/C", .timeout_ns = 60000000000};
    *a = (struct attempt){0};
    return rpc_client_call(client, &o, &events, a, &a->call);
}

static void run(struct attempt *a)
{
    while (!a->ended)
        loop_turn(server.loop, true);
}

static void send(struct attempt *a, size_t bytes)
{
    static const uint8_t zeros[LIMIT_CLIENT_KEPT_BYTES];
    rpc_client_send(a->call, slice_of(zeros, bytes));
}

/* The client has read what the first peer has sent. */
static void settle(void)
{
    peer_frame(&server.peers[0], NGHTTP2_PING, 0, 0, SLICE("12345678"));
    while (server.peers[0].pongs == 0)
        loop_turn(server.loop, true);
}

/* One call of so many bytes, against a server that reacts like this. */
static struct attempt call_against(const enum reaction *reactions, size_t count, size_t bytes)
{
    struct attempt a;
    CHECK_ERR(open_world(reactions, count), OK);
    CHECK_ERR(begin(&a), OK);
    send(&a, bytes);
    rpc_client_send_end(a.call);
    run(&a);
    return a;
}

#define AGAINST(bytes, ...)                                                                                            \
    call_against((enum reaction[]){__VA_ARGS__}, sizeof((enum reaction[]){__VA_ARGS__}) / sizeof(enum reaction), bytes)

TEST(a_call_that_was_refused_is_made_again_over_another_connection)
{
    struct attempt a = AGAINST(100, REFUSE, ANSWER);
    CHECK_EQ(a.status, 0);
    CHECK_EQ(a.message_count, 1);
    CHECK_EQ(server.peer_count, 2);
    CHECK_EQ(server.peers[0].data_bytes, 105);
    CHECK_EQ(server.peers[1].data_bytes, 105); /* the whole request, once more */
    close_world();
}

TEST(a_call_above_the_last_stream_of_a_goaway_is_made_again)
{
    struct attempt a = AGAINST(100, SAY_GOODBYE, ANSWER);
    CHECK_EQ(a.status, 0);
    CHECK_EQ(server.peer_count, 2);
    CHECK_EQ(server.peers[1].data_bytes, 105);
    close_world();
}

TEST(a_call_is_made_again_once)
{
    CHECK_EQ(AGAINST(100, REFUSE, REFUSE, ANSWER).status, UNAVAILABLE);
    CHECK_EQ(server.peer_count, 2);
    close_world();
    CHECK_EQ(AGAINST(100, SAY_GOODBYE, SAY_GOODBYE, ANSWER).status, UNAVAILABLE);
    close_world();
}

TEST(a_call_that_may_have_been_processed_is_not_made_again)
{
    static const struct {
        enum reaction reaction;
        unsigned status;
    } cases[] = {{RESET, INTERNAL}, {HANG_UP, UNAVAILABLE}, {BEGIN_REFUSE, UNAVAILABLE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_EQ(AGAINST(100, cases[i].reaction, ANSWER).status, cases[i].status);
        CHECK_EQ(server.peer_count, 1);
        close_world();
    }
}

TEST(a_call_that_has_sent_more_than_is_kept_is_not_made_again)
{
    CHECK_EQ(AGAINST(LIMIT_CLIENT_KEPT_BYTES - 5, REFUSE, ANSWER).status, 0);
    CHECK_EQ(server.peers[1].data_bytes, LIMIT_CLIENT_KEPT_BYTES);
    close_world();
    CHECK_EQ(AGAINST(LIMIT_CLIENT_KEPT_BYTES - 4, REFUSE, ANSWER).status, UNAVAILABLE);
    CHECK_EQ(server.peer_count, 1);
    close_world();
}

TEST(a_stream_that_is_not_complete_goes_on_over_the_other_connection)
{
    struct attempt a;
    CHECK_ERR(open_world((enum reaction[]){SAY_GOODBYE}, 1), OK);
    CHECK_ERR(begin(&a), OK);
    send(&a, 10);
    while (server.peer_count < 2 || server.peers[1].data_bytes < 15)
        loop_turn(server.loop, true);
    send(&a, 20);
    rpc_client_send_end(a.call);
    run(&a);
    CHECK_EQ(a.status, 0);
    CHECK_EQ(server.peers[1].data_bytes, 40);
    close_world();
}

TEST(a_connection_that_is_left_keeps_its_calls_and_gets_no_new_ones)
{
    struct attempt old, new;
    CHECK_ERR(open_world((enum reaction[]){HOLD}, 1), OK);
    CHECK_ERR(begin(&old), OK);
    rpc_client_send_end(old.call);
    while (!server.peers[0].ended)
        loop_turn(server.loop, true);
    peer_goaway(&server.peers[0], 0x7fffffff);
    settle();
    CHECK_ERR(begin(&new), OK);
    rpc_client_send_end(new.call);
    run(&new);
    CHECK_EQ(new.status, 0);
    CHECK_EQ(server.peer_count, 2);
    CHECK(!old.ended && !server.peers[0].closed);
    peer_answer(&server.peers[0], 1);
    run(&old);
    CHECK_EQ(old.status, 0);
    while (!server.peers[0].closed)
        loop_turn(server.loop, true);
    CHECK(!server.peers[1].closed);
    close_world();
}

/* The first call is at the server, which takes one at a time; the other one waits in the client. */
static void begin_two(struct attempt *first, struct attempt *waiting)
{
    CHECK_ERR(open_world((enum reaction[]){HOLD}, 1), OK);
    server.streams_max = 1;
    CHECK_ERR(begin(first), OK);
    rpc_client_send_end(first->call);
    while (!server.peers[0].ended)
        loop_turn(server.loop, true);
    settle();
    CHECK_ERR(begin(waiting), OK);
    rpc_client_send_end(waiting->call);
    loop_turn(server.loop, false);
}

TEST(calls_that_wait_for_their_turn_move_to_the_next_connection)
{
    struct attempt first, waiting;
    begin_two(&first, &waiting);
    peer_goaway(&server.peers[0], 1);
    run(&waiting);
    CHECK_EQ(waiting.status, 0);
    CHECK(!first.ended);
    CHECK_EQ(server.peers[0].request_count, 1);
    CHECK_EQ(server.peers[1].request_count, 1);
    peer_answer(&server.peers[0], 1);
    run(&first);
    CHECK_EQ(first.status, 0);
    close_world();
}

TEST(calls_that_wait_for_their_turn_survive_the_connection)
{
    struct attempt first, waiting;
    begin_two(&first, &waiting);
    conn_abort(server.peers[0].conn);
    run(&first);
    run(&waiting);
    CHECK_EQ(first.status, UNAVAILABLE);
    CHECK_EQ(waiting.status, 0);
    CHECK_EQ(server.peer_count, 2);
    close_world();
}

static enum err open_waiting_world(void)
{
    enum err e = open_world(NULL, 0);
    if (e)
        return e;
    rpc_client_free(client);
    client = NULL;
    listener_close(server.listener);
    server.listener = NULL;
    struct rpc_client_options o = {.loop = server.loop, .address = "server:80", .waits = true};
    return rpc_client_new(&o, NULL, &client);
}

static void come_back(struct timer *timer)
{
    (void)timer;
    CHECK_ERR(raw_server_listen(&server), OK);
}

TEST(where_it_is_asked_to_a_call_waits_for_its_server)
{
    struct attempt a;
    struct timer later = {.fire = come_back};
    CHECK_ERR(open_waiting_world(), OK);
    uint64_t start_ns = loop_now_ns(server.loop);
    timer_start(server.loop, &later, start_ns + 5000000000);
    CHECK_ERR(begin(&a), OK);
    rpc_client_send_end(a.call);
    run(&a);
    CHECK_EQ(a.status, 0);
    CHECK_ERR(a.err, OK);
    uint64_t waited_ns = loop_now_ns(server.loop) - start_ns;
    CHECK(waited_ns >= 5000000000 && waited_ns < 8000000000);
    close_world();
}

TEST(no_call_is_sent_before_the_server_has_greeted)
{
    static const enum reaction silent[] = {TURN_AWAY, SAY_NOTHING};
    for (size_t i = 0; i < 2; i++) {
        struct attempt a = AGAINST(100, silent[i], ANSWER);
        CHECK_EQ(a.status, UNAVAILABLE);
        CHECK_EQ(server.peer_count, 1);
        CHECK_EQ(server.peers[0].request_count, 0);
        close_world();
    }
}

TEST(a_connection_that_nobody_greets_is_none)
{
    struct attempt a;
    CHECK_ERR(open_waiting_world(), OK);
    server.reactions[0] = TURN_AWAY;
    server.reactions[1] = SAY_NOTHING;
    CHECK_ERR(raw_server_listen(&server), OK);
    CHECK_ERR(begin(&a), OK);
    rpc_client_send_end(a.call);
    run(&a);
    CHECK_EQ(a.status, 0);
    CHECK_EQ(server.peer_count, 3);
    CHECK_EQ(server.peers[0].request_count + server.peers[1].request_count, 0);
    close_world();
}

TEST(a_call_that_has_waited_in_vain_tells_why)
{
    struct attempt a;
    CHECK_ERR(open_waiting_world(), OK);
    CHECK_ERR(begin(&a), OK);
    rpc_client_send_end(a.call);
    run(&a);
    CHECK_EQ(a.status, EXPIRED);
    CHECK_ERR(a.err, ERR_CONNECT_FAILED);
    close_world();
}

TEST(a_client_that_waits_can_be_freed)
{
    struct attempt a;
    CHECK_ERR(open_waiting_world(), OK);
    CHECK_ERR(begin(&a), OK);
    for (int i = 0; i < 10; i++)
        loop_turn(server.loop, true);
    CHECK(!a.ended);
    close_world();
    CHECK(a.ended);
}

SCENARIO(calls_are_made_again_or_fail_without_memory)
{
    struct attempt a = {0};
    enum err e = open_world((enum reaction[]){REFUSE, ANSWER}, 2);
    if (!e)
        e = begin(&a);
    if (!e) {
        send(&a, 100);
        rpc_client_send_end(a.call);
        run(&a);
        e = a.status ? ERR_UNAVAILABLE : OK;
    }
    close_world();
    return e && mem_failed() ? ERR_NOMEM : e;
}

/* Connections on the machine's sockets. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "echo.h"

static void start(struct echo *e, const char *address)
{
    CHECK_ERR(loop_new(env_real(), 0, &e->loop), OK);
    CHECK_ERR(echo_listen(e, address), OK);
}

static void echo_over(const char *address)
{
    struct echo e = {0};
    start(&e, address);
    CHECK_ERR(echo_dial(&e, listener_address(e.listener)), OK);
    UNTIL(&e, e.opened);
    echo_send(&e, 0, 1000);
    UNTIL(&e, e.received == 1000);
    echo_send(&e, 1000, 3 << 20);
    UNTIL(&e, e.received == 1000 + (3 << 20));
    CHECK(!e.bad_pattern);
    conn_close(e.client);
    UNTIL(&e, e.client_closed && e.server_closed);
    CHECK_ERR(e.client_err, OK);
    CHECK_ERR(e.server_err, OK);
    CHECK_EQ(e.eofs, 1);
    echo_end(&e);
}

TEST(echoes_over_ipv4)
{
    echo_over("127.0.0.1:0");
}

TEST(echoes_over_ipv6)
{
    echo_over("[::1]:0");
}

TEST(echoes_over_localhost)
{
    echo_over("localhost:0");
}

TEST(echoes_over_unix_socket_and_removes_it)
{
    char address[64];
    snprintf(address, sizeof address, "unix:/tmp/prism-test-%d.sock", (int)getpid());
    echo_over(address);
    CHECK(access(address + 5, F_OK) != 0);
}

TEST(listener_says_its_real_port)
{
    struct echo e = {0};
    start(&e, "127.0.0.1:0");
    CHECK(strncmp(listener_address(e.listener), "127.0.0.1:", 10) == 0);
    CHECK(atoi(listener_address(e.listener) + 10) > 0);
    echo_end(&e);
}

TEST(address_in_use_is_named)
{
    struct echo e = {0};
    struct arena arena;
    struct diag d;
    struct listener *second;
    start(&e, "127.0.0.1:0");
    arena_init(&arena, 4096);
    diag_init(&d, &arena);
    struct listen_options o = {.address = listener_address(e.listener), .on_accept = echo_accept};
    CHECK_ERR(listener_open(e.loop, &o, &d, &second), ERR_ADDRESS_IN_USE);
    CHECK(strstr(diag_message(&d), listener_address(e.listener)));
    arena_fini(&arena);
    echo_end(&e);
}

TEST(refused_connection_names_address_and_cause)
{
    struct echo e = {0}, other = {0};
    char address[64];
    start(&e, "127.0.0.1:0");
    start(&other, "127.0.0.1:0");
    snprintf(address, sizeof address, "%s", listener_address(other.listener));
    echo_end(&other);
    CHECK_ERR(echo_dial(&e, address), OK);
    UNTIL(&e, e.client_closed);
    CHECK_ERR(e.client_err, ERR_CONNECT_FAILED);
    CHECK(strstr(e.client_reason, address));
    CHECK(strstr(e.client_reason, "refused"));
    echo_end(&e);
}

TEST(several_loops_share_a_port)
{
    struct echo a = {0}, b = {0};
    CHECK_ERR(loop_new(env_real(), 0, &a.loop), OK);
    CHECK_ERR(loop_new(env_real(), 1, &b.loop), OK);
    struct listen_options o = {.address = "127.0.0.1:0", .reuse_port = true, .on_accept = echo_accept, .context = &a};
    CHECK_ERR(listener_open(a.loop, &o, NULL, &a.listener), OK);
    o.address = listener_address(a.listener);
    CHECK_ERR(listener_open(b.loop, &o, NULL, &b.listener), OK);
    CHECK_STR(listener_address(b.listener), listener_address(a.listener));
    echo_end(&a);
    echo_end(&b);
}

TEST(a_port_is_not_shared_with_another_process)
{
    struct echo a = {0}, b = {0};
    char address[64], byte;
    int alive[2];
    CHECK(pipe(alive) == 0);
    CHECK_ERR(loop_new(env_real(), 0, &a.loop), OK);
    struct listen_options o = {.address = "127.0.0.1:0", .reuse_port = true, .on_accept = echo_accept, .context = &a};
    CHECK_ERR(listener_open(a.loop, &o, NULL, &a.listener), OK);
    snprintf(address, sizeof address, "%s", listener_address(a.listener));
    pid_t child = fork();
    if (child == 0) { /* holds the socket, until the pipe closes */
        close(alive[1]);
        _exit(read(alive[0], &byte, 1) == 0 ? 0 : 1);
    }
    echo_end(&a);
    CHECK_ERR(loop_new(env_real(), 0, &b.loop), OK);
    o.address = address;
    CHECK_ERR(listener_open(b.loop, &o, NULL, &b.listener), ERR_ADDRESS_IN_USE);
    close(alive[1]);
    close(alive[0]);
    CHECK(waitpid(child, NULL, 0) == child);
    CHECK_ERR(listener_open(b.loop, &o, NULL, &b.listener), OK);
    echo_end(&b);
}

TEST(slow_reader_holds_the_writer_back)
{
    struct echo e = {0};
    start(&e, "127.0.0.1:0");
    CHECK_ERR(echo_dial(&e, listener_address(e.listener)), OK);
    UNTIL(&e, e.opened);
    conn_read(e.client, false);
    echo_send(&e, 0, 16 << 20);
    UNTIL(&e, e.server && conn_queued_bytes(e.server) > LIMIT_OUTPUT_QUEUE_BYTES);
    CHECK(e.echoed < 16 << 20);
    CHECK(conn_queued_bytes(e.server) < LIMIT_OUTPUT_QUEUE_BYTES + (128 << 10));
    conn_read(e.client, true);
    UNTIL(&e, e.received == 16 << 20);
    CHECK(e.drained > 0);
    CHECK(!e.bad_pattern);
    echo_end(&e);
}

TEST(a_reset_is_seen_by_who_does_not_read)
{
    struct echo e = {0};
    start(&e, "127.0.0.1:0");
    CHECK_ERR(echo_dial(&e, listener_address(e.listener)), OK);
    UNTIL(&e, e.opened && e.server);
    conn_read(e.server, false);
    conn_abort(e.client);
    UNTIL(&e, e.server_closed);
    CHECK_ERR(e.server_err, ERR_CONNECTION_LOST);
    echo_end(&e);
}

TEST(a_peer_that_only_closed_its_side_is_not_lost)
{
    struct echo e = {.keep_open = true};
    start(&e, "127.0.0.1:0");
    CHECK_ERR(echo_dial(&e, listener_address(e.listener)), OK);
    UNTIL(&e, e.opened && e.server);
    conn_read(e.server, false);
    conn_close(e.client);
    UNTIL(&e, e.client_closed);
    for (int i = 0; i < 10; i++)
        loop_turn(e.loop, false);
    CHECK_EQ(e.server_closed, 0);
    conn_read(e.server, true);
    UNTIL(&e, e.eofs);
    CHECK_EQ(e.server_closed, 0);
    echo_end(&e);
}

TEST(last_bytes_arrive_although_the_server_does_not_read_on)
{
    struct echo e = {.close_early = true};
    start(&e, "127.0.0.1:0");
    CHECK_ERR(echo_dial(&e, listener_address(e.listener)), OK);
    UNTIL(&e, e.opened);
    echo_send(&e, 0, 4 << 20);
    UNTIL(&e, e.client_closed);
    CHECK(e.received > 0);
    CHECK_EQ(e.received, e.echoed);
    CHECK(!e.bad_pattern);
    echo_end(&e);
}

TEST(warm_path_allocates_nothing)
{
    struct echo e = {0};
    start(&e, "127.0.0.1:0");
    CHECK_ERR(echo_dial(&e, listener_address(e.listener)), OK);
    UNTIL(&e, e.opened);
    echo_send(&e, 0, 100);
    UNTIL(&e, e.received == 100);
    echo_send(&e, 100, 100);
    UNTIL(&e, e.received == 200);
    uint64_t before = mem_thread_count();
    for (uint64_t i = 2; i < 100; i++) {
        echo_send(&e, i * 100, 100);
        UNTIL(&e, e.received == (i + 1) * 100);
    }
    CHECK_EQ(mem_thread_count() - before, 0);
    CHECK(!e.bad_pattern);
    echo_end(&e);
}

/* Each that waits is refused with the descriptor in reserve, one a pause; the loop sleeps in between. */
TEST(without_descriptors_of_the_machine_accepting_pauses_and_then_goes_on)
{
    struct echo e = {0};
    start(&e, "127.0.0.1:0");
    CHECK_ERR(fault_arm("rt.accept.enfile=1/1", 1), OK);
    uint64_t turns = 0;
    for (int i = 0; i < 3; i++) {
        e.client_closed = e.opened = 0;
        CHECK_ERR(echo_dial(&e, listener_address(e.listener)), OK);
        for (; !e.client_closed; turns++)
            loop_turn(e.loop, true);
    }
    CHECK_EQ(e.accepted, 0);
    CHECK_EQ(fault_count("rt.accept.enfile"), 3);
    CHECK(turns < 100);
    fault_disarm_all();
    e.client_closed = e.opened = 0;
    CHECK_ERR(echo_dial(&e, listener_address(e.listener)), OK);
    UNTIL(&e, e.opened && e.accepted);
    echo_end(&e);
}

TEST(without_descriptors_accepting_pauses_and_then_goes_on)
{
    struct echo e = {0};
    struct rlimit before, tight;
    start(&e, "127.0.0.1:0");
    CHECK_ERR(echo_dial(&e, listener_address(e.listener)), OK);
    /* One descriptor for the client's side, none for the server's. */
    int next = open("/dev/null", O_RDONLY);
    close(next);
    getrlimit(RLIMIT_NOFILE, &before);
    tight = before;
    tight.rlim_cur = (rlim_t)next + 1;
    UNTIL(&e, false || e.opened || e.client_closed || setrlimit(RLIMIT_NOFILE, &tight) != 0 || true);
    uint64_t turns = 0;
    for (; !e.opened && !e.client_closed; turns++)
        loop_turn(e.loop, true);
    UNTIL(&e, e.client_closed); /* refused by the descriptor in reserve */
    CHECK_EQ(e.accepted, 0);
    CHECK(turns < 100);
    setrlimit(RLIMIT_NOFILE, &before);
    e.client_closed = e.opened = 0;
    CHECK_ERR(echo_dial(&e, listener_address(e.listener)), OK);
    UNTIL(&e, e.opened && e.accepted);
    echo_end(&e);
}

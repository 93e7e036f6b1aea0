/* Blocks and ranges of files on connections: plain TCP, unix sockets, TLS, the twin. The stream follows echo_pattern, and so does
 * the file, so that a range lies at the position it has in the stream. */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/fault.h"
#include "echo.h"
#include "rt/sim/sim.h"

enum { FILE_BYTES = 6 << 20 };

struct stage {
    struct sim *sim; /* NULL: the machine */
    const struct env *env;
    struct echo echo;
    int fd;
    char folder[64], path[96];
    int put, released; /* ranges */
    bool closed_first; /* on_closed came before a release */
};

static void on_release(void *owner)
{
    struct stage *s = owner;
    s->released++;
    s->closed_first |= s->echo.server_closed > 0;
}

static enum err write_pattern(struct stage *s)
{
    uint8_t bytes[64 << 10];
    enum err e = OK;
    for (uint64_t at = 0; at < FILE_BYTES && !e; at += sizeof bytes) {
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = echo_pattern(at + i);
        e = s->env->disk->pwrite(s->env, s->fd, slice_of(bytes, sizeof bytes), at);
    }
    return e;
}

static enum err make_file(struct stage *s)
{
    snprintf(s->folder, sizeof s->folder, "/tmp/prism-parts-XXXXXX");
    if (!s->sim)
        CHECK(mkdtemp(s->folder));
    enum err e = s->env->disk->mkdir(s->env, s->folder, 0700);
    if (e)
        return e;
    snprintf(s->path, sizeof s->path, "%s/file", s->folder);
    e = s->env->disk->open(s->env, s->path, O_RDWR | O_CREAT, 0600, &s->fd);
    if (e)
        s->fd = -1;
    return e ? e : write_pattern(s);
}

static enum err begin(struct stage *s, bool twin, const char *address)
{
    signal(SIGPIPE, SIG_IGN); /* sendfile has no flag for it */
    s->echo.silent = true;
    s->fd = -1;
    s->env = env_real();
    enum err e = twin ? sim_new(3, &s->sim) : OK;
    if (s->sim)
        s->env = sim_env(s->sim);
    if (!e)
        e = make_file(s);
    if (!e)
        e = loop_new(s->env, 0, &s->echo.loop);
    if (!e)
        e = echo_listen(&s->echo, address);
    return e;
}

/* The server's side is open once it has heard something. */
static enum err meet(struct stage *s)
{
    enum err e = echo_dial(&s->echo, listener_address(s->echo.listener));
    if (e)
        return e;
    UNTIL(&s->echo, s->echo.opened || s->echo.client_closed);
    echo_send(&s->echo, 0, 1);
    UNTIL(&s->echo, s->echo.echoed || s->echo.client_closed || s->echo.server_closed);
    return s->echo.echoed && s->echo.server ? OK : ERR_NOMEM;
}

static void finish(struct stage *s)
{
    echo_end(&s->echo);
    CHECK_EQ(s->released, s->put);
    CHECK(!s->closed_first);
    if (s->fd >= 0)
        s->env->disk->close(s->env, s->fd);
    if (!s->sim) {
        unlink(s->path);
        rmdir(s->folder);
    }
    sim_free(s->sim);
}

static struct conn_part range(struct stage *s, uint64_t at, uint64_t size)
{
    s->put++;
    return (struct conn_part){.kind = CONN_FILE,
                              .file = {.fd = s->fd, .offset = at, .size = size, .release = on_release, .owner = s}};
}

static struct block *pattern_block(uint64_t at, uint32_t size)
{
    struct block *b = block_new(size);
    for (uint32_t i = 0; b && i < size; i++)
        b->bytes[i] = echo_pattern(at + i);
    return b;
}

/* bytes, range, block, bytes, empty range, small range, large range. */
static enum err write_mixture(struct stage *s, uint64_t *ret_size)
{
    enum { HEAD = 100, FIRST = 3 << 20, BLOCK = 70000, BETWEEN = 10, SMALL = 500, LAST = 2 << 20 };
    struct block *head = pattern_block(0, HEAD), *block = pattern_block(HEAD + FIRST, BLOCK),
                 *between = pattern_block(HEAD + FIRST + BLOCK, BETWEEN);
    uint64_t at = HEAD + FIRST + BLOCK + BETWEEN;
    enum err e = head && block && between ? OK : ERR_NOMEM;
    if (!e) {
        struct conn_part parts[] = {
            {.kind = CONN_BYTES, .bytes = slice_of(head->bytes, HEAD)},
            range(s, HEAD, FIRST),
            {.kind = CONN_BLOCK, .block = block, .bytes = slice_of(block->bytes, BLOCK)},
            {.kind = CONN_BYTES, .bytes = slice_of(between->bytes, BETWEEN)},
            range(s, at, 0),
            range(s, at, SMALL),
            range(s, at + SMALL, LAST),
        };
        conn_write_parts(s->echo.server, parts, sizeof parts / sizeof *parts);
        *ret_size = at + SMALL + LAST;
    }
    block_unref(head);
    block_unref(block);
    block_unref(between);
    return e;
}

static enum err send_mixture(struct stage *s)
{
    uint64_t size;
    enum err e = write_mixture(s, &size);
    if (e)
        return e;
    UNTIL(&s->echo, s->echo.received == size || s->echo.client_closed);
    CHECK(!s->echo.bad_pattern);
    return s->echo.received == size ? OK : s->echo.server_err;
}

static void mixture_over(bool twin, const char *address, struct tls *server, struct tls *client)
{
    struct stage s = {.echo = {.server_tls = server, .client_tls = client}};
    CHECK_ERR(begin(&s, twin, address), OK);
    CHECK_ERR(meet(&s), OK);
    CHECK_ERR(send_mixture(&s), OK);
    CHECK_EQ(s.released, s.put);
    CHECK_EQ(conn_queued_bytes(s.echo.server), 0);
    finish(&s);
}

TEST(parts_arrive_in_order_over_tcp)
{
    mixture_over(false, "127.0.0.1:0", NULL, NULL);
}

TEST(parts_arrive_in_order_over_a_unix_socket)
{
    char address[64];
    snprintf(address, sizeof address, "unix:/tmp/prism-parts-%d.sock", (int)getpid());
    mixture_over(false, address, NULL, NULL);
}

TEST(parts_arrive_in_order_on_the_twin)
{
    mixture_over(true, "127.0.0.1:0", NULL, NULL);
}

SCENARIO(parts_survive_failing_allocations)
{
    struct stage s = {0};
    enum err e = begin(&s, true, "127.0.0.1:0");
    if (!e)
        e = meet(&s);
    if (!e)
        e = send_mixture(&s);
    finish(&s);
    return e && mem_failed() ? ERR_NOMEM : e;
}

static void make_tls(struct tls **ret_server, struct tls **ret_client)
{
    static const char make[] =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=x "
        "-addext subjectAltName=DNS:localhost -keyout %s/key -out %s/cert 2>/dev/null";
    char folder[] = "/tmp/prism-parts-XXXXXX", command[512], key[64], cert[64];
    CHECK(mkdtemp(folder));
    snprintf(command, sizeof command, make, folder, folder);
    CHECK(system(command) == 0);
    snprintf(key, sizeof key, "%s/key", folder);
    snprintf(cert, sizeof cert, "%s/cert", folder);
    CHECK_ERR(tls_server_new(&(struct tls_options){.cert_file = cert, .key_file = key}, NULL, ret_server), OK);
    CHECK_ERR(tls_client_new(&(struct tls_options){.ca_file = cert}, NULL, ret_client), OK);
    unlink(key);
    unlink(cert);
    rmdir(folder);
}

TEST(parts_arrive_in_order_over_tls)
{
    struct tls *server, *client;
    make_tls(&server, &client);
    mixture_over(false, "127.0.0.1:0", server, client);
}

/* What is written last, and conn_close, come after ranges that wait to be encrypted. */
TEST(the_goodbye_of_tls_comes_after_what_waits)
{
    struct stage s = {0};
    uint64_t size;
    make_tls(&s.echo.server_tls, &s.echo.client_tls);
    CHECK_ERR(begin(&s, false, "127.0.0.1:0"), OK);
    CHECK_ERR(meet(&s), OK);
    CHECK_ERR(write_mixture(&s, &size), OK);
    uint8_t last[1000];
    for (size_t i = 0; i < sizeof last; i++)
        last[i] = echo_pattern(size + i);
    struct slice bytes = slice_of(last, sizeof last);
    conn_write(s.echo.server, &bytes, 1);
    conn_close(s.echo.server);
    UNTIL(&s.echo, s.echo.client_closed);
    CHECK_ERR(s.echo.client_err, OK);
    CHECK_EQ(s.echo.received, size + sizeof last);
    CHECK(!s.echo.bad_pattern);
    finish(&s);
}

/* ---- ends --------------------------------------------------------------------------------------------------------------- */

static void dies_while_ranges_wait(bool twin, struct tls *server, struct tls *client)
{
    struct stage s = {.echo = {.server_tls = server, .client_tls = client}};
    uint64_t size;
    CHECK_ERR(begin(&s, twin, "127.0.0.1:0"), OK);
    CHECK_ERR(meet(&s), OK);
    conn_read(s.echo.client, false);
    for (int i = 0; i < 4; i++)
        CHECK_ERR(write_mixture(&s, &size), OK);
    for (int i = 0; i < 20; i++)
        loop_turn(s.echo.loop, false);
    CHECK(s.released < s.put);
    conn_abort(s.echo.client);
    UNTIL(&s.echo, s.echo.server_closed);
    CHECK_ERR(s.echo.server_err, ERR_CONNECTION_LOST);
    CHECK_EQ(s.released, s.put);
    finish(&s);
}

TEST(ranges_are_released_when_the_peer_goes)
{
    struct tls *server, *client;
    dies_while_ranges_wait(false, NULL, NULL);
    dies_while_ranges_wait(true, NULL, NULL);
    make_tls(&server, &client);
    dies_while_ranges_wait(false, server, client);
}

TEST(ranges_are_released_when_we_go)
{
    struct stage s = {0};
    uint64_t size;
    CHECK_ERR(begin(&s, false, "127.0.0.1:0"), OK);
    CHECK_ERR(meet(&s), OK);
    conn_read(s.echo.client, false);
    CHECK_ERR(write_mixture(&s, &size), OK);
    conn_abort(s.echo.server);
    CHECK_EQ(s.released, s.put);
    CHECK_ERR(write_mixture(&s, &size), OK); /* on a connection that has ended */
    CHECK_EQ(s.released, s.put);
    finish(&s);
}

static void shorter_file(bool twin)
{
    struct stage s = {0};
    CHECK_ERR(begin(&s, twin, "127.0.0.1:0"), OK);
    CHECK_ERR(meet(&s), OK);
    struct conn_part parts[] = {range(&s, 0, 1000), range(&s, FILE_BYTES - 1000, 2000), range(&s, 0, 1)};
    conn_write_parts(s.echo.server, parts, 3);
    UNTIL(&s.echo, s.echo.server_closed);
    CHECK_ERR(s.echo.server_err, ERR_IO);
    CHECK_EQ(s.released, s.put);
    finish(&s);
}

TEST(a_file_that_is_shorter_than_its_range_ends_the_connection)
{
    shorter_file(false);
    shorter_file(true);
}

TEST(a_file_that_cannot_be_read_ends_the_connection)
{
    struct stage s = {0};
    uint64_t size;
    CHECK_ERR(begin(&s, true, "127.0.0.1:0"), OK);
    CHECK_ERR(meet(&s), OK);
    CHECK_ERR(fault_arm("sim.disk.read=@10", 1), OK);
    CHECK_ERR(write_mixture(&s, &size), OK);
    UNTIL(&s.echo, s.echo.server_closed);
    fault_disarm_all();
    CHECK_ERR(s.echo.server_err, ERR_IO);
    CHECK_EQ(s.released, s.put);
    finish(&s);
}

TEST(more_references_than_the_limit_end_the_connection)
{
    struct stage s = {0};
    CHECK_ERR(begin(&s, false, "127.0.0.1:0"), OK);
    CHECK_ERR(meet(&s), OK);
    conn_read(s.echo.client, false);
    struct conn_part large = range(&s, 0, FILE_BYTES);
    conn_write_parts(s.echo.server, &large, 1);
    for (int i = 0; i < LIMIT_OUTPUT_REFERENCES; i++) {
        struct conn_part small = range(&s, 0, 1);
        conn_write_parts(s.echo.server, &small, 1);
    }
    UNTIL(&s.echo, s.echo.server_closed);
    CHECK_ERR(s.echo.server_err, ERR_NOMEM);
    finish(&s);
}

/* ---- turns --------------------------------------------------------------------------------------------------------------- */

TEST(a_large_range_is_sent_in_many_turns)
{
    struct stage s = {0};
    CHECK_ERR(begin(&s, false, "127.0.0.1:0"), OK);
    CHECK_ERR(meet(&s), OK);
    struct conn_part part = range(&s, 0, FILE_BYTES);
    conn_write_parts(s.echo.server, &part, 1);
    CHECK(conn_queued_bytes(s.echo.server) >= FILE_BYTES - LIMIT_OUTPUT_TURN_BYTES);
    while (conn_queued_bytes(s.echo.server)) {
        size_t before = conn_queued_bytes(s.echo.server);
        loop_turn(s.echo.loop, true);
        CHECK(before - conn_queued_bytes(s.echo.server) <= LIMIT_OUTPUT_TURN_BYTES);
    }
    UNTIL(&s.echo, s.echo.received == FILE_BYTES);
    CHECK(!s.echo.bad_pattern);
    finish(&s);
}

TEST(the_user_is_told_when_ranges_have_drained)
{
    struct stage s = {0};
    CHECK_ERR(begin(&s, false, "127.0.0.1:0"), OK);
    CHECK_ERR(meet(&s), OK);
    struct conn_part part = range(&s, 0, FILE_BYTES);
    conn_write_parts(s.echo.server, &part, 1);
    CHECK(conn_queued_bytes(s.echo.server) > LIMIT_OUTPUT_QUEUE_BYTES);
    UNTIL(&s.echo, s.echo.drained);
    CHECK(conn_queued_bytes(s.echo.server) <= LIMIT_OUTPUT_QUEUE_BYTES / 2);
    finish(&s);
}

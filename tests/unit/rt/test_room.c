/* Bytes that are read into the user's memory. The client asks for it every other 100,000 bytes. */
#include "echo.h"
#include "rt/sim/sim.h"

enum { STRETCH = 100000, TOTAL = 3 << 20 };

struct reader {
    struct echo echo; /* first: its client's events are ours */
    struct sim *sim;
    uint8_t bytes[STRETCH];
    uint64_t in_place, in_blocks;
    bool wrong_place;
};

/* Up to the end of the stretch. */
static uint8_t *on_room(void *context, struct conn *c, size_t *ret_room)
{
    struct reader *r = context;
    uint64_t at = r->echo.received % (2 * STRETCH);
    (void)c;
    if (at >= STRETCH)
        return NULL;
    *ret_room = STRETCH - at;
    return r->bytes + at;
}

static void on_data(void *context, struct conn *c, struct block *b, struct slice data)
{
    struct reader *r = context;
    uint64_t at = r->echo.received % (2 * STRETCH);
    (void)c;
    for (size_t i = 0; i < data.size; i++)
        r->echo.bad_pattern |= data.data[i] != echo_pattern(r->echo.received + i);
    r->wrong_place |= !b != (at < STRETCH) || (!b && data.data != r->bytes + at);
    *(b ? &r->in_blocks : &r->in_place) += data.size;
    r->echo.received += data.size;
}

static enum err dial(struct reader *r)
{
    static const struct conn_events events = {
        .on_open = echo_client_open, .on_data = on_data, .on_closed = echo_client_closed, .on_room = on_room};
    return conn_open(r->echo.loop, listener_address(r->echo.listener), NULL, NULL, 2000, &events, r, NULL,
                     &r->echo.client);
}

static void reads_in_place(bool twin)
{
    static struct reader r;
    r = (struct reader){0};
    if (twin)
        CHECK_ERR(sim_new(1, &r.sim), OK);
    CHECK_ERR(loop_new(twin ? sim_env(r.sim) : env_real(), 0, &r.echo.loop), OK);
    CHECK_ERR(echo_listen(&r.echo, "127.0.0.1:0"), OK);
    CHECK_ERR(dial(&r), OK);
    UNTIL(&r.echo, r.echo.opened);
    echo_send(&r.echo, 0, TOTAL);
    UNTIL(&r.echo, r.echo.received == TOTAL || r.echo.client_closed);
    CHECK_EQ(r.echo.received, TOTAL);
    CHECK(!r.echo.bad_pattern && !r.wrong_place);
    CHECK(r.in_place >= TOTAL / 4 && r.in_blocks >= TOTAL / 4);
    conn_abort(r.echo.server);
    UNTIL(&r.echo, r.echo.client_closed);
    echo_end(&r.echo);
    sim_free(r.sim);
}

TEST(bytes_are_read_where_the_user_wants_them)
{
    reads_in_place(false);
}

TEST(bytes_are_read_where_the_user_wants_them_on_the_twin)
{
    reads_in_place(true);
}

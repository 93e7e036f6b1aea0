/* usage: build/proof/soak [--calls N] [--seed S] [--proxy BINARY]
 *
 * Calls to one running gateway, most of them good, some cancelled, some bad, some too large, connections that break in the middle,
 * and a disk that fails now and then. The first quarter warms it up. Then, whenever nothing is in flight, resident memory and descriptors of its process must
 * be what they were after the warm-up: memory within GROWTH_KIB_MAX, descriptors exactly.
 *
 * Data are bounded: KEYS keys a namespace, each of a size that follows from its number. The last line is a JSON object. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"
#include "prism/keyvalue/v1/keyvalue_scan.pb.h"
#include "rt/loop.h"
#include "world.h"

enum {
    CONNECTIONS = 8,
    CALLERS = 96,
    KEYS = 2000,
    VALUE_BYTES = 1500,
    GROWTH_KIB_MAX = 8 * 1024,
    DESCRIPTOR_WAIT_MS = 10000,
    DROPPED_IN = 2000,  /* calls for each connection of ours that goes with calls in flight */
    RESET_IN = 1000,    /* calls for each raw connection that says something odd and is reset */
    OVERSIZE_IN = 5000, /* calls for each that is over the message limit */
};
/* Of SQLite's statements and commits, whatever they are for. */
static const char FAULTS[] = "sqlite.step=1/3000,sqlite.commit=1/300";
static const uint64_t TIMEOUT_NS = UINT64_C(60000000000);

enum act { ACT_GOOD, ACT_CANCELLED, ACT_BAD, ACT_OVERSIZE, ACTS };
static const char *const act_names[ACTS] = {"good", "cancelled", "bad", "oversize"};

struct totals {
    uint64_t asked[ACTS], ok[ACTS], failed[ACTS], dropped, resets, storage_faults, surprises;
};

struct caller {
    struct soak *soak;
    struct rpc_client_call *call; /* NULL: idle */
    enum act act;
    unsigned connection;
    unsigned turns_to_cancel; /* 0: not */
};

struct soak {
    struct loop *loop;
    const char *address;
    uint64_t random;
    struct rpc_client *clients[CONNECTIONS];
    bool dropping; /* calls that end now end because of us */
    uint64_t began_ns;
    unsigned resets[CONNECTIONS]; /* streams that we have reset, or made the proxy reset */
    struct caller callers[CALLERS];
    uint8_t *oversize;
    struct totals totals;
};

static uint64_t roll(struct soak *s, uint64_t sides)
{
    return hash_mix(s->random++) % sides;
}

/* --- answers ----------------------------------------------------------------------------------------------------------------- */

static void on_message(struct rpc_client_call *call, struct slice bytes)
{
    (void)call;
    (void)bytes;
}

/* A good call may only fail because we dropped its connection, or the disk has failed it; a bad one must fail. */
static void on_end(struct rpc_client_call *call, unsigned status, const struct diag *diag)
{
    struct caller *c = rpc_client_call_user(call);
    struct totals *t = &c->soak->totals;
    bool failed_disk = status && diag->err == ERR_IO;
    bool wanted = c->act == ACT_GOOD ? status == 0 || failed_disk : c->act == ACT_CANCELLED || status != 0;
    t->storage_faults += failed_disk;
    c->call = NULL;
    *(status ? &t->failed[c->act] : &t->ok[c->act]) += 1;
    if (wanted || c->soak->dropping)
        return;
    if (t->surprises++ < 10)
        fprintf(stderr, "a %s call ended with status %u: %s\n", act_names[c->act], status, diag_message(diag));
}

static const struct rpc_client_events events = {.on_message = on_message, .on_end = on_end};

/* --- questions --------------------------------------------------------------------------------------------------------------- */

static enum err send_to(struct caller *c, const char *ns, const char *path, const struct pb_message *table,
                        const void *request)
{
    struct http_header metadata = {SLICE("prism-namespace"), slice_str(ns)};
    struct rpc_client_call_options options = {
        .path = path, .metadata = &metadata, .metadata_count = 1, .timeout_ns = TIMEOUT_NS};
    return world_call(c->soak->clients[c->connection], &options, table, request, &events, c, &c->call);
}

/* One call in ten goes to SQLite, which waits for the disk. */
static enum err ask_good(struct caller *c)
{
    static const uint8_t filler[VALUE_BYTES];
    struct soak *s = c->soak;
    const char *ns = roll(s, 10) ? "memory" : "default";
    char name[32];
    uint64_t number = roll(s, KEYS);
    struct slice key = slice_of(name, (size_t)snprintf(name, sizeof name, "soak/%" PRIu64, number));
    struct keyvalue_set_request set = {.key = key, .value = slice_of(filler, hash_mix(number) % VALUE_BYTES)};
    struct keyvalue_delete_request delete = {.key = key};
    struct keyvalue_scan_request scan = {.prefix = SLICE("soak/1"), .limit = 20};
    struct keyvalue_get_request get = {.key = key};
    switch (roll(s, 20)) {
    case 0:
        return send_to(c, ns, "/prism.keyvalue.v1.KeyValueScan/Scan", &keyvalue_scan_request_pb, &scan);
    case 1:
        return send_to(c, ns, "/prism.keyvalue.v1.KeyValueBasic/Delete", &keyvalue_delete_request_pb, &delete);
    case 2 ... 8:
        return send_to(c, ns, "/prism.keyvalue.v1.KeyValueBasic/Set", &keyvalue_set_request_pb, &set);
    default:
        return send_to(c, ns, "/prism.keyvalue.v1.KeyValueBasic/Get", &keyvalue_get_request_pb, &get);
    }
}

/* Bytes that are no message, as they are. */
static enum err ask_raw(struct caller *c, struct slice bytes)
{
    struct http_header metadata = {SLICE("prism-namespace"), SLICE("memory")};
    struct rpc_client_call_options options = {.path = "/prism.keyvalue.v1.KeyValueBasic/Set",
                                              .metadata = &metadata,
                                              .metadata_count = 1,
                                              .timeout_ns = TIMEOUT_NS};
    enum err e = rpc_client_call(c->soak->clients[c->connection], &options, &events, c, &c->call);
    if (e)
        return e;
    rpc_client_send(c->call, bytes);
    if (c->call)
        rpc_client_send_end(c->call);
    return OK;
}

static enum err ask_bad(struct caller *c)
{
    static const char get_path[] = "/prism.keyvalue.v1.KeyValueBasic/Get";
    static const uint8_t long_key[1025];
    struct keyvalue_get_request get = {.key = SLICE("k")}, empty = {.key = SLICE_EMPTY},
                                too_long = {.key = slice_of(long_key, sizeof long_key)};
    switch (roll(c->soak, 5)) {
    case 0:
        return send_to(c, "memory", get_path, &keyvalue_get_request_pb, &empty);
    case 1:
        return send_to(c, "memory", get_path, &keyvalue_get_request_pb, &too_long);
    case 2:
        return send_to(c, "nowhere", get_path, &keyvalue_get_request_pb, &get);
    case 3:
        return send_to(c, "memory", "/prism.keyvalue.v1.KeyValueBasic/Nothing", &keyvalue_get_request_pb, &get);
    default:
        return ask_raw(c, SLICE("\x0a\xff\xff\xff\xff\x0f no protobuf message"));
    }
}

/* Half of what a connection may reset before it is closed for flooding, on however fast a machine. */
static bool may_reset(const struct soak *s, unsigned connection)
{
    uint64_t seconds = (loop_now_ns(s->loop) - s->began_ns) / 1000000000;
    return s->resets[connection] < (LIMIT_HTTP2_RESET_BURST + seconds * LIMIT_HTTP2_RESET_PER_S) / 2;
}

static enum act choose(struct soak *s, unsigned connection)
{
    uint64_t n = roll(s, 100);
    bool oversize = roll(s, OVERSIZE_IN) == 0;
    if ((oversize || n < 4) && may_reset(s, connection)) {
        s->resets[connection]++;
        return oversize ? ACT_OVERSIZE : ACT_CANCELLED;
    }
    return n >= 4 && n < 8 ? ACT_BAD : ACT_GOOD;
}

static bool begin(struct caller *c)
{
    struct soak *s = c->soak;
    c->connection = (unsigned)roll(s, CONNECTIONS);
    c->act = choose(s, c->connection);
    c->turns_to_cancel = c->act == ACT_CANCELLED ? 1 + (unsigned)roll(s, 3) : 0;
    s->totals.asked[c->act]++;
    if (c->act == ACT_BAD)
        return ask_bad(c) == OK;
    if (c->act == ACT_OVERSIZE)
        return ask_raw(c, slice_of(s->oversize, LIMIT_MESSAGE_BYTES_MAX)) == OK;
    return ask_good(c) == OK;
}

/* --- connections ------------------------------------------------------------------------------------------------------------- */

static bool drop_one(struct soak *s)
{
    unsigned i = (unsigned)roll(s, CONNECTIONS);
    s->totals.dropped++;
    s->dropping = true;
    rpc_client_free(s->clients[i]);
    s->dropping = false;
    return world_connect(s->address, s->loop, &s->clients[i]);
}

/* A connection that says the first bytes of HTTP/2, or HTTP/1, or nothing known, and is reset. */
static void reset_one(struct soak *s)
{
    static const char *const openings[] = {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HTT",
                                           "GET / HTTP/1.1\r\nHost: x\r\n",
                                           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot a frame at all", "\x16\x03\x01"};
    const char *opening = openings[roll(s, sizeof openings / sizeof *openings)];
    const char *port = strrchr(s->address, ':');
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port + 1))};
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && send(fd, opening, strlen(opening), MSG_NOSIGNAL) > 0)
        s->totals.resets++;
    close(fd);
}

/* --- driving ----------------------------------------------------------------------------------------------------------------- */

static bool in_flight(const struct soak *s)
{
    for (unsigned i = 0; i < CALLERS; i++)
        if (s->callers[i].call)
            return true;
    return false;
}

static void cancel_due(struct soak *s)
{
    for (unsigned i = 0; i < CALLERS; i++) {
        struct caller *c = &s->callers[i];
        if (c->call && c->turns_to_cancel && --c->turns_to_cancel == 0)
            rpc_client_cancel(c->call);
    }
}

static bool faults_due(struct soak *s, uint64_t asked)
{
    if (asked % RESET_IN == 0)
        reset_one(s);
    return asked % DROPPED_IN != 0 || drop_one(s);
}

/* So many calls, all of them ended. */
static bool drive(struct soak *s, uint64_t calls)
{
    for (uint64_t asked = 0; asked < calls || in_flight(s);) {
        for (unsigned i = 0; i < CALLERS && asked < calls; i++) {
            if (s->callers[i].call)
                continue;
            if (!begin(&s->callers[i]) || !faults_due(s, ++asked))
                return false;
        }
        cancel_due(s);
        if (in_flight(s))
            loop_turn(s->loop, true);
    }
    return true;
}

/* --- measuring --------------------------------------------------------------------------------------------------------------- */

struct measure {
    unsigned long resident_kib;
    unsigned descriptors;
};

/* One call over each connection, so that all are there. */
static bool touch_all(struct soak *s)
{
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        struct keyvalue_get_request get = {.key = SLICE("k")};
        s->callers[i].connection = i;
        s->callers[i].act = ACT_GOOD;
        s->totals.asked[ACT_GOOD]++;
        if (send_to(&s->callers[i], "memory", "/prism.keyvalue.v1.KeyValueBasic/Get", &keyvalue_get_request_pb, &get))
            return false;
    }
    while (in_flight(s))
        loop_turn(s->loop, true);
    return true;
}

/* The proxy may still be closing what was dropped: until descriptors are what they should be, or too long. */
static struct measure take_measure(struct soak *s, const struct world *w, unsigned wanted)
{
    static const struct timespec pause = {.tv_nsec = 10000000};
    touch_all(s);
    unsigned descriptors = world_descriptors(w);
    for (unsigned waited_ms = 0; descriptors != wanted && waited_ms < DESCRIPTOR_WAIT_MS; waited_ms += 10) {
        nanosleep(&pause, NULL);
        loop_turn(s->loop, false); /* its clock goes on */
        descriptors = world_descriptors(w);
    }
    return (struct measure){world_resident_kib(w), descriptors};
}

/* Descriptors of the proxy with our connections open. */
static unsigned settle(struct soak *s, const struct world *w)
{
    unsigned idle = world_descriptors(w);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        if (!world_connect(s->address, s->loop, &s->clients[i]))
            return 0;
    return touch_all(s) ? idle + CONNECTIONS : 0;
}

static bool soak_long(struct soak *s, const struct world *w, uint64_t calls, struct measure *warm, struct measure *end)
{
    enum { PARTS = 20 };
    s->began_ns = loop_now_ns(s->loop);
    unsigned wanted = settle(s, w);
    if (!wanted || !drive(s, calls / 4))
        return false;
    *warm = take_measure(s, w, wanted);
    for (unsigned i = 0; i < PARTS; i++) {
        if (!drive(s, (calls - calls / 4) / PARTS))
            return false;
        *end = take_measure(s, w, wanted);
        fprintf(stderr, "soak: %u %%, %lu KiB resident (%+ld), %u descriptors\n", 25 + (i + 1) * 75 / PARTS,
                end->resident_kib, (long)end->resident_kib - (long)warm->resident_kib, end->descriptors);
        if (end->descriptors != warm->descriptors || end->resident_kib > warm->resident_kib + GROWTH_KIB_MAX)
            return false;
    }
    return warm->descriptors == wanted;
}

static void report(const struct soak *s, uint64_t seed, struct measure warm, struct measure end, bool ok)
{
    printf("{\"proof\": \"soak\", \"seed\": %" PRIu64 ", \"ok\": %s", seed, ok ? "true" : "false");
    for (unsigned i = 0; i < ACTS; i++)
        printf(", \"%s\": %" PRIu64 ", \"%s_answered_ok\": %" PRIu64, act_names[i], s->totals.asked[i], act_names[i],
               s->totals.ok[i]);
    printf(", \"connections_dropped\": %" PRIu64 ", \"connections_reset\": %" PRIu64 ", \"storage_faults\": %" PRIu64
           ", \"surprises\": %" PRIu64,
           s->totals.dropped, s->totals.resets, s->totals.storage_faults, s->totals.surprises);
    printf(
        ", \"resident_kib_warm\": %lu, \"resident_kib_end\": %lu, \"descriptors_warm\": %u, \"descriptors_end\": %u}\n",
        warm.resident_kib, end.resident_kib, warm.descriptors, end.descriptors);
}

int main(int argc, char **argv)
{
    const char *proxy = "build/prism-proxy";
    uint64_t calls = 200000, seed = 1;
    const struct setting settings[] = {{"proxy", &proxy, NULL}, {"calls", NULL, &calls}, {"seed", NULL, &seed}};
    struct measure warm = {0}, end = {0};
    struct world world;
    struct soak s = {.oversize = mem_zalloc(LIMIT_MESSAGE_BYTES_MAX)};
    if (!settings_read(argc, argv, settings, sizeof settings / sizeof *settings) || !s.oversize ||
        !world_start(&world, proxy, FAULTS))
        return 1;
    s.address = world.address;
    s.random = seed << 32;
    for (unsigned i = 0; i < CALLERS; i++)
        s.callers[i].soak = &s;
    bool ok = loop_new(env_real(), 0, &s.loop) == OK && soak_long(&s, &world, calls, &warm, &end);
    s.dropping = true;
    for (unsigned i = 0; i < CONNECTIONS; i++)
        if (s.clients[i])
            rpc_client_free(s.clients[i]);
    while (loop_turn(s.loop, false))
        ;
    loop_free(s.loop);
    mem_free(s.oversize);
    ok = world_stop(&world) == 0 && ok && s.totals.surprises == 0;
    report(&s, seed, warm, end, ok);
    return !ok;
}

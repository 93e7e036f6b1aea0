/* A warm call takes nothing from the heap, from socket to socket: a worker with its thread, HTTP/2 with nghttp2 (whose memory comes
 * from rpc/h2mem.c, so it is counted too), gRPC, stages, metrics, the memory driver, and back. The worker's clock, which it looks
 * at with each turn and each call, notes how many allocations its thread has made. */
#include "../harness.h"
#include "base/mem.h"
#include "drivers/memory/memory.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"
#include "proxy/listener.h"
#include "proxy/measure.h"
#include "rpc/client.h"

enum { WARM_UP = 300, CALLS = 1000 };

static const struct driver *const drivers[] = {&driver_memory};
static const struct driver_registry registry = {drivers, 1};

struct home {
    struct env env; /* of the worker */
    atomic_uint_fast64_t worker_allocations;
    struct loop *loop; /* control, and the client's */
    struct pool *pool;
    struct keeper keeper;
    struct measure *measure;
    struct snapshot *snapshot;
    struct worker *worker;
    struct rpc_client *client;
    bool drained;
};

static struct home *home_of(const struct env *env)
{
    return (struct home *)(uintptr_t)env; /* the first member */
}

static uint64_t counting_clock(const struct env *env)
{
    atomic_store(&home_of(env)->worker_allocations, mem_thread_count());
    return env_real()->monotonic_ns(env_real());
}

static struct snapshot *make_snapshot(struct home *h)
{
    const struct config_source source = {.drivers = &registry};
    const struct snapshot_options options = {
        .drivers = &registry, .env = env_real(), .keeper = &h->keeper, .data_dir = ".", .loops = 1};
    struct arena arena;
    struct config_report report;
    struct config *config;
    struct diag diag;
    struct snapshot *snapshot;
    arena_init(&arena, 1 << 20);
    config_report_init(&report, &arena, "x.yaml");
    diag_init(&diag, &arena);
    CHECK_ERR(config_load_text(&source, SLICE("namespaces: [{name: warm, backend: memory}]\n"), &report, &config), OK);
    CHECK_ERR(snapshot_new(&options, config, &diag, &snapshot), OK);
    arena_fini(&arena);
    return snapshot;
}

static void move_in(struct home *h)
{
    *h = (struct home){.env = *env_real()};
    h->env.monotonic_ns = counting_clock;
    CHECK_ERR(loop_new(env_real(), 1, &h->loop), OK);
    CHECK_ERR(pool_new(1, &h->pool), OK);
    keeper_init(&h->keeper, h->loop, h->pool);
    CHECK_ERR(measure_new(3, &h->measure), OK);
    h->snapshot = make_snapshot(h);
    const struct worker_options options = {.env = &h->env,
                                           .snapshot = h->snapshot,
                                           .drivers = &registry,
                                           .measure = h->measure,
                                           .calls_max = 100,
                                           .connections_max = 10,
                                           .congestion = "auto"};
    CHECK_ERR(worker_new(&options, &h->worker), OK);
    CHECK_ERR(worker_listen(h->worker, "127.0.0.1:0", NULL), OK);
    CHECK_ERR(worker_start(h->worker), OK);
    const struct rpc_client_options client = {.loop = h->loop, .address = worker_address(h->worker)};
    CHECK_ERR(rpc_client_new(&client, NULL, &h->client), OK);
}

static void on_drained(struct worker_task *t)
{
    ((struct home *)t->context)->drained = true;
}

static void move_out(struct home *h)
{
    struct worker_task leave = {
        .worker = h->worker, .control = h->loop, .done = on_drained, .context = h, .deadline_ns = UINT64_MAX};
    rpc_client_free(h->client);
    worker_drain(&leave);
    while (!h->drained)
        loop_turn(h->loop, true);
    worker_join(h->worker);
    worker_retire(h->worker);
    snapshot_unref(h->snapshot);
    while (atomic_load(&h->keeper.open))
        loop_turn(h->loop, true);
    keeper_fini(&h->keeper);
    pool_free(h->pool);
    worker_free(h->worker);
    measure_free(h->measure);
    loop_free(h->loop);
}

static void call(struct home *h, const char *path, const struct pb_message *table, const void *request)
{
    const struct http_header space = {SLICE("prism-namespace"), SLICE("warm")};
    const struct rpc_client_call_options options = {.path = path, .metadata = &space, .metadata_count = 1};
    struct arena arena;
    struct diag diag;
    struct buf encoded;
    struct slice response;
    arena_init(&arena, 1 << 20);
    diag_init(&diag, &arena);
    buf_init(&encoded, 1 << 20);
    CHECK_ERR(pb_encode_buf(table, request, &encoded), OK);
    CHECK_ERR(rpc_client_unary(h->client, &options, buf_slice(&encoded), &arena, &diag, &response), OK);
    buf_fini(&encoded);
    arena_fini(&arena);
}

static void set_and_get(struct home *h, int times)
{
    static const uint8_t value[100];
    const struct keyvalue_set_request set = {.key = SLICE("k"), .value = slice_of(value, sizeof value)};
    const struct keyvalue_get_request get = {.key = SLICE("k")};
    for (int i = 0; i < times; i++) {
        call(h, "/prism.keyvalue.v1.KeyValueBasic/Set", &keyvalue_set_request_pb, &set);
        call(h, "/prism.keyvalue.v1.KeyValueBasic/Get", &keyvalue_get_request_pb, &get);
    }
}

TEST(warm_calls_take_nothing_from_the_heap)
{
    static struct home h;
    move_in(&h);
    set_and_get(&h, WARM_UP);
    uint64_t before = atomic_load(&h.worker_allocations);
    set_and_get(&h, CALLS);
    uint64_t after = atomic_load(&h.worker_allocations);
    CHECK(before > 0); /* it counts */
    CHECK_EQ(after - before, 0);
    move_out(&h);
}

/* Snapshots over a driver of the test: what a reload opens, keeps and closes, and when memory goes. */
#include "../harness.h"
#include "base/mem.h"
#include "proxy/snapshot.h"

struct fixture {
    struct loop *loop;
    struct pool *pool;
    struct keeper keeper;
    struct snapshot_options options;
};

static atomic_int opened, closed; /* on the pool's thread too */
static bool refuse;

static enum err open_backend(const struct backend_open *open, const struct driver *driver, struct backend **ret_backend)
{
    if (refuse)
        return diag_set(open->diag, ERR_CORRUPT, "the file is damaged");
    struct backend *b = mem_zalloc(sizeof *b);
    if (!b)
        return ERR_NOMEM;
    b->driver = driver;
    *ret_backend = b;
    opened++;
    return OK;
}

static void close_backend(struct backend *b)
{
    closed++;
    mem_free(b);
}

static atomic_int detached;

static void detach_backend(struct backend *b, struct loop *loop)
{
    CHECK(b->driver && loop);
    CHECK_EQ(closed, 0);
    detached++;
}

static const struct driver memory, sqlite;

static enum err open_memory(const struct backend_open *open, struct backend **ret_backend)
{
    return open_backend(open, &memory, ret_backend);
}

static enum err open_sqlite(const struct backend_open *open, struct backend **ret_backend)
{
    return open_backend(open, &sqlite, ret_backend);
}

static const struct driver memory = {.name = "memory", .open = open_memory, .close = close_backend};
static const struct driver sqlite = {
    .name = "sqlite", .durable = true, .open = open_sqlite, .detach = detach_backend, .close = close_backend};
static const struct driver *const drivers[] = {&memory, &sqlite};
static const struct driver_registry registry = {drivers, 2};

static enum err init(struct fixture *f)
{
    *f = (struct fixture){0};
    opened = closed = detached = 0;
    refuse = false;
    enum err e = loop_new(env_real(), 0, &f->loop);
    if (!e)
        e = pool_new(1, &f->pool);
    if (!e)
        keeper_init(&f->keeper, f->loop, f->pool);
    f->options = (struct snapshot_options){
        .drivers = &registry, .env = env_real(), .keeper = &f->keeper, .data_dir = ".", .loops = 1};
    return e;
}

static void fini(struct fixture *f)
{
    while (f->loop && atomic_load(&f->keeper.open))
        loop_turn(f->loop, true);
    if (f->pool) {
        keeper_fini(&f->keeper);
        pool_free(f->pool);
    }
    if (f->loop)
        loop_free(f->loop);
    CHECK_EQ(opened, closed);
}

static enum err make(struct fixture *f, const char *text, struct snapshot **ret_snapshot)
{
    const struct config_source source = {.drivers = &registry};
    struct arena arena;
    struct config_report report;
    struct config *config;
    struct diag diag;
    arena_init(&arena, 1 << 20);
    config_report_init(&report, &arena, "x.yaml");
    diag_init(&diag, &arena);
    enum err e = config_load_text(&source, slice_str(text), &report, &config);
    CHECK_EQ(report.total, 0);
    if (!e && (e = snapshot_new(&f->options, config, &diag, ret_snapshot)))
        config_free(config);
    arena_fini(&arena);
    return e;
}

#define TWO "namespaces: [{name: a, backend: memory}, {name: b, backend: sqlite}]\n"

SCENARIO(a_snapshot_opens_what_it_needs_and_closes_it)
{
    struct fixture f;
    struct snapshot *s = NULL;
    enum err e = init(&f);
    if (!e)
        e = make(&f, TWO, &s);
    if (!e) {
        CHECK_EQ(opened, 2);
        CHECK(snapshot_find(s, SLICE("a"))->ns.backend->driver == &memory);
        CHECK(!snapshot_find(s, SLICE("c")));
        CHECK(!snapshot_find(s, SLICE_EMPTY));
    }
    snapshot_unref(s);
    fini(&f);
    return e;
}

SCENARIO(a_reload_keeps_what_has_not_changed)
{
    struct fixture f;
    struct snapshot *one = NULL, *two = NULL;
    enum err e = init(&f);
    if (!e)
        e = make(&f, TWO, &one);
    if (!e)
        e = make(&f,
                 "namespaces: [{name: a, backend: memory, ttl: {default: 1h}}, {name: b, backend: sqlite, sqlite: "
                 "{readers: 9}},"
                 " {name: c, backend: memory}]\n",
                 &two);
    if (!e) {
        struct snapshot_changes c = snapshot_compare(one, two);
        CHECK_EQ(opened, 3);
        CHECK_EQ(c.added, 1);
        CHECK_EQ(c.changed, 2);
        CHECK_EQ(c.removed, 0);
        CHECK(snapshot_find(one, SLICE("a"))->held == snapshot_find(two, SLICE("a"))->held);
        CHECK(snapshot_find(one, SLICE("b"))->held == snapshot_find(two, SLICE("b"))->held);
        CHECK(!snapshot_find(two, SLICE("a"))->needs_restart);
        CHECK_STR(snapshot_find(two, SLICE("b"))->needs_restart, "options of namespace b");
        CHECK_EQ(snapshot_find(two, SLICE("a"))->ns.ttl_default_ms, 3600000);
        CHECK_EQ(snapshot_compare(two, one).removed, 1);
    }
    snapshot_unref(one);
    snapshot_unref(two);
    fini(&f);
    return e;
}

SCENARIO(each_loop_lets_go_before_a_backend_closes)
{
    struct fixture f;
    struct snapshot *s = NULL;
    enum err e = init(&f);
    struct loop *loops[3] = {f.loop, f.loop}; /* the third was never made */
    for (int run = 0; run < 2 && !e; run++) {
        opened = closed = detached = 0;
        keeper_set_loops(&f.keeper, loops, 3);
        keeper_loops_run(&f.keeper, false);
        e = make(&f, "namespaces: [{name: b, backend: sqlite}]\n", &s);
        if (!e && run)
            loops[2] = f.loop, keeper_loops_run(&f.keeper, true);
        snapshot_unref(s);
        while (!e && atomic_load(&f.keeper.open))
            loop_turn(f.loop, true);
        s = NULL;
        if (!e)
            CHECK_EQ(detached, run ? 3 : 2);
    }
    fini(&f);
    return e;
}

TEST(another_driver_is_another_backend)
{
    struct fixture f;
    struct snapshot *one, *two;
    CHECK_ERR(init(&f), OK);
    CHECK_ERR(make(&f, "namespaces: [{name: a, backend: sqlite}]\n", &one), OK);
    CHECK_ERR(make(&f, "namespaces: [{name: a, backend: memory}]\n", &two), OK);
    CHECK(snapshot_find(one, SLICE("a"))->held != snapshot_find(two, SLICE("a"))->held);
    CHECK(!snapshot_find(two, SLICE("a"))->needs_restart);
    snapshot_unref(one);
    snapshot_unref(two);
    fini(&f);
}

TEST(a_backend_that_does_not_open_undoes_all)
{
    struct fixture f;
    struct snapshot *one, *two = NULL;
    CHECK_ERR(init(&f), OK);
    CHECK_ERR(make(&f, "namespaces: [{name: a, backend: sqlite}]\n", &one), OK);
    refuse = true;
    CHECK_ERR(make(&f, TWO, &two), ERR_CORRUPT);
    CHECK(!two);
    CHECK_EQ(closed, 0);
    snapshot_unref(one);
    fini(&f);
}

TEST(a_call_keeps_its_namespace_alive)
{
    struct fixture f;
    struct snapshot *s;
    CHECK_ERR(init(&f), OK);
    CHECK_ERR(make(&f, TWO, &s), OK);
    struct namespace *ns = namespace_ref(&snapshot_find(s, SLICE("a"))->ns);
    snapshot_unref(s);
    while (atomic_load(&f.keeper.open) > 1)
        loop_turn(f.loop, true);
    CHECK_STR(ns->name, "a");
    CHECK_EQ(closed, 1);
    namespace_unref(ns);
    fini(&f);
}

TEST(a_namespace_that_comes_back_finds_its_backend)
{
    struct fixture f;
    struct snapshot *one, *two, *three;
    CHECK_ERR(init(&f), OK);
    CHECK_ERR(make(&f, TWO, &one), OK);
    struct namespace *in_use = namespace_ref(&snapshot_find(one, SLICE("b"))->ns);
    CHECK_ERR(make(&f, "namespaces: [{name: a, backend: memory}]\n", &two), OK);
    snapshot_unref(one);
    CHECK_ERR(make(&f, TWO, &three), OK);
    CHECK(snapshot_find(three, SLICE("b"))->ns.backend == in_use->backend);
    CHECK_EQ(opened, 2);
    namespace_unref(in_use);
    snapshot_unref(two);
    snapshot_unref(three);
    fini(&f);
}

struct reopening {
    struct fixture *f;
    struct snapshot *snapshot;
    enum err err;
    atomic_bool done;
};

static void *reopen(void *context)
{
    struct reopening *r = context;
    r->err = make(r->f, TWO, &r->snapshot);
    atomic_store(&r->done, true);
    return NULL;
}

/* Closing takes the loop; the thread that wants the store again waits for it. */
TEST(a_store_that_is_being_closed_is_not_opened_yet)
{
    struct fixture f;
    struct snapshot *one;
    pthread_t thread;
    CHECK_ERR(init(&f), OK);
    CHECK_ERR(make(&f, TWO, &one), OK);
    snapshot_unref(one);
    struct reopening r = {.f = &f};
    CHECK_EQ(pthread_create(&thread, NULL, reopen, &r), 0);
    while (!atomic_load(&r.done))
        loop_turn(f.loop, false);
    pthread_join(thread, NULL);
    CHECK_ERR(r.err, OK);
    CHECK_EQ(opened, 4);
    CHECK_EQ(closed, 2);
    snapshot_unref(r.snapshot);
    fini(&f);
}

TEST(cursor_keys_come_from_the_secret_and_the_name)
{
    struct fixture f;
    struct snapshot *one, *two, *other;
    CHECK_ERR(init(&f), OK);
    CHECK_ERR(make(&f, TWO, &one), OK);
    CHECK_ERR(make(&f, TWO, &two), OK);
    f.options.secret[0] = 1;
    CHECK_ERR(make(&f, TWO, &other), OK);
    const uint8_t *a = snapshot_find(one, SLICE("a"))->ns.cursor_key;
    CHECK(memcmp(a, snapshot_find(two, SLICE("a"))->ns.cursor_key, 16) == 0);
    CHECK(memcmp(a, snapshot_find(one, SLICE("b"))->ns.cursor_key, 16) != 0);
    CHECK(memcmp(a, snapshot_find(other, SLICE("a"))->ns.cursor_key, 16) != 0);
    snapshot_unref(one);
    snapshot_unref(two);
    snapshot_unref(other);
    fini(&f);
}

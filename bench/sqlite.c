/* What group commit and the reader pool are worth: build/bench/sqlite [FOLDER]
 *
 * Durable writes: 64 callers of the driver on one loop, against plain SQLite that commits each write for itself (one thread,
 * prepared statement, the same table and settings). Reads: the driver with 64 callers and with one, against plain SQLite on the
 * calling thread. Rounds of both sides alternate, so that a slow disk is slow for both; medians are printed. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "data/call.h"
#include "data/keyvalue.h"
#include "drivers/sqlite/sqlite.h"

enum { CALLERS = 64, ROUNDS = 5, KEYS = 20000, VALUE_BYTES = 100, ROUND_MS = 1000 };

struct caller {
    struct call call;
    struct bench *bench;
    struct arena arena;
    struct keyvalue_set_request set;
    struct keyvalue_get_request get;
    char key[16];
};

struct bench {
    struct namespace ns;
    struct loop *loop;
    struct caller callers[CALLERS];
    enum method_id method;
    unsigned running;
    uint64_t done, random;
    double until;
    uint8_t value[VALUE_BYTES];
    sqlite3 *plain;
    sqlite3_stmt *put, *get;
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Of all threads. Other programs on the machine do not change it much. */
static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench/sqlite: %s: %s\n", what, why);
    exit(1);
}

static struct slice random_key(struct bench *b, char text[16])
{
    b->random = b->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return slice_of(text, (size_t)snprintf(text, 16, "key%08u", (unsigned)(b->random >> 33) % KEYS));
}

/* --- the driver ------------------------------------------------------------------------------------------------------------- */

static void start(struct caller *c);

static enum call_flow take(struct call *call, const void *message)
{
    (void)call, (void)message;
    return CALL_GO;
}

static void ended(struct call *call, enum err e)
{
    struct caller *c = call->sink_context;
    if (e)
        die("call", diag_message(&call->diag));
    c->bench->done++;
    c->bench->running--;
    if (now_ms() < c->bench->until)
        start(c);
}

static const struct call_sink sink = {.send = take, .end = ended};

static void start(struct caller *c)
{
    struct bench *b = c->bench;
    arena_reset(&c->arena);
    struct slice key = random_key(b, c->key);
    c->set = (struct keyvalue_set_request){.key = key, .value = slice_of(b->value, VALUE_BYTES)};
    c->get = (struct keyvalue_get_request){.key = key};
    const void *request = b->method == METHOD_KEYVALUE_BASIC_SET ? (const void *)&c->set : &c->get;
    c->call = (struct call){.method = &methods[b->method],
                            .ns = &b->ns,
                            .who = {.name = ""},
                            .loop = b->loop,
                            .arena = &c->arena,
                            .deadline_ns = UINT64_MAX,
                            .request = request,
                            .sink = &sink,
                            .sink_context = c};
    diag_init(&c->call.diag, &c->arena);
    b->running++;
    methods[b->method].invoke(driver_sqlite.implements[INTERFACE_KEYVALUE_BASIC], b->ns.backend, &c->call, request);
}

/* Calls a second. */
static double run_driver(struct bench *b, enum method_id method, unsigned callers)
{
    double begin = now_ms();
    b->method = method;
    b->done = 0;
    b->until = begin + ROUND_MS;
    for (unsigned i = 0; i < callers; i++)
        start(&b->callers[i]);
    while (b->running)
        loop_turn(b->loop, true);
    return (double)b->done / (now_ms() - begin) * 1e3;
}

/* --- plain SQLite ----------------------------------------------------------------------------------------------------------- */

static double run_plain(struct bench *b, sqlite3_stmt *s)
{
    double begin = now_ms();
    uint64_t done = 0;
    char text[16];
    for (; now_ms() < begin + ROUND_MS; done++) {
        struct slice key = random_key(b, text);
        sqlite3_bind_blob(s, 1, key.data, (int)key.size, SQLITE_STATIC);
        if (s == b->put)
            sqlite3_bind_blob(s, 2, b->value, VALUE_BYTES, SQLITE_STATIC);
        int code = sqlite3_step(s);
        if (code != SQLITE_ROW && code != SQLITE_DONE)
            die("plain", sqlite3_errmsg(b->plain));
        sqlite3_reset(s);
    }
    return (double)done / (now_ms() - begin) * 1e3;
}

static void execute(struct bench *b, const char *sql)
{
    if (sqlite3_exec(b->plain, sql, NULL, NULL, NULL))
        die(sql, sqlite3_errmsg(b->plain));
}

static sqlite3_stmt *prepare(struct bench *b, const char *sql)
{
    sqlite3_stmt *s;
    if (sqlite3_prepare_v2(b->plain, sql, -1, &s, NULL))
        die(sql, sqlite3_errmsg(b->plain));
    return s;
}

static void open_plain(struct bench *b, const char *folder)
{
    char path[256];
    snprintf(path, sizeof path, "%s/plain.db", folder);
    if (sqlite3_open_v2(path, &b->plain, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL))
        die(path, "cannot be opened");
    execute(
        b, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -8192;"
           "PRAGMA wal_autocheckpoint = 4096;"
           "CREATE TABLE items (key BLOB PRIMARY KEY NOT NULL, version INTEGER NOT NULL, expires_ms INTEGER, tags BLOB,"
           " value BLOB NOT NULL)");
    b->put = prepare(b, "INSERT INTO items VALUES (?1, 1, NULL, NULL, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2");
    b->get = prepare(b, "SELECT version, expires_ms, tags, value FROM items WHERE key = ?1");
}

/* --- the comparison --------------------------------------------------------------------------------------------------------- */

static void open_driver(struct bench *b, const char *folder)
{
    static struct arena arena;
    struct diag d;
    arena_init(&arena, 1 << 20);
    diag_init(&d, &arena);
    struct config_namespace config = {.name = SLICE("bench")};
    struct backend_open open = {
        .namespace_name = "bench", .ns = &config, .data_dir = folder, .env = env_real(), .loops = 1, .diag = &d};
    b->ns = (struct namespace){.name = "bench", .ttl_allow_infinite = true, .message_bytes = LIMIT_MESSAGE_BYTES};
    if (driver_sqlite.open(&open, &b->ns.backend) || loop_new(env_real(), 0, &b->loop))
        die("open", diag_message(&d));
    for (int i = 0; i < CALLERS; i++) {
        b->callers[i].bench = b;
        arena_init(&b->callers[i].arena, 1 << 20);
    }
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double rounds[ROUNDS])
{
    qsort(rounds, ROUNDS, sizeof *rounds, by_size);
    return rounds[ROUNDS / 2];
}

static void compare_writes(struct bench *b)
{
    double driver[ROUNDS], plain[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        plain[i] = run_plain(b, b->put);
        driver[i] = run_driver(b, METHOD_KEYVALUE_BASIC_SET, CALLERS);
    }
    double group = median(driver), single = median(plain);
    printf("durable writes/s: %.0f with %d callers, %.0f with a transaction a call: %.1f times\n", group, CALLERS,
           single, group / single);
}

/* Processor time of one more round, a call. */
static double driver_cpu_us(struct bench *b, enum method_id method, unsigned callers)
{
    double begin = cpu_us();
    run_driver(b, method, callers);
    return (cpu_us() - begin) / (double)b->done;
}

static void compare_reads(struct bench *b)
{
    double many[ROUNDS], one[ROUNDS], plain[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        plain[i] = run_plain(b, b->get);
        many[i] = run_driver(b, METHOD_KEYVALUE_BASIC_GET, CALLERS);
        one[i] = run_driver(b, METHOD_KEYVALUE_BASIC_GET, 1);
    }
    double direct = median(plain), pool = median(many), single = median(one);
    printf(
        "reads/s: %.0f on the calling thread, %.0f through the readers with %d callers (%.2f), %.0f with one (%.2f)\n",
        direct, pool, CALLERS, pool / direct, single, single / direct);
    printf("processor time: %.1f us a read with %d callers, %.1f us with one\n",
           driver_cpu_us(b, METHOD_KEYVALUE_BASIC_GET, CALLERS), CALLERS,
           driver_cpu_us(b, METHOD_KEYVALUE_BASIC_GET, 1));
}

int main(int argc, char **argv)
{
    static struct bench b;
    char folder[128], command[192];
    snprintf(folder, sizeof folder, "%s/prism-bench-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    if (!mkdtemp(folder))
        die(folder, "cannot be made");
    open_plain(&b, folder);
    open_driver(&b, folder);
    compare_writes(&b);
    compare_reads(&b);
    driver_sqlite.close(b.ns.backend);
    loop_free(b.loop);
    sqlite3_finalize(b.put);
    sqlite3_finalize(b.get);
    sqlite3_close(b.plain);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) != 0;
}

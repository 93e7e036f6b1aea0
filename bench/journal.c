/* What the journal costs: build/bench/journal [FOLDER [appends|stream|logs]]
 *
 * Appends of 11 KB (some 100 records of 100 bytes) with a fixed number in flight, to the page cache and with flush, to one log and to a
 * thousand; the stream past the page cache (O_DIRECT, the journal's own choice) and through it. Beside each the same bytes by plain
 * pwrite calls in groups of 64. Then 10,000 logs: how long they take to open after a clean end and after a kill, and the memory of
 * each. Rounds of what is compared alternate; medians. */
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "journal/journal.h"

enum { ENTRY_BYTES = 11 << 10, HEADER_BYTES = 32, LOGS_MAX = 10000, ROUNDS = 3, GROUP = 64 };
static const uint64_t ROUND_BYTES = 256 << 20;

struct bench;
struct flight {
    struct journal_append append;
    struct bench *bench;
    uint32_t log;
};
struct bench {
    struct env env; /* the machine's, perhaps without O_DIRECT */
    struct env_disk disk;
    char folder[256];
    struct loop *loop;
    struct pool *pool;
    struct journal_store *store;
    struct journal *journal;
    struct journal_log *logs[LOGS_MAX];
    uint32_t log_count;
    uint64_t to_submit, in_flight;
    bool flush, closed;
};

static void die(const char *what, enum err e)
{
    fprintf(stderr, "bench/journal: %s: %s\n", what, err_name(e));
    exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- entries: first offset 8, size 4 -------------------------------------------------------------------------------------------- */

static bool measure(const uint8_t *header, struct journal_entry *ret_entry)
{
    *ret_entry = (struct journal_entry){.max_time_ms = 1};
    memcpy(&ret_entry->first_offset, header, 8);
    memcpy(&ret_entry->size, header + 8, 4);
    ret_entry->last_offset = ret_entry->first_offset;
    return ret_entry->size >= HEADER_BYTES;
}

static bool verify(struct slice entry)
{
    return entry.size > 0;
}

static const struct journal_format format = {
    .header_bytes = HEADER_BYTES, .entry_bytes_max = 1 << 20, .measure = measure, .verify = verify};

/* ---- a journal -------------------------------------------------------------------------------------------------------------------- */

static enum err open_buffered(const struct env *env, const char *path, int flags, mode_t mode, int *ret_fd)
{
    (void)env;
    return env_real()->disk->open(env_real(), path, flags & ~O_DIRECT, mode, ret_fd);
}

static void key_of(uint32_t log, struct journal_key *key)
{
    memset(key, 0, sizeof *key);
    memcpy(key->id, &log, sizeof log);
}

static void open_journal(struct bench *b, uint32_t logs, bool logged)
{
    struct journal_store_options o = {.env = &b->env, .folder = b->folder, .format = &format};
    struct journal_options j = {.loop = b->loop, .pool = b->pool};
    struct journal_log_options l = {.logged = logged, .replay_from = -1};
    struct journal_key key;
    enum err e = journal_store_open(&o, NULL, &b->store);
    if (!e)
        e = journal_open(b->store, &j, &b->journal);
    for (uint32_t i = 0; !e && i < logs; i++) {
        key_of(i, &key);
        e = journal_log_open(b->journal, &key, &l, &b->logs[i]);
    }
    if (!e)
        e = journal_store_recovered(b->store, NULL);
    if (e)
        die("open", e);
    b->log_count = logs;
}

static void on_closed(void *context, enum err e)
{
    ((struct bench *)context)->closed = true;
    if (e)
        die("close", e);
}

static void close_journal(struct bench *b)
{
    b->closed = false;
    journal_close(b->journal, on_closed, b);
    while (!b->closed)
        loop_turn(b->loop, true);
    journal_store_close(b->store);
}

static void remove_folder(struct bench *b)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", b->folder);
    if (system(command))
        die("rm", ERR_FILE);
}

/* ---- appends ---------------------------------------------------------------------------------------------------------------------- */

static void submit(struct flight *f)
{
    struct journal_append *a = &f->append;
    struct bench *b = f->bench;
    uint8_t *bytes = (uint8_t *)(uintptr_t)a->bytes.data;
    b->to_submit--;
    b->in_flight++;
    f->log = (f->log + GROUP) % b->log_count;
    a->log = b->logs[f->log];
    a->first_offset = a->last_offset = journal_log_end(a->log);
    memcpy(bytes, &a->first_offset, 8);
    journal_submit(a);
}

static void done(struct journal_append *a, enum err e)
{
    struct flight *f = (struct flight *)a;
    if (e)
        die("append", e);
    f->bench->in_flight--;
    if (f->bench->to_submit)
        submit(f);
}

static struct flight *new_flight(struct bench *b, uint32_t i)
{
    struct flight *f = calloc(1, sizeof *f);
    uint8_t *bytes = malloc(ENTRY_BYTES);
    uint32_t size = ENTRY_BYTES;
    memset(bytes, (int)i, ENTRY_BYTES);
    memcpy(bytes + 8, &size, 4);
    *f = (struct flight){.bench = b, .log = i % b->log_count};
    f->append = (struct journal_append){
        .bytes = slice_of(bytes, ENTRY_BYTES), .max_time_ms = 1, .entries = 1, .flush = b->flush, .done = done};
    return f;
}

struct figure {
    double gb_s, cpu_us, group;
};

static struct figure run(struct bench *b, uint32_t logs, bool flush, uint32_t window, bool direct)
{
    struct flight *flights[4096];
    struct journal_status before, after;
    uint64_t count = ROUND_BYTES / ENTRY_BYTES;
    remove_folder(b);
    b->disk.open = direct ? env_real()->disk->open : open_buffered;
    b->flush = flush;
    open_journal(b, logs, flush);
    for (uint32_t i = 0; i < window; i++)
        flights[i] = new_flight(b, i);
    b->to_submit = window; /* once around: files are made */
    for (uint32_t i = 0; i < window; i++)
        submit(flights[i]);
    while (b->in_flight)
        loop_turn(b->loop, true);
    b->to_submit = count;
    journal_status(b->journal, &before);
    double began = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (uint32_t i = 0; i < window; i++)
        submit(flights[i]);
    while (b->in_flight)
        loop_turn(b->loop, true);
    double took = seconds(CLOCK_MONOTONIC) - began;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    journal_status(b->journal, &after);
    close_journal(b);
    for (uint32_t i = 0; i < window; i++) {
        free((void *)(uintptr_t)flights[i]->append.bytes.data);
        free(flights[i]);
    }
    uint64_t flushes = after.flushes - before.flushes;
    return (struct figure){(double)(count * ENTRY_BYTES) / took / 1e9, cpu * 1e6 / (double)count,
                           flushes ? (double)count / (double)flushes : 0};
}

/* The same bytes by plain calls, in groups as large as a turn's. */
static struct figure plain(struct bench *b)
{
    char path[300];
    struct iovec parts[GROUP];
    uint8_t *bytes = malloc(ENTRY_BYTES);
    uint64_t count = ROUND_BYTES / ENTRY_BYTES / GROUP;
    memset(bytes, 1, ENTRY_BYTES);
    for (int i = 0; i < GROUP; i++)
        parts[i] = (struct iovec){bytes, ENTRY_BYTES};
    remove_folder(b);
    snprintf(path, sizeof path, "%s-plain", b->folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    double began = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (uint64_t i = 0; i < count; i++)
        if (pwritev(fd, parts, GROUP, (off_t)(i * GROUP * ENTRY_BYTES)) != GROUP * ENTRY_BYTES)
            die("pwritev", ERR_IO);
    double took = seconds(CLOCK_MONOTONIC) - began;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    close(fd);
    unlink(path);
    free(bytes);
    return (struct figure){(double)(count * GROUP * ENTRY_BYTES) / took / 1e9, cpu * 1e6 / (double)(count * GROUP), 0};
}

static int by_rate(const void *a, const void *b)
{
    double x = ((const struct figure *)a)->gb_s, y = ((const struct figure *)b)->gb_s;
    return (x > y) - (x < y);
}

static void print(const char *name, struct figure *f)
{
    qsort(f, ROUNDS, sizeof *f, by_rate);
    printf("%-44s %6.2f GB/s (%.2f to %.2f) %8.0f appends/s %6.2f us of CPU each", name, f[ROUNDS / 2].gb_s, f[0].gb_s,
           f[ROUNDS - 1].gb_s, f[ROUNDS / 2].gb_s * 1e9 / ENTRY_BYTES, f[ROUNDS / 2].cpu_us);
    if (f[ROUNDS / 2].group > 0)
        printf(", %.0f a flush", f[ROUNDS / 2].group);
    printf("\n");
    fflush(stdout);
}

static void measure_appends(struct bench *b)
{
    struct figure f[3][ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        f[0][i] = plain(b);
        f[1][i] = run(b, 1, false, 64, true);
        f[2][i] = run(b, 1000, false, 1000, true);
    }
    print("plain pwritev", f[0]);
    print("memory, 1 log, 64 in flight", f[1]);
    print("memory, 1,000 logs, 1,000 in flight", f[2]);
}

/* Page cache that one gives back is warm for the next: both orders. */
static void both(struct bench *b, uint32_t logs, uint32_t window, int round, struct figure *direct,
                 struct figure *cached)
{
    if (round % 2)
        *cached = run(b, logs, true, window, false);
    *direct = run(b, logs, true, window, true);
    if (round % 2 == 0)
        *cached = run(b, logs, true, window, false);
}

static void measure_stream(struct bench *b)
{
    struct figure f[9][ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        both(b, 1, 1, i, &f[3][i], &f[4][i]);
        both(b, 1, 512, i, &f[5][i], &f[6][i]);
        both(b, 1000, 1000, i, &f[7][i], &f[8][i]);
    }
    print("flush, 1 log, 1 in flight", f[3]);
    print("the same through the page cache", f[4]);
    print("flush, 1 log, 512 in flight", f[5]);
    print("the same through the page cache", f[6]);
    print("flush, 1,000 logs, 1,000 in flight", f[7]);
    print("the same through the page cache", f[8]);
}

/* ---- many logs ---------------------------------------------------------------------------------------------------------------------- */

static void append_to_each(struct bench *b)
{
    struct flight *f = new_flight(b, 0);
    for (uint32_t i = 0; i < b->log_count; i++) {
        f->log = (i + b->log_count - GROUP % b->log_count) % b->log_count;
        b->to_submit = 1;
        submit(f);
        while (b->in_flight)
            loop_turn(b->loop, true);
    }
    free((void *)(uintptr_t)f->append.bytes.data);
    free(f);
}

static double time_open(struct bench *b, size_t *ret_bytes)
{
    size_t before = mallinfo2().uordblks;
    double began = seconds(CLOCK_MONOTONIC);
    open_journal(b, LOGS_MAX, false);
    double took = seconds(CLOCK_MONOTONIC) - began;
    *ret_bytes = (mallinfo2().uordblks - before) / LOGS_MAX;
    return took;
}

static void new_loop(struct bench *b)
{
    enum err e = loop_new(&b->env, 0, &b->loop);
    if (!e)
        e = pool_new(2, &b->pool);
    if (e)
        die("loop", e);
}

static void free_loop(struct bench *b)
{
    pool_free(b->pool);
    loop_free(b->loop);
}

/* In a process that is killed. */
static void leave_unsynced(struct bench *b)
{
    pid_t child = fork();
    if (child == 0) {
        new_loop(b);
        b->flush = false;
        open_journal(b, LOGS_MAX, false);
        append_to_each(b);
        _exit(0);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status)
        die("child", ERR_UNKNOWN);
}

static void measure_many(struct bench *b)
{
    size_t bytes;
    remove_folder(b);
    leave_unsynced(b); /* makes them */
    leave_unsynced(b);
    new_loop(b);
    double crash = time_open(b, &bytes);
    close_journal(b);
    double clean = time_open(b, &bytes);
    append_to_each(b);
    struct journal_status status;
    journal_status(b->journal, &status);
    printf("%u logs: open after a clean end %.0f ms, after a kill %.0f ms; %zu bytes of memory each at rest; %u "
           "descriptors\n",
           LOGS_MAX, clean * 1e3, crash * 1e3, bytes, status.files_open);
    close_journal(b);
    free_loop(b);
}

int main(int argc, char **argv)
{
    static struct bench b;
    b.env = *env_real();
    b.disk = *env_real()->disk;
    b.env.disk = &b.disk;
    snprintf(b.folder, sizeof b.folder, "%s/journal-data", argc > 1 ? argv[1] : "build/bench");
    const char *part = argc > 2 ? argv[2] : "all";
    bool all = strcmp(part, "all") == 0;
    if (all || strcmp(part, "logs") == 0)
        measure_many(&b);
    new_loop(&b);
    if (all || strcmp(part, "appends") == 0)
        measure_appends(&b);
    if (all || strcmp(part, "stream") == 0)
        measure_stream(&b);
    free_loop(&b);
    remove_folder(&b);
    return 0;
}

/* Figures that others keep, read when /metrics is asked for: one table of names, one function a group. */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/mem.h"
#include "proxy/condition.h"
#include "proxy/measure.h"
#include "proxy/snapshot.h"

struct figure {
    const char *name;
    const char *type;
    const char *labels; /* for the reference page */
    const char *help;
    size_t offset; /* in struct rpc_server_stats; other figures: 0 */
};

static const struct figure servers[] = {
#define STAT(metric, kind, text, member)                                                                               \
    {                                                                                                                  \
        "prism_" metric, kind, "`port`", text, offsetof(struct rpc_server_stats, member)                               \
    }
    STAT("connections_accepted_total", "counter", "Connections that have come.", connections_accepted),
    STAT("connections_refused_total", "counter", "Connections closed at once: too many.", connections_refused),
    STAT("connections_over_share_total", "counter", "Connections refused: their client has as many as one may.",
         connections_over_share),
    STAT("connections_abuse_closed_total", "counter", "Connections closed for flooding.", abuse_closed),
    STAT("connections_keepalive_closed_total", "counter", "Connections closed: the peer did not answer a PING.",
         keepalive_closed),
    STAT("connections_open", "gauge", "Connections now.", connections_open),
    STAT("calls_started_total", "counter", "Calls begun.", calls_started),
    STAT("calls_over_share_total", "counter", "Calls refused: their client has as many in flight as one may.",
         calls_over_share),
    STAT("calls_in_flight", "gauge", "Calls now.", calls_in_flight),
    STAT("streams_reset_total", "counter", "Calls that their clients reset.", streams_reset_by_peer),
    STAT("goaways_sent_total", "counter", "Connections told to go elsewhere.", goaways_sent),
    STAT("received_bytes_total", "counter", "Bytes read from connections.", bytes_in),
    STAT("sent_bytes_total", "counter", "Bytes written to connections.", bytes_out),
#undef STAT
};
enum { SERVER_FIGURES = sizeof servers / sizeof *servers };

static const struct figure backend_up = {"prism_backend_up", "gauge", "`namespace`, `backend`",
                                         "1: the namespace's backend answers.", 0};
static const struct figure backend_stat = {"prism_backend_stat", "gauge", "`namespace`, `backend`, `stat`",
                                           "Figures of the driver: keys, bytes, connections.", 0};
static const struct figure config_loaded = {"prism_config_loaded_timestamp_seconds", "gauge", "",
                                            "When the configuration in effect was loaded, UTC.", 0};
static const struct figure build_info = {"prism_build_info", "gauge", "`version`", "1, with the version as a label.",
                                         0};
static const struct figure memory = {"process_resident_memory_bytes", "gauge", "", "Memory that is in RAM.", 0};
static const struct figure blocks = {"prism_allocated_blocks", "gauge", "", "Blocks of memory that are allocated.", 0};
static const struct figure descriptors = {"process_open_fds", "gauge", "", "Open file descriptors.", 0};
static const struct figure cpu = {"process_cpu_seconds_total", "counter", "", "CPU time of user and system.", 0};
static const struct figure started = {"process_start_time_seconds", "gauge", "", "When the process began, UTC.", 0};

static const struct figure *const others[] = {&backend_up, &backend_stat, &config_loaded, &build_info, &memory,
                                              &blocks,     &descriptors,  &cpu,           &started};

static void head(const struct figure *f, struct buf *out)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, f->type);
}

static void single(const struct figure *f, double value, struct buf *out)
{
    head(f, out);
    buf_printf(out, "%s %.10g\n", f->name, value);
}

static uint64_t stat_of(const struct rpc_server_stats *s, const struct figure *f)
{
    return *(const uint64_t *)((const char *)s + f->offset);
}

static void write_servers(const struct measure_page *page, struct buf *out)
{
    for (size_t i = 0; i < SERVER_FIGURES; i++) {
        head(&servers[i], out);
        buf_printf(out, "%s{port=\"data\"} %llu\n", servers[i].name,
                   (unsigned long long)stat_of(page->data, &servers[i]));
        buf_printf(out, "%s{port=\"metrics\"} %llu\n", servers[i].name,
                   (unsigned long long)stat_of(page->metrics, &servers[i]));
    }
}

/* --- backends ---------------------------------------------------------------------------------------------------------------- */

static void label(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            buf_putc(out, '\\');
        buf_putc(out, *value == '\n' ? ' ' : *value);
    }
    buf_putc(out, '"');
}

static void backend_labels(struct buf *out, const struct namespace *ns)
{
    label(out, "namespace", ns->name);
    buf_putc(out, ',');
    label(out, "backend", ns->backend_name);
}

struct stat_target {
    const struct namespace *ns;
    struct buf *out;
};

static void write_stat(void *context, const char *name, uint64_t value)
{
    struct stat_target *t = context;
    buf_printf(t->out, "%s{", backend_stat.name);
    backend_labels(t->out, t->ns);
    buf_putc(t->out, ',');
    label(t->out, "stat", name);
    buf_printf(t->out, "} %llu\n", (unsigned long long)value);
}

static void write_backends(const struct snapshot *s, struct buf *out)
{
    head(&backend_up, out);
    for (uint32_t i = 0; i < s->count; i++) {
        buf_printf(out, "%s{", backend_up.name);
        backend_labels(out, &s->namespaces[i].ns);
        buf_printf(out, "} %d\n", namespace_condition(&s->namespaces[i].ns, NULL) == CONDITION_OK);
    }
    head(&backend_stat, out);
    for (uint32_t i = 0; i < s->count; i++) {
        struct backend *backend = s->namespaces[i].ns.backend;
        if (backend->driver->stats)
            backend->driver->stats(backend, write_stat, &(struct stat_target){&s->namespaces[i].ns, out});
    }
}

/* --- guards ------------------------------------------------------------------------------------------------------------------ */

static const struct figure guards[] = {
#define STAT(metric, kind, text, member)                                                                               \
    {                                                                                                                  \
        "prism_guard_" metric, kind, "`namespace`, `backend`", text, offsetof(struct guard_stats, member)              \
    }
    STAT("opened_total", "counter", "Times that the circuit breaker has opened.", opened),
    STAT("in_flight", "gauge", "Calls at the remote backend now.", in_flight),
    STAT("queued", "gauge", "Calls that wait for room at the remote backend.", queued),
    STAT("calls_total", "counter", "Calls sent to the remote backend, retries not counted.", calls),
    STAT("retries_total", "counter", "Attempts beyond the first.", retries),
    STAT("retries_denied_total", "counter", "Retries not made: the budget was spent.", retries_denied),
    STAT("refused_open_total", "counter", "Calls refused: the breaker was open.", refused_open),
    STAT("refused_full_total", "counter", "Calls refused: the queue was full.", refused_full),
    STAT("failures_total", "counter", "Attempts that the backend did not answer.", failures),
    STAT("shared_reads_total", "counter", "Gets answered by a read that another Get began.", shared),
#undef STAT
};
enum { GUARD_FIGURES = sizeof guards / sizeof *guards };
static const struct figure breaker_state = {"prism_guard_breaker", "gauge", "`namespace`, `backend`, `state`",
                                            "1 for the state that the circuit breaker is in: closed, open, half_open.",
                                            0};

static void write_guard(const struct figure *f, const struct namespace *ns, struct buf *out)
{
    struct guard_stats s;
    guard_read_stats(ns->guard, &ns->guard_settings, &s);
    buf_printf(out, "%s{", f->name);
    backend_labels(out, ns);
    buf_printf(out, "} %llu\n", (unsigned long long)*(const uint64_t *)((const char *)&s + f->offset));
}

static void write_breaker(const struct namespace *ns, struct buf *out)
{
    struct guard_stats s;
    guard_read_stats(ns->guard, &ns->guard_settings, &s);
    for (enum breaker_state state = BREAKER_CLOSED; state <= BREAKER_HALF_OPEN; state++) {
        buf_printf(out, "%s{", breaker_state.name);
        backend_labels(out, ns);
        buf_printf(out, ",state=\"%s\"} %d\n", breaker_state_name(state), state == s.breaker);
    }
}

static void write_guards(const struct snapshot *s, struct buf *out)
{
    head(&breaker_state, out);
    for (uint32_t i = 0; i < s->count; i++)
        if (s->namespaces[i].ns.guard)
            write_breaker(&s->namespaces[i].ns, out);
    for (size_t f = 0; f < GUARD_FIGURES; f++) {
        head(&guards[f], out);
        for (uint32_t i = 0; i < s->count; i++)
            if (s->namespaces[i].ns.guard)
                write_guard(&guards[f], &s->namespaces[i].ns, out);
    }
}

/* --- the process ------------------------------------------------------------------------------------------------------------- */

static double resident_bytes(void)
{
    unsigned long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return 0;
    if (fscanf(f, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* Less ".", "..", and the one that is open for counting. */
static double open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return 0;
    int n = 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n - 3;
}

static double cpu_seconds(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u))
        return 0;
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

void measure_write_page(const struct measure_page *page, struct buf *out)
{
    write_servers(page, out);
    write_backends(page->snapshot, out);
    write_guards(page->snapshot, out);
    single(&config_loaded, (double)(page->snapshot->loaded_ms / 1000), out);
    head(&build_info, out);
    buf_printf(out, "%s{version=\"%s\"} 1\n", build_info.name, page->version);
    single(&memory, resident_bytes(), out);
    single(&blocks, (double)mem_live(), out);
    single(&descriptors, open_descriptors(), out);
    single(&cpu, cpu_seconds(), out);
    single(&started, (double)(page->started_ms / 1000), out);
}

static void put_row(const struct figure *f, struct buf *out)
{
    buf_printf(out, "| `%s` | %s |%s%s | %s |\n", f->name, f->type, *f->labels ? " " : "", f->labels, f->help);
}

void measure_page_reference(struct buf *out)
{
    for (size_t i = 0; i < SERVER_FIGURES + sizeof others / sizeof *others; i++) {
        const struct figure *f = i < SERVER_FIGURES ? &servers[i] : others[i - SERVER_FIGURES];
        put_row(f, out);
    }
    put_row(&breaker_state, out);
    for (size_t i = 0; i < GUARD_FIGURES; i++)
        put_row(&guards[i], out);
}

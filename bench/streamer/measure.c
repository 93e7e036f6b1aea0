#include "measure.h"

#include <dirent.h>
#include <stdio.h>
#include <time.h>

static uint64_t clock_of(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

uint64_t measure_clock_ns(void)
{
    return clock_of(CLOCK_MONOTONIC);
}

/* Of all threads, by the kernel's own accounting. */
static uint64_t cpu_ns(int pid)
{
    char path[300];
    unsigned long long ns, total = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *folder = pid ? opendir(path) : NULL;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", pid, entry->d_name);
        FILE *f = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (f && fscanf(f, "%llu", &ns) == 1)
            total += ns;
        if (f)
            fclose(f);
    }
    if (folder)
        closedir(folder);
    return total;
}

struct moment measure_moment(int broker_pid, uint64_t messages)
{
    return (struct moment){measure_clock_ns(), messages, clock_of(CLOCK_PROCESS_CPUTIME_ID), cpu_ns(broker_pid)};
}

void measure_report(struct moment from, struct moment to, uint64_t failed)
{
    double messages = (double)(to.messages - from.messages), seconds = (double)(to.now_ns - from.now_ns) / 1e9;
    double each = messages > 0 ? 1 / messages : 0;
    printf("{\"messages\": %.0f, \"seconds\": %.3f, \"rate\": %.1f, \"failed\": %llu, \"client_cpu_us\": %.5f, "
           "\"broker_cpu_us\": %.5f",
           messages, seconds, messages / seconds, (unsigned long long)failed,
           (double)(to.own_ns - from.own_ns) / 1000 * each, (double)(to.broker_ns - from.broker_ns) / 1000 * each);
}

void measure_print(const char *name, const struct hdr *h)
{
    static const struct {
        const char *name;
        double part;
    } quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99_9", 0.999}, {"max", 1}};
    printf(", \"%s\": {\"count\": %llu", name, (unsigned long long)hdr_count(h));
    for (unsigned i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
        printf(", \"%s\": %.3f", quantiles[i].name, (double)hdr_quantile(h, quantiles[i].part) / 1000);
    printf("}");
}

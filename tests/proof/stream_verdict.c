/* Reads a history of logs and says whether it is one that logs may show (stream.h).
 *
 * usage: stream_verdict FILE          "-": standard input
 *
 * A line an event: kind process partition value offset. Kinds: send acked failed assigned polled commit committed resumed bounds.
 * What a kind does not use is 0. Violations go to standard error; the last line is a JSON object with what was counted. Exit code 0:
 * clean; 1: violations; 2: the file is not a history. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stream.h"

static const char *const kinds[STREAM_KINDS] = {"send",   "acked",     "failed",  "assigned", "polled",
                                                "commit", "committed", "resumed", "bounds"};

struct history {
    struct stream_event *events;
    size_t count, room;
};

static bool kind_of(const char *name, enum stream_kind *ret_kind)
{
    for (int k = 0; k < STREAM_KINDS; k++)
        if (strcmp(kinds[k], name) == 0) {
            *ret_kind = (enum stream_kind)k;
            return true;
        }
    return false;
}

static bool add(struct history *h, struct stream_event e)
{
    if (h->count == h->room) {
        size_t room = h->room ? 2 * h->room : 1024;
        struct stream_event *events = mem_realloc(h->events, room * sizeof(*events));
        if (!events)
            return false;
        h->events = events;
        h->room = room;
    }
    h->events[h->count++] = e;
    return true;
}

static bool parse(const char *line, struct stream_event *ret_event)
{
    char name[16];
    int end = 0;
    struct stream_event e = {0};
    if (sscanf(line, "%15s %" SCNu32 " %" SCNu32 " %" SCNu64 " %" SCNd64 " %n", name, &e.process, &e.partition,
               &e.value, &e.offset, &end) != 5 ||
        line[end] || !kind_of(name, &e.kind))
        return false;
    *ret_event = e;
    return true;
}

static bool load(FILE *from, const char *name, struct history *h)
{
    char line[160];
    for (size_t number = 1; fgets(line, sizeof line, from); number++) {
        struct stream_event e;
        if (!parse(line, &e)) {
            fprintf(stderr, "%s:%zu: not an event: %s", name, number, line);
            return false;
        }
        if (!add(h, e)) {
            fprintf(stderr, "%s: out of memory\n", name);
            return false;
        }
    }
    return !ferror(from);
}

static void print(const struct stream_report *r)
{
    printf("{\"ok\": %s, \"sent\": %" PRIu64 ", \"acknowledged\": %" PRIu64 ", \"refused\": %" PRIu64
           ", \"read_without_an_answer\": %" PRIu64 ", \"polled\": %" PRIu64 ", \"commits\": %" PRIu64,
           stream_clean(r) ? "true" : "false", r->sent, r->acknowledged, r->refused, r->unanswered_read, r->polled,
           r->commits);
    for (int v = 0; v < STREAM_VIOLATIONS; v++) {
        char key[32];
        snprintf(key, sizeof key, "%s", stream_violation_name((enum stream_violation)v));
        for (char *c = key; *c; c++)
            *c = *c == ' ' ? '_' : *c;
        printf(", \"%s\": %" PRIu64, key, r->found[v]);
    }
    printf("}\n");
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: stream_verdict FILE\n");
        return 2;
    }
    FILE *from = strcmp(argv[1], "-") == 0 ? stdin : fopen(argv[1], "r");
    if (!from) {
        perror(argv[1]);
        return 2;
    }
    struct history h = {0};
    struct stream_report report;
    bool read = load(from, argv[1], &h) && stream_check(h.events, h.count, stderr, &report);
    fclose(from);
    mem_free(h.events);
    if (!read)
        return 2;
    print(&report);
    return stream_clean(&report) ? 0 : 1;
}

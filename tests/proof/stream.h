/* Is the history of a partitioned log what a log may show? After the Kafka workload of Jepsen (K. Kingsbury, "Redpanda 21.10.1", 2022;
 * "Bufstream 0.1.0", 2024): producers send values, each of them once, and are told offsets; consumers poll offsets and values;
 * groups commit positions and ask for them again; at the end somebody reads all that is there.
 *
 * The rules, each with the name of its violation:
 *
 *   LOST           what was acknowledged is read where it was acknowledged, unless the log begins behind it by then
 *   MISPLACED      …and nowhere else
 *   DUPLICATE      no value lies at two offsets
 *   DISAGREEMENT   no offset holds two values
 *   INVENTED       what is read was sent, to this partition, before it was read
 *   ABORTED_READ   what was refused for certain is never read
 *   GAP            the final read finds a value at each offset between the log's bounds
 *   BACKWARDS      a consumer's offsets rise, from one assignment to the next
 *   SKIPPED        …and pass over no value
 *   REORDERED      what a producer sent to a partition lies there in the order of its sends
 *   STALE          what was sent after another value had been acknowledged lies behind it
 *   COMMIT_LOST    a group is told a position no older than its last acknowledged commit
 *   COMMIT_INVENTED …and one that somebody asked to commit
 *
 * A send without an answer may have happened or not. Circles over transactions come with transactions.
 * Thread: any; no state besides the caller's. */
#ifndef PRISM_TESTS_STREAM_H
#define PRISM_TESTS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum stream_kind {
    STREAM_SEND,      /* process sends value to partition */
    STREAM_ACKED,     /* …was told offset */
    STREAM_FAILED,    /* …was told that it did not happen */
    STREAM_ASSIGNED,  /* process polls partition from anywhere: what it polled before does not count */
    STREAM_POLLED,    /* process was given value at offset */
    STREAM_COMMIT,    /* process, which stands for its group here, asks to commit offset */
    STREAM_COMMITTED, /* …and was told that it is */
    STREAM_RESUMED,   /* process, the group, was told offset; -1: none */
    STREAM_BOUNDS,    /* at the end: the first offset is value, the next offset to be given is offset */
    STREAM_KINDS
};

/* In the order in which they happened: of two events of a history the earlier one ended first. */
struct stream_event {
    enum stream_kind kind;
    uint32_t process;
    uint32_t partition;
    uint64_t value;
    int64_t offset;
};

enum stream_violation {
    STREAM_LOST,
    STREAM_MISPLACED,
    STREAM_DUPLICATE,
    STREAM_DISAGREEMENT,
    STREAM_INVENTED,
    STREAM_ABORTED_READ,
    STREAM_GAP,
    STREAM_BACKWARDS,
    STREAM_SKIPPED,
    STREAM_REORDERED,
    STREAM_STALE,
    STREAM_COMMIT_LOST,
    STREAM_COMMIT_INVENTED,
    STREAM_VIOLATIONS
};

const char *stream_violation_name(enum stream_violation);

struct stream_report {
    uint64_t found[STREAM_VIOLATIONS];
    uint64_t sent, acknowledged, refused, polled, commits; /* what the history holds */
    uint64_t unanswered_read;                              /* sends without an answer that did happen */
};

/* Counts the violations; the first of each kind are told to say, which may be NULL, with the events' numbers from 1. false: out of
 * memory. */
bool stream_check(const struct stream_event *, size_t count, FILE *say, struct stream_report *ret_report);
bool stream_clean(const struct stream_report *);

#endif

/* What the programs of this folder measure alike: clock, processor time of a client and of a broker, results as JSON. */
#ifndef PRISM_BENCH_STREAMER_MEASURE_H
#define PRISM_BENCH_STREAMER_MEASURE_H

#include <stdint.h>

#include "base/hdr.h"

#define SECOND UINT64_C(1000000000)

struct moment {
    uint64_t now_ns, messages, own_ns, broker_ns;
};

uint64_t measure_clock_ns(void);
/* broker_pid 0: its processor time is not told. */
struct moment measure_moment(int broker_pid, uint64_t messages);
/* {"messages": …, "rate": …, …: without the brace at the end, as measure_print goes on. */
void measure_report(struct moment from, struct moment to, uint64_t failed);
/* , "NAME": {"count": …, "p50": …}, in µs. */
void measure_print(const char *name, const struct hdr *);

#endif

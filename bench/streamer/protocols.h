/* What the generator speaks (load.h). */
#ifndef PRISM_BENCH_STREAMER_PROTOCOLS_H
#define PRISM_BENCH_STREAMER_PROTOCOLS_H

#include "load.h"

extern const struct protocol protocol_kafka, protocol_redis, protocol_nats, protocol_rabbit;

/* The partitions of a link: each belongs to one; in latency mode all to each. */
static inline unsigned link_first_partition(const struct link *l)
{
    return l->load->mode == LOAD_LATENCY ? 0 : l->index * (l->load->partitions / l->load->link_count);
}
static inline unsigned link_partitions(const struct link *l)
{
    return l->load->mode == LOAD_LATENCY ? l->load->partitions : l->load->partitions / l->load->link_count;
}

#endif

/* What node.c (its life) and node_io.c (its requests) know of the server. Private to them. */
#ifndef PRISM_TESTS_SIM_NODE_H
#define PRISM_TESTS_SIM_NODE_H

#include "journal/ledger.h"
#include "streamer/producer.h"
#include "tests/sim/run.h"

struct append;

struct node {
    struct run *run;
    struct journal_store *store;
    struct journal *journal;
    struct ledger *ledger;
    struct journal_log *logs[PARTITIONS_MAX];
    struct producer_pool pool;
    struct producers producers[PARTITIONS_MAX];
    struct append *repeats; /* batches sent again that wait until the first sending is stable */
    int64_t committed[CONSUMERS_MAX][PARTITIONS_MAX];
    int closing; /* of journal and ledger */
    enum err closed_err;
};

/* A batch on its way into the log. */
struct append {
    struct journal_append journal; /* first */
    struct node *node;
    struct produce *produce;
    int64_t first_offset, last_offset;
    struct append *next; /* of node->repeats */
};

extern const struct journal_format node_format;
/* For journal_store_options.replayed. */
void node_replayed(void *context, struct journal_log *, const struct journal_entry *, struct slice header);
/* For ledger_options.apply. */
enum err node_apply_commit(void *context, struct slice entry);
void node_snapshot_commits(void *context, struct ledger_snapshot *);
/* Nobody will be stable any more. */
void node_drop_repeats(struct node *);

#endif

/* Between partition.c and partition_state.c. */
#ifndef PRISM_STREAMER_PARTITION_INTERNAL_H
#define PRISM_STREAMER_PARTITION_INTERNAL_H

#include "streamer/partition.h"

/* Reads what the last run saved. What cannot be read is done without: batches say the same. ERR_NOMEM. */
enum err partitions_load_begin(struct partitions *) __attribute__((warn_unused_result));
/* Into a new partition; sets replay_from. */
enum err partition_load_producers(struct partition *) __attribute__((warn_unused_result));
/* After all are open, with the error so far; begins the ledger of this run. */
enum err partitions_load_end(struct partitions *, enum err, struct diag *) __attribute__((warn_unused_result));
/* What is under way is finished, everything is saved; then `saved`, from the loop. */
void partitions_save_last(struct partitions *, void (*saved)(struct partitions *));

void partitions_drop_unsaved(struct partitions *);

#endif

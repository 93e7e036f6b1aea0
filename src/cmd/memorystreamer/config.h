/* memorystreamer.yaml as messages (proto/prism/config/v1/streamer.proto), and as what the broker takes. Read by the proxy's reader:
 * all problems at once, each with line, field and fix. */
#ifndef PRISM_CMD_MEMORYSTREAMER_CONFIG_H
#define PRISM_CMD_MEMORYSTREAMER_CONFIG_H

#include "cmd/memorystreamer/memorystreamer.h"
#include "prism/config/v1/streamer.pb.h"
#include "proxy/config_report.h"

/* Completed: what was not given has its default, and the command line goes before the file. In the arena.
 * ERR_CONFIG_INVALID with problems in the report, ERR_NOMEM. */
enum err streamer_config_load(const struct streamer_source *, struct arena *, struct config_report *,
                              struct config_streamer_config **ret_config) __attribute__((warn_unused_result));
/* What may change while it runs. */
struct broker_settings streamer_settings(const struct config_streamer_config *);
uint64_t streamer_drain_ms(const struct config_streamer_config *);

#endif

/* From a YAML tree to a message of any type, by walking its table: keys are the proto names of fields. Unknown and repeated
 * keys, wrong kinds and bad values are reported with their place and the fix; reading goes on behind each, so that one run
 * shows all that is wrong.
 *
 *   Duration            250ms, 30s, 1h30m               bool        true, false
 *   field in _bytes     64KiB, 4MiB, 512                enum        last part of the value's name in lower case: full
 *   marked as secret    text, ${ENV} or file:PATH       map, list   as YAML has them
 *
 * The message borrows text from the tree; both live in the same arena. Thread: any; may read files (secrets). */
#ifndef PRISM_PROXY_CONFIG_READ_H
#define PRISM_PROXY_CONFIG_READ_H

#include "pb/pb.h"
#include "proxy/config_report.h"
#include "proxy/yaml.h"

struct config_reader {
    struct arena *arena;
    struct config_report *report;
    /* Value of an environment variable, NULL: not set. getenv in programs. */
    const char *(*environment)(const char *name);
    char path[CONFIG_PATH_BYTES]; /* of the field being read */
    uint32_t depth;
    uint32_t visited; /* values read, aliases counted each time */
    bool exhausted;   /* LIMIT_CONFIG_NODES was passed: nothing more is read */
};

/* Merges the tree into an existing zeroed message. root NULL: an empty file. Problems are in the report. */
void config_read(struct config_reader *, const struct yaml_node *root, const struct pb_message *, void *message);
/* "is a list; write a … here" */
void config_refuse_kind(struct config_reader *, const struct yaml_node *, const char *wanted);
/* One scalar into the field's value at out (config_scalar.c). A problem is in the report, and out as it was. */
void config_read_scalar(struct config_reader *, const struct yaml_node *, const struct pb_field *, void *out);
/* How people write an enum's value: the part of its name behind what all values share, in lower case. false: does not fit. */
bool config_enum_text(const struct pb_enum *, uint32_t index, char *out, size_t size);
/* Whether a field is a size by its name. */
bool config_is_size(const struct pb_field *);

#endif

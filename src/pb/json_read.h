/* Inside of the JSON reader. Internal to pb. All return false with reader.err set. */
#ifndef PRISM_PB_JSON_READ_H
#define PRISM_PB_JSON_READ_H

#include "pb/json_text.h"

/* A value of any form into a new message. */
bool pb_json_read_message(struct json_reader *, const struct pb_message *, void **ret_message);
/* A value into a field's slot of one value. */
bool pb_json_read_value(struct json_reader *, const struct pb_field *, void *slot, bool *ret_skipped);
/* An object's keys into the fields of a message. A key of this name (may be NULL) is passed over. */
bool pb_json_read_fields(struct json_reader *, const struct pb_message *, void *message, const char *passed_key);
/* Items up to the closing bracket, each into the array. The opening one is taken here too. */
bool pb_json_read_items(struct json_reader *, const struct pb_field *, struct pb_array *);
/* An object's members as entries of a map. */
bool pb_json_read_entries(struct json_reader *, const struct pb_message *entry, struct pb_array *);
/* A message whose well_known is not PB_NOT_WELL_KNOWN, into a zeroed struct. */
bool pb_json_read_known(struct json_reader *, const struct pb_message *, void *message);
/* Whether null is a value of the field, not its absence. */
bool pb_json_takes_null(const struct pb_field *);

#endif

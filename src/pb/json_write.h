/* Inside of the JSON writer. Internal to pb. */
#ifndef PRISM_PB_JSON_WRITE_H
#define PRISM_PB_JSON_WRITE_H

#include "pb/pb.h"

struct json_writer {
    const struct pb_json_options *options;
    struct buf *out;
    uint32_t level; /* of indentation */
};

/* A message in braces, or in its well-known form. */
enum err pb_json_write_message(struct json_writer *, const struct pb_message *, const void *message);
/* One value of a field. */
enum err pb_json_write_value(struct json_writer *, const struct pb_field *, const void *value);
/* The fields of a message between braces that the caller writes; comma tells whether something stands before, and is kept. */
enum err pb_json_write_fields(struct json_writer *, const struct pb_message *, const void *message, bool *comma);
/* A message whose well_known is not PB_NOT_WELL_KNOWN. */
enum err pb_json_write_known(struct json_writer *, const struct pb_message *, const void *message);

void pb_json_open(struct json_writer *, char bracket);
void pb_json_close(struct json_writer *, char bracket, bool empty);
/* The comma where one is due, and the line break. */
void pb_json_next(struct json_writer *, bool *comma);
void pb_json_key(struct json_writer *, struct slice key);
void pb_json_string(struct json_writer *, struct slice text);

/* The message of a type URL, by what stands behind its last slash. NULL: not known. */
const struct pb_message *pb_json_any_type(const struct pb_json_options *, struct slice url);

#endif

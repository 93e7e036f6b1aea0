/* The plug-in is what makes generated files, so it has none. */
#include "pb/pb.h"

const struct pb_file *const pb_files[] = {NULL};
const struct pb_message *const pb_messages[] = {NULL};
const uint32_t pb_message_count = 0;

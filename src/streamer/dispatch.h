/* The table of handlers: which APIs there are. One row an API; what has no row is not advertised. */
#ifndef PRISM_STREAMER_DISPATCH_H
#define PRISM_STREAMER_DISPATCH_H

#include "streamer/request.h"

struct dispatch_row {
    int16_t key;
    void (*handle)(struct request *);
};

extern const struct dispatch_row dispatch_rows[];
extern const uint32_t dispatch_count;

const struct dispatch_row *dispatch_find(int16_t key); /* NULL: there is none */
/* A request of an API or a version that is not there. true: it is answered nevertheless (ApiVersions, in version 0). */
bool dispatch_unsupported(struct request *);

#endif

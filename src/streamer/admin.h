/* What the handlers of administrators' requests share: changes for the catalog, settings as clients write them. */
#ifndef PRISM_STREAMER_ADMIN_H
#define PRISM_STREAMER_ADMIN_H

#include "streamer/catalog.h"
#include "streamer/request.h"

/* With so many empty changes, in the request's arena; `context` is the request. NULL: no memory. */
struct catalog_request *admin_request(struct request *, uint32_t changes, void (*done)(struct catalog_request *))
    __attribute__((warn_unused_result));
/* References to topics that the answers hold. */
void admin_give_back(struct catalog_request *);

/* Adds a setting to a change; the change is refused (error, reason) where it is not one. `value` null: back to the default. */
void admin_set(struct request *, struct catalog_change *, struct slice name, struct slice value);
/* Room for so many admin_set; false: no memory. */
bool admin_settings(struct request *, struct catalog_change *, uint32_t count) __attribute__((warn_unused_result));
static inline struct slice admin_reason(const struct catalog_change *c)
{
    return c->error ? slice_str(c->reason) : SLICE_EMPTY;
}

#endif

/* Drivers by name. There are few: a look at each. */
#include <string.h>

#include "data/driver.h"

const struct driver *driver_find(const struct driver_registry *registry, const char *name)
{
    for (size_t i = 0; i < registry->count; i++)
        if (strcmp(registry->drivers[i]->name, name) == 0)
            return registry->drivers[i];
    return NULL;
}

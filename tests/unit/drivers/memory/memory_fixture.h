/* An opened memory backend in a namespace, with a clock that the test moves. */
#ifndef PRISM_TESTS_MEMORY_FIXTURE_H
#define PRISM_TESTS_MEMORY_FIXTURE_H

#include "../../data/fake_call.h"
#include "data/keyvalue.h"
#include "drivers/memory/internal.h"
#include "drivers/memory/memory.h"

struct memory_fixture {
    struct fake_env env;
    struct namespace ns;
    struct config_memory_options options;
    struct config_namespace config;
    struct fake_call call;
};

enum err memory_fixture_init(struct memory_fixture *, uint64_t max_bytes);
void memory_fixture_fini(struct memory_fixture *);

/* Short forms; the error is in f->call.err. */
const struct keyvalue_set_response *memory_fixture_set(struct memory_fixture *, struct slice key, struct slice value);
const struct keyvalue_set_response *memory_fixture_set_for(struct memory_fixture *, struct slice key,
                                                           struct slice value, int64_t ttl_ms);
const struct keyvalue_get_response *memory_fixture_get(struct memory_fixture *, struct slice key);
bool memory_fixture_delete(struct memory_fixture *, struct slice key);
uint64_t memory_fixture_stat(struct memory_fixture *, const char *name);

#endif

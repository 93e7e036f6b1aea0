#include "memory_fixture.h"

#include "google/protobuf/duration.pb.h"

enum err memory_fixture_init(struct memory_fixture *f, uint64_t max_bytes)
{
    memset(f, 0, sizeof *f);
    fake_env_init(&f->env);
    fake_namespace_init(&f->ns, "memory");
    fake_call_init(&f->call, &f->ns, NULL);
    f->options.max_bytes = max_bytes;
    f->config.memory = &f->options;
    struct backend_open o = {.namespace_name = "memory", .ns = &f->config, .env = &f->env.env, .loops = 1};
    return driver_memory.open(&o, &f->ns.backend);
}

void memory_fixture_fini(struct memory_fixture *f)
{
    fake_call_fini(&f->call);
    if (f->ns.backend)
        driver_memory.close(f->ns.backend);
}

const struct keyvalue_set_response *memory_fixture_set(struct memory_fixture *f, struct slice key, struct slice value)
{
    struct keyvalue_set_request r = {.key = key, .value = value};
    return fake_call(&f->call, METHOD_KEYVALUE_BASIC_SET, &r);
}

const struct keyvalue_set_response *memory_fixture_set_for(struct memory_fixture *f, struct slice key,
                                                           struct slice value, int64_t ttl_ms)
{
    struct google_protobuf_duration ttl = {.seconds = ttl_ms / 1000, .nanos = (int32_t)(ttl_ms % 1000) * 1000000};
    struct keyvalue_set_request r = {.key = key, .value = value, .ttl = &ttl};
    return fake_call(&f->call, METHOD_KEYVALUE_BASIC_SET, &r);
}

const struct keyvalue_get_response *memory_fixture_get(struct memory_fixture *f, struct slice key)
{
    struct keyvalue_get_request r = {.key = key};
    return fake_call(&f->call, METHOD_KEYVALUE_BASIC_GET, &r);
}

bool memory_fixture_delete(struct memory_fixture *f, struct slice key)
{
    struct keyvalue_delete_request r = {.key = key};
    const struct keyvalue_delete_response *answer = fake_call(&f->call, METHOD_KEYVALUE_BASIC_DELETE, &r);
    return answer && answer->existed;
}

struct wanted {
    const char *name;
    uint64_t value;
};

static void pick(void *context, const char *name, uint64_t value)
{
    struct wanted *w = context;
    if (strcmp(name, w->name) == 0)
        w->value = value;
}

uint64_t memory_fixture_stat(struct memory_fixture *f, const char *name)
{
    struct wanted w = {.name = name, .value = UINT64_MAX};
    driver_memory.stats(f->ns.backend, pick, &w);
    return w.value;
}

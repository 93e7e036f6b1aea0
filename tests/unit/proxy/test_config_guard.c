/* Settings of the guard: whose count, and what is refused. */
#include "../harness.h"
#include "base/limits.h"
#include "drivers.h"
#include "proxy/config.h"

static const struct driver far = {
    .name = "far", .remote = true, .implements = {[INTERFACE_KEYVALUE_BASIC] = &some_ops}};
static const struct driver *const drivers[] = {&test_memory, &far};
static const struct driver_registry registry = {drivers, 2};

static const char *no_environment(const char *name)
{
    (void)name;
    return NULL;
}

static const struct config_source source = {.file = "prism.yaml", .drivers = &registry, .environment = no_environment};

static struct guard_settings settings_of(const char *text)
{
    struct arena arena;
    struct config_report report;
    struct config *config;
    const struct config_backend *backend;
    arena_init(&arena, 1 << 20);
    config_report_init(&report, &arena, source.file);
    CHECK_ERR(config_load_text(&source, slice_str(text), &report, &config), OK);
    const struct config_namespace *ns = PB_AT(config->root->namespaces, struct config_namespace *, 0);
    config_driver_of(config->root, &registry, ns, &backend);
    struct guard_settings s = config_guard_settings(ns, backend);
    config_free(config);
    arena_fini(&arena);
    return s;
}

static void check_said(const char *text, const char *expected)
{
    struct arena arena;
    struct buf said;
    struct config_report report;
    struct config *config;
    arena_init(&arena, 1 << 20);
    buf_init(&said, 1 << 20);
    config_report_init(&report, &arena, source.file);
    CHECK_ERR(config_load_text(&source, slice_str(text), &report, &config), ERR_CONFIG_INVALID);
    config_report_print(&report, &said);
    CHECK_SLICE(buf_slice(&said), slice_str(expected));
    buf_fini(&said);
    arena_fini(&arena);
}

TEST(defaults_are_the_limits)
{
    struct guard_settings s = settings_of("backends: {main: {type: far}}\nnamespaces: [{name: a, backend: main}]\n");
    CHECK_EQ(s.breaker.failures, LIMIT_BREAKER_FAILURES);
    CHECK_EQ(s.breaker.open_ms, LIMIT_BREAKER_OPEN_MS);
    CHECK_EQ(s.breaker.half_open_calls, 1);
    CHECK_EQ(s.bulkhead.in_flight_max, LIMIT_BULKHEAD_IN_FLIGHT);
    CHECK_EQ(s.bulkhead.queue_max, LIMIT_BULKHEAD_QUEUE);
    CHECK_EQ(s.retry.attempts_max, LIMIT_RETRY_ATTEMPTS);
    CHECK_EQ(s.retry.budget_percent, LIMIT_RETRY_BUDGET_PERCENT);
    CHECK(!s.coalesce_reads);
}

TEST(the_namespace_goes_before_its_backend)
{
    struct guard_settings s = settings_of("backends:\n"
                                          "  main:\n"
                                          "    type: far\n"
                                          "    breaker: {failures: 7, open_for: 2s, half_open_calls: 3}\n"
                                          "    bulkhead: {in_flight: 20, queue: 0}\n"
                                          "    retry: {max_attempts: 5}\n"
                                          "namespaces:\n"
                                          "  - name: a\n"
                                          "    backend: main\n"
                                          "    breaker: {failures: 0}\n"
                                          "    retry: {budget_percent: 0}\n"
                                          "    coalesce_reads: true\n");
    CHECK_EQ(s.breaker.failures, 0);
    CHECK_EQ(s.breaker.open_ms, LIMIT_BREAKER_OPEN_MS); /* each message counts as a whole */
    CHECK_EQ(s.bulkhead.in_flight_max, 20);
    CHECK_EQ(s.bulkhead.queue_max, 0);
    CHECK_EQ(s.retry.attempts_max, LIMIT_RETRY_ATTEMPTS);
    CHECK_EQ(s.retry.budget_percent, 0);
    CHECK(s.coalesce_reads);
}

TEST(what_would_have_no_effect_is_refused)
{
    check_said(
        "namespaces:\n"
        "  - {name: a, backend: memory, breaker: {failures: 1}, coalesce_reads: true}\n",
        "prism.yaml:2:41: namespaces[0].breaker: has no effect: memory runs inside the proxy, and cannot be out of "
        "reach; remove it\n"
        "prism.yaml:2:72: namespaces[0].coalesce_reads: has no effect: memory runs inside the proxy, and cannot be out "
        "of reach; remove it\n");
    check_said(
        "backends: {main: {type: memory, bulkhead: {queue: 1}}}\n"
        "namespaces: [{name: a, backend: main}]\n",
        "prism.yaml:1:43: backends[main].bulkhead: has no effect: memory runs inside the proxy, and cannot be out of "
        "reach; remove it\n");
}

TEST(values_have_limits)
{
    check_said("backends: {m: {type: far}}\n"
               "namespaces:\n"
               "  - name: a\n"
               "    backend: m\n"
               "    breaker: {open_for: 2h}\n",
               "prism.yaml:5:25: namespaces[0].breaker.open_for: must be from 1ms to 1h; leave it out for 30s\n");
    check_said("backends: {m: {type: far}}\n"
               "namespaces:\n"
               "  - name: a\n"
               "    backend: m\n"
               "    retry: {max_attempts: 11}\n",
               "prism.yaml:5:27: namespaces[0].retry.max_attempts: `11` must be at most 10\n");
}

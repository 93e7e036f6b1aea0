/* Settings of the guard between a namespace and a remote backend: the namespace's, else the backend's, else the defaults; and their
 * rules. */
#include <stdio.h>

#include "base/limits.h"
#include "google/protobuf/duration.pb.h"
#include "proxy/config.h"

/* --- what is in effect ------------------------------------------------------------------------------------------------------- */

static struct breaker_settings breaker_of(const struct config_breaker *c)
{
    struct breaker_settings s = {LIMIT_BREAKER_FAILURES, LIMIT_BREAKER_OPEN_MS, 1};
    if (!c)
        return s;
    if (c->has_failures)
        s.failures = c->failures;
    if (c->open_for)
        s.open_ms = (uint32_t)config_duration_ms(c->open_for);
    if (c->half_open_calls)
        s.half_open_calls = c->half_open_calls;
    return s;
}

static struct bulkhead_settings bulkhead_of(const struct config_bulkhead *c)
{
    struct bulkhead_settings s = {LIMIT_BULKHEAD_IN_FLIGHT, LIMIT_BULKHEAD_QUEUE};
    if (c && c->in_flight)
        s.in_flight_max = c->in_flight;
    if (c && c->has_queue)
        s.queue_max = c->queue;
    return s;
}

static struct retry_settings retry_of(const struct config_retry *c)
{
    struct retry_settings s = {LIMIT_RETRY_ATTEMPTS, LIMIT_RETRY_BUDGET_PERCENT};
    if (c && c->max_attempts)
        s.attempts_max = c->max_attempts;
    if (c && c->has_budget_percent)
        s.budget_percent = c->budget_percent;
    return s;
}

struct guard_settings config_guard_settings(const struct config_namespace *ns, const struct config_backend *backend)
{
    return (struct guard_settings){
        .breaker = breaker_of(ns->breaker ? ns->breaker
                              : backend   ? backend->breaker
                                          : NULL),
        .bulkhead = bulkhead_of(ns->bulkhead ? ns->bulkhead
                                : backend    ? backend->bulkhead
                                             : NULL),
        .retry = retry_of(ns->retry ? ns->retry
                          : backend ? backend->retry
                                    : NULL),
        .coalesce_reads = ns->coalesce_reads,
    };
}

/* --- rules ------------------------------------------------------------------------------------------------------------------- */

static void check_open_for(const struct google_protobuf_duration *d, const char *at, struct config_report *report)
{
    char path[CONFIG_PATH_BYTES];
    snprintf(path, sizeof path, "%s.breaker.open_for", at);
    int64_t ms = config_duration_ms(d);
    if (d && (d->seconds < 0 || d->nanos < 0 || ms < 1 || ms > LIMIT_BREAKER_OPEN_MS_MAX))
        config_report_at(report, path, "must be from 1ms to 1h; leave it out for 30s");
}

static void check_no_effect(bool given, const char *at, const char *field, const struct driver *driver,
                            struct config_report *report)
{
    char path[CONFIG_PATH_BYTES];
    snprintf(path, sizeof path, "%s.%s", at, field);
    if (given)
        config_report_at(report, path, "has no effect: %s runs inside the proxy, and cannot be out of reach; remove it",
                         driver->name);
}

void config_guard_check(const struct config_guard_fields *f, const char *at, const struct driver *driver,
                        struct config_report *report)
{
    if (f->breaker)
        check_open_for(f->breaker->open_for, at, report);
    if (!driver || driver->remote)
        return;
    check_no_effect(f->breaker, at, "breaker", driver, report);
    check_no_effect(f->bulkhead, at, "bulkhead", driver, report);
    check_no_effect(f->retry, at, "retry", driver, report);
    check_no_effect(f->coalesce_reads, at, "coalesce_reads", driver, report);
}

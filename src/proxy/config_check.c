/* Rules between fields, and between the configuration and what this program has linked: one function a rule, each of which says
 * the value, what is allowed and the fix. Rules of a single field (required, lengths, numbers) are options of its proto. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/limits.h"
#include "base/map.h"
#include "google/protobuf/duration.pb.h"
#include "proxy/config.h"
#include "proxy/nearest.h"
#include "rt/congestion.h"

struct checker {
    const struct config_proxy_config *root;
    const struct driver_registry *drivers;
    struct config_report *report;
};

/* A namespace under check, with what is known of it. */
struct subject {
    const struct config_namespace *ns;
    const struct driver *driver;
    uint32_t index;
};

static const char *path(char out[static CONFIG_PATH_BYTES], const struct subject *s, const char *field)
{
    snprintf(out, CONFIG_PATH_BYTES, "namespaces[%u].%s", s->index, field);
    return out;
}

#define PATH(s, field) path((char[CONFIG_PATH_BYTES]){0}, (s), (field))

int64_t config_duration_ms(const struct google_protobuf_duration *d)
{
    if (!d)
        return 0;
    if (d->seconds > INT64_MAX / 1000 - 1)
        return INT64_MAX;
    return d->seconds * 1000 + (d->nanos + 999999) / 1000000;
}

int64_t config_duration_ns(const struct google_protobuf_duration *d)
{
    enum { SECONDS_MAX = 1000000000 };
    if (!d)
        return 0;
    return d->seconds > SECONDS_MAX ? INT64_MAX : d->seconds * 1000000000 + d->nanos;
}

const struct config_backend *config_backend_named(const struct config_proxy_config *root, struct slice name)
{
    for (uint32_t i = 0; i < root->backends.count; i++) {
        const struct config_proxy_config_backends_entry *entry =
            PB_AT(root->backends, struct config_proxy_config_backends_entry *, i);
        if (slice_eq(entry->key, name))
            return entry->value;
    }
    return NULL;
}

static const struct driver *driver_named(const struct driver_registry *drivers, struct slice name)
{
    for (size_t i = 0; i < drivers->count; i++)
        if (slice_eq(slice_str(drivers->drivers[i]->name), name))
            return drivers->drivers[i];
    return NULL;
}

const struct driver *config_driver_of(const struct config_proxy_config *root, const struct driver_registry *drivers,
                                      const struct config_namespace *ns, const struct config_backend **ret_backend)
{
    const struct config_backend *backend = config_backend_named(root, ns->backend);
    if (ret_backend)
        *ret_backend = backend;
    return driver_named(drivers, backend ? backend->type : ns->backend);
}

/* --- names ------------------------------------------------------------------------------------------------------------------- */

static void list_drivers(const struct checker *c, struct buf *out)
{
    for (size_t i = 0; i < c->drivers->count; i++)
        buf_printf(out, "%s%s", i ? ", " : "", c->drivers->drivers[i]->name);
}

static void unknown_driver(const struct checker *c, const char *at, struct slice type)
{
    struct buf names;
    buf_init(&names, 4096);
    list_drivers(c, &names);
    config_report_at(c->report, at, "`%.*s` is not a driver; there are: %.*s", SLICE_ARG(type), (int)names.size,
                     (const char *)names.data);
    buf_fini(&names);
}

static void unknown_backend(const struct checker *c, const struct subject *s)
{
    struct nearest near = {.word = s->ns->backend};
    struct buf names;
    buf_init(&names, 8192);
    for (uint32_t i = 0; i < c->root->backends.count; i++) {
        const struct config_proxy_config_backends_entry *entry =
            PB_AT(c->root->backends, struct config_proxy_config_backends_entry *, i);
        nearest_offer(&near, entry->key);
        buf_printf(&names, "%.*s, ", SLICE_ARG(entry->key));
    }
    for (size_t i = 0; i < c->drivers->count; i++)
        nearest_offer(&near, slice_str(c->drivers->drivers[i]->name));
    list_drivers(c, &names);
    if (near.best.data)
        config_report_at(c->report, PATH(s, "backend"), "there is no backend `%.*s`: did you mean `%.*s`?",
                         SLICE_ARG(s->ns->backend), SLICE_ARG(near.best));
    else
        config_report_at(c->report, PATH(s, "backend"),
                         "there is no backend `%.*s`; there are: %.*s. Name one of them, or add it to backends",
                         SLICE_ARG(s->ns->backend), (int)names.size, (const char *)names.data);
    buf_fini(&names);
}

/* Options stand in a field of the driver's name: those of another driver would have no effect. */
static void check_options(const struct checker *c, const struct pb_message *table, const void *message,
                          const struct driver *driver, const char *at)
{
    for (uint32_t i = 0; i < table->field_count; i++) {
        const struct pb_field *field = &table->fields[i];
        const struct driver *owner = field->type == PB_MESSAGE ? driver_find(c->drivers, field->name) : NULL;
        if (owner && owner != driver && pb_has(field, message)) {
            char option[CONFIG_PATH_BYTES];
            snprintf(option, sizeof option, "%s.%s", at, field->name);
            config_report_at(c->report, option,
                             "options of %s, but the backend is %s; remove them, or change the backend", owner->name,
                             driver->name);
        }
    }
}

static void check_pool(const struct checker *c, const char *at, const struct config_pool *pool)
{
    char min[CONFIG_PATH_BYTES + 16];
    snprintf(min, sizeof min, "%s.pool.min", at);
    if (pool && pool->max && pool->min > pool->max)
        config_report_at(c->report, min, "is above pool.max; lower it, or raise pool.max");
}

/* What the driver itself says of a backend's settings. */
static void check_by_driver(const struct checker *c, const struct config_backend *backend, const struct driver *driver,
                            const char *at)
{
    struct diag d;
    diag_init(&d, c->report->arena);
    enum err e = driver->check ? driver->check(backend, &d) : OK;
    for (const struct diag_item *field = d.fields; field; field = field->next) {
        const char *below = arena_printf(c->report->arena, "%s.%s", at, field->name);
        config_report_at(c->report, below ? below : at, "%s", field->value);
    }
    if (e == ERR_NOMEM)
        c->report->out_of_memory = true;
    else if (e && !d.fields)
        config_report_at(c->report, at, "%s", diag_message(&d));
}

static void check_backend_guard(const struct checker *c, const struct config_backend *b, const struct driver *driver,
                                const char *at)
{
    const struct config_guard_fields fields = {b->breaker, b->bulkhead, b->retry, false};
    config_guard_check(&fields, at, driver, c->report);
}

static void check_namespace_guard(const struct checker *c, const struct config_namespace *ns,
                                  const struct driver *driver, const char *at)
{
    const struct config_guard_fields fields = {ns->breaker, ns->bulkhead, ns->retry, ns->coalesce_reads};
    config_guard_check(&fields, at, driver, c->report);
}

static void check_backends(const struct checker *c)
{
    for (uint32_t i = 0; i < c->root->backends.count; i++) {
        const struct config_proxy_config_backends_entry *entry =
            PB_AT(c->root->backends, struct config_proxy_config_backends_entry *, i);
        char at[CONFIG_PATH_BYTES], type[CONFIG_PATH_BYTES + 8];
        snprintf(at, sizeof at, "backends[%.*s]", (int)(entry->key.size < 64 ? entry->key.size : 64), entry->key.data);
        snprintf(type, sizeof type, "%s.type", at);
        if (!entry->value) {
            config_report_at(c->report, at, "is empty; write at least its type: {type: sqlite}");
            continue;
        }
        const struct driver *driver = driver_named(c->drivers, entry->value->type);
        if (!driver && entry->value->type.size)
            unknown_driver(c, type, entry->value->type);
        if (!driver)
            continue;
        check_options(c, &config_backend_pb, entry->value, driver, at);
        check_pool(c, at, entry->value->pool);
        check_backend_guard(c, entry->value, driver, at);
        check_by_driver(c, entry->value, driver, at);
    }
}

static void check_unique(const struct checker *c)
{
    struct map seen;
    struct hash_key key = {0};
    map_init(&seen, LIMIT_NAMESPACES + 1, &key);
    for (uint32_t i = 0; i < c->root->namespaces.count && i <= LIMIT_NAMESPACES; i++) {
        struct config_namespace *ns = PB_AT(c->root->namespaces, struct config_namespace *, i);
        struct subject s = {.ns = ns, .index = i};
        const struct config_namespace *earlier = ns->name.size ? map_get(&seen, ns->name) : NULL;
        if (earlier)
            config_report_at(c->report, PATH(&s, "name"), "there is a namespace `%.*s` already; each name is used once",
                             SLICE_ARG(ns->name));
        else if (ns->name.size && map_put(&seen, ns->name, ns, NULL))
            c->report->out_of_memory = true;
    }
    map_fini(&seen);
}

/* The store of an earlier namespace that the same local driver keeps; NULL: there is none. */
static const struct config_namespace *same_store(const struct checker *c, const struct subject *s)
{
    for (uint32_t i = 0; i < s->index; i++) {
        const struct config_namespace *other = PB_AT(c->root->namespaces, struct config_namespace *, i);
        const struct config_backend *backend;
        if (slice_eq(config_store_of(other), config_store_of(s->ns)) && !slice_eq(other->name, s->ns->name) &&
            config_driver_of(c->root, c->drivers, other, &backend) == s->driver)
            return other;
    }
    return NULL;
}

/* Two namespaces may share what a server keeps, while one is moved; a store inside of this process is open once. */
static void check_store(const struct checker *c, const struct subject *s)
{
    const struct config_namespace *other = s->driver && !s->driver->remote ? same_store(c, s) : NULL;
    if (other)
        config_report_at(c->report, PATH(s, "store"),
                         "namespace `%.*s` has the %s store `%.*s` already; choose another name",
                         SLICE_ARG(other->name), s->driver->name, SLICE_ARG(config_store_of(s->ns)));
}

/* --- one namespace ----------------------------------------------------------------------------------------------------------- */

static void check_positive(const struct checker *c, const char *at, const struct google_protobuf_duration *d)
{
    if (d && (d->seconds < 0 || (d->seconds == 0 && d->nanos <= 0)))
        config_report_at(c->report, at, "must be above 0; leave it out for none");
}

static void check_at_most(const struct checker *c, const char *at, const struct google_protobuf_duration *d,
                          int64_t max_ms)
{
    char text[DURATION_TEXT_BYTES];
    if (d && config_duration_ms(d) > max_ms)
        config_report_at(c->report, at, "must be at most %s", duration_format(max_ms * 1000000, text));
}

static void check_at_least(const struct checker *c, const char *at, const struct google_protobuf_duration *d,
                           int64_t min_ms)
{
    char text[DURATION_TEXT_BYTES];
    if (d && config_duration_ms(d) < min_ms)
        config_report_at(c->report, at, "must be at least %s", duration_format(min_ms * 1000000, text));
}

static void check_connections(const struct checker *c)
{
    const struct config_connections *s = c->root->connections;
    check_at_least(c, "connections.keepalive_interval", s->keepalive_interval, LIMIT_KEEPALIVE_MS_MIN);
    check_at_least(c, "connections.keepalive_timeout", s->keepalive_timeout, LIMIT_KEEPALIVE_MS_MIN);
    check_at_least(c, "connections.max_age", s->max_age, LIMIT_KEEPALIVE_MS_MIN);
    check_at_most(c, "connections.keepalive_interval", s->keepalive_interval, LIMIT_KEEPALIVE_MS_MAX);
    check_at_most(c, "connections.keepalive_timeout", s->keepalive_timeout, LIMIT_KEEPALIVE_MS_MAX);
    check_at_most(c, "connections.max_age", s->max_age, LIMIT_KEEPALIVE_MS_MAX);
}

static void check_ttl(const struct checker *c, const struct subject *s)
{
    const struct config_ttl *ttl = s->ns->ttl;
    check_positive(c, PATH(s, "ttl.default"), ttl->default_);
    check_positive(c, PATH(s, "ttl.max"), ttl->max);
    if (ttl->default_ && ttl->max && config_duration_ms(ttl->default_) > config_duration_ms(ttl->max))
        config_report_at(c->report, PATH(s, "ttl.default"), "is longer than ttl.max; shorten it, or raise ttl.max");
    if (!ttl->allow_infinite && !ttl->default_)
        config_report_at(c->report, PATH(s, "ttl.allow_infinite"),
                         "false needs a default: writes without a time to live would all be refused; set ttl.default");
}

static enum interface interface_named(struct slice id)
{
    for (enum interface i = 0; i < INTERFACE_COUNT; i++)
        if (slice_eq(slice_str(interfaces[i].id), id))
            return i;
    return INTERFACE_COUNT;
}

static void unknown_interface(const struct checker *c, const char *at, struct slice id)
{
    struct nearest near = {.word = id};
    for (enum interface i = 0; i < INTERFACE_COUNT; i++)
        nearest_offer(&near, slice_str(interfaces[i].id));
    if (near.best.data)
        config_report_at(c->report, at, "there is no interface `%.*s`: did you mean `%.*s`?", SLICE_ARG(id),
                         SLICE_ARG(near.best));
    else
        config_report_at(c->report, at, "there is no interface `%.*s`; `prismctl backend list` shows them",
                         SLICE_ARG(id));
}

static void check_needed_interfaces(const struct checker *c, const struct subject *s)
{
    const struct pb_array *ids = &s->ns->needs->interfaces;
    for (uint32_t i = 0; i < ids->count; i++) {
        char field[64];
        snprintf(field, sizeof field, "needs.interfaces[%u]", i);
        struct slice id = PB_AT(*ids, struct slice, i);
        enum interface interface = interface_named(id);
        if (interface == INTERFACE_COUNT && id.size)
            unknown_interface(c, PATH(s, field), id);
        else if (id.size && s->driver && !s->driver->implements[interface])
            config_report_at(c->report, PATH(s, field), "the driver %s does not offer `%.*s`; choose another backend",
                             s->driver->name, SLICE_ARG(id));
    }
}

static void check_needs(const struct checker *c, const struct subject *s)
{
    const struct config_needs *needs = s->ns->needs;
    if (!needs)
        return;
    check_needed_interfaces(c, s);
    if (!s->driver)
        return;
    if (slice_eq(needs->durability, SLICE("durable")) && !s->driver->durable)
        config_report_at(c->report, PATH(s, "needs.durability"),
                         "`durable`, but %s loses its data when the process ends; choose another backend",
                         s->driver->name);
    if (needs->ordered_scan && !s->driver->ordered_scan)
        config_report_at(c->report, PATH(s, "needs.ordered_scan"),
                         "the driver %s does not scan in key order; choose another backend", s->driver->name);
    if (slice_eq(needs->ttl, SLICE("required")) && !s->driver->expires)
        config_report_at(c->report, PATH(s, "needs.ttl"), "the driver %s does not expire data; choose another backend",
                         s->driver->name);
}

static void check_namespace(const struct checker *c, uint32_t index)
{
    struct subject s = {.ns = PB_AT(c->root->namespaces, struct config_namespace *, index), .index = index};
    const struct config_backend *backend;
    s.driver = config_driver_of(c->root, c->drivers, s.ns, &backend);
    if (s.ns->backend.size && !s.driver && !backend)
        unknown_backend(c, &s);
    if (s.driver && s.driver->remote && !backend)
        config_report_at(
            c->report, PATH(&s, "backend"),
            "`%s` needs a connection; write backends: {main: {type: %s, connection: …}} and name `main` here",
            s.driver->name, s.driver->name);
    char at[CONFIG_PATH_BYTES];
    snprintf(at, sizeof at, "namespaces[%u]", index);
    if (s.driver)
        check_options(c, &config_namespace_pb, s.ns, s.driver, at);
    check_namespace_guard(c, s.ns, s.driver, at);
    check_store(c, &s);
    check_ttl(c, &s);
    check_positive(c, PATH(&s, "idempotency.retention"), s.ns->idempotency->retention);
    check_at_most(c, PATH(&s, "idempotency.retention"), s.ns->idempotency->retention,
                  LIMIT_IDEMPOTENCY_RETENTION_MS_MAX);
    check_needs(c, &s);
}

/* --- the process ------------------------------------------------------------------------------------------------------------- */

static void check_readable(const struct checker *c, const char *at, struct slice file)
{
    char name[4096];
    if (!file.size || (size_t)snprintf(name, sizeof name, "%.*s", SLICE_ARG(file)) >= sizeof name)
        return;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        config_report_at(c->report, at, "the file `%s` could not be read: %s", name, strerror(errno));
    else
        close(fd);
}

static void check_tls(const struct checker *c)
{
    const struct config_tls *tls = c->root->tls;
    if (!tls)
        return;
    check_readable(c, "tls.cert_file", tls->cert_file);
    check_readable(c, "tls.key_file", tls->key_file);
    check_readable(c, "tls.client_ca_file", tls->client_ca_file);
    if (tls->client_cert_required && !tls->client_ca_file.size)
        config_report_at(c->report, "tls.client_cert_required", "true needs client_ca_file: whom to trust");
}

static bool port_is_chosen(struct slice address)
{
    return address.size > 2 && !slice_eq(slice_skip(address, address.size - 2), SLICE(":0"));
}

static void check_addresses(const struct checker *c)
{
    if (slice_eq(c->root->listen, c->root->metrics_listen) && port_is_chosen(c->root->listen))
        config_report_at(c->report, "metrics_listen", "`%.*s` is the address of listen; choose another port",
                         SLICE_ARG(c->root->metrics_listen));
}

static void check_transport(const struct checker *c)
{
    const struct config_transport *transport = c->root->transport;
    char choice[LIMIT_CONGESTION_NAME_BYTES + 1];
    if (!transport)
        return;
    check_at_most(c, "transport.spin", transport->spin, LIMIT_SPIN_MS);
    snprintf(choice, sizeof choice, "%.*s", SLICE_ARG(transport->congestion_control));
    if (choice[0] && !congestion_is_available(choice))
        config_report_at(c->report, "transport.congestion_control",
                         "`%s` is not available on this machine; take auto, system, or a name listed in "
                         "/proc/sys/net/ipv4/tcp_allowed_congestion_control",
                         choice);
}

void config_check(const struct config_proxy_config *root, const struct driver_registry *drivers,
                  struct config_report *report)
{
    struct checker c = {root, drivers, report};
    check_addresses(&c);
    check_tls(&c);
    check_transport(&c);
    check_positive(&c, "drain_timeout", root->drain_timeout);
    check_at_most(&c, "drain_timeout", root->drain_timeout, LIMIT_DRAIN_MS_MAX);
    check_connections(&c);
    check_backends(&c);
    check_unique(&c);
    for (uint32_t i = 0; i < root->namespaces.count && i < LIMIT_NAMESPACES; i++)
        check_namespace(&c, i);
}

/* The configuration of prism-proxy: prism.yaml as messages (proto/prism/config/v1), read, completed with defaults and checked.
 *
 *   file ──yaml.c──▶ tree ──config_read.c──▶ message ──config_default.c──▶ complete ──pb_validate, config_check.c──▶ struct config
 *
 * All or nothing: with one problem there is no configuration, and the report has all of them. Immutable once loaded;
 * reference-counted by its owner (snapshot.h). Thread: any; loading reads files, so it belongs into the worker pool once the
 * proxy serves. */
#ifndef PRISM_PROXY_CONFIG_H
#define PRISM_PROXY_CONFIG_H

#include "data/driver.h"
#include "data/guard.h"
#include "prism/config/v1/config.pb.h"
#include "proxy/config_report.h"

/* Where a configuration comes from. What the command line gives goes before what the file says. */
struct config_source {
    const char *file; /* NULL: the built-in one, with the namespaces default, memory and demo */
    const struct driver_registry *drivers;
    const char *(*environment)(const char *name);
    const char *listen; /* NULL: as the file says; also below */
    const char *metrics_listen;
    const char *data_dir;
    const char *log_level;
    uint32_t workers; /* 0: as the file says */
};

struct config {
    struct arena arena;
    struct config_proxy_config *root; /* defaults filled in */
};

/* ERR_CONFIG_INVALID with problems in the report, whose texts live in the report's own arena; ERR_NOMEM. */
enum err config_load(const struct config_source *, struct config_report *, struct config **ret_config)
    __attribute__((warn_unused_result));
/* The same from text; file is only a name for messages. */
enum err config_load_text(const struct config_source *, struct slice text, struct config_report *,
                          struct config **ret_config) __attribute__((warn_unused_result));
void config_free(struct config *); /* NULL is fine */

/* config_default.c: fills in what was not given. false: out of memory. */
bool config_complete(const struct config_source *, struct config *) __attribute__((warn_unused_result));
/* config_check.c: the rules between fields. Problems go into the report. */
void config_check(const struct config_proxy_config *, const struct driver_registry *, struct config_report *);

/* The driver of a namespace: that of the named backend, or the one of this name. NULL: there is none. */
const struct driver *config_driver_of(const struct config_proxy_config *, const struct driver_registry *,
                                      const struct config_namespace *, const struct config_backend **ret_backend);
const struct config_backend *config_backend_named(const struct config_proxy_config *,
                                                  struct slice name); /* NULL: none */
/* Under which name the backend keeps the namespace's data. */
static inline struct slice config_store_of(const struct config_namespace *ns)
{
    return ns->store.size ? ns->store : ns->name;
}
int64_t config_duration_ns(const struct google_protobuf_duration *); /* NULL: 0; INT64_MAX at the most */
int64_t config_duration_ms(const struct google_protobuf_duration *); /* NULL: 0; rounded up; INT64_MAX at the most */

/* config_guard.c: what stands between a namespace and a remote backend. backend may be NULL. */
struct guard_settings config_guard_settings(const struct config_namespace *, const struct config_backend *);
/* Those fields of a backend or a namespace; at: its path. driver NULL: not known. */
struct config_guard_fields {
    const struct config_breaker *breaker;
    const struct config_bulkhead *bulkhead;
    const struct config_retry *retry;
    bool coalesce_reads;
};
void config_guard_check(const struct config_guard_fields *, const char *at, const struct driver *,
                        struct config_report *);

#endif

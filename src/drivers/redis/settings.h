/* What a named backend says, in the form that connections use. No I/O but reading the files of TLS. */
#ifndef PRISM_DRIVERS_REDIS_SETTINGS_H
#define PRISM_DRIVERS_REDIS_SETTINGS_H

#include "base/limits.h"
#include "data/driver.h"

enum redis_mode { REDIS_STANDALONE, REDIS_CLUSTER, REDIS_SENTINEL };

/* Texts live in the arena given to redis_settings_make. */
struct redis_settings {
    enum redis_mode mode;
    const char *servers[LIMIT_REDIS_SERVERS]; /* "host:port", "unix:/path" */
    unsigned server_count;
    bool tls;
    uint32_t database;
    const char *username, *password; /* NULL: none */
    const char *sentinel_master, *sentinel_password;
    const char *ca_file, *cert_file, *key_file, *server_name; /* NULL: none */
    const char *key_prefix;
    uint32_t buckets;
    uint32_t connect_ms, answer_ms;
};

/* ERR_CONFIG_INVALID: diag_field names each field with its value (not of secrets), what is allowed and the fix. ERR_NOMEM. */
enum err redis_settings_make(const struct config_backend *, struct arena *, struct diag *,
                             struct redis_settings *ret_settings);

#endif

/* The connection string, and the options beside it:
 *
 *   redis:// [user[:password]@] host[:port] ["," host[:port]]… ["/" database]      rediss:// the same over TLS
 *   unix: /path
 *
 * User and password may hold %XX. Every rule reports by itself, so that one look at the report is enough. */
#include "drivers/redis/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "google/protobuf/duration.pb.h"

enum { PORT_DEFAULT = 6379, SENTINEL_PORT_DEFAULT = 26379, BUCKETS_OF_CLUSTER = 64, DATABASE_MAX = 1000000 };

struct reader {
    struct arena *arena;
    struct diag *diag;
    struct redis_settings *settings;
    bool bad;
    bool out_of_memory;
};

#define REFUSE(r, field, ...) (diag_field((r)->diag, field, __VA_ARGS__), (void)((r)->bad = true))

static const char *copy(struct reader *r, struct slice text)
{
    struct slice kept;
    if (!text.size)
        return NULL;
    if (!arena_copy(r->arena, text, &kept)) {
        r->out_of_memory = true;
        return NULL;
    }
    return (const char *)kept.data;
}

/* --- the connection string --------------------------------------------------------------------------------------------------- */

static const char form[] =
    "must be redis://[user[:password]@]host[:port],...[/database], rediss://... for TLS, or unix:/path";

/* Before the first c, and *rest behind it; all of it and nothing where there is none. */
static struct slice cut(struct slice text, char c, struct slice *rest)
{
    const uint8_t *at = text.size ? memchr(text.data, c, text.size) : NULL;
    size_t size = at ? (size_t)(at - text.data) : text.size;
    *rest = slice_skip(text, at ? size + 1 : size);
    return slice_take(text, size);
}

static int hex_digit(uint8_t c)
{
    return isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : -1;
}

static const char *unescape(struct reader *r, struct slice text)
{
    char *out = (char *)(uintptr_t)copy(r, text), *to = out;
    for (size_t i = 0; out && i < text.size; i++) {
        int high = text.data[i] == '%' && i + 2 < text.size ? hex_digit(text.data[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text.data[i + 2]) : -1;
        *to++ = low >= 0 ? (char)(high << 4 | low) : (char)text.data[i];
        i += low >= 0 ? 2 : 0;
    }
    if (out)
        *to = 0;
    return out;
}

static void read_user(struct reader *r, struct slice user)
{
    struct slice password, name = cut(user, ':', &password);
    r->settings->username = unescape(r, name);
    r->settings->password = unescape(r, password);
}

/* "host", "host:port", "[::1]", "[::1]:port". */
static bool has_port(struct slice host)
{
    const uint8_t *close = host.size ? memchr(host.data, ']', host.size) : NULL;
    struct slice rest = close ? slice_skip(host, (size_t)(close - host.data) + 1) : host;
    return rest.size && memchr(rest.data, ':', rest.size);
}

static void add_server(struct reader *r, struct slice host)
{
    struct redis_settings *s = r->settings;
    if (!host.size || host.size > 256) {
        REFUSE(r, "connection", "%s; one of its hosts is empty or longer than 256 bytes", form);
        return;
    }
    if (s->server_count == LIMIT_REDIS_SERVERS) {
        REFUSE(r, "connection", "names more than %d servers; some of them are enough, the others are found",
               LIMIT_REDIS_SERVERS);
        return;
    }
    int port = s->mode == REDIS_SENTINEL ? SENTINEL_PORT_DEFAULT : PORT_DEFAULT;
    const char *name = has_port(host) ? copy(r, host) : arena_printf(r->arena, "%.*s:%d", SLICE_ARG(host), port);
    r->out_of_memory |= !name;
    s->servers[s->server_count++] = name;
}

static void read_database(struct reader *r, struct slice text)
{
    uint32_t value = 0;
    for (size_t i = 0; i < text.size && value <= DATABASE_MAX; i++)
        value = isdigit(text.data[i]) ? value * 10 + (text.data[i] - (uint32_t)'0') : DATABASE_MAX + 1;
    if (value > DATABASE_MAX)
        REFUSE(r, "connection", "`/%.*s` is not a database; write its number, for example /0",
               (int)(text.size < 32 ? text.size : 32), (const char *)text.data);
    else
        r->settings->database = value;
}

static const uint8_t *last_at_sign(struct slice text)
{
    const uint8_t *found = NULL;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '@')
            found = text.data + i;
    return found;
}

static void read_url(struct reader *r, struct slice text)
{
    const uint8_t *at = last_at_sign(text);
    if (at) {
        size_t size = (size_t)(at - text.data);
        read_user(r, slice_take(text, size));
        text = slice_skip(text, size + 1);
    }
    struct slice database, hosts = cut(text, '/', &database);
    do
        add_server(r, cut(hosts, ',', &hosts));
    while (hosts.size);
    read_database(r, database);
}

static void read_connection(struct reader *r, struct slice text)
{
    struct redis_settings *s = r->settings;
    if (slice_starts_with(text, SLICE("unix:/"))) {
        s->servers[s->server_count++] = copy(r, text);
        return;
    }
    s->tls = slice_starts_with(text, SLICE("rediss://"));
    if (s->tls || slice_starts_with(text, SLICE("redis://")))
        read_url(r, slice_skip(text, s->tls ? 9 : 8));
    else if (text.size)
        REFUSE(r, "connection", "%s", form);
    else
        REFUSE(r, "connection", "is missing; write where the server is, for example redis://127.0.0.1:6379");
}

/* --- options ----------------------------------------------------------------------------------------------------------------- */

static uint32_t read_timeout(struct reader *r, const char *field, const struct google_protobuf_duration *d,
                             uint32_t otherwise)
{
    enum { MAX_S = 300 };
    if (!d)
        return otherwise;
    if (d->seconds < 0 || d->nanos < 0 || d->seconds > MAX_S || (!d->seconds && d->nanos < 1000000)) {
        REFUSE(r, field, "must be 1ms to %ds", MAX_S);
        return otherwise;
    }
    return (uint32_t)(d->seconds * 1000 + d->nanos / 1000000);
}

static void read_prefix(struct reader *r, struct slice prefix)
{
    r->settings->key_prefix = prefix.size ? copy(r, prefix) : "prism";
    for (size_t i = 0; i < prefix.size; i++)
        if (!isalnum(prefix.data[i]) && !strchr("-._", prefix.data[i])) {
            REFUSE(r, "redis.key_prefix",
                   "`%.*s` holds a character that is not a letter, a digit or one of - . _; leave it out",
                   (int)(prefix.size < 64 ? prefix.size : 64), (const char *)prefix.data);
            return;
        }
}

static void check_mode(struct reader *r)
{
    const struct redis_settings *s = r->settings;
    if (s->mode == REDIS_SENTINEL && !s->sentinel_master)
        REFUSE(r, "redis.sentinel_master",
               "is missing; mode sentinel needs the name of the master, for example mymaster");
    if (s->mode != REDIS_SENTINEL && s->sentinel_master)
        REFUSE(r, "redis.sentinel_master", "has no effect without mode: sentinel; remove it, or set the mode");
    if (s->mode == REDIS_STANDALONE && s->server_count > 1)
        REFUSE(r, "connection", "names %u servers; name one, or set redis.mode to cluster or sentinel",
               s->server_count);
    if (s->mode == REDIS_CLUSTER && s->database)
        REFUSE(r, "connection", "`/%u`: a Cluster has database 0 alone; remove it", s->database);
    if (s->username && !s->password)
        REFUSE(r, "redis.password", "is missing for the user %s; write password: ${REDIS_PASSWORD} or file:/path",
               s->username);
}

static void check_tls(struct reader *r)
{
    const struct redis_settings *s = r->settings;
    bool any = s->ca_file || s->cert_file || s->key_file || s->server_name;
    if (any && !s->tls)
        REFUSE(r,
               s->ca_file     ? "redis.ca_file"
               : s->cert_file ? "redis.cert_file"
               : s->key_file  ? "redis.key_file"
                              : "redis.server_name",
               "has no effect without TLS; write rediss:// in connection, or remove it");
    if (!s->cert_file != !s->key_file)
        REFUSE(r, s->cert_file ? "redis.key_file" : "redis.cert_file", "is missing; a certificate needs both files");
}

static void read_options(struct reader *r, const struct config_redis_options *o)
{
    struct redis_settings *s = r->settings;
    if (o->username.size)
        s->username = copy(r, o->username);
    if (o->password.size)
        s->password = copy(r, o->password);
    s->sentinel_master = copy(r, o->sentinel_master);
    s->sentinel_password = copy(r, o->sentinel_password);
    s->ca_file = copy(r, o->ca_file);
    s->cert_file = copy(r, o->cert_file);
    s->key_file = copy(r, o->key_file);
    s->server_name = copy(r, o->server_name);
    s->buckets = o->buckets ? o->buckets : s->mode == REDIS_CLUSTER ? BUCKETS_OF_CLUSTER : 1;
    if (s->buckets > LIMIT_REDIS_BUCKETS)
        REFUSE(r, "redis.buckets", "is %u; must be at most %d", s->buckets, LIMIT_REDIS_BUCKETS);
    s->connect_ms = read_timeout(r, "redis.connect_timeout", o->connect_timeout, LIMIT_REDIS_CONNECT_MS);
    s->answer_ms = read_timeout(r, "redis.command_timeout", o->command_timeout, LIMIT_REDIS_ANSWER_MS);
    read_prefix(r, o->key_prefix);
}

static enum redis_mode mode_of(const struct config_redis_options *o)
{
    switch (o->mode) {
    case CONFIG_REDIS_OPTIONS_MODE_CLUSTER:
        return REDIS_CLUSTER;
    case CONFIG_REDIS_OPTIONS_MODE_SENTINEL:
        return REDIS_SENTINEL;
    default:
        return REDIS_STANDALONE;
    }
}

enum err redis_settings_make(const struct config_backend *backend, struct arena *arena, struct diag *diag,
                             struct redis_settings *ret_settings)
{
    static const struct config_redis_options none = {0};
    const struct config_redis_options *options = backend && backend->redis ? backend->redis : &none;
    struct redis_settings settings = {.mode = mode_of(options)};
    struct reader r = {.arena = arena, .diag = diag, .settings = &settings};
    diag_set(diag, ERR_CONFIG_INVALID, "the settings of the Redis backend are not valid");
    read_connection(&r, backend ? backend->connection : SLICE_EMPTY);
    read_options(&r, options);
    check_mode(&r);
    check_tls(&r);
    if (r.out_of_memory)
        return diag_set(diag, ERR_NOMEM, "%s", err_row(ERR_NOMEM)->text);
    if (r.bad)
        return ERR_CONFIG_INVALID;
    if (diag)
        diag_init(diag, diag->arena);
    *ret_settings = settings;
    return OK;
}

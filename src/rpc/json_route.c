#include "rpc/json_route.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"

enum { SEGMENTS = 5, KEY_BYTES = 256, HINTS = 32 };

struct path {
    struct slice segments[SEGMENTS]; /* decoded */
    size_t count;
    bool too_many;
};

/* ---- segments --------------------------------------------------------------------------------------------------------- */

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The segment itself where nothing is encoded. */
static enum err percent_decode(struct arena *arena, struct slice in, struct slice *ret_out)
{
    if (!in.size || !memchr(in.data, '%', in.size)) {
        *ret_out = in;
        return OK;
    }
    uint8_t *out = arena_alloc(arena, in.size);
    size_t size = 0;
    if (!out)
        return ERR_NOMEM;
    for (size_t i = 0; i < in.size; i++) {
        if (in.data[i] != '%') {
            out[size++] = in.data[i];
            continue;
        }
        int high = i + 2 < in.size ? hex_value(in.data[i + 1]) : -1;
        int low = high >= 0 ? hex_value(in.data[i + 2]) : -1;
        if (low < 0)
            return ERR_INVALID_ARGUMENT;
        out[size++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    *ret_out = slice_of(out, size);
    return OK;
}

static enum err split(struct http_exchange *x, struct diag *d, struct path *p)
{
    struct slice rest = slice_skip(x->path, 1);
    for (;;) {
        const uint8_t *slash = rest.size ? memchr(rest.data, '/', rest.size) : NULL;
        struct slice segment = slash ? slice_of(rest.data, (size_t)(slash - rest.data)) : rest;
        if (p->count == SEGMENTS) {
            p->too_many = true;
            return OK;
        }
        enum err e = percent_decode(&x->arena, segment, &p->segments[p->count++]);
        if (e)
            return diag_set(d, e, "the path holds a percent sign that is not followed by two hexadecimal digits");
        if (!slash)
            return OK;
        rest = slice_skip(rest, segment.size + 1);
    }
}

/* ---- what there is nearby ---------------------------------------------------------------------------------------------- */

struct hints {
    struct slice names[HINTS];
    size_t count;
};

static void add_hint(struct hints *h, struct slice name)
{
    for (size_t i = 0; i < h->count; i++)
        if (slice_eq(h->names[i], name))
            return;
    if (h->count < HINTS)
        h->names[h->count++] = name;
}

static int compare_names(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static const char *join(struct hints *h, struct arena *arena)
{
    struct slice out = SLICE_EMPTY;
    qsort(h->names, h->count, sizeof h->names[0], compare_names);
    for (size_t i = 0; i < h->count; i++) {
        const char *text = arena_printf(arena, "%.*s%s%.*s", SLICE_ARG(out), i ? ", " : "", SLICE_ARG(h->names[i]));
        if (!text)
            return "";
        out = slice_str(text);
    }
    return h->count ? (const char *)out.data : "none";
}

static struct slice before_slash(struct slice key)
{
    const uint8_t *slash = memchr(key.data, '/', key.size);
    return slash ? slice_of(key.data, (size_t)(slash - key.data)) : key;
}

/* Names of the methods whose key begins with the prefix. */
static const char *methods_of(const struct rpc_server *s, struct slice prefix, struct arena *arena, size_t *ret_count)
{
    struct hints h = {.count = 0};
    void *value;
    for (uint32_t at = 0; map_next(&s->endpoints, &at, NULL, &value);) {
        const struct endpoint *e = value;
        if (e->method && slice_starts_with(e->key, prefix))
            add_hint(&h, slice_skip(e->key, prefix.size));
    }
    *ret_count = h.count;
    return join(&h, arena);
}

static const char *interfaces(const struct rpc_server *s, struct arena *arena)
{
    struct hints h = {.count = 0};
    void *value;
    for (uint32_t at = 0; map_next(&s->endpoints, &at, NULL, &value);) {
        const struct endpoint *e = value;
        if (e->method && e->key.data[0] != '/')
            add_hint(&h, before_slash(e->key));
    }
    return join(&h, arena);
}

static enum err no_method(struct http_exchange *x, struct diag *d, struct slice prefix, struct slice owner,
                          struct slice method)
{
    size_t count;
    const char *methods = methods_of(x->server, prefix, &x->arena, &count);
    if (count)
        return diag_set(d, ERR_METHOD_UNKNOWN, "%.*s has no method \"%.*s\"; it has %s", SLICE_ARG(owner),
                        SLICE_ARG(method), methods);
    return diag_set(d, ERR_METHOD_UNKNOWN, "there is no interface \"%.*s\"; there are %s", SLICE_ARG(owner),
                    interfaces(x->server, &x->arena));
}

static enum err nothing_here(struct http_exchange *x, struct diag *d)
{
    return diag_set(d, ERR_HTTP_NOT_FOUND,
                    "there is nothing at %.*s; methods are called by POST "
                    "/v1/namespaces/{namespace}/{interface}/{Method}, interfaces are %s",
                    SLICE_ARG(slice_take(x->path, 200)), interfaces(x->server, &x->arena));
}

/* ---- the two forms ---------------------------------------------------------------------------------------------------- */

static size_t put_key(char key[KEY_BYTES], const char *before, struct slice first, struct slice second)
{
    int size = snprintf(key, KEY_BYTES, "%s%.*s/%.*s", before, SLICE_ARG(first), SLICE_ARG(second));
    return size > 0 && size < KEY_BYTES ? (size_t)size : 0;
}

/* before: "" for an interface id, "/" for a service. */
static enum err find_method(struct http_exchange *x, struct diag *d, const char *before, struct slice owner,
                            struct slice method, const struct endpoint **ret_endpoint)
{
    char key[KEY_BYTES];
    size_t size = put_key(key, before, owner, method);
    const struct endpoint *e = size ? server_find(x->server, slice_of(key, size)) : NULL;
    if (e && e->method) {
        *ret_endpoint = e;
        return OK;
    }
    size = put_key(key, before, owner, SLICE(""));
    return size ? no_method(x, d, slice_of(key, size), owner, method) : nothing_here(x, d);
}

static bool is_namespaced(const struct path *p)
{
    return p->count == 5 && !p->too_many && slice_eq(p->segments[0], SLICE("v1")) &&
           slice_eq(p->segments[1], SLICE("namespaces"));
}

/* A page of this path that wants another HTTP method. */
static bool is_page(const struct http_exchange *x)
{
    char key[KEY_BYTES];
    int size = snprintf(key, sizeof key, "GET %.*s", SLICE_ARG(x->path));
    return size > 0 && size < KEY_BYTES && server_find(x->server, slice_of(key, (size_t)size));
}

enum err json_route_find(struct http_exchange *x, struct diag *d, struct json_route *ret_route, const char **ret_allow)
{
    struct path p = {.count = 0};
    struct json_route route = {0};
    *ret_allow = is_page(x) ? "GET" : "POST";
    if (is_page(x))
        return diag_set(d, ERR_HTTP_METHOD, "%.*s takes GET", SLICE_ARG(x->path));
    enum err e = split(x, d, &p);
    if (e)
        return e;
    if (is_namespaced(&p)) {
        route.namespace_name = p.segments[2];
        e = find_method(x, d, "", p.segments[3], p.segments[4], &route.endpoint);
    } else if (p.count == 2 && p.segments[0].size && memchr(p.segments[0].data, '.', p.segments[0].size)) {
        e = find_method(x, d, "/", p.segments[0], p.segments[1], &route.endpoint);
    } else {
        e = nothing_here(x, d);
    }
    if (e)
        return e;
    if (is_namespaced(&p) && route.namespace_name.size == 0)
        return diag_set(d, ERR_NAMESPACE_MISSING, "the path has an empty namespace");
    if (!slice_eq(x->method, SLICE("POST")))
        return diag_set(d, ERR_HTTP_METHOD, "%.*s takes POST", SLICE_ARG(x->path));
    *ret_route = route;
    return OK;
}

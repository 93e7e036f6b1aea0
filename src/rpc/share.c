/* Shares by client. A client is in the map while a loop has a connection or a call of it.
 *
 * Invariants: a cell is written by its loop alone (its connections with the lock held); loops_in counts the cells that are not
 * empty and changes under the lock; the last loop to empty its cell frees the client, and by then nobody has a share of it. */
#include "rpc/share.h"

#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"

enum { KEY_BYTES = 512 }; /* longer identities are told apart by their beginnings */

enum { LINE_BYTES = 64 }; /* of a cache; what lies a line apart shares none */

struct rpc_shares {
    /* Read by every call. */
    unsigned loops;
    atomic_uint connections_max[2];
    atomic_uint calls_max;
    atomic_uint_fast64_t output_max;
    atomic_int_fast64_t output; /* of all clients; moves where answers wait, which is not the rule */
    /* Written by every connection. */
    uint8_t apart[LINE_BYTES];
    pthread_mutex_t lock;
    struct map clients; /* struct client by key */
};

/* A loop's part of a client. */
struct rpc_share {
    struct client *client;
    uint32_t connections;
    atomic_uint calls;
    atomic_int_fast64_t output;
    uint8_t apart[LINE_BYTES];
};

struct client {
    struct rpc_shares *shares;
    uint32_t connections; /* of all loops */
    uint32_t loops_in;
    struct slice key; /* behind the cells */
    struct rpc_share cells[];
};

void rpc_shares_set(struct rpc_shares *s, const struct rpc_share_limits *limits)
{
    atomic_store(&s->connections_max[RPC_BY_ADDRESS], limits->connections_per_address);
    atomic_store(&s->connections_max[RPC_BY_IDENTITY], limits->connections_per_identity);
    atomic_store(&s->calls_max, limits->calls);
    atomic_store(&s->output_max, limits->output_bytes);
}

enum err rpc_shares_new(const struct hash_key *secret, unsigned loops, const struct rpc_share_limits *limits,
                        struct rpc_shares **ret_shares)
{
    struct rpc_shares *s = mem_zalloc(sizeof *s);
    if (!s)
        return ERR_NOMEM;
    s->loops = loops;
    pthread_mutex_init(&s->lock, NULL);
    map_init(&s->clients, LIMIT_CONNECTIONS + LIMIT_CALLS_IN_FLIGHT, secret);
    rpc_shares_set(s, limits);
    *ret_shares = s;
    return OK;
}

void rpc_shares_free(struct rpc_shares *s)
{
    if (!s)
        return;
    map_fini(&s->clients);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

/* ---- who a client is ---------------------------------------------------------------------------------------------------- */

static struct slice without_port(const char *name)
{
    const char *colon = strrchr(name, ':');
    struct slice host = slice_of(name, colon ? (size_t)(colon - name) : strlen(name));
    bool bracketed = host.size > 2 && host.data[0] == '[';
    return bracketed ? slice_of(host.data + 1, host.size - 2) : host;
}

/* An IPv4 address that came over an IPv6 socket is the IPv4 address. */
static int put_ipv6(const struct in6_addr *a, char key[static KEY_BYTES])
{
    const uint8_t *b = a->s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(a))
        return snprintf(key, KEY_BYTES, "address %u.%u.%u.%u", b[12], b[13], b[14], b[15]);
    return snprintf(key, KEY_BYTES, "address %02x%02x:%02x%02x:%02x%02x:%02x%02x::/64", b[0], b[1], b[2], b[3], b[4],
                    b[5], b[6], b[7]);
}

static int put_address(const char *name, char key[static KEY_BYTES])
{
    char host[INET6_ADDRSTRLEN];
    struct slice text = without_port(name);
    struct in6_addr a;
    snprintf(host, sizeof host, "%.*s", (int)text.size, (const char *)text.data);
    if (inet_pton(AF_INET6, host, &a) == 1)
        return put_ipv6(&a, key);
    return snprintf(key, KEY_BYTES, "address %s", host);
}

static struct slice key_of(enum rpc_share_kind kind, const char *name, char key[static KEY_BYTES])
{
    int n = kind == RPC_BY_ADDRESS ? put_address(name, key) : snprintf(key, KEY_BYTES, "identity %s", name);
    return slice_of(key, n < KEY_BYTES ? (size_t)n : KEY_BYTES - 1);
}

/* ---- connections ---------------------------------------------------------------------------------------------------------- */

static enum err add(struct rpc_shares *s, struct slice key, struct client **ret_client)
{
    size_t cells = s->loops * sizeof(struct rpc_share);
    struct client *c = mem_zalloc(sizeof *c + cells + key.size);
    if (!c)
        return ERR_NOMEM;
    c->shares = s;
    c->key = slice_of((uint8_t *)c->cells + cells, key.size);
    memcpy((uint8_t *)c->cells + cells, key.data, key.size);
    for (unsigned i = 0; i < s->loops; i++)
        c->cells[i].client = c;
    enum err e = map_put(&s->clients, c->key, c, NULL);
    if (e)
        mem_free(c);
    else
        *ret_client = c;
    return e;
}

static uint32_t calls_of(const struct rpc_share *share)
{
    return atomic_load_explicit(&share->calls, memory_order_relaxed);
}

static bool is_empty(const struct rpc_share *share)
{
    return share->connections == 0 && calls_of(share) == 0;
}

static enum err connect_locked(struct rpc_shares *s, unsigned loop, enum rpc_share_kind kind, struct slice key,
                               struct rpc_share **ret_share)
{
    struct client *c = map_get(&s->clients, key);
    if (c && c->connections >= atomic_load(&s->connections_max[kind]))
        return ERR_TOO_MANY_CONNECTIONS;
    enum err e = c ? OK : add(s, key, &c);
    if (e)
        return e;
    c->loops_in += is_empty(&c->cells[loop]);
    c->cells[loop].connections++;
    c->connections++;
    *ret_share = &c->cells[loop];
    return OK;
}

enum err rpc_share_connect(struct rpc_shares *s, unsigned loop, enum rpc_share_kind kind, const char *name,
                           struct rpc_share **ret_share)
{
    char room[KEY_BYTES];
    assert(loop < s->loops);
    if (kind == RPC_BY_ADDRESS && strncmp(name, "unix:", 5) == 0) {
        *ret_share = NULL;
        return OK;
    }
    struct slice key = key_of(kind, name, room);
    pthread_mutex_lock(&s->lock);
    enum err e = connect_locked(s, loop, kind, key, ret_share);
    pthread_mutex_unlock(&s->lock);
    return e;
}

/* With the lock held, after the loop's cell has lost something. */
static void leave_if_empty(struct rpc_share *share)
{
    struct client *c = share->client;
    if (!is_empty(share) || --c->loops_in)
        return;
    map_remove(&c->shares->clients, c->key);
    mem_free(c);
}

void rpc_share_disconnect(struct rpc_share *share)
{
    if (!share)
        return;
    struct rpc_shares *s = share->client->shares;
    pthread_mutex_lock(&s->lock);
    share->connections--;
    share->client->connections--;
    leave_if_empty(share);
    pthread_mutex_unlock(&s->lock);
}

/* ---- calls, and answers that wait ----------------------------------------------------------------------------------------- */

uint32_t rpc_share_calls(const struct rpc_share *share)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < share->client->shares->loops; i++)
        sum += calls_of(&share->client->cells[i]);
    return sum;
}

static bool has_too_many_calls(const struct rpc_share *share)
{
    const struct rpc_shares *s = share->client->shares;
    uint32_t max = atomic_load_explicit(&s->calls_max, memory_order_relaxed);
    return calls_of(share) >= max / s->loops && rpc_share_calls(share) >= max;
}

static int64_t output_of(const struct rpc_share *share)
{
    return atomic_load_explicit(&share->output, memory_order_relaxed);
}

static int64_t output_of_client(const struct rpc_share *share)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < share->client->shares->loops; i++)
        sum += output_of(&share->client->cells[i]);
    return sum;
}

static bool has_waiting_more_than(const struct rpc_share *share, unsigned times)
{
    const struct rpc_shares *s = share->client->shares;
    int64_t max = (int64_t)atomic_load_explicit(&s->output_max, memory_order_relaxed) * times;
    return output_of(share) > max / s->loops && output_of_client(share) > max;
}

enum err rpc_share_call(struct rpc_share *share)
{
    if (!share)
        return OK;
    const struct rpc_shares *s = share->client->shares;
    if (has_too_many_calls(share))
        return ERR_TOO_MANY_CALLS;
    if (has_waiting_more_than(share, 1) ||
        atomic_load_explicit(&s->output, memory_order_relaxed) > LIMIT_OUTPUT_ALL_BYTES)
        return ERR_OUTPUT_NOT_TAKEN;
    atomic_store_explicit(&share->calls, calls_of(share) + 1, memory_order_relaxed);
    return OK;
}

void rpc_share_call_end(struct rpc_share *share)
{
    if (!share)
        return;
    atomic_store_explicit(&share->calls, calls_of(share) - 1, memory_order_relaxed);
    if (!is_empty(share))
        return;
    struct rpc_shares *s = share->client->shares;
    pthread_mutex_lock(&s->lock);
    leave_if_empty(share);
    pthread_mutex_unlock(&s->lock);
}

void rpc_share_output(struct rpc_share *share, int64_t bytes)
{
    atomic_store_explicit(&share->output, output_of(share) + bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&share->client->shares->output, bytes, memory_order_relaxed);
}

bool rpc_share_is_clogged(const struct rpc_share *share)
{
    return has_waiting_more_than(share, 2);
}

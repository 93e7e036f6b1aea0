/* Shares by client. A share is in the map while it has a connection or a call; references count both, and the last one is
 * given back under the lock, so that nobody finds a share that is about to be freed.
 *
 * Invariants: refs = connections + calls in flight; connections changes under the lock alone. */
#include "rpc/share.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"

enum { KEY_BYTES = 512 }; /* longer identities are told apart by their beginnings */

struct rpc_shares {
    pthread_mutex_t lock;
    struct map clients; /* struct rpc_share by key */
    atomic_uint connections_max[2];
    atomic_uint calls_max;
    atomic_uint_fast64_t output_max;
    atomic_int_fast64_t output; /* of all clients */
};

struct rpc_share {
    struct rpc_shares *shares;
    atomic_uint refs;
    atomic_uint connections;
    atomic_int_fast64_t output;
    size_t key_size;
    char key[];
};

void rpc_shares_set(struct rpc_shares *s, const struct rpc_share_limits *limits)
{
    atomic_store(&s->connections_max[RPC_BY_ADDRESS], limits->connections_per_address);
    atomic_store(&s->connections_max[RPC_BY_IDENTITY], limits->connections_per_identity);
    atomic_store(&s->calls_max, limits->calls);
    atomic_store(&s->output_max, limits->output_bytes);
}

enum err rpc_shares_new(const struct hash_key *secret, const struct rpc_share_limits *limits,
                        struct rpc_shares **ret_shares)
{
    struct rpc_shares *s = mem_zalloc(sizeof *s);
    if (!s)
        return ERR_NOMEM;
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

static enum err add(struct rpc_shares *s, struct slice key, struct rpc_share **ret_share)
{
    struct rpc_share *share = mem_zalloc(sizeof *share + key.size);
    if (!share)
        return ERR_NOMEM;
    share->shares = s;
    share->key_size = key.size;
    memcpy(share->key, key.data, key.size);
    enum err e = map_put(&s->clients, slice_of(share->key, key.size), share, NULL);
    if (e)
        mem_free(share);
    else
        *ret_share = share;
    return e;
}

static enum err connect_locked(struct rpc_shares *s, enum rpc_share_kind kind, struct slice key,
                               struct rpc_share **ret_share)
{
    struct rpc_share *share = map_get(&s->clients, key);
    if (share && atomic_load(&share->connections) >= atomic_load(&s->connections_max[kind]))
        return ERR_TOO_MANY_CONNECTIONS;
    enum err e = share ? OK : add(s, key, &share);
    if (e)
        return e;
    atomic_fetch_add(&share->refs, 1);
    atomic_fetch_add(&share->connections, 1);
    *ret_share = share;
    return OK;
}

enum err rpc_share_connect(struct rpc_shares *s, enum rpc_share_kind kind, const char *name,
                           struct rpc_share **ret_share)
{
    char room[KEY_BYTES];
    if (kind == RPC_BY_ADDRESS && strncmp(name, "unix:", 5) == 0) {
        *ret_share = NULL;
        return OK;
    }
    struct slice key = key_of(kind, name, room);
    pthread_mutex_lock(&s->lock);
    enum err e = connect_locked(s, kind, key, ret_share);
    pthread_mutex_unlock(&s->lock);
    return e;
}

/* With the lock held. */
static void give_back(struct rpc_share *share)
{
    if (atomic_fetch_sub(&share->refs, 1) > 1)
        return;
    map_remove(&share->shares->clients, slice_of(share->key, share->key_size));
    mem_free(share);
}

void rpc_share_disconnect(struct rpc_share *share)
{
    if (!share)
        return;
    struct rpc_shares *s = share->shares;
    pthread_mutex_lock(&s->lock);
    atomic_fetch_sub(&share->connections, 1);
    give_back(share);
    pthread_mutex_unlock(&s->lock);
}

/* ---- calls ---------------------------------------------------------------------------------------------------------------- */

uint32_t rpc_share_calls(const struct rpc_share *share)
{
    unsigned refs = atomic_load_explicit(&share->refs, memory_order_relaxed);
    unsigned connections = atomic_load_explicit(&share->connections, memory_order_relaxed);
    return refs > connections ? refs - connections : 0;
}

static bool waits_more_than(const struct rpc_share *share, unsigned times)
{
    uint64_t max = atomic_load_explicit(&share->shares->output_max, memory_order_relaxed);
    return atomic_load_explicit(&share->output, memory_order_relaxed) > (int64_t)(max * times);
}

enum err rpc_share_call(struct rpc_share *share)
{
    if (!share)
        return OK;
    struct rpc_shares *s = share->shares;
    if (rpc_share_calls(share) >= atomic_load_explicit(&s->calls_max, memory_order_relaxed))
        return ERR_TOO_MANY_CALLS;
    if (waits_more_than(share, 1) || atomic_load_explicit(&s->output, memory_order_relaxed) > LIMIT_OUTPUT_ALL_BYTES)
        return ERR_OUTPUT_NOT_TAKEN;
    atomic_fetch_add_explicit(&share->refs, 1, memory_order_relaxed);
    return OK;
}

void rpc_share_output(struct rpc_share *share, int64_t bytes)
{
    atomic_fetch_add_explicit(&share->output, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&share->shares->output, bytes, memory_order_relaxed);
}

bool rpc_share_is_clogged(const struct rpc_share *share)
{
    return waits_more_than(share, 2);
}

void rpc_share_call_end(struct rpc_share *share)
{
    if (!share)
        return;
    unsigned refs = atomic_load_explicit(&share->refs, memory_order_relaxed);
    while (refs > 1)
        if (atomic_compare_exchange_weak_explicit(&share->refs, &refs, refs - 1, memory_order_release,
                                                  memory_order_relaxed))
            return;
    struct rpc_shares *s = share->shares;
    pthread_mutex_lock(&s->lock);
    give_back(share);
    pthread_mutex_unlock(&s->lock);
}

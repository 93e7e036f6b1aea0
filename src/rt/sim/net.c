/* The network of the twin. A connection is a link of two pipes; a pipe is a ring of bytes, of which those that have arrived can
 * be read. Sockets of both ends, listeners and connects under way are all struct sim_socket.
 *
 *   connect:  dialing ──delay──▶ waiting at the listener ──accept──▶ open       nobody listens: refused after the delay
 *
 * Invariants: bytes arrive in order; all memory of a connection is taken when it is made, so that reading and writing never
 * fail for lack of it; a closed socket stays in its loop's list until no dispatch walks over it. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "rt/sim/internal.h"

enum { PIPE_BYTES = 64 << 10, SEGMENTS = 64, SHORT_ONE_IN = 8 };

struct segment {
    uint32_t size;
    uint64_t due_ns;
};

struct pipe {
    uint8_t bytes[PIPE_BYTES];
    uint32_t begin, size; /* a ring: written and not read */
    uint32_t arrived;     /* of size */
    struct segment segments[SEGMENTS];
    uint32_t first_segment, segment_count; /* a ring: not arrived */
    uint64_t last_due_ns;
    bool ended; /* no more bytes after last_due_ns */
};

struct link {
    struct pipe pipes[2]; /* by writer */
    bool gone[2];         /* that side's socket is closed */
    bool reset;
    uint64_t reset_ns;
};

enum kind { LISTENING, DIALING, OPEN };

struct sim_socket {
    struct socket base; /* first */
    enum kind kind;
    unsigned watched;
    bool closed;
    struct sim_socket *next;       /* of the loop's sockets */
    char name[ADDRESS_TEXT_BYTES]; /* LISTENING: own; DIALING, OPEN: of the peer */
    /* DIALING, OPEN */
    struct link *link;
    int side;
    uint64_t due_ns; /* of the outcome */
    bool refused;
    bool told;      /* DIALING: ready has been called */
    bool unclaimed; /* the accepted side waits at the listener, not yet accepted */
};

static struct sim_socket *socket_of(struct socket *s)
{
    return (struct sim_socket *)s;
}

static struct sim_loop *loop_of(const struct sim_socket *s)
{
    return (struct sim_loop *)s->base.loop;
}

static struct sim *sim_of_socket(const struct sim_socket *s)
{
    return loop_of(s)->sim;
}

/* ---- pipes ------------------------------------------------------------------------------------------------------------ */

static void arrive(struct pipe *p, uint64_t now_ns)
{
    while (p->segment_count && p->segments[p->first_segment].due_ns <= now_ns) {
        p->arrived += p->segments[p->first_segment].size;
        p->first_segment = (p->first_segment + 1) % SEGMENTS;
        p->segment_count--;
    }
}

static uint32_t pipe_room(const struct pipe *p)
{
    return p->segment_count < SEGMENTS ? PIPE_BYTES - p->size : 0;
}

/* Order is kept: nothing overtakes what was sent before. */
static uint64_t arrival(struct sim *s, struct pipe *p)
{
    uint64_t due = s->now_ns + sim_delay(s);
    p->last_due_ns = due > p->last_due_ns ? due : p->last_due_ns;
    return p->last_due_ns;
}

static void pipe_put(struct pipe *p, struct slice from)
{
    for (size_t i = 0; i < from.size; i++)
        p->bytes[(p->begin + p->size + i) % PIPE_BYTES] = from.data[i];
    p->size += (uint32_t)from.size;
}

static void pipe_take(struct pipe *p, uint8_t *to, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        to[i] = p->bytes[(p->begin + i) % PIPE_BYTES];
    p->begin = (p->begin + size) % PIPE_BYTES;
    p->size -= size;
    p->arrived -= size;
}

/* ---- readiness -------------------------------------------------------------------------------------------------------- */

static const struct pipe *inbound(const struct sim_socket *s)
{
    return &s->link->pipes[!s->side];
}

/* When reading gives something (bytes, end, error); UINT64_MAX: not before something else happens. */
static uint64_t readable_ns(const struct sim_socket *s)
{
    const struct pipe *p = inbound(s);
    uint64_t reset_ns = s->link->reset ? s->link->reset_ns : UINT64_MAX;
    uint64_t due = UINT64_MAX;
    if (p->arrived)
        due = 0;
    else if (p->segment_count)
        due = p->segments[p->first_segment].due_ns;
    else if (p->ended)
        due = p->last_due_ns;
    return due < reset_ns ? due : reset_ns;
}

static uint64_t writable_ns(const struct sim_socket *s)
{
    const struct pipe *p = &s->link->pipes[s->side];
    if (s->link->reset)
        return s->link->reset_ns;
    if (pipe_room(p) || s->link->gone[!s->side])
        return 0;
    return p->segment_count ? p->segments[p->first_segment].due_ns : UINT64_MAX;
}

static struct sim_socket *next_waiting(const struct sim_socket *listener);

static uint64_t ready_ns(const struct sim_socket *s, unsigned event)
{
    if (s->closed || s->unclaimed)
        return UINT64_MAX;
    if (s->kind == DIALING)
        return event == SOCKET_WRITABLE && !s->told ? s->due_ns : UINT64_MAX;
    if (!(s->watched & event))
        return UINT64_MAX;
    if (s->kind == LISTENING) {
        const struct sim_socket *waiting = event == SOCKET_READABLE ? next_waiting(s) : NULL;
        return waiting ? waiting->due_ns : UINT64_MAX;
    }
    if (event == SOCKET_LOST)
        return s->link->reset ? s->link->reset_ns : UINT64_MAX;
    return event == SOCKET_READABLE ? readable_ns(s) : writable_ns(s);
}

uint64_t sim_net_next(const struct sim_loop *l)
{
    uint64_t next = UINT64_MAX;
    for (const struct sim_socket *s = l->sockets; s; s = s->next) {
        for (unsigned event = SOCKET_READABLE; event <= SOCKET_LOST; event <<= 1) {
            uint64_t due = ready_ns(s, event);
            next = due < next ? due : next;
        }
    }
    return next;
}

static void release_link(struct link *link)
{
    if (link && link->gone[0] && link->gone[1])
        mem_free(link);
}

void sim_net_free_closed(struct sim_loop *l)
{
    for (struct sim_socket **link = &l->sockets; *link;) {
        struct sim_socket *s = *link;
        if (s->closed) {
            *link = s->next;
            mem_free(s);
        } else {
            link = &s->next;
        }
    }
}

static bool dispatch_one(struct sim_socket *s)
{
    uint64_t now_ns = sim_of_socket(s)->now_ns;
    unsigned events = 0;
    for (unsigned event = SOCKET_READABLE; event <= SOCKET_LOST; event <<= 1)
        events |= ready_ns(s, event) <= now_ns ? event : 0;
    if (!events)
        return false;
    struct loop *l = s->base.loop;
    if (s->kind == DIALING) {
        s->told = true;
        s->kind = OPEN;
    }
    s->base.ready(&s->base, events);
    loop_settle(l);
    return true;
}

/* New sockets are put in front of the list: the walk does not meet them. */
bool sim_net_dispatch(struct sim_loop *l)
{
    bool any = false;
    for (struct sim_socket *s = l->sockets; s; s = s->next)
        any |= dispatch_one(s);
    sim_net_free_closed(l);
    return any;
}

/* ---- making ----------------------------------------------------------------------------------------------------------- */

static struct sim_socket *new_socket(struct sim_loop *l, enum kind kind, const char *name)
{
    struct sim_socket *s = mem_zalloc(sizeof *s);
    if (!s)
        return NULL;
    s->base.loop = &l->loop;
    s->kind = kind;
    snprintf(s->name, sizeof s->name, "%s", name);
    s->next = l->sockets;
    l->sockets = s;
    return s;
}

static struct sim_socket *find_listener(const struct sim *s, const char *name)
{
    for (struct sim_loop *l = s->loops; l; l = l->next)
        for (struct sim_socket *i = l->sockets; i; i = i->next)
            if (i->kind == LISTENING && !i->closed && strcmp(i->name, name) == 0)
                return i;
    return NULL;
}

enum err sim_net_listen(struct loop *base, const struct address *a, const struct listen_options *o, struct diag *d,
                        char ret_name[ADDRESS_TEXT_BYTES], struct socket **ret_socket)
{
    struct sim_loop *l = (struct sim_loop *)base;
    struct address own = *a;
    char name[ADDRESS_TEXT_BYTES];
    if (!own.local && own.port == 0)
        own.port = l->sim->next_port++;
    address_format(&own, name);
    if (find_listener(l->sim, name) && !o->reuse_port)
        return diag_set(d, ERR_ADDRESS_IN_USE, "cannot listen on %s: Address already in use", name);
    struct sim_socket *s = new_socket(l, LISTENING, name);
    if (!s)
        return ERR_NOMEM;
    base->sockets++;
    snprintf(ret_name, ADDRESS_TEXT_BYTES, "%s", name);
    *ret_socket = &s->base;
    return OK;
}

/* The oldest one: the list has the newest first. The accepted side bears the listener's name until it is accepted. */
static struct sim_socket *next_waiting(const struct sim_socket *listener)
{
    struct sim_socket *oldest = NULL;
    for (struct sim_socket *s = loop_of(listener)->sockets; s; s = s->next)
        if (s->unclaimed && !s->closed && strcmp(s->name, listener->name) == 0)
            oldest = s;
    return oldest;
}

enum accept_result sim_net_accept(struct socket *base, char ret_peer[ADDRESS_TEXT_BYTES], struct socket **ret_socket)
{
    struct sim_socket *listener = socket_of(base), *s = next_waiting(listener);
    if (!s || s->due_ns > sim_of_socket(listener)->now_ns)
        return ACCEPT_NONE;
    s->unclaimed = false;
    s->base.loop->sockets++;
    snprintf(ret_peer, ADDRESS_TEXT_BYTES, "127.0.0.1:%d", sim_of_socket(s)->next_port++);
    snprintf(s->name, sizeof s->name, "%s", ret_peer);
    *ret_socket = &s->base;
    return ACCEPT_ONE;
}

static bool make_link(struct sim_socket *dialer, struct sim_socket *listener)
{
    struct link *link = mem_zalloc(sizeof *link);
    struct sim_socket *other = link ? new_socket(loop_of(listener), OPEN, listener->name) : NULL;
    if (!other) {
        mem_free(link);
        return false;
    }
    dialer->link = other->link = link;
    other->side = 1;
    other->unclaimed = true;
    other->due_ns = dialer->due_ns;
    return true;
}

enum err sim_net_connect(struct loop *base, const struct address *a, struct diag *d, struct socket **ret_socket)
{
    (void)d;
    struct sim_loop *l = (struct sim_loop *)base;
    char name[ADDRESS_TEXT_BYTES];
    struct sim_socket *listener = find_listener(l->sim, address_format(a, name));
    struct sim_socket *s = new_socket(l, DIALING, name);
    if (!s)
        return ERR_NOMEM;
    base->sockets++;
    s->due_ns = l->sim->now_ns + sim_delay(l->sim);
    s->refused = !listener;
    if (listener && !make_link(s, listener)) {
        sim_net_close(&s->base, true);
        return ERR_NOMEM;
    }
    *ret_socket = &s->base;
    return OK;
}

enum err sim_net_connected(struct socket *base, struct diag *d)
{
    return socket_of(base)->refused ? diag_set(d, ERR_CONNECT_FAILED, "Connection refused") : OK;
}

/* ---- use -------------------------------------------------------------------------------------------------------------- */

static uint32_t sometimes_short(struct sim *s, uint32_t size)
{
    return size > 1 && sim_choose(s, SHORT_ONE_IN) == 0 ? 1 + (uint32_t)sim_choose(s, size - 1) : size;
}

int64_t sim_net_read(struct socket *base, void *to, size_t size)
{
    struct sim_socket *s = socket_of(base);
    struct sim *sim = sim_of_socket(s);
    struct pipe *p = &s->link->pipes[!s->side];
    if (s->link->reset && s->link->reset_ns <= sim->now_ns)
        return -ECONNRESET;
    arrive(p, sim->now_ns);
    if (p->arrived) {
        uint32_t n = sometimes_short(sim, p->arrived < size ? p->arrived : (uint32_t)size);
        pipe_take(p, to, n);
        return n;
    }
    return p->ended && p->last_due_ns <= sim->now_ns ? 0 : -EAGAIN;
}

static int64_t put_parts(struct pipe *p, const struct slice *parts, size_t count, uint32_t room)
{
    int64_t done = 0;
    for (size_t i = 0; i < count && room; i++) {
        struct slice part = slice_take(parts[i], room);
        pipe_put(p, part);
        room -= (uint32_t)part.size;
        done += (int64_t)part.size;
    }
    return done;
}

/* There is no kernel that could: the connection reads the file itself. */
int64_t sim_net_send_file(struct socket *s, int fd, uint64_t offset, size_t size)
{
    (void)s;
    (void)fd;
    (void)offset;
    (void)size;
    return -ENOSYS;
}

int64_t sim_net_write(struct socket *base, const struct slice *parts, size_t count, bool more)
{
    (void)more;
    struct sim_socket *s = socket_of(base);
    struct sim *sim = sim_of_socket(s);
    struct pipe *p = &s->link->pipes[s->side];
    if (s->link->reset && s->link->reset_ns <= sim->now_ns)
        return -ECONNRESET;
    if (s->link->gone[!s->side] || p->ended)
        return -EPIPE;
    arrive(p, sim->now_ns);
    uint32_t room = pipe_room(p);
    if (room == 0)
        return -EAGAIN;
    int64_t n = put_parts(p, parts, count, sometimes_short(sim, room));
    if (n) {
        uint32_t at = (p->first_segment + p->segment_count++) % SEGMENTS;
        p->segments[at] = (struct segment){(uint32_t)n, arrival(sim, p)};
    }
    return n;
}

void sim_net_watch(struct socket *s, unsigned events)
{
    socket_of(s)->watched = events;
}

void sim_net_shutdown(struct socket *base)
{
    struct sim_socket *s = socket_of(base);
    struct pipe *p = &s->link->pipes[s->side];
    if (!p->ended)
        arrival(sim_of_socket(s), p);
    p->ended = true;
}

/* As the kernel does it: closing with unread bytes is a reset. */
static void leave_link(struct sim_socket *s, bool reset)
{
    struct link *link = s->link;
    struct sim *sim = sim_of_socket(s);
    if (!reset && !inbound(s)->size) {
        sim_net_shutdown(&s->base);
    } else if (!link->reset) {
        link->reset = true;
        link->reset_ns = sim->now_ns + sim_delay(sim);
    }
    link->gone[s->side] = true;
    release_link(link);
    s->link = NULL;
}

/* Those that wait at a listener go with it. */
static void refuse_waiting(struct sim_socket *listener)
{
    for (struct sim_socket *s; (s = next_waiting(listener));) {
        s->closed = true;
        leave_link(s, true);
    }
}

void sim_net_close(struct socket *base, bool reset)
{
    struct sim_socket *s = socket_of(base);
    assert(!s->closed);
    s->closed = true;
    base->loop->sockets--;
    if (s->kind == LISTENING)
        refuse_waiting(s);
    if (s->link)
        leave_link(s, reset);
}

void sim_cut(struct sim *sim)
{
    for (struct sim_loop *l = sim->loops; l; l = l->next) {
        for (struct sim_socket *s = l->sockets; s; s = s->next) {
            if (s->link) {
                s->link->reset = true;
                s->link->reset_ns = sim->now_ns;
            }
        }
    }
}

/* The run of the generator (load.h). */
#include "load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "measure.h"

enum { GAP_NS = 20000, SHOWN_FAILURES = 3 };

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("generator: ", stderr);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* --- requests and answers -------------------------------------------------------------------------------------------------------- */

static struct request *new_request(struct link *l, uint32_t messages)
{
    struct request *r = &l->ring[l->tail++ % LOAD_DEPTH];
    r->messages = messages;
    r->sent_ns = l->load->now_ns;
    r->head_size = 0;
    return r;
}

static bool has_room(const struct link *l)
{
    return l->tail - l->head < LOAD_DEPTH;
}

void load_acked(struct link *l, uint64_t messages)
{
    struct load *load = l->load;
    l->acked += messages;
    while (l->head < l->unwritten && l->acked >= l->ring[l->head % LOAD_DEPTH].messages) {
        const struct request *r = &l->ring[l->head++ % LOAD_DEPTH];
        l->acked -= r->messages;
        load->acked += l->consumer ? 0 : r->messages;
        if (load->mode == LOAD_PRODUCE && r->sent_ns >= load->measure_ns)
            hdr_add(load->latency, load->now_ns - r->sent_ns);
    }
}

void load_delivered(struct link *l, uint64_t messages, uint64_t bytes)
{
    l->load->delivered += messages;
    l->load->delivered_bytes += bytes;
}

void load_returned(struct link *l, const uint8_t *payload, size_t size)
{
    struct load *load = l->load;
    uint64_t due_ns;
    if (size != load->payload_bytes) {
        load_failed(l, "a message came back with another size");
        return;
    }
    memcpy(&due_ns, payload, sizeof due_ns);
    if (due_ns >= load->measure_ns && due_ns < load->end_ns)
        hdr_add(load->latency, load->now_ns > due_ns ? load->now_ns - due_ns : 0);
    load_delivered(l, 1, size);
}

void load_failed(struct link *l, const char *why)
{
    if (l->load->failed++ < SHOWN_FAILURES)
        fprintf(stderr, "generator: connection %u: %s\n", l->index, why);
}

void load_queue(struct link *l, const uint8_t *body, size_t size, uint32_t messages)
{
    load_acked(l, 0); /* what has no answer is done when it is written */
    if (!has_room(l))
        die("more requests than may be in flight");
    struct request *r = new_request(l, messages);
    free(r->own);
    r->own = malloc(size);
    if (!r->own)
        die("out of memory");
    memcpy(r->own, body, size);
    r->body = r->own;
    r->body_size = size;
}

/* The shared request once more. */
static void queue_shared(struct link *l)
{
    struct load *load = l->load;
    struct request *r = new_request(l, load->batch * (load->partitions / load->link_count));
    r->body = l->shared;
    r->body_size = l->shared_size;
    if (load->protocol->stamp)
        load->protocol->stamp(l, r);
    load->sent += r->messages;
}

static bool may_send(const struct load *load)
{
    return load->now_ns < load->end_ns && (!load->messages_max || load->sent < load->messages_max);
}

static void fill(struct link *l)
{
    struct load *load = l->load;
    if (load->mode == LOAD_PRODUCE)
        while (l->tail - l->head < load->depth && may_send(load))
            queue_shared(l);
    if (l->consumer && load->protocol->pulls && l->head == l->tail)
        load->protocol->pull(l);
    link_flush(l);
}

static void take_all(struct link *l)
{
    size_t used = 0, n;
    while (used < l->in_size && (n = l->load->protocol->take(l, l->in + used, l->in_size - used)))
        used += n;
    link_consume(l, used);
}

/* --- open loop ------------------------------------------------------------------------------------------------------------------- */

static void send_due(struct load *load)
{
    static uint8_t encoded[LOAD_REQUEST_MAX];
    struct link *l = &load->links[0];
    unsigned n = 0;
    if (pace_next(&load->pace) > load->now_ns || !has_room(l))
        return;
    while (n < LOAD_DUE_MAX && pace_next(&load->pace) <= load->now_ns && pace_next(&load->pace) < load->end_ns) {
        uint64_t due_ns = pace_take(&load->pace);
        memcpy(load->payloads + (size_t)n++ * load->payload_bytes, &due_ns, sizeof due_ns);
    }
    if (!n)
        return;
    size_t size = load->protocol->encode(l, load->payloads, n, encoded);
    load_queue(l, encoded, size, n);
    if (load->protocol->stamp)
        load->protocol->stamp(l, &l->ring[(l->tail - 1) % LOAD_DEPTH]);
    load->sent += n;
    link_flush(l);
}

/* --- the run --------------------------------------------------------------------------------------------------------------------- */

static void watch(struct link *l, bool writable)
{
    struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0u), .data.ptr = l};
    if (epoll_ctl(l->load->poll, EPOLL_CTL_MOD, l->fd, &event) != 0)
        die("epoll_ctl");
}

static void serve(struct link *l, uint32_t events)
{
    bool waited = l->unwritten < l->tail;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        link_receive(l);
        l->load->now_ns = measure_clock_ns();
        take_all(l);
    }
    fill(l);
    if ((l->unwritten < l->tail) != waited || (events & EPOLLOUT))
        watch(l, l->unwritten < l->tail);
}

static void turn(struct load *load)
{
    struct epoll_event events[LOAD_LINKS];
    bool spin = load->mode == LOAD_LATENCY;
    int n = epoll_wait(load->poll, events, LOAD_LINKS, spin ? 0 : 100);
    uint64_t before = load->now_ns;
    load->now_ns = measure_clock_ns();
    if (spin && n == 0 && load->now_ns - before > GAP_NS && before >= load->measure_ns)
        hdr_add(load->gaps, load->now_ns - before);
    for (int i = 0; i < n; i++)
        serve(events[i].data.ptr, events[i].events);
    if (spin)
        send_due(load);
}

static bool is_done(const struct load *load)
{
    uint64_t moved = load->mode == LOAD_CONSUME ? load->delivered : load->acked;
    return load->messages_max && moved >= load->messages_max;
}

static void run_until(struct load *load, uint64_t end_ns)
{
    while (load->now_ns < end_ns && !is_done(load))
        turn(load);
}

static bool is_drained(const struct load *load)
{
    return load->acked >= load->sent && (load->mode != LOAD_LATENCY || load->delivered >= load->sent);
}

/* What was sent is waited for, and long: answers that never come are failures, slow ones of a busy machine are not. */
static void drain(struct load *load)
{
    uint64_t end_ns = load->now_ns + LOAD_PATIENCE_S * SECOND;
    while (load->mode != LOAD_CONSUME && !is_drained(load) && load->now_ns < end_ns)
        turn(load);
    bool missing = load->mode == LOAD_CONSUME ? load->messages_max && !is_done(load) : !is_drained(load);
    if (!missing)
        return;
    fprintf(stderr, "generator: not all messages came: %llu sent, %llu acknowledged, %llu read\n",
            (unsigned long long)load->sent, (unsigned long long)load->acked, (unsigned long long)load->delivered);
    load->failed++;
}

/* --- opening --------------------------------------------------------------------------------------------------------------------- */

static void open_link(struct load *load, unsigned index)
{
    struct link *l = &load->links[index];
    *l = (struct link){.load = load,
                       .index = index,
                       .consumer = load->mode == LOAD_CONSUME || (load->mode == LOAD_LATENCY && index == 1)};
    link_connect(l);
    load->protocol->open(l);
    if (load->mode == LOAD_PRODUCE) {
        uint8_t *shared = malloc(LOAD_REQUEST_MAX);
        if (!shared)
            die("out of memory");
        l->shared_size = load->protocol->encode(l, load->payloads, load->batch, shared);
        l->shared = shared;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = l};
    if (epoll_ctl(load->poll, EPOLL_CTL_ADD, l->fd, &event) != 0)
        die("epoll_ctl");
}

static void open_all(struct load *load)
{
    unsigned links = load->mode == LOAD_LATENCY ? 2 : load->link_count;
    load->poll = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < links; i++)
        open_link(load, i);
    load->now_ns = measure_clock_ns();
}

/* --- results --------------------------------------------------------------------------------------------------------------------- */

static uint64_t moved(const struct load *load)
{
    return load->mode == LOAD_PRODUCE ? load->acked : load->delivered;
}

static void report(const struct load *load, struct moment from, struct moment to)
{
    measure_report(from, to, load->failed);
    printf(", \"total\": %llu", (unsigned long long)(load->mode == LOAD_CONSUME ? load->delivered : load->acked));
    measure_print("latency_us", load->latency);
    if (load->mode == LOAD_LATENCY)
        measure_print("gap_us", load->gaps);
    puts("}");
}

void load_run(struct load *load)
{
    load->payloads = malloc((size_t)LOAD_DUE_MAX * load->payload_bytes + (size_t)load->batch * load->payload_bytes);
    if (!load->payloads || hdr_new(&load->latency) || hdr_new(&load->gaps))
        die("out of memory");
    memset(load->payloads, 'v', (size_t)LOAD_DUE_MAX * load->payload_bytes + (size_t)load->batch * load->payload_bytes);
    if (load->mode == LOAD_DELETE) {
        load->protocol->drop(load);
        puts("{}");
        return;
    }
    load->protocol->setup(load);
    open_all(load);
    load->measure_ns = load->now_ns + (uint64_t)(load->warmup * 1e9);
    load->end_ns = load->measure_ns + (uint64_t)(load->seconds * 1e9);
    pace_init(&load->pace, load->rate, load->rate, 0, load->now_ns);
    for (unsigned i = 0; i < LOAD_LINKS && load->links[i].load; i++)
        serve(&load->links[i], EPOLLOUT);
    run_until(load, load->measure_ns);
    struct moment from = measure_moment(load->broker_pid, moved(load));
    run_until(load, load->end_ns);
    struct moment to = measure_moment(load->broker_pid, moved(load));
    drain(load);
    report(load, from, to);
}

/* The state that a driver is compared with, and the run of a script. The array has one place for each key of a fixed pool, in order,
 * whether the key is present or not. A transaction is a copy of the array, made when it began, and a second array of what it
 * wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "model_internal.h"

enum { CLOCK_SLACK_S = 60 };

void require_err(struct model *m, enum err expected, const char *file, int line)
{
    if (m->call.err != expected)
        test_fail(file, line, "operation %llu: %s, expected %s (%s)", (unsigned long long)m->id, err_name(m->call.err),
                  err_name(expected), diag_message(&m->call.call.diag));
}

uint64_t roll(struct model *m, uint64_t sides)
{
    return hash_mix(m->random++) % sides;
}

void note(struct model *m, const char *format, ...)
{
    va_list args;
    if (!m->tracing)
        return;
    va_start(args, format);
    vsnprintf(m->said, sizeof m->said, format, args);
    va_end(args);
}

/* --- keys, values, items ----------------------------------------------------------------------------------------------------- */

static int compare_keys(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* Of few, awkward bytes, so that many are prefixes of others. Each number below has digits of its own, so no two are equal. */
static void make_keys(struct model *m)
{
    static const uint8_t alphabet[] = {0x00, '%', '_', 'a', 'b', 0x7F, 0x80, 0xFF};
    for (unsigned i = 0; i < KEYS; i++) {
        size_t size = 0;
        for (unsigned digits = i + 1; digits; digits /= 8)
            m->key_bytes[i][size++] = alphabet[digits % 8];
        m->key_bytes[i][size++] = 'k';
        m->keys[i] = slice_of(m->key_bytes[i], size);
    }
    qsort(m->keys, KEYS, sizeof *m->keys, compare_keys);
}

struct slice value_of(const struct item *item, uint8_t *memory)
{
    for (uint32_t i = 0; i < item->value_size; i++)
        memory[i] = (uint8_t)(item->value_seed + i * 7);
    return slice_of(memory, item->value_size);
}

static uint32_t random_size(struct model *m)
{
    uint64_t kind = roll(m, 20);
    if (kind == 0)
        return (uint32_t)roll(m, VALUE_BYTES);
    return kind == 1 ? 0 : (uint32_t)roll(m, 60);
}

int64_t now_ms(const struct model *m)
{
    struct timespec now;
    if (!m->subject->real_clock)
        return m->place.env->realtime_ms;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool is_there(const struct model *m, const struct item *item)
{
    return item->present && item->expires_ms > now_ms(m);
}

struct slice version_of(const struct item *item)
{
    return slice_of(item->version, item->version_size);
}

static void make_tags(struct new_item *n)
{
    for (unsigned i = 0; i < n->item.tags; i++) {
        n->tags[i] = (struct keyvalue_set_request_tags_entry){.key = i ? SLICE("two") : SLICE("one"),
                                                              .value = slice_of(&n->item.value_seed, 0)};
        n->tag_pointers[i] = &n->tags[i];
    }
    n->tag_array = (struct pb_array){.items = n->tag_pointers, .count = n->item.tags};
}

void random_item(struct model *m, struct new_item *n)
{
    memset(n, 0, sizeof *n);
    n->item = (struct item){.present = true,
                            .value_seed = (uint32_t)roll(m, UINT32_MAX),
                            .value_size = random_size(m),
                            .tags = roll(m, 4) ? 0 : (uint32_t)roll(m, TAGS + 1),
                            .expires_ms = KV_NEVER,
                            .written = m->step};
    make_tags(n);
    if (roll(m, 3) == 0) {
        int64_t ttl_ms = 1 + (int64_t)roll(m, roll(m, 4) ? 50 : 100000);
        ttl_ms += m->subject->real_clock ? HOUR_MS : 0;
        n->ttl =
            (struct google_protobuf_duration){.seconds = ttl_ms / 1000, .nanos = (int32_t)(ttl_ms % 1000) * 1000000};
        n->ttl_or_null = &n->ttl;
        n->item.expires_ms = now_ms(m) + ttl_ms;
    }
}

void store(struct model *m, unsigned k, const struct item *item, struct slice version)
{
    struct item *place = &m->items[k];
    REQUIRE(m, version.size >= 1 && version.size <= VERSION_BYTES && !slice_eq(version, version_of(place)));
    *place = *item;
    place->written = m->step;
    memcpy(place->version, version.data, version.size);
    place->version_size = version.size;
}

void remove_item(struct model *m, unsigned k)
{
    m->items[k].present = false;
    m->items[k].written = m->step;
}

void check_expiry(struct model *m, int64_t expires_ms, const struct google_protobuf_timestamp *got)
{
    if (expires_ms == KV_NEVER)
        REQUIRE(m, !got);
    else if (m->subject->real_clock)
        REQUIRE(m, got && got->seconds >= expires_ms / 1000 - CLOCK_SLACK_S &&
                       got->seconds <= expires_ms / 1000 + CLOCK_SLACK_S);
    else
        REQUIRE(m, got && got->seconds * 1000 + got->nanos / 1000000 == expires_ms && got->nanos % 1000000 == 0);
}

void check_item(struct model *m, const struct item *want, struct slice value, struct slice version,
                const struct google_protobuf_timestamp *expires_at, struct pb_array tags)
{
    REQUIRE(m, slice_eq(value, value_of(want, m->other)));
    REQUIRE(m, slice_eq(version, version_of(want)));
    REQUIRE(m, tags.count == want->tags);
    check_expiry(m, want->expires_ms, expires_at);
}

void check_get(struct model *m, const struct item *want, const struct keyvalue_get_response *r)
{
    REQUIRE(m, r && r->found == is_there(m, want));
    if (r->found)
        check_item(m, want, r->value, r->version, r->expires_at, r->tags);
    else
        REQUIRE(m, !r->value.size && !r->version.size && !r->tags.count);
}

/* --- time, and the end of the store ------------------------------------------------------------------------------------------ */

static void do_wait(struct model *m)
{
    int64_t ms = (int64_t)roll(m, 20);
    note(m, "wait %lld ms", (long long)ms);
    if (!m->subject->real_clock)
        fake_env_advance(m->place.env, ms);
}

/* As after a restart, or a crash: all data, none of the open transactions. */
static void do_reopen(struct model *m)
{
    bool crash = roll(m, 2);
    if (!m->subject->reopen || roll(m, 8))
        return;
    note(m, crash ? "crash, open again" : "close, open again");
    m->subject->reopen(&m->place, crash);
    forget_transactions(m);
}

/* --- a script ---------------------------------------------------------------------------------------------------------------- */

static const struct {
    unsigned weight;
    void (*run)(struct model *);
} actions[] = {{20, do_set},         {20, do_get},           {8, do_delete},       {5, do_exists},
               {6, do_set_once},     {5, do_expire},         {3, do_persist},      {5, do_get_ttl},
               {8, do_swap},         {3, do_compare_delete}, {4, do_batch_set},    {4, do_batch_get},
               {2, do_batch_delete}, {2, do_scan},           {1, do_scan_keys},    {2, do_count},
               {1, do_keep_cursor},  {2, do_go_on},          {30, do_transaction}, {10, do_wait},
               {1, do_reopen}};

static void one_operation(struct model *m)
{
    unsigned total = 0;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        total += actions[i].weight;
    uint64_t left = roll(m, total);
    for (size_t i = 0;; i++) {
        if (left < actions[i].weight) {
            actions[i].run(m);
            return;
        }
        left -= actions[i].weight;
    }
}

struct script {
    struct model *m;
    const uint32_t *ids;
    unsigned count;
};

static void run_script(void *context)
{
    struct script *s = context;
    struct model *m = s->m;
    for (m->step = 1; m->step <= s->count; m->step++) {
        m->id = s->ids[m->step - 1];
        m->random = hash_mix(hash_mix(m->seed) + m->id);
        strcpy(m->said, "nothing");
        one_operation(m);
        if (m->tracing)
            fprintf(stderr, "  %6llu  %s: %s\n", (unsigned long long)m->id, m->said, err_name(m->call.err));
    }
    end_transactions(m);
}

bool model_replay(const struct model_subject *subject, uint64_t seed, const uint32_t *ids, unsigned count, bool tracing,
                  struct model_failure *ret_failure)
{
    static struct model m;
    memset(&m, 0, sizeof m);
    m.subject = subject;
    m.seed = seed;
    m.tracing = tracing;
    subject->begin(&m.place);
    fake_call_init(&m.call, m.place.ns, m.place.loop);
    make_keys(&m);
    bool agrees =
        test_passes(run_script, &(struct script){&m, ids, count}, ret_failure->said, sizeof ret_failure->said);
    ret_failure->done = m.step < count ? (unsigned)m.step : count;
    if (!agrees && tracing)
        fprintf(stderr, "  %6llu  %s: %s\n", (unsigned long long)m.id, m.said, ret_failure->said);
    m.place.failed = !agrees;
    fake_call_fini(&m.call);
    subject->end(&m.place);
    return agrees;
}

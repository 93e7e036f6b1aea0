/* Invariants: a family's series are found in its map by their label text, and are in its list once; "other" is made with the
 * family, so that metric_series always has an answer. */
#include "base/metrics.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/utf8.h"

enum {
    CACHE_LINE_CELLS = 8,
    LABEL_NAME_BYTES = 60,
    LABEL_TEXT_BYTES = METRIC_LABELS_MAX * (LIMIT_METRIC_LABEL_BYTES * 3 + LABEL_NAME_BYTES + 4),
};

struct metric_family {
    const struct metric_desc *desc;
    struct metrics *metrics;
    struct metric_family *next;
    struct map by_labels;
    struct metric *first, **end;
    struct metric *other; /* without labels: the only one */
    uint32_t label_count;
    uint32_t bound_count;
    int64_t bounds[METRIC_BOUNDS_MAX]; /* before the divisor */
};

struct metrics {
    pthread_mutex_t lock; /* over families, their maps and lists */
    unsigned shards;
    struct metric_family *first, **end;
};

enum err metrics_new(unsigned shards, struct metrics **ret_metrics)
{
    assert(shards > 0);
    struct metrics *m = mem_zalloc(sizeof *m);
    if (!m)
        return ERR_NOMEM;
    pthread_mutex_init(&m->lock, NULL);
    m->shards = shards;
    m->end = &m->first;
    *ret_metrics = m;
    return OK;
}

static void family_free(struct metric_family *f)
{
    while (f->first) {
        struct metric *m = f->first;
        f->first = m->next;
        mem_free(m);
    }
    map_fini(&f->by_labels);
    mem_free(f);
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    while (m->first) {
        struct metric_family *f = m->first;
        m->first = f->next;
        family_free(f);
    }
    pthread_mutex_destroy(&m->lock);
    mem_free(m);
}

static double divisor_of(const struct metric_family *f)
{
    return f->desc->divisor != 0 ? f->desc->divisor : 1;
}

/* Cells of a shard, rounded up to whole cache lines. */
static uint32_t stride_of(const struct metric_family *f)
{
    uint32_t cells = f->desc->type == METRIC_HISTOGRAM ? f->bound_count + 2 : 1;
    return (cells + CACHE_LINE_CELLS - 1) / CACHE_LINE_CELLS * CACHE_LINE_CELLS;
}

/* The label text lies behind the cells. NULL: out of memory. */
static struct metric *make_series(struct metric_family *f, struct slice labels)
{
    size_t cells_size = (size_t)f->metrics->shards * stride_of(f) * sizeof(atomic_int_fast64_t);
    struct metric *m = mem_zalloc(sizeof *m + cells_size + labels.size);
    if (!m)
        return NULL;
    uint8_t *text = (uint8_t *)m->cells + cells_size;
    if (labels.size)
        memcpy(text, labels.data, labels.size);
    m->family = f;
    m->labels = slice_of(text, labels.size);
    m->stride = stride_of(f);
    return m;
}

static void append_series(struct metric_family *f, struct metric *m)
{
    *f->end = m;
    f->end = &m->next;
}

/* The format knows three escapes; all else stands as it is, but must be UTF-8. */
static void put_label_value(struct buf *out, struct slice value)
{
    while (value.size) {
        size_t size = utf8_char_size(value);
        uint8_t c = value.data[0];
        if (size == 0)
            buf_puts(out, "\xEF\xBF\xBD");
        else if (c == '"' || c == '\\' || c == '\n')
            buf_printf(out, "\\%c", c == '\n' ? 'n' : c);
        else
            buf_put(out, value.data, size);
        value = slice_skip(value, size ? size : 1);
    }
}

static void put_label(struct buf *out, const char *name, struct slice value)
{
    buf_printf(out, "%s%s=\"", out->size ? "," : "", name);
    put_label_value(out, utf8_truncate(value, LIMIT_METRIC_LABEL_BYTES));
    buf_putc(out, '"');
}

static struct slice label_text(const struct metric_family *f, const struct slice *values, char *memory)
{
    struct buf text;
    buf_init_fixed(&text, memory, LABEL_TEXT_BYTES);
    for (uint32_t i = 0; i < f->label_count; i++)
        put_label(&text, f->desc->labels[i], values[i]);
    return buf_slice(&text);
}

static void count_desc(struct metric_family *f)
{
    const struct metric_desc *d = f->desc;
    for (; f->label_count < METRIC_LABELS_MAX && d->labels[f->label_count]; f->label_count++)
        assert(strlen(d->labels[f->label_count]) <= LABEL_NAME_BYTES);
    for (; f->bound_count < METRIC_BOUNDS_MAX && d->bounds[f->bound_count] > 0; f->bound_count++)
        f->bounds[f->bound_count] = (int64_t)(d->bounds[f->bound_count] * divisor_of(f) + 0.5);
}

static struct metric *make_other(struct metric_family *f)
{
    static const struct slice other = {(const uint8_t *)"other", 5};
    const struct slice values[METRIC_LABELS_MAX] = {other, other, other, other, other, other};
    char memory[LABEL_TEXT_BYTES];
    return make_series(f, label_text(f, values, memory));
}

enum err metrics_add(struct metrics *m, const struct metric_desc *desc, struct metric_family **ret_family)
{
    struct metric_family *f = mem_zalloc(sizeof *f);
    if (!f)
        return ERR_NOMEM;
    *f = (struct metric_family){.desc = desc, .metrics = m};
    f->end = &f->first;
    /* Label values are names of ours (namespaces, methods, codes) and their number is bounded: a fixed key will do. */
    map_init(&f->by_labels, desc->series_max ? desc->series_max : LIMIT_METRIC_SERIES, &(struct hash_key){1, 2});
    count_desc(f);
    f->other = make_other(f);
    if (!f->other) {
        family_free(f);
        return ERR_NOMEM;
    }
    append_series(f, f->other);
    pthread_mutex_lock(&m->lock);
    *m->end = f;
    m->end = &f->next;
    pthread_mutex_unlock(&m->lock);
    *ret_family = f;
    return OK;
}

static struct metric *find_or_make(struct metric_family *f, struct slice labels)
{
    struct metric *m = map_get(&f->by_labels, labels);
    if (m)
        return m;
    m = f->by_labels.count < f->by_labels.count_max ? make_series(f, labels) : NULL;
    if (!m || map_put(&f->by_labels, m->labels, m, NULL)) {
        mem_free(m);
        return f->other;
    }
    append_series(f, m);
    return m;
}

struct metric *metric_series(struct metric_family *f, const struct slice *values)
{
    if (f->label_count == 0)
        return f->other;
    char memory[LABEL_TEXT_BYTES];
    struct slice labels = label_text(f, values, memory);
    pthread_mutex_lock(&f->metrics->lock);
    struct metric *m = find_or_make(f, labels);
    pthread_mutex_unlock(&f->metrics->lock);
    return m;
}

void metric_add_shared(struct metric *m, int64_t value)
{
    unsigned last = m->family->metrics->shards - 1;
    atomic_fetch_add_explicit(&m->cells[last * m->stride], value, memory_order_relaxed);
}

static void bump(atomic_int_fast64_t *cell, int64_t value)
{
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + value, memory_order_relaxed);
}

void metric_observe(struct metric *m, unsigned shard, int64_t value)
{
    const struct metric_family *f = m->family;
    atomic_int_fast64_t *cells = &m->cells[shard * m->stride];
    uint32_t bucket = 0;
    while (bucket < f->bound_count && value > f->bounds[bucket])
        bucket++;
    bump(&cells[bucket], 1);
    bump(&cells[f->bound_count + 1], value);
}

/* One cell, summed over the shards. */
static int64_t cell_sum(const struct metric *m, uint32_t cell)
{
    int64_t sum = 0;
    for (unsigned shard = 0; shard < m->family->metrics->shards; shard++)
        sum += atomic_load_explicit(&m->cells[shard * m->stride + cell], memory_order_relaxed);
    return sum;
}

int64_t metric_value(const struct metric *m)
{
    if (m->family->desc->type != METRIC_HISTOGRAM)
        return cell_sum(m, 0);
    int64_t count = 0;
    for (uint32_t i = 0; i <= m->family->bound_count; i++)
        count += cell_sum(m, i);
    return count;
}

static void put_number(struct buf *out, double value)
{
    struct json number = json_to(out);
    if (isfinite(value))
        json_double(&number, value);
    else
        buf_puts(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
}

/* name suffix {labels,extra} value */
static void put_sample(const struct metric *m, const char *suffix, const char *extra, double value, struct buf *out)
{
    buf_printf(out, "%s%s", m->family->desc->name, suffix);
    if (m->labels.size || *extra)
        buf_printf(out, "{%.*s%s%s}", SLICE_ARG(m->labels), m->labels.size && *extra ? "," : "", extra);
    buf_putc(out, ' ');
    put_number(out, value);
    buf_putc(out, '\n');
}

static void put_histogram(const struct metric *m, struct buf *out)
{
    const struct metric_family *f = m->family;
    int64_t count = 0;
    char bound[48];
    for (uint32_t i = 0; i < f->bound_count; i++) {
        count += cell_sum(m, i);
        snprintf(bound, sizeof bound, "le=\"%g\"", f->desc->bounds[i]);
        put_sample(m, "_bucket", bound, (double)count, out);
    }
    count += cell_sum(m, f->bound_count);
    put_sample(m, "_bucket", "le=\"+Inf\"", (double)count, out);
    put_sample(m, "_sum", "", (double)cell_sum(m, f->bound_count + 1) / divisor_of(f), out);
    put_sample(m, "_count", "", (double)count, out);
}

static void put_series(const struct metric *m, struct buf *out)
{
    const struct metric_family *f = m->family;
    if (f->desc->type == METRIC_HISTOGRAM)
        put_histogram(m, out);
    else if (f->desc->read)
        put_sample(m, "", "", f->desc->read(f->desc->context), out);
    else
        put_sample(m, "", "", (double)cell_sum(m, 0) / divisor_of(f), out);
}

/* "other" is written once it has counted anything. */
static bool is_silent(const struct metric *m)
{
    return m == m->family->other && m->family->label_count && metric_value(m) == 0;
}

static void put_family(const struct metric_family *f, struct buf *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", f->desc->name, f->desc->help, f->desc->name, types[f->desc->type]);
    for (const struct metric *m = f->first; m; m = m->next)
        if (!is_silent(m))
            put_series(m, out);
}

enum err metrics_write(struct metrics *m, struct buf *out)
{
    pthread_mutex_lock(&m->lock);
    for (const struct metric_family *f = m->first; f && !buf_err(out); f = f->next)
        put_family(f, out);
    pthread_mutex_unlock(&m->lock);
    return buf_err(out);
}

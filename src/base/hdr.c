/* See hdr.h. The first 2,048 buckets hold one value each; then each power of two has 1,024 of equal width. */
#include "base/hdr.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"

enum {
    PRECISION_BITS = 11, /* leading bits that tell buckets apart: 1/1024 is below 0.1 % */
    VALUE_BITS = 42,
    HALF = 1 << (PRECISION_BITS - 1),
    BUCKETS = (VALUE_BITS - PRECISION_BITS + 2) * HALF,
};

struct hdr {
    uint64_t count, min, max;
    double sum;
    uint64_t buckets[BUCKETS];
};

static unsigned shift_of(uint64_t value)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    return bits > PRECISION_BITS ? bits - PRECISION_BITS : 0;
}

static unsigned bucket_of(uint64_t value)
{
    unsigned shift = shift_of(value);
    return shift * HALF + (unsigned)(value >> shift);
}

/* The largest value of a bucket. */
static uint64_t top_of(unsigned bucket)
{
    unsigned shift = bucket < 2 * HALF ? 0 : bucket / HALF - 1;
    uint64_t leading = bucket - shift * HALF;
    return ((leading + 1) << shift) - 1;
}

enum err hdr_new(struct hdr **ret_hdr)
{
    struct hdr *h = mem_alloc(sizeof *h);
    if (!h)
        return ERR_NOMEM;
    hdr_reset(h);
    *ret_hdr = h;
    return OK;
}

void hdr_free(struct hdr *h)
{
    mem_free(h);
}

void hdr_reset(struct hdr *h)
{
    memset(h, 0, sizeof *h);
    h->min = UINT64_MAX;
}

void hdr_add(struct hdr *h, uint64_t value)
{
    if (value > HDR_VALUE_MAX)
        value = HDR_VALUE_MAX;
    h->buckets[bucket_of(value)]++;
    h->count++;
    h->sum += (double)value;
    h->min = value < h->min ? value : h->min;
    h->max = value > h->max ? value : h->max;
}

void hdr_merge(struct hdr *to, const struct hdr *from)
{
    for (unsigned i = 0; i < BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
    to->count += from->count;
    to->sum += from->sum;
    to->min = from->min < to->min ? from->min : to->min;
    to->max = from->max > to->max ? from->max : to->max;
}

uint64_t hdr_count(const struct hdr *h)
{
    return h->count;
}

uint64_t hdr_min(const struct hdr *h)
{
    return h->count ? h->min : 0;
}

uint64_t hdr_max(const struct hdr *h)
{
    return h->max;
}

double hdr_mean(const struct hdr *h)
{
    return h->count ? h->sum / (double)h->count : 0;
}

uint64_t hdr_quantile(const struct hdr *h, double part)
{
    assert(part >= 0 && part <= 1);
    if (!h->count)
        return 0;
    unsigned bucket = bucket_of(h->min);
    uint64_t wanted = (uint64_t)ceil(part * (double)h->count), seen = h->buckets[bucket];
    while (seen < wanted && bucket < BUCKETS - 1)
        seen += h->buckets[++bucket];
    return top_of(bucket) < h->max ? top_of(bucket) : h->max;
}

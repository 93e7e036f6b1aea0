/* Latency by percentile as SVG: the percentiles spaced by their nines, the latency on a logarithmic scale, a line an item. */
#include <errno.h>
#include <math.h>

#include "loadtest.h"

enum { WIDTH = 760, HEIGHT = 420, LEFT = 70, RIGHT = 110, TOP = 40, BOTTOM = 50, STEPS = 240 };
static const double nines_max = 4; /* 99.99 % */

static const char *const colours[ITEMS_MAX] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                               "#e69f00", "#56b4e9", "#999999", "#000000"};

struct chart {
    FILE *out;
    double low, high; /* powers of ten of milliseconds */
};

static double x_of(double nines)
{
    return LEFT + nines / nines_max * (WIDTH - LEFT - RIGHT);
}

static double y_of(const struct chart *c, double ms)
{
    double part = (log10(ms) - c->low) / (c->high - c->low);
    return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM);
}

static double part_of(double nines)
{
    return 1 - pow(10, -nines);
}

/* Of an empty histogram, and at zero, a nanosecond: the scale has no zero. */
static double ms_at(const struct hdr *h, double nines)
{
    uint64_t ns = hdr_quantile(h, part_of(nines));
    return (double)(ns ? ns : 1) / 1e6;
}

static void fit(struct chart *c, const struct plan *plan)
{
    c->low = 6, c->high = -6;
    for (unsigned i = 0; i < plan->item_count; i++) {
        c->low = fmin(c->low, floor(log10(ms_at(plan->items[i].latency, 0))));
        c->high = fmax(c->high, ceil(log10(ms_at(plan->items[i].latency, nines_max))));
    }
    if (c->high <= c->low)
        c->high = c->low + 1;
}

static void put_text(struct chart *c, double x, double y, const char *anchor, const char *text)
{
    fprintf(c->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, text);
}

static void put_line(struct chart *c, double x1, double y1, double x2, double y2)
{
    fprintf(c->out, "<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"#ddd\"/>\n", x1, y1, x2, y2);
}

static void put_grid(struct chart *c)
{
    static const char *const percents[] = {"0 %", "90 %", "99 %", "99.9 %", "99.99 %"};
    char label[32];
    for (unsigned i = 0; i < sizeof percents / sizeof *percents; i++) {
        put_line(c, x_of(i), TOP, x_of(i), HEIGHT - BOTTOM);
        put_text(c, x_of(i), HEIGHT - BOTTOM + 18, "middle", percents[i]);
    }
    for (double power = c->low; power <= c->high; power++) {
        double ms = pow(10, power);
        put_line(c, LEFT, y_of(c, ms), WIDTH - RIGHT, y_of(c, ms));
        snprintf(label, sizeof label, "%g ms", ms);
        put_text(c, LEFT - 8, y_of(c, ms) + 4, "end", label);
    }
}

static void put_curve(struct chart *c, const struct hdr *h, const char *name, unsigned index)
{
    fprintf(c->out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"2\" d=\"", colours[index]);
    for (unsigned i = 0; i <= STEPS; i++) {
        double nines = nines_max * i / STEPS;
        fprintf(c->out, "%c%.1f %.1f", i ? 'L' : 'M', x_of(nines), y_of(c, ms_at(h, nines)));
    }
    fputs("\"/>\n", c->out);
    fprintf(c->out, "<rect x=\"%d\" y=\"%u\" width=\"12\" height=\"12\" fill=\"%s\"/>\n", WIDTH - RIGHT + 14,
            TOP + 20 * index, colours[index]);
    put_text(c, WIDTH - RIGHT + 32, TOP + 20 * index + 11, "start", name);
}

static void put_title(struct chart *c, const struct options *o, const struct result *r)
{
    char title[160];
    snprintf(title, sizeof title, "%llu × %llu callers, %s loop: %.0f calls/s, latency by percentile",
             (unsigned long long)o->connections, (unsigned long long)o->streams, o->rate_to > 0 ? "open" : "closed",
             r->seconds > 0 ? (double)hdr_count(r->total) / r->seconds : 0);
    put_text(c, LEFT, TOP - 16, "start", title);
}

static void draw(struct chart *c, const struct options *o, const struct plan *plan, const struct result *r)
{
    fprintf(
        c->out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n"
        "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
        WIDTH, HEIGHT, WIDTH, HEIGHT);
    put_title(c, o, r);
    put_grid(c);
    for (unsigned i = 0; i < plan->item_count; i++)
        put_curve(c, plan->items[i].latency, plan->items[i].method->name, i);
    fputs("</svg>\n", c->out);
}

enum err chart_svg(const struct options *o, const struct plan *plan, const struct result *r, struct diag *diag)
{
    struct chart c = {.out = fopen(o->svg, "w")};
    if (!c.out)
        return diag_set(diag, err_from_errno(errno), "%s cannot be written: %s", o->svg, strerror(errno));
    fit(&c, plan);
    draw(&c, o, plan, r);
    bool failed = ferror(c.out);
    if (fclose(c.out) || failed)
        return diag_set(diag, ERR_FILE, "%s could not be written", o->svg);
    return OK;
}

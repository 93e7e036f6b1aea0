#include "../harness.h"
#include "base/metrics.h"

#include <pthread.h>

static double answer(void *context)
{
    return *(double *)context;
}

static enum err check_written(struct metrics *m, const char *expected)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    enum err e = metrics_write(m, &out);
    if (!e)
        CHECK_SLICE(buf_slice(&out), slice_str(expected));
    buf_fini(&out);
    return e;
}

SCENARIO(metrics_are_written_as_prometheus_reads_them)
{
    static double current = 2.5;
    static const struct metric_desc requests = {.name = "requests_total", .help = "Calls.", .labels = {"ns", "code"}};
    static const struct metric_desc seconds = {
        .name = "seconds", .help = "Time.", .type = METRIC_HISTOGRAM, .bounds = {0.001, 0.5, 1}, .divisor = 1e9};
    static const struct metric_desc gauge = {.name = "open", .help = "Open.", .type = METRIC_GAUGE};
    static const struct metric_desc asked = {
        .name = "asked", .help = "Asked.", .type = METRIC_GAUGE, .read = answer, .context = &current};
    struct metrics *m;
    struct metric_family *r, *s, *g, *a;
    enum err e = metrics_new(3, &m);
    if (e)
        return e;
    if ((e = metrics_add(m, &requests, &r)) || (e = metrics_add(m, &seconds, &s)) || (e = metrics_add(m, &gauge, &g)) ||
        (e = metrics_add(m, &asked, &a)))
        goto out;
    struct metric *one = metric_series(r, (struct slice[]){SLICE("orders"), SLICE("OK")});
    struct metric *two = metric_series(r, (struct slice[]){SLICE("a\"b\\\n\t\xFF"), SLICE("NOT_FOUND")});
    metric_inc(one, 0), metric_add(one, 1, 4), metric_add_shared(one, 10), metric_inc(two, 2);
    struct metric *h = metric_series(s, NULL);
    metric_observe(h, 0, 1000000), metric_observe(h, 1, 1000001), metric_observe(h, 2, 2000000000);
    metric_add(metric_series(g, NULL), 0, 5), metric_add(metric_series(g, NULL), 1, -3);
    if (one == two || one->labels.data[4] != 'o' || two->labels.data[4] != 'a' ||
        one->labels.size != strlen("ns=\"orders\",code=\"OK\""))
        e = ERR_NOMEM; /* they were counted in "other" */
    else
        e = check_written(m,
                          "# HELP requests_total Calls.\n# TYPE requests_total counter\n"
                          "requests_total{ns=\"orders\",code=\"OK\"} 15\n"
                          "requests_total{ns=\"a\\\"b\\\\\\n\t\xEF\xBF\xBD\",code=\"NOT_FOUND\"} 1\n"
                          "# HELP seconds Time.\n# TYPE seconds histogram\n"
                          "seconds_bucket{le=\"0.001\"} 1\nseconds_bucket{le=\"0.5\"} 2\nseconds_bucket{le=\"1\"} 2\n"
                          "seconds_bucket{le=\"+Inf\"} 3\nseconds_sum 2.002000001\nseconds_count 3\n"
                          "# HELP open Open.\n# TYPE open gauge\nopen 2\n"
                          "# HELP asked Asked.\n# TYPE asked gauge\nasked 2.5\n");
    CHECK_EQ(metric_value(h), 3);
out:
    metrics_free(m);
    return e;
}

TEST(metrics_count_in_other_past_the_limit)
{
    static const struct metric_desc desc = {.name = "n", .help = "N.", .labels = {"l"}, .series_max = 2};
    struct metrics *m;
    struct metric_family *f;
    CHECK_ERR(metrics_new(1, &m), OK);
    CHECK_ERR(metrics_add(m, &desc, &f), OK);
    struct metric *a = metric_series(f, &SLICE("a")), *b = metric_series(f, &SLICE("b"));
    struct metric *c = metric_series(f, &SLICE("c")), *d = metric_series(f, &SLICE("d"));
    CHECK(a != b && c == d && a != c && metric_series(f, &SLICE("a")) == a);
    metric_inc(a, 0), metric_inc(c, 0), metric_inc(d, 0);
    CHECK_ERR(check_written(m, "# HELP n N.\n# TYPE n counter\nn{l=\"other\"} 2\nn{l=\"a\"} 1\nn{l=\"b\"} 0\n"), OK);
    metrics_free(m);
}

static void *count_up(void *context)
{
    struct metric_family *f = context;
    struct metric *m = metric_series(f, &SLICE("x"));
    for (int i = 0; i < 10000; i++)
        metric_add_shared(m, 1);
    return NULL;
}

TEST(metrics_take_additions_of_many_threads)
{
    static const struct metric_desc desc = {.name = "n", .help = "N.", .labels = {"l"}};
    struct metrics *m;
    struct metric_family *f;
    pthread_t threads[4];
    CHECK_ERR(metrics_new(2, &m), OK);
    CHECK_ERR(metrics_add(m, &desc, &f), OK);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, count_up, f), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(metric_value(metric_series(f, &SLICE("x"))), 40000);
    metrics_free(m);
}

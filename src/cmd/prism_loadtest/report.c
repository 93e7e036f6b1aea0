/* The result as a table or as JSON. */
#include "base/buf.h"
#include "base/json.h"
#include "loadtest.h"

static const struct {
    const char *head, *key;
    double part;
} columns[] = {{"p50", "p50", 0.5},       {"p90", "p90", 0.9},          {"p99", "p99", 0.99},
               {"p99.9", "p99_9", 0.999}, {"p99.99", "p99_99", 0.9999}, {"max", "max", 1}};
enum { COLUMNS = sizeof columns / sizeof *columns, JSON_BYTES_MAX = 1 << 20 };

static double per_second(const struct result *r, uint64_t count)
{
    return r->seconds > 0 ? (double)count / r->seconds : 0;
}

static const char *loop_name(const struct options *o)
{
    return o->rate_to > 0 ? "open" : "closed";
}

/* --- table ----------------------------------------------------------------------------------------------------------- */

static void print_row(const char *name, const struct hdr *h, double rate, FILE *out)
{
    fprintf(out, "%-8.40s %10llu %10.0f %9.3f", name, (unsigned long long)hdr_count(h), rate, hdr_mean(h) / 1e6);
    for (unsigned i = 0; i < COLUMNS; i++)
        fprintf(out, " %9.3f", (double)hdr_quantile(h, columns[i].part) / 1e6);
    fputc('\n', out);
}

static void print_heads(FILE *out)
{
    fprintf(out, "%-8s %10s %10s %9s", "", "calls", "calls/s", "mean ms");
    for (unsigned i = 0; i < COLUMNS; i++)
        fprintf(out, " %9s", columns[i].head);
    fputc('\n', out);
}

static void print_errors(const struct result *r, FILE *out)
{
    if (r->failed)
        fprintf(out, "failed: %llu\n", (unsigned long long)r->failed);
    for (unsigned i = 0; i < ERR_COUNT; i++)
        if (r->errors[i])
            fprintf(out, "  %-28s %10llu  %s\n", err_name(i), (unsigned long long)r->errors[i], err_row(i)->text);
}

static void print_lag(const struct result *r, FILE *out)
{
    fprintf(out, "sent after the scheduled time: p50 %.3f ms, p99 %.3f ms, max %.3f ms\n",
            (double)hdr_quantile(r->lag, 0.5) / 1e6, (double)hdr_quantile(r->lag, 0.99) / 1e6,
            (double)hdr_max(r->lag) / 1e6);
    if (r->unsent)
        fprintf(out, "never sent: %llu calls that were due; more than the server, the callers or this client can do\n",
                (unsigned long long)r->unsent);
}

static void print_title(const struct options *o, const struct result *r, FILE *out)
{
    fprintf(out, "%s, namespace %s: %s loop, %llu connections of %llu streams", o->address, o->name_space, loop_name(o),
            (unsigned long long)o->connections, (unsigned long long)o->streams);
    if (o->ramp_ns)
        fprintf(out, ", %g to %g calls/s", o->rate_from, o->rate_to);
    else if (o->rate_to > 0)
        fprintf(out, ", %g calls/s", o->rate_to);
    if (o->threads > 1)
        fprintf(out, ", %llu threads", (unsigned long long)o->threads);
    fprintf(out, ", %.1f s\n\n", r->seconds);
}

void report_table(const struct options *o, const struct plan *plan, const struct result *r, FILE *out)
{
    uint64_t messages = 0;
    bool streams = false;
    print_title(o, r, out);
    print_heads(out);
    for (unsigned i = 0; i < plan->item_count; i++) {
        const struct item *item = &plan->items[i];
        messages += item->messages;
        streams |= item->method->server_streaming || item->method->client_streaming;
        print_row(o->method ? item->method->name : item->name, item->latency, per_second(r, hdr_count(item->latency)),
                  out);
    }
    if (plan->item_count > 1)
        print_row("all", r->total, per_second(r, hdr_count(r->total)), out);
    if (streams)
        fprintf(out, "messages received: %llu, %.0f/s\n", (unsigned long long)messages, per_second(r, messages));
    if (o->rate_to > 0)
        print_lag(r, out);
    print_errors(r, out);
}

/* --- JSON ------------------------------------------------------------------------------------------------------------ */

static void put_latency(struct json *j, const char *key, const struct hdr *h)
{
    json_key(j, key), json_object(j);
    json_key(j, "min"), json_double(j, (double)hdr_min(h) / 1e6);
    json_key(j, "mean"), json_double(j, hdr_mean(h) / 1e6);
    for (unsigned i = 0; i < COLUMNS; i++)
        json_key(j, columns[i].key), json_double(j, (double)hdr_quantile(h, columns[i].part) / 1e6);
    json_end_object(j);
}

static void put_item(struct json *j, const struct item *item, const struct result *r)
{
    uint64_t calls = hdr_count(item->latency);
    json_object(j);
    json_key(j, "name"), json_text(j, item->name);
    json_key(j, "method"), json_text(j, item->method->path);
    json_key(j, "calls"), json_uint(j, calls);
    json_key(j, "failed"), json_uint(j, item->failed);
    json_key(j, "messages"), json_uint(j, item->messages);
    json_key(j, "calls_per_second"), json_double(j, per_second(r, calls));
    put_latency(j, "latency_ms", item->latency);
    json_end_object(j);
}

static void put_errors(struct json *j, const struct result *r)
{
    json_key(j, "errors"), json_object(j);
    for (unsigned i = 0; i < ERR_COUNT; i++)
        if (r->errors[i])
            json_key(j, err_name(i)), json_uint(j, r->errors[i]);
    json_end_object(j);
}

static void put_setting(struct json *j, const struct options *o)
{
    json_key(j, "address"), json_text(j, o->address);
    json_key(j, "namespace"), json_text(j, o->name_space);
    json_key(j, "loop"), json_text(j, loop_name(o));
    json_key(j, "connections"), json_uint(j, o->connections);
    json_key(j, "streams"), json_uint(j, o->streams);
    json_key(j, "threads"), json_uint(j, o->threads);
    if (o->rate_to > 0) {
        json_key(j, "rate_from"), json_double(j, o->rate_from);
        json_key(j, "rate_to"), json_double(j, o->rate_to);
    }
}

static void put_result(struct json *j, const struct options *o, const struct plan *plan, const struct result *r)
{
    json_object(j);
    put_setting(j, o);
    json_key(j, "seconds"), json_double(j, r->seconds);
    json_key(j, "calls"), json_uint(j, hdr_count(r->total));
    json_key(j, "failed"), json_uint(j, r->failed);
    json_key(j, "calls_per_second"), json_double(j, per_second(r, hdr_count(r->total)));
    put_latency(j, "latency_ms", r->total);
    if (o->rate_to > 0) {
        json_key(j, "unsent"), json_uint(j, r->unsent);
        put_latency(j, "sent_late_ms", r->lag);
    }
    json_key(j, "items"), json_array(j);
    for (unsigned i = 0; i < plan->item_count; i++)
        put_item(j, &plan->items[i], r);
    json_end_array(j);
    put_errors(j, r);
    json_end_object(j);
}

enum err report_json(const struct options *o, const struct plan *plan, const struct result *r, FILE *out)
{
    struct buf text;
    buf_init(&text, JSON_BYTES_MAX);
    struct json j = json_to(&text);
    put_result(&j, o, plan, r);
    buf_putc(&text, '\n');
    enum err e = buf_err(&text);
    if (!e)
        fwrite(text.data, 1, text.size, out);
    buf_fini(&text);
    return e;
}

enum err report_common_error(const struct result *r)
{
    unsigned most = OK;
    for (unsigned i = 0; i < ERR_COUNT; i++)
        if (r->errors[i] > r->errors[most])
            most = i;
    return most;
}

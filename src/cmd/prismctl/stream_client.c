/* A connection to a broker: frames out, frames in, in step. */
#include <stdlib.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "kafka/header.h"
#include "rt/conn.h"
#include "rt/loop.h"
#include "stream.h"

enum { CONNECT_MS = 10000, ANSWER_MS = 30000, ANSWER_BYTES_MAX = 128 << 20 };

struct stream_client {
    struct cli *cli;
    struct conn *conn;
    struct timer deadline;
    struct buf in;
    struct kafka_out out;
    int32_t correlation;
    bool open, closing, closed, late;
    enum err err; /* why it was closed */
};

/* ---- events ----------------------------------------------------------------------------------------------------------- */

static void on_open(void *context, struct conn *c)
{
    (void)c;
    ((struct stream_client *)context)->open = true;
}

static void on_data(void *context, struct conn *c, struct block *block, struct slice data)
{
    (void)c, (void)block;
    buf_put_slice(&((struct stream_client *)context)->in, data);
}

static void on_closed(void *context, struct conn *c, enum err e, const struct diag *diag)
{
    (void)c;
    struct stream_client *s = context;
    s->conn = NULL;
    s->closed = true;
    s->err = e ? e : ERR_CONNECTION_LOST;
    if (s->closing)
        return;
    if (e && diag)
        diag_set(&s->cli->diag, e, "%s", diag_message(diag));
    else
        diag_set(&s->cli->diag, s->err, "the broker has closed the connection");
}

static void on_late(struct timer *t)
{
    ((struct stream_client *)((char *)t - offsetof(struct stream_client, deadline)))->late = true;
}

static const struct conn_events events = {.on_open = on_open, .on_data = on_data, .on_closed = on_closed};

/* ---- its life --------------------------------------------------------------------------------------------------------- */

static uint64_t timeout_ns(const struct cli *cli)
{
    int64_t given_ns = cli_duration_ns(cli, "timeout");
    return given_ns ? (uint64_t)given_ns : (uint64_t)ANSWER_MS * 1000000;
}

static enum err connect_to_broker(struct stream_client *s)
{
    struct cli *cli = s->cli;
    enum err e = cli->loop ? OK : loop_new(env_real(), 0, &cli->loop);
    if (!e)
        e = conn_open(cli->loop, cli_option(cli, "broker"), NULL, NULL, CONNECT_MS, &events, s, &cli->diag, &s->conn);
    while (!e && !s->open && !s->closed)
        loop_turn(cli->loop, true);
    return e ? e : s->open ? OK : s->err;
}

static enum err open_client(struct cli *cli, struct stream_client **ret_client)
{
    struct stream_client *s = mem_zalloc(sizeof *s);
    if (!s)
        return ERR_NOMEM;
    s->cli = cli;
    s->deadline.fire = on_late;
    buf_init(&s->in, ANSWER_BYTES_MAX);
    kafka_out_init(&s->out, ANSWER_BYTES_MAX);
    *ret_client = s;
    return connect_to_broker(s);
}

void stream_close(struct stream_client *s)
{
    if (!s)
        return;
    s->closing = true;
    if (s->conn)
        conn_close(s->conn);
    while (s->conn)
        loop_turn(s->cli->loop, true);
    if (s->cli->loop)
        timer_stop(s->cli->loop, &s->deadline);
    buf_fini(&s->in);
    kafka_out_fini(&s->out);
    mem_free(s);
}

/* ---- asking ----------------------------------------------------------------------------------------------------------- */

static enum err send(struct stream_client *s, const struct kafka_api *api, int16_t version, const void *request)
{
    struct kafka_frame frame;
    kafka_out_reset(&s->out);
    enum err e = kafka_request_begin(&s->out, api, version, ++s->correlation, SLICE("prismctl"), &frame);
    if (!e)
        e = kafka_encode(api->request, version, request, &s->out);
    if (!e)
        e = kafka_frame_end(&s->out, &frame);
    struct slice bytes = buf_slice(&s->out.buf);
    if (!e)
        conn_write(s->conn, &bytes, 1);
    return e;
}

static bool whole_frame(const struct stream_client *s, struct slice *ret_frame)
{
    if (s->in.size < KAFKA_FRAME_SIZE_BYTES)
        return false;
    int32_t size = kafka_frame_size(s->in.data);
    struct slice rest = slice_skip(buf_slice(&s->in), KAFKA_FRAME_SIZE_BYTES);
    *ret_frame = slice_take(rest, size > 0 ? (size_t)size : 0);
    return size <= 0 || rest.size >= (size_t)size;
}

static enum err await(struct stream_client *s, struct slice *ret_frame)
{
    struct cli *cli = s->cli;
    s->late = false;
    timer_start(cli->loop, &s->deadline, env_real()->monotonic_ns(env_real()) + timeout_ns(cli));
    while (!whole_frame(s, ret_frame) && !s->closed && !s->late && !buf_err(&s->in))
        loop_turn(cli->loop, true);
    timer_stop(cli->loop, &s->deadline);
    if (whole_frame(s, ret_frame))
        return OK;
    if (s->closed)
        return s->err;
    return s->late ? diag_set(&cli->diag, ERR_DEADLINE_EXCEEDED, "the broker has not answered in time")
                   : diag_set(&cli->diag, buf_err(&s->in), "the broker's answer is too large");
}

static enum err understand(struct stream_client *s, const struct kafka_api *api, int16_t version, struct slice frame,
                           void *response)
{
    struct kafka_fault fault = {.field = "", .reason = "", .position = 0};
    struct slice copy, body;
    int32_t correlation = 0;
    if (!arena_copy(&s->cli->arena, frame, &copy))
        return ERR_NOMEM;
    buf_consume(&s->in, KAFKA_FRAME_SIZE_BYTES + frame.size);
    enum err e = kafka_response_header_read(copy, api, version, &correlation, &body, &fault);
    if (!e)
        e = kafka_decode(api->response, version, body, &s->cli->arena, response, &fault);
    if (e || correlation != s->correlation)
        return diag_set(&s->cli->diag, e ? e : ERR_KAFKA_MALFORMED,
                        "the broker's answer to %s is not understood: %s %s", api->name, fault.field, fault.reason);
    return OK;
}

enum err stream_ask(struct cli *cli, struct stream_client **client, int16_t key, int16_t version, const void *request,
                    void *response)
{
    const struct kafka_api *api = kafka_api_find(key);
    struct slice frame;
    enum err e = *client ? OK : open_client(cli, client);
    struct stream_client *s = *client;
    uint64_t start_ns = env_real()->monotonic_ns(env_real());
    if (!e && s->closed)
        e = s->err;
    if (!e)
        e = send(s, api, version, request);
    if (!e)
        e = await(s, &frame);
    if (!e)
        e = understand(s, api, version, frame, response);
    if (cli->verbose)
        fprintf(stderr, "prismctl: %s %s: %s, %.1f ms\n", cli_option(cli, "broker"), api->name, e ? err_name(e) : "OK",
                (double)(env_real()->monotonic_ns(env_real()) - start_ns) / 1e6);
    return e;
}

/* ---- errors ----------------------------------------------------------------------------------------------------------- */

static enum err meaning(int16_t code)
{
    switch (code) {
    case KAFKA_UNKNOWN_TOPIC_OR_PARTITION:
    case KAFKA_GROUP_ID_NOT_FOUND:
        return ERR_NOT_FOUND;
    case KAFKA_TOPIC_ALREADY_EXISTS:
        return ERR_ALREADY_EXISTS;
    case KAFKA_NON_EMPTY_GROUP:
        return ERR_FAILED_PRECONDITION;
    case KAFKA_OFFSET_OUT_OF_RANGE:
        return ERR_OUT_OF_RANGE;
    case KAFKA_INVALID_TOPIC:
    case KAFKA_INVALID_PARTITIONS:
    case KAFKA_INVALID_REPLICATION_FACTOR:
    case KAFKA_INVALID_CONFIG:
    case KAFKA_INVALID_REQUEST:
    case KAFKA_INVALID_GROUP_ID:
        return ERR_INVALID_ARGUMENT;
    case KAFKA_MESSAGE_TOO_LARGE:
    case KAFKA_RECORD_LIST_TOO_LARGE:
        return ERR_MESSAGE_TOO_LARGE;
    default:
        return ERR_UNAVAILABLE;
    }
}

enum err stream_error(struct cli *cli, int16_t code, struct slice words, const char *what, struct slice name)
{
    if (!code)
        return OK;
    return diag_set(&cli->diag, meaning(code), "%s %s: the broker says %s%s%s", what, show_bytes(&cli->arena, name),
                    kafka_error_name(code), words.size ? ": " : "", show_bytes(&cli->arena, words));
}

/* ---- what several commands ask ---------------------------------------------------------------------------------------- */

enum err stream_topics(struct cli *cli, struct stream_client **client, const char *name,
                       struct kafka_metadata_response *ret)
{
    struct kafka_metadata_request_topic topic = {.name = slice_str(name)};
    struct kafka_metadata_request in = kafka_metadata_request_default;
    in.topics.items = name ? &topic : NULL;
    in.topics.count = name ? 1 : 0;
    in.allow_auto_topic_creation = false;
    enum err e = stream_ask(cli, client, KAFKA_API_METADATA, 9, &in, ret);
    if (e || !name)
        return e;
    if (!ret->topics.count)
        return diag_set(&cli->diag, ERR_NOT_FOUND, "there is no topic %s", name);
    return stream_error(cli, ret->topics.items[0].error_code, SLICE_EMPTY, "topic", slice_str(name));
}

enum err stream_offsets(struct cli *cli, struct stream_client **client, struct slice topic, const int32_t *indexes,
                        uint32_t count, int64_t time, int64_t *ret_offsets)
{
    struct kafka_list_offsets_request in = kafka_list_offsets_request_default;
    struct kafka_list_offsets_request_topic t = {.name = topic};
    struct kafka_list_offsets_response out = kafka_list_offsets_response_default;
    t.partitions.items = arena_array(&cli->arena, struct kafka_list_offsets_request_partition, count + 1);
    if (!t.partitions.items)
        return ERR_NOMEM;
    for (; t.partitions.count < count; t.partitions.count++)
        t.partitions.items[t.partitions.count] = (struct kafka_list_offsets_request_partition){
            .partition_index = indexes[t.partitions.count], .current_leader_epoch = -1, .timestamp = time};
    in.replica_id = -1;
    in.topics.items = &t;
    in.topics.count = 1;
    enum err e = count ? stream_ask(cli, client, KAFKA_API_LIST_OFFSETS, 5, &in, &out) : OK;
    for (uint32_t i = 0; i < count && !e; i++) {
        if (out.topics.count != 1 || out.topics.items[0].partitions.count != count)
            return diag_set(&cli->diag, ERR_KAFKA_MALFORMED, "the broker's answer to ListOffsets is not complete");
        const struct kafka_list_offsets_response_partition *p = &out.topics.items[0].partitions.items[i];
        e = stream_error(cli, p->error_code, SLICE_EMPTY, "topic", topic);
        ret_offsets[i] = p->offset;
    }
    return e;
}

/* ---- texts ------------------------------------------------------------------------------------------------------------ */

enum err stream_print(struct cli *cli, const struct buf *json)
{
    struct buf yaml;
    enum err e = buf_err(json);
    if (e)
        return e;
    buf_init(&yaml, LIMIT_CALL_ARENA_BYTES);
    if (cli->output == OUTPUT_YAML)
        yaml_from_json(buf_slice(json), &yaml);
    const struct buf *out = cli->output == OUTPUT_YAML ? &yaml : json;
    e = buf_err(&yaml);
    if (!e && (fwrite(out->data, 1, out->size, stdout) != out->size || (out == json && putchar('\n') == EOF)))
        e = diag_set(&cli->diag, ERR_FILE, "standard output takes no more");
    buf_fini(&yaml);
    return e;
}

void stream_json_bytes(struct json *j, struct arena *arena, const char *key, struct slice bytes)
{
    if (bytes.data && !utf8_valid(bytes)) {
        json_key(j, arena_printf(arena, "%s_base64", key));
        json_text(j, show_base64(arena, bytes));
        return;
    }
    json_key(j, key);
    if (bytes.data)
        json_str(j, bytes);
    else
        json_null(j);
}

enum err stream_number(struct cli *cli, const char *text, const char *what, int64_t *ret_number)
{
    char *end;
    long long n = strtoll(text, &end, 10);
    if (!*text || *end || n < 0)
        return diag_set(&cli->diag, ERR_USAGE, "%s is a number, 0 or more, not \"%s\"", what, text);
    *ret_number = n;
    return OK;
}

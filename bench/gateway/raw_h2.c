/* HPACK without decoding (RFC 7541). nghttp2's inflater keeps the table, but only blocks that change it pass through it, or that
 * hold a name which is not in the table and could be one of ours. All other blocks are walked: an indexed field is looked up in
 * `table`, which says what each entry means to us, and a literal is skipped by its lengths. A literal skipped this way has a name
 * of more than 11 bytes as it lies in the block; grpc-status takes 11 plainly and 8 in Huffman code, :status less. */
#include "raw_h2.h"

#include <stdlib.h>
#include <string.h>

enum {
    HEAD = 9,
    DATA = 0,
    HEADERS = 1,
    RST_STREAM = 3,
    SETTINGS = 4,
    PING = 6,
    GOAWAY = 7,
    WINDOW_UPDATE = 8,
    CONTINUATION = 9,
    END_STREAM = 1,
    ACK = 1,
    END_HEADERS = 4,
    PADDED_OR_PRIORITY = 0x28,
    STATIC_ENTRIES = 61,
    OUR_NAME_MAX = 11,
    PREFIX_BYTES = 5,
    UPDATE_AT = 64 << 20,
};
#define WINDOW UINT32_C(0x7fffffff)

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24), p[1] = (uint8_t)(v >> 16), p[2] = (uint8_t)(v >> 8), p[3] = (uint8_t)v;
    return p + 4;
}

static uint8_t *put_head(uint8_t *p, size_t size, uint8_t type, uint8_t flags, uint32_t stream)
{
    p[0] = (uint8_t)(size >> 16), p[1] = (uint8_t)(size >> 8), p[2] = (uint8_t)size;
    p[3] = type, p[4] = flags;
    return put32(p + 5, stream);
}

/* --- the request ----------------------------------------------------------------------------------------------------------- */

enum { FIELDS = 5 };
struct field {
    const char *name, *value;
};

/* Strings of at most 126 bytes: their length is one byte. */
static uint8_t *put_string(uint8_t *p, const char *text)
{
    size_t size = strlen(text);
    *p++ = (uint8_t)size;
    memcpy(p, text, size);
    return p + size;
}

static uint8_t *put_literals(uint8_t *p, const struct field *fields)
{
    for (unsigned i = 0; i < FIELDS; i++) {
        *p++ = 0x40; /* with incremental indexing, new name */
        p = put_string(p, fields[i].name);
        p = put_string(p, fields[i].value);
    }
    return p;
}

static uint8_t *put_indexes(uint8_t *p)
{
    for (unsigned i = 0; i < FIELDS; i++)
        *p++ = (uint8_t)(0x80 | (STATIC_ENTRIES + FIELDS - i)); /* the newest has the smallest index */
    return p;
}

static size_t make_form(uint8_t *to, size_t *data, const struct field *fields, const void *message, size_t size)
{
    uint8_t *p = to + HEAD;
    *p++ = 0x83; /* :method: POST */
    *p++ = 0x86; /* :scheme: http */
    p = fields ? put_literals(p, fields) : put_indexes(p);
    put_head(to, (size_t)(p - to) - HEAD, HEADERS, END_HEADERS, 0);
    *data = (size_t)(p - to);
    p = put_head(p, size, DATA, END_STREAM, 0);
    memcpy(p, message, size);
    return (size_t)(p - to) + size;
}

bool raw_request_make(struct raw_request *r, const char *path, const char *name_space, const void *message, size_t size,
                      uint32_t keys)
{
    const uint8_t *digits = memmem(message, size, "000000", RAW_DIGITS);
    const struct field fields[FIELDS] = {{":path", path},
                                         {":authority", "127.0.0.1"},
                                         {"content-type", "application/grpc"},
                                         {"te", "trailers"},
                                         {"prism-namespace", name_space}};
    if (strlen(path) > 126 || strlen(name_space) > 126 || size > RAW_REQUEST_MAX - 1024 || (keys && !digits))
        return false;
    r->keys = keys;
    r->digits = keys ? (uint32_t)(digits - (const uint8_t *)message) : 0;
    r->first_size = make_form(r->first, &r->first_data, fields, message, size);
    r->next_size = make_form(r->next, &r->next_data, NULL, message, size);
    r->message_size = (uint32_t)size;
    return true;
}

/* --- sending --------------------------------------------------------------------------------------------------------------- */

static struct raw_stream *slot_of(struct raw_peer *p, uint32_t id)
{
    return &p->ring[id / 2 % RAW_RING];
}

bool raw_can_send(const struct raw_peer *p)
{
    return p->open < p->streams_max && p->send_window >= p->request->message_size &&
           p->ring[p->next_id / 2 % RAW_RING].from_ns == 0 && p->next_id < WINDOW - 1;
}

size_t raw_bytes_max(const struct raw_peer *p)
{
    return p->request->first_size;
}

/* Numbers in an order that has no order: neighbours in time are not neighbours in the store. */
static void put_number(struct raw_request *r, uint8_t *to)
{
    const uint32_t step = 2654435761u; /* Knuth's multiplicative hash: odd, so that all of 32 bits come */
    uint32_t number = (uint32_t)((uint64_t)(r->sequence++ * step) * r->keys >> 32);
    for (unsigned i = RAW_DIGITS; i--; number /= 10)
        to[i] = (uint8_t)('0' + number % 10);
}

size_t raw_send(struct raw_peer *p, uint64_t from_ns, uint8_t *to)
{
    struct raw_request *r = p->request;
    bool first = p->next_id == 1;
    size_t size = first ? r->first_size : r->next_size;
    uint8_t *data = to + (first ? r->first_data : r->next_data);
    memcpy(to, first ? r->first : r->next, size);
    put32(to + 5, p->next_id);
    put32(data + 5, p->next_id);
    if (r->keys)
        put_number(r, data + HEAD + r->digits);
    *slot_of(p, p->next_id) = (struct raw_stream){.from_ns = from_ns};
    p->send_window -= r->message_size;
    p->next_id += 2;
    p->open++;
    return size;
}

static void add_control(struct raw_peer *p, uint8_t type, uint8_t flags, const void *payload, size_t size)
{
    if (p->control_size + HEAD + size > sizeof p->control) {
        p->error = "the server sends more control frames than it reads answers to";
        return;
    }
    uint8_t *at = put_head(p->control + p->control_size, size, type, flags, 0);
    memcpy(at, payload, size);
    p->control_size += HEAD + size;
}

static void add_window_update(struct raw_peer *p, uint32_t bytes)
{
    uint8_t payload[4];
    put32(payload, bytes);
    add_control(p, WINDOW_UPDATE, 0, payload, sizeof payload);
}

/* A window of 2 GiB for each stream, and for the connection. */
static uint8_t *put_greeting(struct raw_peer *p, uint8_t *to)
{
    memcpy(to, preface, sizeof preface - 1);
    to = put_head(to + sizeof preface - 1, 6, SETTINGS, 0, 0);
    *to++ = 0, *to++ = 4; /* INITIAL_WINDOW_SIZE */
    p->greeted = true;
    return put32(to, WINDOW);
}

size_t raw_control(struct raw_peer *p, uint8_t *to)
{
    uint8_t *at = p->greeted ? to : put_greeting(p, to);
    memcpy(at, p->control, p->control_size);
    at += p->control_size;
    p->control_size = 0;
    return (size_t)(at - to);
}

/* --- fields of an answer --------------------------------------------------------------------------------------------------- */

static enum raw_header meaning(const uint8_t *name, size_t name_size, const uint8_t *value, size_t value_size)
{
    if (name_size == 7 && memcmp(name, ":status", 7) == 0)
        return value_size == 3 && memcmp(value, "200", 3) == 0 ? RAW_STATUS_200 : RAW_STATUS_BAD;
    if (name_size == 11 && memcmp(name, "grpc-status", 11) == 0)
        return value_size == 1 && value[0] == '0' ? RAW_GRPC_OK : RAW_GRPC_BAD;
    return RAW_OTHER;
}

static void learn_table(struct raw_peer *p)
{
    size_t size = nghttp2_hd_inflate_get_num_table_entries(p->inflater);
    p->table_size = size < RAW_TABLE ? (unsigned)size : RAW_TABLE - 1;
    for (unsigned i = 1; i <= p->table_size; i++) {
        const nghttp2_nv *nv = nghttp2_hd_inflate_get_table_entry(p->inflater, i);
        p->table[i] = nv ? meaning(nv->name, nv->namelen, nv->value, nv->valuelen) : RAW_OTHER;
    }
}

/* Adds what the fields of a block say: bits of enum raw_header. */
static bool inflate(struct raw_peer *p, const uint8_t *block, size_t size, unsigned *seen)
{
    int flags = 0;
    while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
        nghttp2_nv nv;
        ssize_t n = nghttp2_hd_inflate_hd2(p->inflater, &nv, &flags, block, size, 1);
        if (n < 0)
            return false;
        if (flags & NGHTTP2_HD_INFLATE_EMIT)
            *seen |= 1u << meaning(nv.name, nv.namelen, nv.value, nv.valuelen);
        block += n;
        size -= (size_t)n;
    }
    nghttp2_hd_inflate_end_headers(p->inflater);
    learn_table(p);
    return true;
}

/* RFC 7541 5.1, of at most three bytes: larger ones go the long way. NULL: cut off, or larger. */
static const uint8_t *read_integer(const uint8_t *at, const uint8_t *end, unsigned prefix_bits, uint32_t *ret_value)
{
    uint32_t mask = (1u << prefix_bits) - 1;
    if (at == end)
        return NULL;
    *ret_value = *at & mask;
    if (*ret_value < mask)
        return at + 1;
    if (end - at >= 2 && at[1] < 0x80)
        return *ret_value += at[1], at + 2;
    return NULL;
}

static const uint8_t *skip_string(const uint8_t *at, const uint8_t *end, uint32_t *ret_size)
{
    at = read_integer(at, end, 7, ret_size);
    return at && *ret_size <= (size_t)(end - at) ? at + *ret_size : NULL;
}

/* A literal that does not enter the table. NULL: it may matter, or is not whole. */
static const uint8_t *skip_literal(const struct raw_peer *p, const uint8_t *at, const uint8_t *end)
{
    uint32_t index, size;
    at = read_integer(at, end, 4, &index);
    if (at && index == 0) {
        at = skip_string(at, end, &size);
        if (!at || size <= OUR_NAME_MAX)
            return NULL;
    } else if (at && (index > p->table_size || p->table[index] != RAW_OTHER)) {
        return NULL;
    }
    return at ? skip_string(at, end, &size) : NULL;
}

/* false: the block must go the long way. */
static bool walk(const struct raw_peer *p, const uint8_t *at, const uint8_t *end, unsigned *seen)
{
    uint32_t index;
    while (at < end) {
        if (*at & 0x80) {
            at = read_integer(at, end, 7, &index);
            if (!at || index == 0 || index > p->table_size)
                return false;
            *seen |= 1u << p->table[index];
        } else if (*at & 0x60) {
            return false; /* enters the table, or changes its size */
        } else {
            at = skip_literal(p, at, end);
            if (!at)
                return false;
        }
    }
    return true;
}

static bool read_block(struct raw_peer *p, const uint8_t *block, size_t size, unsigned *ret_seen)
{
    *ret_seen = 0;
    if (walk(p, block, block + size, ret_seen))
        return true;
    *ret_seen = 0;
    return inflate(p, block, size, ret_seen);
}

/* --- frames of an answer --------------------------------------------------------------------------------------------------- */

static void answered(struct raw_peer *p, struct raw_stream *s, bool fine)
{
    uint64_t from_ns = s->from_ns;
    s->from_ns = 0;
    p->open--;
    p->on_answer(p->user, from_ns, fine);
}

static struct raw_stream *find(struct raw_peer *p, uint32_t id)
{
    bool ours = id % 2 == 1 && id < p->next_id && p->next_id - id <= 2 * RAW_RING;
    struct raw_stream *s = ours ? slot_of(p, id) : NULL;
    return s && s->from_ns ? s : NULL;
}

static bool broken(struct raw_peer *p, const char *error)
{
    p->error = error;
    return false;
}

static void end_stream(struct raw_peer *p, struct raw_stream *s, unsigned seen)
{
    bool fine = (seen & 1u << RAW_GRPC_OK) && !(seen & 1u << RAW_GRPC_BAD) && s->status_ok && !s->bad &&
                s->data_bytes >= PREFIX_BYTES;
    if (fine && !p->answer_bytes)
        p->answer_bytes = s->data_bytes;
    answered(p, s, fine && s->data_bytes == p->answer_bytes);
}

static bool on_headers(struct raw_peer *p, uint32_t id, uint8_t flags, const uint8_t *block, size_t size)
{
    unsigned seen;
    struct raw_stream *s = find(p, id);
    if (!s)
        return broken(p, "HEADERS on a stream that is not open");
    if (!(flags & END_HEADERS) || (flags & PADDED_OR_PRIORITY))
        return broken(p, "HEADERS that are padded, prioritized or continued");
    if (!read_block(p, block, size, &seen))
        return broken(p, "HEADERS that cannot be decoded");
    s->status_ok |= (seen & 1u << RAW_STATUS_200) != 0;
    s->bad |= (seen & 1u << RAW_STATUS_BAD) != 0;
    if (flags & END_STREAM)
        end_stream(p, s, seen);
    return true;
}

/* The first DATA of a stream begins with gRPC's prefix: not compressed, and the length of what follows. */
static bool on_data(struct raw_peer *p, uint32_t id, uint8_t flags, const uint8_t *bytes, size_t size)
{
    struct raw_stream *s = find(p, id);
    if (!s || (flags & PADDED_OR_PRIORITY))
        return broken(p, "DATA on a stream that is not open, or padded");
    p->unacked += (uint32_t)size;
    if (p->unacked >= UPDATE_AT) {
        add_window_update(p, p->unacked);
        p->unacked = 0;
    }
    if (s->data_bytes == 0)
        s->bad |= size < PREFIX_BYTES || bytes[0] != 0 ||
                  (p->answer_bytes && get32(bytes + 1) != p->answer_bytes - PREFIX_BYTES);
    s->data_bytes += (uint32_t)size;
    if (flags & END_STREAM)
        answered(p, s, false); /* without trailers there is no status */
    return true;
}

static bool on_settings(struct raw_peer *p, uint8_t flags, const uint8_t *bytes, size_t size)
{
    if (flags & ACK)
        return true;
    for (; size >= 6; bytes += 6, size -= 6) {
        uint32_t value = get32(bytes + 2);
        if (bytes[1] == 3 && value < p->streams_max) /* MAX_CONCURRENT_STREAMS */
            p->streams_max = value;
        if (bytes[1] == 4 && value < p->request->message_size)
            return broken(p, "the server's stream window is smaller than the request");
    }
    add_control(p, SETTINGS, ACK, NULL, 0);
    return true;
}

static bool on_reset(struct raw_peer *p, uint32_t id)
{
    struct raw_stream *s = find(p, id);
    if (s)
        answered(p, s, false);
    return true;
}

static bool on_frame(struct raw_peer *p, const uint8_t *head, size_t size)
{
    const uint8_t *payload = head + HEAD;
    uint8_t flags = head[4];
    uint32_t id = get32(head + 5) & WINDOW;
    switch (head[3]) {
    case DATA:
        return on_data(p, id, flags, payload, size);
    case HEADERS:
        return on_headers(p, id, flags, payload, size);
    case RST_STREAM:
        return on_reset(p, id);
    case SETTINGS:
        return on_settings(p, flags, payload, size);
    case PING:
        if (!(flags & ACK) && size == 8)
            add_control(p, PING, ACK, payload, size);
        return true;
    case WINDOW_UPDATE:
        if (id == 0 && size == 4)
            p->send_window += get32(payload) & WINDOW;
        return true;
    case GOAWAY:
        return broken(p, "the server said GOAWAY");
    case CONTINUATION:
        return broken(p, "CONTINUATION, which is not expected");
    default:
        return true;
    }
}

bool raw_feed(struct raw_peer *p, uint8_t *bytes, size_t size)
{
    bytes -= p->rest_size;
    size += p->rest_size;
    memcpy(bytes, p->rest, p->rest_size);
    while (size >= HEAD) {
        size_t payload = (size_t)bytes[0] << 16 | (size_t)bytes[1] << 8 | bytes[2];
        if (payload > RAW_FRAME_MAX - HEAD)
            return broken(p, "a frame larger than allowed");
        if (size < HEAD + payload)
            break;
        if (!on_frame(p, bytes, payload))
            return false;
        bytes += HEAD + payload;
        size -= HEAD + payload;
    }
    memcpy(p->rest, bytes, size);
    p->rest_size = size;
    return !p->error;
}

/* --- life ------------------------------------------------------------------------------------------------------------------ */

struct raw_peer *raw_peer_new(struct raw_request *request, uint32_t streams,
                              void (*on_answer)(void *user, uint64_t from_ns, bool fine), void *user)
{
    enum { FIRST_WINDOW = 65535 };
    struct raw_peer *p = calloc(1, sizeof *p);
    if (!p || nghttp2_hd_inflate_new(&p->inflater) != 0) {
        free(p);
        return NULL;
    }
    p->request = request;
    p->on_answer = on_answer;
    p->user = user;
    p->streams_max = streams < RAW_RING ? streams : RAW_RING;
    p->next_id = 1;
    p->send_window = FIRST_WINDOW;
    add_window_update(p, WINDOW - FIRST_WINDOW);
    learn_table(p);
    return p;
}

void raw_peer_free(struct raw_peer *p)
{
    if (!p)
        return;
    nghttp2_hd_inflate_del(p->inflater);
    free(p);
}

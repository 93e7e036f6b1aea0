/* Records of the catalog's ledger: writing and reading. */
#include "streamer/catalog_entry.h"

#include "base/limits.h"

/* --- writing ------------------------------------------------------------------------------------------------------------------ */

static void put_text(struct buf *out, struct slice text)
{
    buf_putc(out, (char)text.size);
    buf_put_slice(out, text);
}

static void put_u32(struct buf *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        buf_putc(out, (char)(value >> (8 * i)));
}

void catalog_put_cluster(struct buf *out, const struct kafka_uuid *cluster)
{
    buf_putc(out, 'C');
    buf_put(out, cluster->bytes, sizeof cluster->bytes);
}

void catalog_put_gone(struct buf *out, const struct kafka_uuid *id)
{
    buf_putc(out, 'D');
    buf_put(out, id->bytes, sizeof id->bytes);
}

static void put_setting(struct buf *out, enum topic_setting setting, int64_t value)
{
    char memory[64];
    struct buf text;
    buf_init_fixed(&text, memory, sizeof memory);
    topic_setting_print(setting, value, &text);
    put_text(out, slice_str(topic_settings[setting].name));
    put_text(out, buf_slice(&text));
}

void catalog_put_topic(struct buf *out, const struct topic *t)
{
    buf_putc(out, 'T');
    buf_put(out, t->id.bytes, sizeof t->id.bytes);
    put_u32(out, t->partitions);
    put_text(out, t->name);
    buf_putc(out, (char)__builtin_popcount(t->config.given));
    for (enum topic_setting i = 0; i < TOPIC_SETTING_COUNT; i++)
        if (t->config.given & 1u << i)
            put_setting(out, i, t->config.values[i]);
}

/* --- reading: a reader that has failed gives nothing any more ----------------------------------------------------------------- */

struct reader {
    struct slice left;
    enum err err;
};

static struct slice get(struct reader *r, size_t size)
{
    if (r->left.size < size)
        r->err = ERR_CORRUPT;
    if (r->err)
        return SLICE_EMPTY;
    struct slice got = slice_take(r->left, size);
    r->left = slice_skip(r->left, size);
    return got;
}

static uint8_t get_u8(struct reader *r)
{
    struct slice byte = get(r, 1);
    return byte.size ? byte.data[0] : 0;
}

static uint32_t get_u32(struct reader *r)
{
    struct slice bytes = get(r, 4);
    uint32_t value = 0;
    for (size_t i = 0; i < bytes.size; i++)
        value |= (uint32_t)bytes.data[i] << (8 * i);
    return value;
}

static struct slice get_text(struct reader *r)
{
    return get(r, get_u8(r));
}

static struct kafka_uuid get_uuid(struct reader *r)
{
    struct kafka_uuid id = {{0}};
    struct slice bytes = get(r, sizeof id.bytes);
    if (bytes.size)
        memcpy(id.bytes, bytes.data, bytes.size);
    return id;
}

static void get_setting(struct reader *r, struct topic_config *config)
{
    struct slice name = get_text(r), text = get_text(r);
    enum topic_setting setting = topic_setting_find(name);
    int64_t value;
    char memory[256];
    struct buf reason;
    buf_init_fixed(&reason, memory, sizeof memory);
    if (r->err)
        return;
    if (setting == TOPIC_SETTING_COUNT || topic_setting_parse(setting, text, &value, &reason))
        r->err = ERR_SCHEMA_FUTURE;
    else
        topic_config_set(config, setting, value);
}

static enum err read_topic(struct reader *r, const struct catalog_visitor *v)
{
    struct topic_config config = *v->defaults;
    config.given = 0;
    struct kafka_uuid id = get_uuid(r);
    uint32_t partitions = get_u32(r);
    struct slice name = get_text(r);
    for (unsigned left = get_u8(r); left && !r->err; left--)
        get_setting(r, &config);
    if (!r->err && (!topic_name_valid(name) || !partitions))
        r->err = ERR_CORRUPT;
    if (r->err)
        return r->err;
    struct topic *t = topic_new(&id, name, partitions, &config);
    return t ? v->topic(v->context, t) : ERR_NOMEM;
}

static enum err read_gone(struct reader *r, const struct catalog_visitor *v)
{
    struct kafka_uuid id = get_uuid(r);
    return r->err ? r->err : v->gone(v->context, &id);
}

static enum err read_cluster(struct reader *r, const struct catalog_visitor *v)
{
    struct kafka_uuid id = get_uuid(r);
    if (!r->err)
        v->cluster(v->context, &id);
    return r->err;
}

static enum err read_record(struct reader *r, const struct catalog_visitor *v)
{
    switch (get_u8(r)) {
    case 'C':
        return read_cluster(r, v);
    case 'T':
        return read_topic(r, v);
    case 'D':
        return read_gone(r, v);
    default:
        return ERR_SCHEMA_FUTURE;
    }
}

enum err catalog_read_entry(struct slice entry, const struct catalog_visitor *v)
{
    struct reader r = {.left = entry};
    enum err e = OK;
    while (r.left.size && !e)
        e = read_record(&r, v);
    return e;
}

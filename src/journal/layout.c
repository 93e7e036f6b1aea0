#include "journal/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"

enum { WAL_MAGIC = 0x31574a50 /* PJW1 */, CHECKPOINT_MAGIC = 0x4b434a50 /* PJCK */, CHECKPOINT_VERSION = 1 };

static void put32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static void put64(uint8_t *out, uint64_t value)
{
    put32(out, (uint32_t)value);
    put32(out + 4, (uint32_t)(value >> 32));
}

static uint32_t get32(const uint8_t *in)
{
    return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

static uint64_t get64(const uint8_t *in)
{
    return get32(in) | (uint64_t)get32(in + 4) << 32;
}

/* ---- paths ---------------------------------------------------------------------------------------------------------------- */

static bool fits(int printed)
{
    return printed > 0 && printed < JOURNAL_PATH_BYTES;
}

bool layout_path(char out[JOURNAL_PATH_BYTES], const char *folder, const char *name)
{
    return fits(snprintf(out, JOURNAL_PATH_BYTES, "%s/%s", folder, name));
}

static void key_text(const struct journal_key *key, char out[48])
{
    char *end = hex_format(key->id, sizeof key->id, out);
    snprintf(end, 16, "-%" PRIu32, key->partition);
}

bool layout_log_folder(char out[JOURNAL_PATH_BYTES], const char *folder, const struct journal_key *key)
{
    char name[48];
    key_text(key, name);
    return fits(snprintf(out, JOURNAL_PATH_BYTES, "%s/logs/%s", folder, name));
}

bool layout_log_path(char out[JOURNAL_PATH_BYTES], const char *folder, const struct journal_key *key, int64_t base,
                     const char *suffix)
{
    char name[48];
    key_text(key, name);
    return fits(snprintf(out, JOURNAL_PATH_BYTES, "%s/logs/%s/%020" PRId64 "%s", folder, name, base, suffix));
}

bool layout_wal_folder(char out[JOURNAL_PATH_BYTES], const char *folder, uint32_t shard)
{
    return fits(snprintf(out, JOURNAL_PATH_BYTES, "%s/wal/%" PRIu32, folder, shard));
}

bool layout_wal_path(char out[JOURNAL_PATH_BYTES], const char *folder, uint32_t shard, uint64_t number)
{
    return fits(snprintf(out, JOURNAL_PATH_BYTES, "%s/wal/%" PRIu32 "/%020" PRIu64 ".wal", folder, shard, number));
}

bool layout_checkpoint_path(char out[JOURNAL_PATH_BYTES], const char *folder, uint32_t shard, const char *suffix)
{
    return fits(snprintf(out, JOURNAL_PATH_BYTES, "%s/checkpoint-%" PRIu32 "%s", folder, shard, suffix));
}

bool layout_number_of(const char *name, const char *suffix, uint64_t *ret_number)
{
    enum { DIGITS = 20 };
    uint64_t number = 0;
    for (int i = 0; i < DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9' || number > (INT64_MAX - 9) / 10)
            return false;
        number = number * 10 + (uint64_t)(name[i] - '0');
    }
    if (strcmp(name + DIGITS, suffix) != 0)
        return false;
    *ret_number = number;
    return true;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool layout_key_of(const char *name, struct journal_key *ret_key)
{
    struct journal_key key;
    char again[48];
    for (unsigned i = 0; i < sizeof key.id; i++) {
        if (digit(name[2 * i]) < 0 || digit(name[2 * i + 1]) < 0)
            return false;
        key.id[i] = (uint8_t)(digit(name[2 * i]) << 4 | digit(name[2 * i + 1]));
    }
    if (name[32] != '-')
        return false;
    key.partition = (uint32_t)strtoul(name + 33, NULL, 10);
    key_text(&key, again);
    if (strcmp(again, name) != 0)
        return false;
    *ret_key = key;
    return true;
}

void layout_key_bytes(const struct journal_key *key, uint8_t out[JOURNAL_KEY_BYTES])
{
    memcpy(out, key->id, sizeof key->id);
    put32(out + sizeof key->id, key->partition);
}

/* ---- indexes -------------------------------------------------------------------------------------------------------------- */

static uint32_t crc_of_place(const struct journal_key *key, int64_t base, uint32_t place)
{
    uint8_t bytes[JOURNAL_KEY_BYTES + 12];
    layout_key_bytes(key, bytes);
    put64(bytes + JOURNAL_KEY_BYTES, (uint64_t)base);
    put32(bytes + JOURNAL_KEY_BYTES + 8, place);
    return crc32c(0, bytes, sizeof bytes);
}

void layout_index_encode(const struct index_entry *entry, const struct journal_key *key, int64_t base, uint32_t rank,
                         uint8_t out[JOURNAL_INDEX_BYTES])
{
    put32(out, (uint32_t)(entry->offset - base));
    put32(out + 4, entry->position);
    put64(out + 8, (uint64_t)entry->max_before);
    put32(out + 16, entry->seal);
    put32(out + 20, crc32c(crc_of_place(key, base, rank), out, 20));
}

bool layout_index_decode(const uint8_t in[JOURNAL_INDEX_BYTES], const struct journal_key *key, int64_t base,
                         uint32_t rank, struct index_entry *ret_entry)
{
    if (get32(in + 20) != crc32c(crc_of_place(key, base, rank), in, 20))
        return false;
    *ret_entry = (struct index_entry){.offset = base + get32(in),
                                      .position = get32(in + 4),
                                      .max_before = (int64_t)get64(in + 8),
                                      .seal = get32(in + 16)};
    return true;
}

uint32_t layout_seal(const struct journal_key *key, int64_t base, uint32_t position, struct slice header)
{
    return crc32c(crc_of_place(key, base, position), header.data, header.size);
}

/* ---- the stream ----------------------------------------------------------------------------------------------------------- */

void layout_batch_seal(const struct wal_batch *b, uint8_t *batch)
{
    put32(batch, WAL_MAGIC);
    put64(batch + 8, b->number);
    put64(batch + 16, b->position);
    put64(batch + 24, b->sequence);
    put32(batch + 32, b->bytes);
    put32(batch + 36, b->records);
    put32(batch + 4, crc32c(0, batch + 8, b->bytes - 8));
}

bool layout_batch_decode(const uint8_t in[JOURNAL_WAL_BATCH_BYTES], uint64_t number, uint64_t position,
                         struct wal_batch *ret_batch)
{
    struct wal_batch b = {.number = get64(in + 8),
                          .position = get64(in + 16),
                          .sequence = get64(in + 24),
                          .bytes = get32(in + 32),
                          .records = get32(in + 36)};
    if (get32(in) != WAL_MAGIC || b.number != number || b.position != position || b.bytes < JOURNAL_WAL_BATCH_BYTES)
        return false;
    *ret_batch = b;
    return true;
}

bool layout_batch_whole(struct slice batch)
{
    return batch.size >= JOURNAL_WAL_BATCH_BYTES && get32(batch.data + 4) == crc32c(0, batch.data + 8, batch.size - 8);
}

void layout_record_encode(const struct wal_record *r, uint8_t out[JOURNAL_WAL_RECORD_BYTES])
{
    memset(out, 0, JOURNAL_WAL_RECORD_BYTES);
    layout_key_bytes(&r->key, out);
    put32(out + 20, (uint32_t)r->epoch);
    put64(out + 24, (uint64_t)r->first_offset);
    put64(out + 32, (uint64_t)r->last_offset);
    put64(out + 40, (uint64_t)r->max_time_ms);
    put32(out + 48, r->size);
    put32(out + 52, r->entries);
}

void layout_record_decode(const uint8_t in[JOURNAL_WAL_RECORD_BYTES], struct wal_record *ret_record)
{
    *ret_record = (struct wal_record){.epoch = (int32_t)get32(in + 20),
                                      .first_offset = (int64_t)get64(in + 24),
                                      .last_offset = (int64_t)get64(in + 32),
                                      .max_time_ms = (int64_t)get64(in + 40),
                                      .size = get32(in + 48),
                                      .entries = get32(in + 52)};
    memcpy(ret_record->key.id, in, sizeof ret_record->key.id);
    ret_record->key.partition = get32(in + 16);
}

/* ---- checkpoints ---------------------------------------------------------------------------------------------------------- */

void layout_checkpoint_put(const struct checkpoint_entry *e, uint8_t out[JOURNAL_CHECKPOINT_BYTES])
{
    memset(out, 0, JOURNAL_CHECKPOINT_BYTES);
    layout_key_bytes(&e->key, out);
    put64(out + 24, (uint64_t)e->start);
    put64(out + 32, (uint64_t)e->base);
    put64(out + 40, (uint64_t)e->next);
    put64(out + 48, e->position);
    put64(out + 56, (uint64_t)e->max_time_ms);
    put64(out + 64, (uint64_t)e->created_ms);
}

void layout_checkpoint_get(const uint8_t in[JOURNAL_CHECKPOINT_BYTES], struct checkpoint_entry *ret_entry)
{
    *ret_entry = (struct checkpoint_entry){.start = (int64_t)get64(in + 24),
                                           .base = (int64_t)get64(in + 32),
                                           .next = (int64_t)get64(in + 40),
                                           .position = get64(in + 48),
                                           .max_time_ms = (int64_t)get64(in + 56),
                                           .created_ms = (int64_t)get64(in + 64)};
    memcpy(ret_entry->key.id, in, sizeof ret_entry->key.id);
    ret_entry->key.partition = get32(in + 16);
}

static size_t checkpoint_size(uint32_t count)
{
    return JOURNAL_CHECKPOINT_HEADER_BYTES + (size_t)count * JOURNAL_CHECKPOINT_BYTES;
}

void layout_checkpoint_seal(const struct checkpoint_header *h, uint8_t *whole)
{
    put32(whole, CHECKPOINT_MAGIC);
    put32(whole + 8, CHECKPOINT_VERSION);
    put32(whole + 12, h->shard);
    put32(whole + 16, h->count);
    put32(whole + 20, 0);
    put64(whole + 24, h->wal_first);
    put32(whole + 4, crc32c(0, whole + 8, checkpoint_size(h->count) - 8));
}

enum err layout_checkpoint_check(struct slice whole, struct checkpoint_header *ret_header)
{
    const uint8_t *in = whole.data;
    if (whole.size < JOURNAL_CHECKPOINT_HEADER_BYTES || get32(in) != CHECKPOINT_MAGIC)
        return ERR_CORRUPT;
    struct checkpoint_header h = {.shard = get32(in + 12), .count = get32(in + 16), .wal_first = get64(in + 24)};
    if (get32(in + 4) != crc32c(0, in + 8, whole.size - 8))
        return ERR_CORRUPT;
    if (get32(in + 8) != CHECKPOINT_VERSION)
        return ERR_SCHEMA_FUTURE;
    if (whole.size != checkpoint_size(h.count))
        return ERR_CORRUPT;
    *ret_header = h;
    return OK;
}

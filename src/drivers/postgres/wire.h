/* PostgreSQL's binary formats: parameters of a statement, and columns of its result.
 *
 *   struct postgres_params p = {0};
 *   postgres_put_int4(&p, id); postgres_put_bytes(&p, key); postgres_put_time(&p, expires_ms);
 *   …  PQsendQueryPrepared(conn, name, p.count, postgres_values(&p, values), p.lengths, p.formats, 1);
 *
 * Bytes are borrowed until the statement has been sent; libpq copies them then. Integers are big-endian; a time is microseconds
 * since 2000-01-01 UTC; an array is its dimensions, then each element behind its length. Thread: one at a time.
 * Source: PostgreSQL, "Message Formats", and the send and receive functions of each type. */
#ifndef PRISM_DRIVERS_POSTGRES_WIRE_H
#define PRISM_DRIVERS_POSTGRES_WIRE_H

#include <libpq-fe.h>

#include "base/arena.h"
#include "base/err.h"

enum { POSTGRES_PARAMS_MAX = 12 };
enum postgres_type { TYPE_BYTEA = 17, TYPE_INT8 = 20, TYPE_INT2 = 21, TYPE_FLOAT8 = 701, TYPE_TIME = 1184 };

struct postgres_params {
    int count;
    const char *bytes[POSTGRES_PARAMS_MAX]; /* NULL: SQL's NULL, or a number */
    int lengths[POSTGRES_PARAMS_MAX];
    int formats[POSTGRES_PARAMS_MAX];
    uint8_t numbers[POSTGRES_PARAMS_MAX][8]; /* of those that are numbers, which have a length */
    bool failed;                             /* memory was out: the statement must not be sent */
};
/* As libpq takes them. The struct may be copied until then. */
const char *const *postgres_values(const struct postgres_params *, const char *values[POSTGRES_PARAMS_MAX]);

void postgres_put_null(struct postgres_params *);
void postgres_put_bool(struct postgres_params *, bool);
void postgres_put_int2(struct postgres_params *, int16_t);
void postgres_put_int4(struct postgres_params *, int32_t);
void postgres_put_int8(struct postgres_params *, int64_t);
void postgres_put_double(struct postgres_params *, double);
void postgres_put_bytes(struct postgres_params *, struct slice);  /* an empty slice is empty bytes, not NULL */
void postgres_put_time(struct postgres_params *, int64_t utc_ms); /* KV_NEVER: NULL */

/* Arrays: filled element by element, then put. Memory comes from the arena; a failure shows when it is put. */
struct postgres_array {
    uint8_t *data, *at;
    size_t size;
};
/* bytes: of all elements together, lengths not counted. */
struct postgres_array postgres_array_new(struct arena *, enum postgres_type, uint32_t count, size_t bytes);
void postgres_array_bytes(struct postgres_array *, struct slice);
void postgres_array_bytes_or_null(struct postgres_array *, struct slice); /* an empty slice is NULL */
void postgres_array_time(struct postgres_array *, int64_t utc_ms);        /* KV_NEVER: NULL */
void postgres_array_int2(struct postgres_array *, int16_t);
void postgres_array_double(struct postgres_array *, double);
void postgres_put_array(struct postgres_params *, const struct postgres_array *);

/* Columns. Slices borrow from the result. NULL reads as empty, 0, false or KV_NEVER. */
bool postgres_is_null(const PGresult *, int row, int column);
struct slice postgres_bytes(const PGresult *, int row, int column);
bool postgres_bool(const PGresult *, int row, int column);
int32_t postgres_int4(const PGresult *, int row, int column);
int64_t postgres_int8(const PGresult *, int row, int column);
double postgres_double(const PGresult *, int row, int column);
int64_t postgres_time_ms(const PGresult *, int row, int column);

#endif

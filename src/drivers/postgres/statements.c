#include "drivers/postgres/statements.h"

#include <assert.h>

/* An item that has expired at the time given as the parameter is there for nobody. */
#define LIVE(alias, time) "(" alias "expires_at IS NULL OR " alias "expires_at > " time "::timestamptz)"
#define ITEM_BYTES "(octet_length(key) + octet_length(value) + coalesce(octet_length(tags), 0))"
#define RANGE "namespace = $1::int4 AND key >= $2::bytea AND key < $3::bytea AND " LIVE("", "$4")

/* A page: at most $5 rows, and no more once $6 bytes have been reached; its last column tells how many rows there were before
 * bytes cut it. Sizes of large values are known without reading them. */
#define PAGE(columns, order)                                                                                           \
    "SELECT " columns ", fetched FROM (SELECT " columns ", sum(" ITEM_BYTES ") OVER (ORDER BY key " order              \
    " ROWS UNBOUNDED PRECEDING) - " ITEM_BYTES " AS before, count(*) OVER () AS fetched FROM (SELECT * FROM items"     \
    " WHERE " RANGE " ORDER BY key " order " LIMIT $5::int8) p) q WHERE before < $6::int8 ORDER BY key " order
#define KEYS(order)                                                                                                    \
    "SELECT key, count(*) OVER () FROM (SELECT key FROM items WHERE " RANGE " ORDER BY key " order                     \
    " LIMIT $5::int8) p ORDER BY key " order
#define ITEM "key, value, version, expires_at, tags"

static const struct {
    const char *name, *text;
} statements[STATEMENTS] = {
    [STATEMENT_BEGIN] = {"begin", "BEGIN"},
    [STATEMENT_BEGIN_SNAPSHOT] = {"begin_snapshot", "BEGIN ISOLATION LEVEL REPEATABLE READ"},
    [STATEMENT_PIN] = {"pin", "SELECT pg_current_snapshot() IS NULL"},
    [STATEMENT_COMMIT] = {"commit", "COMMIT"},
    [STATEMENT_ROLLBACK] = {"rollback", "ROLLBACK"},
    [STATEMENT_TIMEOUT] = {"timeout", "SELECT set_config('statement_timeout', $1::int4::text, true)"},

    [STATEMENT_ANSWER_LOCK] = {"answer_lock", "SELECT pg_advisory_xact_lock($1::int8) IS NULL"},
    [STATEMENT_ANSWER_GET] = {"answer_get", "SELECT fingerprint, response FROM answers WHERE namespace = $1::int4"
                                            " AND key = sha256($2::bytea) AND expires_at > $3::timestamptz"},
    [STATEMENT_ANSWER_KEEP] = {"answer_keep",
                               "INSERT INTO answers AS a VALUES ($1::int4, sha256($2::bytea), $3::int8, $4::bytea,"
                               " $5::timestamptz) ON CONFLICT (namespace, key) DO UPDATE SET fingerprint ="
                               " excluded.fingerprint, response = excluded.response, expires_at = excluded.expires_at"},

    [STATEMENT_GET] = {"get", "SELECT value, version, expires_at, tags FROM items WHERE namespace = $1::int4"
                              " AND key = $2::bytea AND " LIVE("", "$3")},
    [STATEMENT_GET_MANY] = {"get_many", "SELECT k.n, i.value, i.version, i.expires_at, i.tags FROM unnest($2::bytea[])"
                                        " WITH ORDINALITY k(key, n) JOIN items i ON i.namespace = $1::int4"
                                        " AND i.key = k.key WHERE " LIVE("i.", "$3")},
    [STATEMENT_GET_BATCH] = {"get_batch",
                             "SELECT n, CASE WHEN before < $4::int8 THEN value END, version, expires_at, tags, before <"
                             " $4::int8 FROM (SELECT k.n, i.value, i.version, i.expires_at, i.tags,"
                             " sum(octet_length(value)) OVER (ORDER BY k.n ROWS UNBOUNDED PRECEDING) -"
                             " octet_length(value) AS before FROM unnest($2::bytea[]) WITH ORDINALITY k(key, n)"
                             " JOIN items i ON i.namespace = $1::int4 AND i.key = k.key WHERE " LIVE(
                                 "i.", "$3") ") q"
                                             " ORDER BY n"},
    [STATEMENT_HEAD] = {"head", "SELECT expires_at FROM items WHERE namespace = $1::int4 AND key = $2::bytea"
                                " AND " LIVE("", "$3")},
    [STATEMENT_HEAD_MANY] = {"head_many", "SELECT k.n, i.expires_at FROM unnest($2::bytea[]) WITH ORDINALITY k(key, n)"
                                          " JOIN items i ON i.namespace = $1::int4 AND i.key = k.key"
                                          " WHERE " LIVE("i.", "$3")},
    [STATEMENT_SET] = {"set", "INSERT INTO items VALUES ($1::int4, $2::bytea, $3::bytea, $4::bytea, $5::timestamptz,"
                              " $6::bytea) ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, version ="
                              " excluded.version, expires_at = excluded.expires_at, tags = excluded.tags"},
    [STATEMENT_SET_MANY] = {"set_many",
                            "INSERT INTO items SELECT $1::int4, k, v, r, e, t FROM unnest($2::bytea[], $3::bytea[],"
                            " $4::bytea[], $5::timestamptz[], $6::bytea[]) AS u(k, v, r, e, t) ON CONFLICT (namespace,"
                            " key) DO UPDATE SET value = excluded.value, version = excluded.version, expires_at ="
                            " excluded.expires_at, tags = excluded.tags"},
    [STATEMENT_WRITE] = {"write", "SELECT done, present, current_version, current_value FROM kv_write($1::int4,"
                                  " $2::bytea, $3::bytea, $4::bytea, $5::timestamptz, $6::bytea, $7::timestamptz,"
                                  " $8::int2, $9::bytea)"},
    [STATEMENT_WRITE_MANY] = {"write_many", "SELECT done, current_version FROM kv_write_many($1::int4, $2::bytea[],"
                                            " $3::bytea[], $4::bytea[], $5::timestamptz[], $6::bytea[],"
                                            " $7::timestamptz, $8::int2[], $9::bytea[])"},
    [STATEMENT_DELETE] = {"delete", "SELECT done, present, current_version FROM kv_delete($1::int4, $2::bytea,"
                                    " $3::timestamptz, $4::int2, $5::bytea)"},
    [STATEMENT_DELETE_MANY] = {"delete_many",
                               "DELETE FROM items i USING (SELECT key FROM items WHERE namespace = $1::int4 AND key ="
                               " ANY ($2::bytea[]) ORDER BY key FOR UPDATE) k WHERE i.namespace = $1::int4 AND i.key ="
                               " k.key RETURNING i.key, " LIVE("i.", "$3")},
    [STATEMENT_EXPIRE] = {"expire", "UPDATE items SET expires_at = $3::timestamptz WHERE namespace = $1::int4"
                                    " AND key = $2::bytea AND " LIVE("", "$4") " RETURNING true"},
    [STATEMENT_PERSIST] = {"persist", "SELECT present, removed FROM kv_persist($1::int4, $2::bytea, $3::timestamptz)"},
    [STATEMENT_LOCK_MANY] = {"lock_many", "SELECT count(*) FROM (SELECT 1 FROM items WHERE namespace = $1::int4"
                                          " AND key = ANY ($2::bytea[]) ORDER BY key FOR UPDATE) l"},
    [STATEMENT_SCAN] = {"scan", PAGE(ITEM, "ASC")},
    [STATEMENT_SCAN_REVERSE] = {"scan_reverse", PAGE(ITEM, "DESC")},
    [STATEMENT_SCAN_KEYS] = {"scan_keys", KEYS("ASC")},
    [STATEMENT_SCAN_KEYS_REVERSE] = {"scan_keys_reverse", KEYS("DESC")},
    [STATEMENT_COUNT] = {"count", "SELECT count(*) FROM items WHERE " RANGE},
};

const char *postgres_statement_text(enum postgres_statement s)
{
    assert(s < STATEMENTS);
    return statements[s].text;
}

const char *postgres_statement_name(enum postgres_statement s)
{
    assert(s < STATEMENTS);
    return statements[s].name;
}

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

    [STATEMENT_LIST_PUSH] = {"list_push",
                             "SELECT o_pushed, o_size FROM list_push($1::int4, $2::bytea, $3::bool, $4::bytea[], "
                             "$5::int8)"},
    [STATEMENT_LIST_POP] = {"list_pop",
                            "SELECT o_value, o_size FROM list_pop($1::int4, $2::bytea, $3::bool, $4::int8, $5::int8)"},
    [STATEMENT_LIST_GET] = {"list_get", "SELECT o_value FROM list_get($1::int4, $2::bytea, $3::int8)"},
    [STATEMENT_LIST_RANGE] = {"list_range",
                              "SELECT o_value, o_size FROM list_range($1::int4, $2::bytea, $3::int8, $4::int8, "
                              "$5::int8, $6::int8)"},
    [STATEMENT_LIST_SET] = {"list_set",
                            "SELECT o_done, o_size FROM list_set($1::int4, $2::bytea, $3::int8, $4::bytea)"},
    [STATEMENT_LIST_INSERT] = {"list_insert",
                               "SELECT o_done, o_size FROM list_insert($1::int4, $2::bytea, $3::int8, $4::bytea, "
                               "$5::int8)"},
    [STATEMENT_LIST_REMOVE_AT] =
        {"list_remove_at", "SELECT o_removed, o_size, o_value FROM list_remove_at($1::int4, $2::bytea, $3::int8)"},
    [STATEMENT_LIST_REMOVE] = {"list_remove",
                               "SELECT o_removed, o_size FROM list_remove($1::int4, $2::bytea, $3::bytea, $4::int8, "
                               "$5::bool)"},
    [STATEMENT_LIST_TRIM] = {"list_trim",
                             "SELECT o_removed, o_size FROM list_trim($1::int4, $2::bytea, $3::int8, $4::int8)"},
    [STATEMENT_SET_ADD] = {"set_add", "SELECT o_added FROM set_add($1::int4, $2::bytea, $3::bytea[])"},
    [STATEMENT_SET_REMOVE] = {"set_remove", "SELECT o_removed FROM set_remove($1::int4, $2::bytea, $3::bytea[])"},
    [STATEMENT_SET_HAS] = {"set_has",
                           "SELECT k.n FROM collections c, unnest($3::bytea[]) WITH ORDINALITY k(member, n) JOIN "
                           "LATERAL (SELECT 1 FROM set_members s WHERE s.collection = c.id AND s.member = "
                           "k.member) h ON true WHERE c.namespace = $1::int4 AND c.model = 2 AND c.key = $2::bytea"},
    [STATEMENT_SET_WALK] = {"set_walk",
                            "SELECT o_member, o_taken FROM set_walk($1::int4, $2::bytea[], $3::int2, $4::bytea, "
                            "$5::int8, $6::int8)"},
    [STATEMENT_SET_RANDOM] = {"set_random",
                              "SELECT s.member FROM collections c JOIN set_members s ON s.collection = c.id WHERE "
                              "c.namespace = $1::int4 AND c.model = 2 AND c.key = $2::bytea ORDER BY random() LIMIT "
                              "$3::int8"},
    [STATEMENT_SET_POP] = {"set_pop", "SELECT o_member, o_size FROM set_pop($1::int4, $2::bytea, $3::int8)"},
    [STATEMENT_COLLECTION_SIZE] =
        {"collection_size", "SELECT size FROM collections WHERE namespace = $1::int4 AND key = $2::bytea AND model "
                            "= $3::int2"},
    [STATEMENT_COLLECTION_CLEAR] = {"collection_clear",
                                    "SELECT o_removed FROM coll_clear($1::int4, $3::int2, $2::bytea)"},
    [STATEMENT_SORTED_ADD] = {"sorted_add",
                              "SELECT o_added, o_updated FROM sorted_add($1::int4, $2::bytea, $3::bytea[], "
                              "$4::float8[])"},
    [STATEMENT_SORTED_REMOVE] = {"sorted_remove",
                                 "SELECT o_removed FROM sorted_remove($1::int4, $2::bytea, $3::bytea[])"},
    [STATEMENT_SORTED_SCORE] = {"sorted_score",
                                "SELECT s.score FROM collections c JOIN sorted_members s ON s.collection = c.id AND "
                                "s.member = $3::bytea WHERE c.namespace = $1::int4 AND c.model = 3 AND c.key = "
                                "$2::bytea"},
    [STATEMENT_SORTED_RANK] = {"sorted_rank",
                               "SELECT o_rank, o_score FROM sorted_rank($1::int4, $2::bytea, $3::bytea, $4::bool)"},
    [STATEMENT_SORTED_RANGE] = {"sorted_range",
                                "SELECT o_score, o_member, o_size FROM sorted_range($1::int4, $2::bytea, $3::int8, "
                                "$4::int8, $5::bool, $6::int8)"},
    [STATEMENT_SORTED_WALK] = {"sorted_walk",
                               "SELECT o_score, o_member FROM sorted_walk($1::int4, $2::bytea, $3::float8, $4::bytea, "
                               "$5::float8, $6::bool, $7::int8)"},
    [STATEMENT_SORTED_LEX] = {"sorted_lex",
                              "SELECT o_score, o_member, o_highest FROM sorted_lex($1::int4, $2::bytea, $3::bytea, "
                              "$4::bool, $5::int8)"},
    [STATEMENT_SORTED_JOIN] = {"sorted_join",
                               "SELECT o_n, o_score, o_member, o_size FROM sorted_join($1::int4, $2::bytea[], "
                               "$3::bool, $4::int8)"},
    [STATEMENT_COUNTER_ADD] = {"counter_add", "SELECT o_done, o_value FROM counter_add($1::int4, $2::bytea, $3::int8)"},
    [STATEMENT_COUNTER_GET] = {"counter_get",
                               "SELECT value FROM counters WHERE namespace = $1::int4 AND key = $2::bytea"},
    [STATEMENT_COUNTER_CLEAR] = {"counter_clear",
                                 "DELETE FROM counters WHERE namespace = $1::int4 AND key = $2::bytea RETURNING value"},
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

/* Every statement that is prepared once and kept. Values are always bound. */
#include "drivers/sqlite/statements.h"

#define LIVE "(expires_ms IS NULL OR expires_ms > ?2)"
#define IN_RANGE "key >= ?1 AND key < ?3 AND " LIVE

#define LIST_WALK "SELECT position, value FROM list_values WHERE list = ?1 AND position "
#define LIST_REMOVE_EQUAL                                                                                              \
    "DELETE FROM list_values WHERE rowid IN (SELECT rowid FROM list_values WHERE list = ?1 AND value = ?2 "
#define SORTED "SELECT score, member FROM sorted_members INDEXED BY sorted_by_score WHERE collection = ?1 "
#define SORTED_COUNT                                                                                                   \
    "SELECT count(*) FROM sorted_members INDEXED BY sorted_by_score WHERE collection = ?1 AND (score, member) "
#define SORTED_LEX "SELECT score, member FROM sorted_members WHERE collection = ?1 AND member "

const char *const sqlite_statement_sql[STATEMENTS] = {
    [STATEMENT_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [STATEMENT_BEGIN_READ] = "BEGIN",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLLBACK] = "ROLLBACK",
    [STATEMENT_SAVEPOINT] = "SAVEPOINT operation",
    [STATEMENT_RELEASE] = "RELEASE operation",
    [STATEMENT_ROLLBACK_TO] = "ROLLBACK TO operation",
    [STATEMENT_PIN] = "SELECT rowid FROM items LIMIT 1",
    [STATEMENT_ITEM_GET] = "SELECT version, expires_ms, tags, value FROM items WHERE key = ?1",
    [STATEMENT_ITEM_HEAD] = "SELECT version, expires_ms FROM items WHERE key = ?1",
    [STATEMENT_ITEM_PUT] = "INSERT INTO items (key, version, expires_ms, tags, value) VALUES (?1, ?2, ?3, ?4, ?5) "
                           "ON CONFLICT (key) DO UPDATE SET version = ?2, expires_ms = ?3, tags = ?4, value = ?5",
    [STATEMENT_ITEM_DELETE] = "DELETE FROM items WHERE key = ?1 AND " LIVE,
    [STATEMENT_ITEM_EXPIRE] = "UPDATE items SET expires_ms = ?3 WHERE key = ?1 AND " LIVE,
    [STATEMENT_ITEM_PERSIST] = "UPDATE items SET expires_ms = NULL WHERE key = ?1 AND expires_ms > ?2",
    /* Looks at ?2 rows at the most, also where their version says that they must stay. */
    [STATEMENT_ITEM_SWEEP] = "DELETE FROM items WHERE rowid IN (SELECT row FROM (SELECT rowid AS row, version "
                             "FROM items INDEXED BY items_by_expiry WHERE expires_ms IS NOT NULL AND expires_ms <= ?1 "
                             "ORDER BY expires_ms LIMIT ?2) WHERE version <= ?3)",
    [STATEMENT_ITEM_FIRST_EXPIRY] = "SELECT expires_ms FROM items INDEXED BY items_by_expiry "
                                    "WHERE expires_ms IS NOT NULL ORDER BY expires_ms LIMIT 1",
    [STATEMENT_SCAN] = "SELECT key, version, expires_ms, tags, value FROM items WHERE " IN_RANGE " ORDER BY key",
    [STATEMENT_SCAN_REVERSE] =
        "SELECT key, version, expires_ms, tags, value FROM items WHERE " IN_RANGE " ORDER BY key DESC",
    [STATEMENT_SCAN_KEYS] = "SELECT key FROM items WHERE " IN_RANGE " ORDER BY key",
    [STATEMENT_SCAN_KEYS_REVERSE] = "SELECT key FROM items WHERE " IN_RANGE " ORDER BY key DESC",
    [STATEMENT_COUNT_RANGE] = "SELECT count(*) FROM items WHERE " IN_RANGE,
    [STATEMENT_ANSWER_GET] = "SELECT fingerprint, response FROM answers WHERE key = ?1 AND expires_ms > ?2",
    [STATEMENT_ANSWER_PUT] =
        "INSERT OR REPLACE INTO answers (key, fingerprint, expires_ms, response) VALUES (?1, ?2, ?3, ?4)",
    [STATEMENT_ANSWER_SWEEP] = "DELETE FROM answers WHERE key IN (SELECT key FROM answers INDEXED BY answers_by_expiry "
                               "WHERE expires_ms <= ?1 ORDER BY expires_ms LIMIT ?2)",
    [STATEMENT_ANSWER_FIRST_EXPIRY] =
        "SELECT expires_ms FROM answers INDEXED BY answers_by_expiry ORDER BY expires_ms LIMIT 1",
    [STATEMENT_KEYS_PUT] = "UPDATE counters SET value = ?1 WHERE name = 'keys'",
    /* A commit that failed may have been one after all: then it is there. */
    [STATEMENT_EPOCH_PUT] = "INSERT OR IGNORE INTO epochs VALUES (?1, ?2)",
    [STATEMENT_VERIFY] = "UPDATE counters SET value = value + 1 WHERE name = 'verified'",

    [STATEMENT_COLLECTION_GET] = "SELECT id, size FROM collections WHERE model = ?1 AND key = ?2",
    [STATEMENT_COLLECTION_PUT] = "INSERT INTO collections (model, key, size) VALUES (?1, ?2, 0)",
    [STATEMENT_COLLECTION_RESIZE] = "UPDATE collections SET size = ?2 WHERE id = ?1",
    [STATEMENT_COLLECTION_DROP] = "DELETE FROM collections WHERE id = ?1",

    /* ?1 is the list; ?2 a position, a number of values or an offset. */
    [STATEMENT_LIST_FIRST] = "SELECT min(position) FROM list_values WHERE list = ?1",
    [STATEMENT_LIST_LAST] = "SELECT max(position) FROM list_values WHERE list = ?1",
    [STATEMENT_LIST_AT] = "SELECT position FROM list_values WHERE list = ?1 ORDER BY position LIMIT 1 OFFSET ?2",
    [STATEMENT_LIST_AT_FROM_END] =
        "SELECT position FROM list_values WHERE list = ?1 ORDER BY position DESC LIMIT 1 OFFSET ?2",
    [STATEMENT_LIST_WALK] = LIST_WALK ">= ?2 ORDER BY position",
    [STATEMENT_LIST_WALK_BACK] = LIST_WALK "<= ?2 ORDER BY position DESC",
    [STATEMENT_LIST_PUT] = "INSERT INTO list_values (list, position, value) VALUES (?1, ?2, ?3)",
    [STATEMENT_LIST_SET] = "UPDATE list_values SET value = ?3 WHERE list = ?1 AND position = ?2",
    [STATEMENT_LIST_REMOVE] = "DELETE FROM list_values WHERE list = ?1 AND position = ?2",
    [STATEMENT_LIST_REMOVE_BELOW] = "DELETE FROM list_values WHERE list = ?1 AND position < ?2",
    [STATEMENT_LIST_REMOVE_ABOVE] = "DELETE FROM list_values WHERE list = ?1 AND position > ?2",
    [STATEMENT_LIST_REMOVE_EQUAL] = LIST_REMOVE_EQUAL "ORDER BY position LIMIT ?3)",
    [STATEMENT_LIST_REMOVE_EQUAL_BACK] = LIST_REMOVE_EQUAL "ORDER BY position DESC LIMIT ?3)",
    /* New positions from ?2 on, ?3 apart, beyond all old ones: none is taken while they move. */
    [STATEMENT_LIST_SPREAD] = "UPDATE list_values SET position = ?2 + ?3 * ranks.rank FROM (SELECT rowid AS row, "
                              "row_number() OVER (ORDER BY position) - 1 AS rank FROM list_values WHERE list = ?1) "
                              "AS ranks WHERE list_values.rowid = ranks.row",
    [STATEMENT_LIST_CLEAR] = "DELETE FROM list_values WHERE list = ?1",

    /* ?1 is the set, ?2 a member. */
    [STATEMENT_SET_ADD] = "INSERT OR IGNORE INTO set_members (collection, member) VALUES (?1, ?2)",
    [STATEMENT_SET_REMOVE] = "DELETE FROM set_members WHERE collection = ?1 AND member = ?2",
    [STATEMENT_SET_HAS] = "SELECT 1 FROM set_members WHERE collection = ?1 AND member = ?2",
    [STATEMENT_SET_WALK] = "SELECT member FROM set_members WHERE collection = ?1 AND member > ?2 ORDER BY member",
    [STATEMENT_SET_CLEAR] = "DELETE FROM set_members WHERE collection = ?1",

    /* ?1 is the sorted set, ?2 a score or an offset, ?3 a member. */
    [STATEMENT_SORTED_GET] = "SELECT score FROM sorted_members WHERE collection = ?1 AND member = ?3",
    [STATEMENT_SORTED_PUT] = "INSERT INTO sorted_members (collection, member, score) VALUES (?1, ?3, ?2) "
                             "ON CONFLICT (collection, member) DO UPDATE SET score = ?2",
    [STATEMENT_SORTED_REMOVE] = "DELETE FROM sorted_members WHERE collection = ?1 AND member = ?3",
    [STATEMENT_SORTED_RANK] = SORTED_COUNT "< (?2, ?3)",
    [STATEMENT_SORTED_RANK_BACK] = SORTED_COUNT "> (?2, ?3)",
    [STATEMENT_SORTED_RANGE] = SORTED "ORDER BY score, member LIMIT -1 OFFSET ?2",
    [STATEMENT_SORTED_RANGE_BACK] = SORTED "ORDER BY score DESC, member DESC LIMIT -1 OFFSET ?2",
    [STATEMENT_SORTED_WALK] = SORTED "AND (score, member) > (?2, ?3) ORDER BY score, member",
    [STATEMENT_SORTED_WALK_BACK] = SORTED "AND (score, member) < (?2, ?3) ORDER BY score DESC, member DESC",
    [STATEMENT_SORTED_LEX] = SORTED_LEX ">= ?3 ORDER BY member",
    [STATEMENT_SORTED_LEX_BACK] = SORTED_LEX "<= ?3 ORDER BY member DESC",
    [STATEMENT_SORTED_CLEAR] = "DELETE FROM sorted_members WHERE collection = ?1",

    [STATEMENT_NUMBER_GET] = "SELECT value FROM numbers WHERE key = ?1",
    [STATEMENT_NUMBER_PUT] = "INSERT INTO numbers (key, value) VALUES (?1, ?2) "
                             "ON CONFLICT (key) DO UPDATE SET value = ?2",
    [STATEMENT_NUMBER_CLEAR] = "DELETE FROM numbers WHERE key = ?1",
};

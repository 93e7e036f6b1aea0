/* All SQL that calls are answered with. Every value that comes from outside is a parameter, never part of the text; names are
 * without schema, as search_path decides. A connection prepares a statement when it first needs it. */
#ifndef PRISM_DRIVERS_POSTGRES_STATEMENTS_H
#define PRISM_DRIVERS_POSTGRES_STATEMENTS_H

enum postgres_statement {
    /* transactions */
    STATEMENT_BEGIN,
    STATEMENT_BEGIN_SNAPSHOT,
    STATEMENT_PIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_TIMEOUT,
    /* kept answers of idempotency keys */
    STATEMENT_ANSWER_LOCK,
    STATEMENT_ANSWER_GET,
    STATEMENT_ANSWER_KEEP,
    /* keyvalue */
    STATEMENT_GET,
    STATEMENT_GET_MANY,
    STATEMENT_GET_BATCH,
    STATEMENT_HEAD,
    STATEMENT_HEAD_MANY,
    STATEMENT_SET,
    STATEMENT_SET_MANY,
    STATEMENT_WRITE,
    STATEMENT_WRITE_MANY,
    STATEMENT_DELETE,
    STATEMENT_DELETE_MANY,
    STATEMENT_EXPIRE,
    STATEMENT_PERSIST,
    STATEMENT_LOCK_MANY,
    STATEMENT_SCAN,
    STATEMENT_SCAN_REVERSE,
    STATEMENT_SCAN_KEYS,
    STATEMENT_SCAN_KEYS_REVERSE,
    STATEMENT_COUNT,
    /* lists, sets, sorted sets, counters: $1 is always the namespace, $2 the key or keys */
    STATEMENT_LIST_PUSH,
    STATEMENT_LIST_POP,
    STATEMENT_LIST_GET,
    STATEMENT_LIST_RANGE,
    STATEMENT_LIST_SET,
    STATEMENT_LIST_INSERT,
    STATEMENT_LIST_REMOVE_AT,
    STATEMENT_LIST_REMOVE,
    STATEMENT_LIST_TRIM,
    STATEMENT_SET_ADD,
    STATEMENT_SET_REMOVE,
    STATEMENT_SET_HAS,
    STATEMENT_SET_WALK,
    STATEMENT_SET_RANDOM,
    STATEMENT_SET_POP,
    STATEMENT_COLLECTION_SIZE,
    STATEMENT_COLLECTION_CLEAR,
    STATEMENT_SORTED_ADD,
    STATEMENT_SORTED_REMOVE,
    STATEMENT_SORTED_SCORE,
    STATEMENT_SORTED_RANK,
    STATEMENT_SORTED_RANGE,
    STATEMENT_SORTED_WALK,
    STATEMENT_SORTED_LEX,
    STATEMENT_SORTED_JOIN,
    STATEMENT_COUNTER_ADD,
    STATEMENT_COUNTER_GET,
    STATEMENT_COUNTER_CLEAR,
    STATEMENTS
};

/* Its text, which is also told to the server's log. */
const char *postgres_statement_text(enum postgres_statement);
/* Its name on a connection. */
const char *postgres_statement_name(enum postgres_statement);

#endif

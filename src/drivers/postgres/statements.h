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
    STATEMENTS
};

/* Its text, which is also told to the server's log. */
const char *postgres_statement_text(enum postgres_statement);
/* Its name on a connection. */
const char *postgres_statement_name(enum postgres_statement);

#endif

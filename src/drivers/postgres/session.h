/* A connection to PostgreSQL on a thread that may block: made, set up, asked, with an end to each wait. The threads of
 * connector.c and upkeep.c use it; connections of callers are made here and then live in lanes (lane.h).
 *
 * Every wait ends at a deadline, or when stop becomes readable, also where the server says nothing at all. */
#ifndef PRISM_DRIVERS_POSTGRES_SESSION_H
#define PRISM_DRIVERS_POSTGRES_SESSION_H

#include "base/diag.h"
#include "data/driver.h"
#include "drivers/postgres/wire.h"

enum { POSTGRES_TEXT_BYTES = 512 };

/* What went wrong, in words that fit without memory. */
struct postgres_problem {
    enum err err;
    char text[POSTGRES_TEXT_BYTES];
};
enum err postgres_problem_set(struct postgres_problem *, enum err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct postgres_wait {
    const struct env *env;
    uint64_t deadline_ns;
    int stop_fd; /* -1: none */
};

/* Where to connect to: libpq's options, parsed. */
struct postgres_address {
    PQconninfoOption *options;
    char *password; /* takes the place of the one in options; NULL: none */
    char application[96];
};
/* ERR_CONFIG_INVALID with words that do not repeat the text, which may hold a password. */
enum err postgres_address_parse(const char *connection, struct slice password, const char *namespace_name,
                                struct postgres_problem *, struct postgres_address *ret_address);
void postgres_address_fini(struct postgres_address *);

/* An authenticated connection, blocking mode off. tell may be NULL. Errors of outcome.h, with what to do. */
enum err postgres_session_open(const struct postgres_address *, const struct postgres_wait *, backend_step_fn *tell,
                               void *tell_context, struct postgres_problem *, PGconn **ret_conn);
/* One statement or, without parameters, several separated by semicolons: then the last result. The result is PQclear'ed by the
 * caller. */
enum err postgres_session_ask(PGconn *, const struct postgres_wait *, const char *sql, const struct postgres_params *,
                              struct postgres_problem *, PGresult **ret_result);
/* The same, without a result. */
enum err postgres_session_do(PGconn *, const struct postgres_wait *, const char *sql, const struct postgres_params *,
                             struct postgres_problem *);

/* codes.c: what a SQLSTATE means here (outcome.h). */
enum err postgres_code(const char *sqlstate);
/* Of a failed result: "text of the server (SQLSTATE 23505)"; data that the server repeats in its details is left out. */
enum err postgres_result_problem(const PGresult *, struct postgres_problem *);
/* Of a connection that could not be made, from libpq's message; says what to do. */
enum err postgres_connect_problem(const PGconn *, struct postgres_problem *);

#endif

/* What PostgreSQL's codes mean here, and what a person can do about them.
 * Source: PostgreSQL, appendix "Error Codes". */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "drivers/postgres/session.h"

/* The longest prefix counts: two characters are a class. */
static const struct {
    const char *prefix;
    enum err err;
} codes[] = {
    {"08", ERR_BACKEND_LOST},
    {"25006", ERR_BACKEND_REFUSED},      /* read-only: a standby, or default_transaction_read_only */
    {"26000", ERR_BACKEND_REFUSED},      /* the prepared statement is gone: somebody stands in between */
    {"28", ERR_BACKEND_DENIED},          /* authentication, pg_hba.conf */
    {"3D000", ERR_BACKEND_DENIED},       /* no such database */
    {"3F000", ERR_BACKEND_REFUSED},      /* no such schema: dropped while we ran */
    {"40001", ERR_TRANSACTION_CONFLICT}, /* serialization failure */
    {"40P01", ERR_ABORTED},              /* deadlock */
    {"42501", ERR_BACKEND_DENIED},       /* privileges */
    {"42P01", ERR_BACKEND_REFUSED},      /* no such table: dropped while we ran */
    {"42883", ERR_BACKEND_REFUSED},      /* no such function */
    {"53100", ERR_DISK_FULL},
    {"53", ERR_BACKEND_REFUSED},      /* too many connections, out of memory */
    {"55P03", ERR_BACKEND_BUSY},      /* lock not available */
    {"57014", ERR_DEADLINE_EXCEEDED}, /* statement_timeout, or cancelled */
    {"57P01", ERR_BACKEND_REFUSED},   /* shutting down: comes before anything is committed */
    {"57P02", ERR_BACKEND_LOST},      /* another process of it has crashed */
    {"57P03", ERR_BACKEND_REFUSED},   /* starting up */
    {"57P05", ERR_BACKEND_REFUSED},   /* idle session timeout */
    {"58", ERR_IO},
    {"XX001", ERR_CORRUPT},
    {"XX002", ERR_CORRUPT},
};

enum err postgres_code(const char *sqlstate)
{
    enum err found = ERR_INTERNAL;
    size_t best = 0;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        size_t size = strlen(codes[i].prefix);
        if (size > best && sqlstate && strncmp(sqlstate, codes[i].prefix, size) == 0) {
            best = size;
            found = codes[i].err;
        }
    }
    return found;
}

enum err postgres_problem_set(struct postgres_problem *p, enum err e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    p->err = e;
    vsnprintf(p->text, sizeof p->text, format, args);
    va_end(args);
    return e;
}

enum err postgres_result_problem(const PGresult *r, struct postgres_problem *p)
{
    const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE), *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    if (!code)
        return postgres_problem_set(p, ERR_BACKEND_LOST, "PostgreSQL: the connection was lost");
    return postgres_problem_set(p, postgres_code(code), "PostgreSQL: %s (%s)", text ? text : "", code);
}

/* --- connecting --------------------------------------------------------------------------------------------------------------- */

/* Advice by code, where the server spoke; by libpq's words, where it did not get so far. */
static const struct {
    const char *sign, *advice;
    enum err err;
} advices[] = {
    {"28P01", "check user and password: the server does not accept them", ERR_BACKEND_DENIED},
    {"28000",
     "the server does not let this user in from here: check user, database and sslmode against its pg_hba.conf",
     ERR_BACKEND_DENIED},
    {"3D000", "create the database, or correct its name in connection", ERR_BACKEND_DENIED},
    {"42501", "grant the role CONNECT on the database", ERR_BACKEND_DENIED},
    {"53300", "lower pool.max, or raise max_connections of the server", ERR_BACKEND_REFUSED},
    {"57P03", "the server is starting or shutting down", ERR_BACKEND_REFUSED},
    {"57P01", "the server is shutting down", ERR_BACKEND_REFUSED},
    {"no password supplied", "set password, or put one into connection", ERR_BACKEND_DENIED},
    {"could not translate host name", "check the host in connection: DNS does not know it", ERR_BACKEND_UNREACHABLE},
    {"Connection refused", "nothing listens there: check host and port in connection, and that the server runs",
     ERR_BACKEND_UNREACHABLE},
    {"No such file or directory",
     "no server has this socket: check host and port in connection, and that the server runs", ERR_BACKEND_UNREACHABLE},
    {"certificate verify failed", "the server's certificate is not signed by sslrootcert: correct either",
     ERR_BACKEND_DENIED},
    {"server certificate for", "the server's certificate is for another host name: correct host, or the certificate",
     ERR_BACKEND_DENIED},
    {"root certificate file", "sslmode asks for a verified certificate: set sslrootcert in connection",
     ERR_BACKEND_DENIED},
    {"server does not support SSL", "switch TLS on at the server, or lower sslmode in connection", ERR_BACKEND_DENIED},
    {"certificate", "check sslcert, sslkey and sslrootcert in connection", ERR_BACKEND_DENIED},
};

/* One line of libpq's message: its first, without the code that verbose messages have. */
static void first_line(const char *message, char out[static 256])
{
    size_t size = strcspn(message, "\n");
    snprintf(out, 256, "%.*s", (int)(size < 255 ? size : 255), message);
}

/* "FATAL:  28P01: text": the code, or "". */
static void code_in(const char *line, char out[static 6])
{
    const char *at = strstr(line, ":  ");
    out[0] = '\0';
    if (!at)
        return;
    at += 3;
    for (int i = 0; i < 5; i++)
        if (!isupper((unsigned char)at[i]) && !isdigit((unsigned char)at[i]))
            return;
    if (at[5] == ':')
        snprintf(out, 6, "%.5s", at);
}

enum err postgres_connect_problem(const PGconn *conn, struct postgres_problem *p)
{
    const char *message = PQerrorMessage(conn);
    char line[256], code[6];
    first_line(message, line);
    code_in(line, code);
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++)
        if (code[0] ? strcmp(code, advices[i].sign) == 0 : strstr(message, advices[i].sign) != NULL)
            return postgres_problem_set(p, advices[i].err, "%s; %s", line, advices[i].advice);
    if (code[0] && postgres_code(code) == ERR_BACKEND_DENIED)
        return postgres_problem_set(p, ERR_BACKEND_DENIED, "%s", line);
    return postgres_problem_set(p, ERR_BACKEND_UNREACHABLE, "%s; check connection, and that the server runs",
                                line[0] ? line : "no connection could be made");
}

/* SELECT and an upsert, prepared, with libpq; URL as libpq takes it. The table is bench (key bytea, value bytea). */
#include <arpa/inet.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "direct.h"

static void prepare(PGconn *c, const char *name, const char *sql, int parameters)
{
    PGresult *result = PQprepare(c, name, sql, parameters, NULL);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        direct_fail("postgres", PQerrorMessage(c));
    PQclear(result);
}

static void *connect_to(const char *url)
{
    PGconn *c = PQconnectdb(url);
    if (PQstatus(c) != CONNECTION_OK)
        direct_fail(url, PQerrorMessage(c));
    prepare(c, "get", "SELECT value FROM bench WHERE key = $1::bytea", 1);
    prepare(c, "set",
            "INSERT INTO bench (key, value) VALUES ($1::bytea, $2::bytea) ON CONFLICT (key) DO UPDATE SET value = $2",
            2);
    if (PQsetnonblocking(c, 1) != 0)
        direct_fail("postgres", PQerrorMessage(c));
    return c;
}

static int fd_of(void *connection)
{
    return PQsocket(connection);
}

static void send_request(void *connection, enum direct_method method, const char *key, const char *value)
{
    PGconn *c = connection;
    const char *values[] = {key, value};
    static const int lengths[] = {DIRECT_KEY_BYTES, DIRECT_VALUE_BYTES}, formats[] = {1, 1};
    bool get = method == DIRECT_GET;
    int left = 1;
    if (!PQsendQueryPrepared(c, get ? "get" : "set", get ? 1 : 2, values, lengths, formats, 1))
        direct_fail("postgres", PQerrorMessage(c));
    while (left > 0)
        left = PQflush(c);
    if (left < 0)
        direct_fail("postgres", PQerrorMessage(c));
}

static void check(const PGconn *c, const PGresult *result, enum direct_method method)
{
    ExecStatusType wanted = method == DIRECT_GET ? PGRES_TUPLES_OK : PGRES_COMMAND_OK;
    if (PQresultStatus(result) != wanted)
        direct_fail("postgres", PQerrorMessage(c));
    if (method == DIRECT_GET && (PQntuples(result) != 1 || PQgetlength(result, 0, 0) != DIRECT_VALUE_BYTES))
        direct_fail("postgres", "a SELECT did not answer the value");
}

/* Takes results as long as they are complete: the last one is NULL. */
static bool receive(void *connection, enum direct_method method)
{
    PGconn *c = connection;
    if (!PQconsumeInput(c))
        direct_fail("postgres", PQerrorMessage(c));
    while (!PQisBusy(c)) {
        PGresult *result = PQgetResult(c);
        if (!result)
            return true;
        check(c, result, method);
        PQclear(result);
    }
    return false;
}

static void disconnect(void *connection)
{
    PQfinish(connection);
}

int main(int argc, char **argv)
{
    static const struct direct_driver driver = {connect_to, fd_of, send_request, receive, disconnect};
    return direct_main(argc, argv, &driver);
}

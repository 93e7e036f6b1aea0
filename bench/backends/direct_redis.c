/* GET and SET with hiredis; URL is HOST:PORT. */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "direct.h"

static void *connect_to(const char *url)
{
    char host[64] = "";
    const char *colon = strrchr(url, ':');
    if (!colon || (size_t)(colon - url) >= sizeof host)
        direct_fail(url, "is not HOST:PORT");
    memcpy(host, url, (size_t)(colon - url));
    redisContext *c = redisConnect(host, atoi(colon + 1));
    if (!c || c->err)
        direct_fail(url, c ? c->errstr : "out of memory");
    redisEnableKeepAlive(c);
    c->flags &= ~REDIS_BLOCK;
    return c;
}

static int fd_of(void *connection)
{
    return ((redisContext *)connection)->fd;
}

static void send_request(void *connection, enum direct_method method, const char *key, const char *value)
{
    redisContext *c = connection;
    int done = 0;
    int e = method == DIRECT_GET
                ? redisAppendCommand(c, "GET %b", key, (size_t)DIRECT_KEY_BYTES)
                : redisAppendCommand(c, "SET %b %b", key, (size_t)DIRECT_KEY_BYTES, value, (size_t)DIRECT_VALUE_BYTES);
    while (e == REDIS_OK && !done)
        e = redisBufferWrite(c, &done);
    if (e != REDIS_OK)
        direct_fail("redis", c->errstr);
}

static void check(const redisReply *reply, enum direct_method method)
{
    if (method == DIRECT_GET && (reply->type != REDIS_REPLY_STRING || reply->len != DIRECT_VALUE_BYTES))
        direct_fail("redis", "a GET did not answer the value");
    if (method == DIRECT_SET && reply->type != REDIS_REPLY_STATUS)
        direct_fail("redis", "a SET was not answered with OK");
}

/* MSG_DONTWAIT is not asked for by hiredis: it reads once, and the descriptor was readable. */
static bool receive(void *connection, enum direct_method method)
{
    redisContext *c = connection;
    void *reply = NULL;
    if (redisBufferRead(c) != REDIS_OK || redisGetReplyFromReader(c, &reply) != REDIS_OK)
        direct_fail("redis", c->errstr);
    if (!reply)
        return false;
    check(reply, method);
    freeReplyObject(reply);
    return true;
}

static void disconnect(void *connection)
{
    redisFree(connection);
}

int main(int argc, char **argv)
{
    static const struct direct_driver driver = {connect_to, fd_of, send_request, receive, disconnect};
    return direct_main(argc, argv, &driver);
}

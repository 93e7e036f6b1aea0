/* An HTTP/1.1 connection of the server, byte by byte as a stranger likes: no crash, no call left behind, no connection left.
 *
 * The first byte chooses how the rest is cut into pieces. The server is made once; it and its clock are the twin's. */
#include <stdlib.h>

#include "../unit/rpc/web.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool condition)
{
    if (!condition)
        abort();
}

static struct web *server(void)
{
    static struct web w;
    static bool made;
    if (!made)
        need(web_new(&w, 1) == OK);
    else
        need(web_connect(&w) == OK);
    made = true;
    return &w;
}

static void send_pieces(struct web *w, struct slice rest, size_t piece)
{
    while (rest.size && w->client) {
        web_send(w, slice_take(rest, piece));
        rest = slice_skip(rest, piece);
        loop_turn(w->loop, true);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct web *w = server();
    send_pieces(w, slice_of(data + 1, size - 1), (size_t)data[0] + 1);
    web_wait(w, 20);
    if (w->client)
        conn_abort(w->client);
    web_wait(w, 20);
    need(w->closed);
    need(rpc_server_stats(w->server)->calls_in_flight == 0);
    need(rpc_server_stats(w->server)->connections_open == 0);
    return 0;
}

/* Calls over TLS on the machine's sockets: ALPN, the identity of a client certificate, a server that is not trusted. */
#include <stdlib.h>
#include <unistd.h>

#include "world.h"

static char folder[64];

static const char *path(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *p = paths[next++ % 8];
    snprintf(p, sizeof paths[0], "%s/%s", folder, name);
    return p;
}

/* Certificates that sign themselves: NAME.pem, NAME.key. */
static void make_certificate(const char *name, const char *alternatives)
{
    char command[512];
    snprintf(command, sizeof command,
             "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=%s "
             "-addext subjectAltName=%s -keyout %s.key -out %s.pem 2>/dev/null",
             folder, name, alternatives, name, name);
    CHECK_EQ(system(command), 0);
}

__attribute__((destructor)) static void remove_folder(void)
{
    static const char *const files[] = {"server.pem", "server.key", "client.pem", "client.key"};
    for (size_t i = 0; *folder && i < sizeof files / sizeof *files; i++)
        unlink(path(files[i]));
    if (*folder)
        rmdir(folder);
}

static void need_certificates(void)
{
    if (*folder)
        return;
    strcpy(folder, "/tmp/prism-rpc-XXXXXX");
    CHECK(mkdtemp(folder));
    make_certificate("server", "DNS:localhost,IP:127.0.0.1");
    make_certificate("client", "URI:spiffe://prism/worker");
}

static void open_world(struct world *w, const struct tls_options *client)
{
    struct tls_options server = {
        .cert_file = path("server.pem"), .key_file = path("server.key"), .client_ca_file = path("client.pem")};
    struct tls *server_tls, *client_tls;
    *w = (struct world){0};
    arena_init(&w->arena, 1 << 20);
    diag_init(&w->diag, &w->arena);
    CHECK_ERR(loop_new(env_real(), 0, &w->loop), OK);
    CHECK_ERR(tls_server_new(&server, &w->diag, &server_tls), OK);
    CHECK_ERR(tls_client_new(client, &w->diag, &client_tls), OK);
    CHECK_ERR(world_serve(w, "127.0.0.1:0", server_tls), OK);
    struct rpc_client_options o = {
        .loop = w->loop, .address = rpc_server_address(w->server), .tls = client_tls, .server_name = "localhost"};
    CHECK_ERR(rpc_client_new(&o, &w->diag, &w->client), OK);
    tls_unref(server_tls);
    tls_unref(client_tls);
}

static enum err call(struct world *w)
{
    struct slice response;
    struct rpc_client_call_options o = {.path = "/grpc.testing.TestService/EmptyCall"};
    return rpc_client_unary(w->client, &o, SLICE_EMPTY, &w->arena, &w->diag, &response);
}

TEST(calls_over_tls_know_the_identity_of_the_client)
{
    struct world w;
    need_certificates();
    struct tls_options o = {
        .ca_file = path("server.pem"), .cert_file = path("client.pem"), .key_file = path("client.key")};
    open_world(&w, &o);
    CHECK_ERR(call(&w), OK);
    CHECK_STR(w.identity, "spiffe://prism/worker");
    world_close(&w);
}

TEST(calls_over_tls_without_a_certificate_have_no_identity)
{
    struct world w;
    need_certificates();
    struct tls_options o = {.ca_file = path("server.pem")};
    open_world(&w, &o);
    CHECK_ERR(call(&w), OK);
    CHECK_STR(w.identity, "");
    world_close(&w);
}

TEST(a_server_that_is_not_trusted_is_not_called)
{
    struct world w;
    need_certificates();
    struct tls_options o = {.ca_file = path("client.pem")};
    open_world(&w, &o);
    CHECK_ERR(call(&w), ERR_TLS);
    CHECK_EQ(w.finished_count, 0);
    world_close(&w);
}

/* The server of Connect's conformance suite (tests/conformance): reads from standard input what it shall be like, writes to
 * standard output where it listens, serves until SIGTERM. Both messages have their size in front: four bytes, big end first.
 * Source: connectrpc/conformance, docs/testing_servers.md. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "connectrpc/conformance/v1/config.pb.h"
#include "connectrpc/conformance/v1/server_compat.pb.h"
#include "rpc/testing/conformance_service.h"

enum { REQUEST_BYTES_MAX = 1 << 20, DRAIN_MS = 1000 };

struct program {
    struct arena arena;
    struct diag diag;
    struct connectrpc_conformance_v1_server_compat_request *wanted;
    struct loop *loop;
    struct rpc_server *server;
    bool draining;
};

/* ---- what the runner says, and is told -------------------------------------------------------------------------------- */

static uint32_t size_of_prefix(const uint8_t p[4])
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static enum err read_request(struct program *p)
{
    uint8_t prefix[4];
    if (fread(prefix, sizeof prefix, 1, stdin) != 1)
        return diag_set(&p->diag, ERR_USAGE, "standard input ends before the size of a ServerCompatRequest");
    uint32_t size = size_of_prefix(prefix);
    if (size > REQUEST_BYTES_MAX)
        return diag_set(&p->diag, ERR_USAGE, "the ServerCompatRequest has %u bytes, more than %d", size,
                        REQUEST_BYTES_MAX);
    uint8_t *bytes = arena_alloc(&p->arena, size + 1);
    if (!bytes)
        return ERR_NOMEM;
    if (fread(bytes, 1, size, stdin) != size)
        return diag_set(&p->diag, ERR_USAGE, "standard input ends inside the ServerCompatRequest");
    void *message;
    enum err e = pb_decode(&connectrpc_conformance_v1_server_compat_request_pb, slice_of(bytes, size), &p->arena,
                           &pb_limits_default, &message);
    if (!e)
        p->wanted = message;
    return e;
}

static enum err write_response(struct program *p)
{
    const struct pb_message *type = &connectrpc_conformance_v1_server_compat_response_pb;
    const char *port = strrchr(rpc_server_address(p->server), ':') + 1;
    struct connectrpc_conformance_v1_server_compat_response response = {
        .host = SLICE("127.0.0.1"),
        .port = (uint32_t)strtoul(port, NULL, 10),
        .pem_cert = p->wanted->use_tls ? p->wanted->server_creds->cert : SLICE_EMPTY};
    size_t size = pb_encoded_size(type, &response);
    uint8_t *bytes = arena_alloc(&p->arena, 4 + size);
    if (!bytes)
        return ERR_NOMEM;
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(size >> (24 - 8 * i));
    pb_encode(type, &response, bytes + 4);
    fwrite(bytes, 4 + size, 1, stdout);
    return fflush(stdout) ? ERR_FILE : OK;
}

/* ---- TLS: rt reads PEM from files -------------------------------------------------------------------------------------- */

static enum err write_file(struct program *p, const char *path, struct slice bytes)
{
    FILE *file = fopen(path, "wx");
    bool written = file && fwrite(bytes.data, 1, bytes.size, file) == bytes.size;
    if (file && fclose(file))
        written = false;
    return written ? OK : diag_set(&p->diag, ERR_FILE, "cannot write %s", path);
}

static enum err load_tls(struct program *p, const char *dir, struct tls **ret_tls)
{
    const struct connectrpc_conformance_v1_server_compat_request *w = p->wanted;
    bool asks_client = w->client_tls_cert.size > 0;
    const char *cert = arena_printf(&p->arena, "%s/cert", dir), *key = arena_printf(&p->arena, "%s/key", dir),
               *ca = arena_printf(&p->arena, "%s/ca", dir);
    if (!cert || !key || !ca)
        return ERR_NOMEM;
    enum err e = write_file(p, cert, w->server_creds->cert);
    if (!e)
        e = write_file(p, key, w->server_creds->key);
    if (!e && asks_client)
        e = write_file(p, ca, w->client_tls_cert);
    struct tls_options o = {.cert_file = cert,
                            .key_file = key,
                            .client_ca_file = asks_client ? ca : NULL,
                            .client_cert_required = asks_client};
    if (!e)
        e = tls_server_new(&o, &p->diag, ret_tls);
    unlink(cert);
    unlink(key);
    unlink(ca);
    return e;
}

/* NULL where TLS is not wanted. */
static enum err make_tls(struct program *p, struct tls **ret_tls)
{
    *ret_tls = NULL;
    if (!p->wanted->use_tls)
        return OK;
    if (!p->wanted->server_creds)
        return diag_set(&p->diag, ERR_USAGE, "use_tls without server_creds");
    char dir[] = "/tmp/prism-conformance.XXXXXX";
    if (!mkdtemp(dir))
        return diag_set(&p->diag, ERR_FILE, "cannot make %s", dir);
    enum err e = load_tls(p, dir, ret_tls);
    rmdir(dir);
    return e;
}

/* ---- serving ---------------------------------------------------------------------------------------------------------- */

static void on_drained(void *context)
{
    struct program *p = context;
    loop_stop(p->loop);
}

static void on_signal(void *context, int signal)
{
    (void)signal;
    struct program *p = context;
    if (p->draining)
        return;
    p->draining = true;
    rpc_server_drain(p->server, loop_now_ns(p->loop) + (uint64_t)DRAIN_MS * 1000000, on_drained, p);
}

static enum err make_server(struct program *p)
{
    uint32_t limit = p->wanted->message_receive_limit;
    struct rpc_server_options o = {
        .loop = p->loop, .message_bytes_max = limit ? limit : LIMIT_MESSAGE_BYTES, .plain_status = true};
    enum err e = rpc_server_new(&o, &p->server);
    return e ? e : conformance_service_add(p->server);
}

static enum err listen_as_wanted(struct program *p)
{
    struct tls *tls;
    enum err e = make_tls(p, &tls);
    if (e)
        return e;
    e = rpc_server_listen(p->server, "127.0.0.1:0", tls, false, &p->diag);
    tls_unref(tls);
    return e;
}

static enum err run(struct program *p)
{
    enum err e = read_request(p);
    if (!e)
        e = loop_new(env_real(), 0, &p->loop);
    if (!e)
        e = make_server(p);
    if (!e)
        e = listen_as_wanted(p);
    if (!e)
        e = loop_on_signal(p->loop, SIGTERM, on_signal, p);
    if (!e)
        e = write_response(p);
    if (e)
        return e;
    loop_run(p->loop);
    rpc_server_free(p->server);
    loop_free(p->loop);
    return OK;
}

int main(void)
{
    struct program p = {0};
    arena_init(&p.arena, 16 << 20);
    diag_init(&p.diag, &p.arena);
    enum err e = run(&p);
    if (e)
        fprintf(stderr, "prism-conformance-server: %s\n", p.diag.err ? diag_message(&p.diag) : err_row(e)->text);
    arena_fini(&p.arena);
    return err_row(e)->exit_code;
}

/* TLS over the machine's sockets: certificates of both sides, names, ALPN, reload. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "echo.h"

static char folder[64];

static void run(const char *format, const char *a, const char *b)
{
    char command[1024];
    snprintf(command, sizeof command, format, a, b);
    if (system(command) != 0)
        test_fail(__FILE__, __LINE__, "%s failed", command);
}

static const char *path(const char *name, const char *suffix)
{
    static char paths[8][128];
    static unsigned next;
    char *p = paths[next++ % 8];
    snprintf(p, sizeof paths[0], "%s/%s.%s", folder, name, suffix);
    return p;
}

/* A certificate that signs itself: name.pem, name.key. */
static void make_certificate(const char *name, const char *alternatives)
{
    char command[512];
    snprintf(command, sizeof command,
             "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=%s%s%s "
             "-keyout %s.key -out %s.pem 2>/dev/null",
             folder, name, alternatives ? " -addext subjectAltName=" : "", alternatives ? alternatives : "", name,
             name);
    run("%s%s", command, "");
}

__attribute__((destructor)) static void remove_folder(void)
{
    if (*folder)
        run("rm -rf %s%s", folder, "");
}

static void need_certificates(void)
{
    if (*folder)
        return;
    snprintf(folder, sizeof folder, "/tmp/prism-tls-XXXXXX");
    CHECK(mkdtemp(folder));
    make_certificate("server", "DNS:localhost,IP:127.0.0.1");
    make_certificate("other", "DNS:example.com");
    make_certificate("client", "URI:spiffe://prism/worker,DNS:worker.example.com");
    make_certificate("plain", NULL);
}

static struct tls *server_tls(const struct tls_options *more)
{
    struct tls_options o = more ? *more : (struct tls_options){0};
    struct tls *t;
    need_certificates();
    o.cert_file = path("server", "pem");
    o.key_file = path("server", "key");
    CHECK_ERR(tls_server_new(&o, NULL, &t), OK);
    return t;
}

static struct tls *client_tls(const char *ca, const char *own)
{
    struct tls_options o = {.ca_file = path(ca, "pem")};
    struct tls *t;
    if (own) {
        o.cert_file = path(own, "pem");
        o.key_file = path(own, "key");
    }
    CHECK_ERR(tls_client_new(&o, NULL, &t), OK);
    return t;
}

/* Takes the two over. */
static void start(struct echo *e, struct tls *server, struct tls *client)
{
    *e = (struct echo){.server_tls = server, .client_tls = client};
    CHECK_ERR(loop_new(env_real(), 0, &e->loop), OK);
    CHECK_ERR(echo_listen(e, "127.0.0.1:0"), OK);
}

static void dial(struct echo *e)
{
    CHECK_ERR(echo_dial(e, listener_address(e->listener)), OK);
    UNTIL(e, e->opened || e->client_closed);
}

TEST(echoes_over_tls_and_agrees_on_h2)
{
    struct tls *s = server_tls(NULL);
    struct echo e;
    start(&e, s, client_tls("server", NULL));
    dial(&e);
    CHECK_STR(e.client_reason, "");
    CHECK_EQ(e.opened, 1);
    CHECK_STR(e.alpn, "h2");
    echo_send(&e, 0, 5 << 20);
    UNTIL(&e, e.received == 5 << 20);
    CHECK(!e.bad_pattern);
    conn_close(e.client);
    UNTIL(&e, e.client_closed && e.server_closed);
    CHECK_EQ(e.eofs, 1);
    CHECK_ERR(e.server_err, OK);
    CHECK_STR(e.identity, "");
    echo_end(&e);
}

TEST(slow_reader_over_tls_holds_the_writer_back)
{
    struct tls *s = server_tls(NULL);
    struct echo e;
    start(&e, s, client_tls("server", NULL));
    dial(&e);
    conn_read(e.client, false);
    echo_send(&e, 0, 16 << 20);
    UNTIL(&e, e.server && conn_queued_bytes(e.server) > LIMIT_OUTPUT_QUEUE_BYTES);
    CHECK(e.echoed < 16 << 20);
    conn_read(e.client, true);
    UNTIL(&e, e.received == 16 << 20);
    CHECK(e.drained > 0);
    CHECK(!e.bad_pattern);
    echo_end(&e);
}

TEST(unknown_issuer_is_refused_with_the_reason)
{
    struct tls *s = server_tls(NULL);
    struct echo e;
    start(&e, s, client_tls("other", NULL));
    dial(&e);
    CHECK_EQ(e.opened, 0);
    CHECK_ERR(e.client_err, ERR_TLS);
    CHECK(strstr(e.client_reason, listener_address(e.listener)));
    CHECK(strstr(e.client_reason, "self-signed certificate"));
    echo_end(&e);
}

TEST(certificate_of_another_name_is_refused)
{
    struct tls_options o = {0};
    need_certificates();
    o.cert_file = path("other", "pem");
    o.key_file = path("other", "key");
    struct tls *s;
    CHECK_ERR(tls_server_new(&o, NULL, &s), OK);
    struct echo e;
    start(&e, s, client_tls("other", NULL));
    dial(&e);
    CHECK_ERR(e.client_err, ERR_TLS);
    CHECK(strstr(e.client_reason, "ostname mismatch"));
    echo_end(&e);
}

TEST(insecure_client_accepts_any_certificate)
{
    struct tls_options o = {.insecure = true};
    struct tls *s = server_tls(NULL), *c;
    CHECK_ERR(tls_client_new(&o, NULL, &c), OK);
    struct echo e;
    start(&e, s, c);
    dial(&e);
    CHECK_EQ(e.opened, 1);
    echo_end(&e);
}

static void expect_identity(const char *own, const char *identity)
{
    need_certificates();
    struct tls_options o = {.client_ca_file = path(own, "pem"), .client_cert_required = true};
    struct tls *s = server_tls(&o);
    struct echo e;
    start(&e, s, client_tls("server", own));
    dial(&e);
    echo_send(&e, 0, 10);
    UNTIL(&e, e.received == 10 || e.client_closed);
    CHECK_STR(e.identity, identity);
    echo_end(&e);
}

TEST(client_certificate_names_the_caller)
{
    expect_identity("client", "spiffe://prism/worker");
    expect_identity("other", "example.com");
    expect_identity("plain", "plain");
}

TEST(missing_client_certificate_is_refused)
{
    need_certificates();
    struct tls_options o = {.client_ca_file = path("client", "pem"), .client_cert_required = true};
    struct tls *s = server_tls(&o);
    struct echo e;
    start(&e, s, client_tls("server", NULL));
    dial(&e);
    UNTIL(&e, e.client_closed && e.server_closed);
    CHECK_ERR(e.server_err, ERR_TLS);
    CHECK_ERR(e.client_err, ERR_TLS);
    CHECK_EQ(e.received, 0);
    echo_end(&e);
}

TEST(plain_text_to_a_tls_port_ends_the_connection)
{
    struct tls *s = server_tls(NULL);
    struct echo e;
    start(&e, s, NULL);
    dial(&e);
    echo_send(&e, 0, 100);
    UNTIL(&e, e.server_closed && e.client_closed);
    CHECK_ERR(e.server_err, ERR_TLS);
    echo_end(&e);
}

TEST(bad_files_are_named)
{
    struct arena arena;
    struct diag d;
    struct tls *t;
    need_certificates();
    arena_init(&arena, 4096);
    diag_init(&d, &arena);
    struct tls_options o = {.cert_file = path("server", "pem"), .key_file = path("other", "key")};
    CHECK_ERR(tls_server_new(&o, &d, &t), ERR_FILE);
    CHECK(strstr(diag_message(&d), "private key"));
    CHECK(strstr(diag_message(&d), o.key_file));
    o.cert_file = path("missing", "pem");
    CHECK_ERR(tls_server_new(&o, &d, &t), ERR_FILE);
    CHECK(strstr(diag_message(&d), o.cert_file));
    arena_fini(&arena);
}

TEST(reload_serves_the_new_certificate_and_keeps_the_old_on_errors)
{
    struct tls_options o = {0};
    struct tls *s;
    need_certificates();
    make_certificate("changing", "DNS:example.com");
    o.cert_file = path("changing", "pem");
    o.key_file = path("changing", "key");
    CHECK_ERR(tls_server_new(&o, NULL, &s), OK);
    CHECK(!tls_changed(s));
    run("cp %s %s", path("server", "pem"), path("changing", "pem"));
    CHECK(tls_changed(s));
    CHECK_ERR(tls_reload(s, NULL), ERR_FILE); /* the key is not that of the certificate yet */
    CHECK(tls_changed(s));
    run("cp %s %s", path("server", "key"), path("changing", "key"));
    CHECK_ERR(tls_reload(s, NULL), OK);
    CHECK(!tls_changed(s));
    struct echo e;
    start(&e, s, client_tls("server", NULL));
    dial(&e);
    CHECK_EQ(e.opened, 1);
    echo_end(&e);
}

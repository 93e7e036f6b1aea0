/* Certificates and what TLS we speak: 1.2 with AEAD suites and forward secrecy, 1.3. The context is replaced as a whole when
 * the files change; handshakes under way keep theirs.
 *
 * Invariant: context is never NULL; it is read and replaced under the mutex. */
#include "rt/tls.h"

#include <openssl/err.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/mem.h"

enum { CERT, KEY, CLIENT_CA, CA, FILE_COUNT };

/* By which a change is noticed. */
struct stamp {
    ino_t inode;
    off_t size;
    struct timespec mtime;
};

struct tls {
    atomic_uint refs;
    bool server;
    bool client_cert_required;
    bool insecure;
    char *files[FILE_COUNT]; /* NULL: none */
    BIO_METHOD *method;
    pthread_mutex_t mutex;
    SSL_CTX *context;
    struct stamp stamps[FILE_COUNT]; /* of when context was made */
};

static const unsigned char protocols[] = {2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

enum err tls_fail(struct diag *d, enum err e, const char *what)
{
    char text[256] = "no reason given";
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    if (reason)
        snprintf(text, sizeof text, "%s", reason);
    else if (code)
        ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return diag_set(d, e, "%s: %s", what, text);
}

static void stamp_files(const struct tls *t, struct stamp stamps[FILE_COUNT])
{
    for (int i = 0; i < FILE_COUNT; i++) {
        struct stat st = {0};
        if (t->files[i])
            (void)stat(t->files[i], &st); /* missing: zero, which differs from what was read */
        stamps[i] = (struct stamp){.inode = st.st_ino, .size = st.st_size, .mtime = st.st_mtim};
    }
}

static enum err bad_file(struct diag *d, const char *what, const char *file)
{
    enum err e = tls_fail(d, ERR_FILE, file);
    diag_wrap(d, "cannot use the %s", what);
    return e;
}

/* ---- contexts --------------------------------------------------------------------------------------------------------- */

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size, const unsigned char *in,
                           unsigned in_size, void *argument)
{
    (void)ssl;
    (void)argument;
    unsigned char *chosen;
    int found = SSL_select_next_proto(&chosen, out_size, protocols, sizeof protocols, in, in_size);
    *out = chosen;
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static enum err load_own(const struct tls *t, SSL_CTX *c, struct diag *d)
{
    if (!t->files[CERT])
        return OK;
    const char *key = t->files[KEY] ? t->files[KEY] : t->files[CERT];
    if (SSL_CTX_use_certificate_chain_file(c, t->files[CERT]) != 1)
        return bad_file(d, "certificate", t->files[CERT]);
    if (SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(c) != 1)
        return bad_file(d, "private key", key);
    return OK;
}

static enum err trust_clients(const struct tls *t, SSL_CTX *c, struct diag *d)
{
    static const unsigned char session_scope[] = "prism";
    SSL_CTX_set_session_id_context(c, session_scope, sizeof session_scope - 1);
    if (!t->files[CLIENT_CA])
        return OK;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(t->files[CLIENT_CA]);
    if (!names || SSL_CTX_load_verify_file(c, t->files[CLIENT_CA]) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return bad_file(d, "client CA", t->files[CLIENT_CA]);
    }
    SSL_CTX_set_client_CA_list(c, names);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | (t->client_cert_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    return OK;
}

static enum err trust_servers(const struct tls *t, SSL_CTX *c, struct diag *d)
{
    SSL_CTX_set_verify(c, t->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (!t->files[CA])
        return SSL_CTX_set_default_verify_paths(c) == 1 ? OK : tls_fail(d, ERR_FILE, "cannot read the system's CAs");
    return SSL_CTX_load_verify_file(c, t->files[CA]) == 1 ? OK : bad_file(d, "CA", t->files[CA]);
}

static enum err configure(const struct tls *t, SSL_CTX *c, struct diag *d)
{
    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(c, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
    if (t->server)
        SSL_CTX_set_alpn_select_cb(c, choose_protocol, NULL);
    else
        SSL_CTX_set_alpn_protos(c, protocols, sizeof protocols);
    enum err e = load_own(t, c, d);
    if (e)
        return e;
    return t->server ? trust_clients(t, c, d) : trust_servers(t, c, d);
}

static enum err make_context(const struct tls *t, struct diag *d, SSL_CTX **ret_context)
{
    ERR_clear_error();
    SSL_CTX *c = SSL_CTX_new(t->server ? TLS_server_method() : TLS_client_method());
    if (!c)
        return tls_fail(d, ERR_NOMEM, "cannot start TLS");
    enum err e = configure(t, c, d);
    if (e) {
        SSL_CTX_free(c);
        return e;
    }
    *ret_context = c;
    return OK;
}

/* ---- life ------------------------------------------------------------------------------------------------------------- */

static void free_tls(struct tls *t)
{
    for (int i = 0; i < FILE_COUNT; i++)
        mem_free(t->files[i]);
    SSL_CTX_free(t->context);
    BIO_meth_free(t->method);
    pthread_mutex_destroy(&t->mutex);
    mem_free(t);
}

static bool copy_files(struct tls *t, const struct tls_options *o)
{
    const char *const from[FILE_COUNT] = {o->cert_file, o->key_file, o->client_ca_file, o->ca_file};
    for (int i = 0; i < FILE_COUNT; i++)
        if (from[i] && !(t->files[i] = mem_strdup(from[i])))
            return false;
    return true;
}

static enum err tls_new(const struct tls_options *o, bool server, struct diag *d, struct tls **ret_tls)
{
    struct tls *t = mem_zalloc(sizeof *t);
    if (!t)
        return ERR_NOMEM;
    atomic_init(&t->refs, 1);
    pthread_mutex_init(&t->mutex, NULL);
    t->server = server;
    t->client_cert_required = o->client_cert_required;
    t->insecure = o->insecure;
    t->method = tls_session_method();
    enum err e = t->method && copy_files(t, o) ? OK : ERR_NOMEM;
    stamp_files(t, t->stamps);
    if (!e)
        e = make_context(t, d, &t->context);
    if (e) {
        free_tls(t);
        return e;
    }
    *ret_tls = t;
    return OK;
}

enum err tls_server_new(const struct tls_options *o, struct diag *d, struct tls **ret_tls)
{
    if (!o->cert_file)
        return diag_set(d, ERR_CONFIG_INVALID, "TLS needs a certificate file");
    return tls_new(o, true, d, ret_tls);
}

enum err tls_client_new(const struct tls_options *o, struct diag *d, struct tls **ret_tls)
{
    return tls_new(o, false, d, ret_tls);
}

/* The stamps are taken before the files are read: a change in between is seen as one by the next tls_changed. */
enum err tls_reload(struct tls *t, struct diag *d)
{
    struct stamp stamps[FILE_COUNT];
    SSL_CTX *context;
    stamp_files(t, stamps);
    enum err e = make_context(t, d, &context);
    if (e)
        return e;
    pthread_mutex_lock(&t->mutex);
    SSL_CTX *old = t->context;
    t->context = context;
    memcpy(t->stamps, stamps, sizeof stamps);
    pthread_mutex_unlock(&t->mutex);
    SSL_CTX_free(old);
    return OK;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
    return a->inode == b->inode && a->size == b->size && a->mtime.tv_sec == b->mtime.tv_sec &&
           a->mtime.tv_nsec == b->mtime.tv_nsec;
}

bool tls_changed(struct tls *t)
{
    struct stamp now[FILE_COUNT];
    bool changed = false;
    stamp_files(t, now);
    pthread_mutex_lock(&t->mutex);
    for (int i = 0; i < FILE_COUNT; i++)
        changed |= !same_stamp(&now[i], &t->stamps[i]);
    pthread_mutex_unlock(&t->mutex);
    return changed;
}

struct tls *tls_ref(struct tls *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void tls_unref(struct tls *t)
{
    if (t && atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1)
        free_tls(t);
}

SSL_CTX *tls_context(struct tls *t)
{
    pthread_mutex_lock(&t->mutex);
    SSL_CTX *c = t->context;
    SSL_CTX_up_ref(c);
    pthread_mutex_unlock(&t->mutex);
    return c;
}

bool tls_is_server(const struct tls *t)
{
    return t->server;
}

bool tls_verifies(const struct tls *t)
{
    return !t->insecure;
}

BIO_METHOD *tls_method(const struct tls *t)
{
    return t->method;
}

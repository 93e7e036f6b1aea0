/* OpenSSL without sockets: a BIO of our own reads from the slice that is being handed in and writes to the buffer that is
 * being handed out. Both are borrowed for the length of a call. */
#include "rt/tls_session.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "rt/tls.h"

struct tls_session {
    struct tls *tls;
    SSL *ssl;
    struct slice *in;
    struct buf *out;
    char alpn[16];
    char identity[512]; /* empty: none */
};

/* ---- BIO -------------------------------------------------------------------------------------------------------------- */

static int bio_read(BIO *bio, char *to, int size)
{
    struct tls_session *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (!s->in || s->in->size == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = s->in->size < (size_t)size ? s->in->size : (size_t)size;
    memcpy(to, s->in->data, n);
    *s->in = slice_skip(*s->in, n);
    return (int)n;
}

static int bio_write(BIO *bio, const char *from, int size)
{
    struct tls_session *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    buf_put(s->out, from, (size_t)size);
    return buf_err(s->out) ? -1 : size;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_session_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "prism");
    if (m) {
        BIO_meth_set_read(m, bio_read);
        BIO_meth_set_write(m, bio_write);
        BIO_meth_set_ctrl(m, bio_ctrl);
    }
    return m;
}

/* ---- life ------------------------------------------------------------------------------------------------------------- */

static bool is_ip(const char *name)
{
    struct in6_addr a;
    return inet_pton(AF_INET, name, &a) == 1 || inet_pton(AF_INET6, name, &a) == 1;
}

/* RFC 6125: the name that the user meant is the one that the certificate must have. */
static bool expect_name(struct tls_session *s, const char *name)
{
    X509_VERIFY_PARAM *p = SSL_get0_param(s->ssl);
    if (is_ip(name))
        return X509_VERIFY_PARAM_set1_ip_asc(p, name) == 1;
    X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(s->ssl, name) == 1 && X509_VERIFY_PARAM_set1_host(p, name, 0) == 1;
}

static bool init(struct tls_session *s, const char *server_name)
{
    SSL_CTX *context = tls_context(s->tls);
    s->ssl = SSL_new(context);
    SSL_CTX_free(context);
    BIO *bio = s->ssl ? BIO_new(tls_method(s->tls)) : NULL;
    if (!bio)
        return false;
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(s->ssl, bio, bio);
    if (tls_is_server(s->tls)) {
        SSL_set_accept_state(s->ssl);
        return true;
    }
    SSL_set_connect_state(s->ssl);
    return !server_name || expect_name(s, server_name);
}

enum err tls_session_new(struct tls *tls, const char *server_name, struct tls_session **ret_session)
{
    struct tls_session *s = mem_zalloc(sizeof *s);
    if (!s)
        return ERR_NOMEM;
    s->tls = tls_ref(tls);
    if (!init(s, server_name)) {
        tls_session_free(s);
        ERR_clear_error();
        return ERR_NOMEM;
    }
    *ret_session = s;
    return OK;
}

void tls_session_free(struct tls_session *s)
{
    if (!s)
        return;
    SSL_free(s->ssl);
    tls_unref(s->tls);
    mem_free(s);
}

/* ---- who the peer is --------------------------------------------------------------------------------------------------- */

/* Names with a NUL inside are somebody's trick: not taken. */
static bool take_name(struct tls_session *s, const ASN1_STRING *name)
{
    const unsigned char *text = ASN1_STRING_get0_data(name);
    size_t size = (size_t)ASN1_STRING_length(name);
    if (size == 0 || size >= sizeof s->identity || memchr(text, 0, size))
        return false;
    memcpy(s->identity, text, size);
    s->identity[size] = '\0';
    return true;
}

static bool take_alternative(struct tls_session *s, const GENERAL_NAMES *names, int type)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
        if (n->type == type && take_name(s, type == GEN_URI ? n->d.uniformResourceIdentifier : n->d.dNSName))
            return true;
    }
    return false;
}

static void take_common_name(struct tls_session *s, X509 *certificate)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at >= 0)
        take_name(s, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

static void take_identity(struct tls_session *s)
{
    X509 *certificate = SSL_get0_peer_certificate(s->ssl);
    if (!certificate || SSL_get_verify_result(s->ssl) != X509_V_OK)
        return;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    if (!take_alternative(s, names, GEN_URI) && !take_alternative(s, names, GEN_DNS))
        take_common_name(s, certificate);
    GENERAL_NAMES_free(names);
}

static void take_alpn(struct tls_session *s)
{
    const unsigned char *name;
    unsigned size;
    SSL_get0_alpn_selected(s->ssl, &name, &size);
    if (size && size < sizeof s->alpn)
        memcpy(s->alpn, name, size);
}

const char *tls_session_alpn(const struct tls_session *s)
{
    return s->alpn;
}

const char *tls_session_identity(const struct tls_session *s)
{
    return *s->identity ? s->identity : NULL;
}

/* ---- bytes ------------------------------------------------------------------------------------------------------------ */

static void lend(struct tls_session *s, struct slice *in, struct buf *out)
{
    s->in = in;
    s->out = out;
    ERR_clear_error();
}

static enum err failed(struct tls_session *s, struct diag *d, const char *what)
{
    long verified = SSL_get_verify_result(s->ssl);
    if (buf_err(s->out))
        return ERR_NOMEM;
    if (verified == X509_V_OK || !tls_verifies(s->tls))
        return tls_fail(d, ERR_TLS, what);
    ERR_clear_error();
    return diag_set(d, ERR_TLS, "%s: the certificate is not accepted: %s", what,
                    X509_verify_cert_error_string(verified));
}

enum err tls_session_handshake(struct tls_session *s, struct slice *in, struct buf *out, struct diag *d, bool *ret_done)
{
    lend(s, in, out);
    int result = SSL_do_handshake(s->ssl);
    if (result != 1 && SSL_get_error(s->ssl, result) != SSL_ERROR_WANT_READ)
        return failed(s, d, "failed");
    *ret_done = result == 1;
    if (result == 1) {
        take_alpn(s);
        take_identity(s);
    }
    return OK;
}

enum err tls_session_read(struct tls_session *s, struct slice *in, struct buf *out, uint8_t *plain, size_t room,
                          struct diag *d, size_t *ret_size, bool *ret_end)
{
    size_t size = 0, n = 0;
    lend(s, in, out);
    while (size < room && SSL_read_ex(s->ssl, plain + size, room - size, &n) == 1)
        size += n;
    assert(size < room); /* the caller gave room for all that in can hold */
    int why = SSL_get_error(s->ssl, 0);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_ZERO_RETURN)
        return failed(s, d, "TLS failed");
    *ret_size = size;
    *ret_end = why == SSL_ERROR_ZERO_RETURN;
    return OK;
}

enum err tls_session_write(struct tls_session *s, struct slice plain, struct buf *out)
{
    size_t n;
    lend(s, NULL, out);
    return SSL_write_ex(s->ssl, plain.data, plain.size, &n) == 1 ? OK : ERR_NOMEM;
}

void tls_session_shutdown(struct tls_session *s, struct buf *out)
{
    lend(s, NULL, out);
    SSL_shutdown(s->ssl);
    ERR_clear_error();
}

/* What tls.c and tls_session.c know of each other. Private to them. */
#ifndef PRISM_RT_TLS_H
#define PRISM_RT_TLS_H

#include <openssl/ssl.h>

#include "rt/conn.h"

/* The context that new handshakes use; a reference for the caller. Thread: any. */
SSL_CTX *tls_context(struct tls *);
/* Of the BIO that sessions use; lives as long as the tls. */
BIO_METHOD *tls_method(const struct tls *);
BIO_METHOD *tls_session_method(void); /* makes it; NULL: out of memory */
bool tls_is_server(const struct tls *);
bool tls_verifies(const struct tls *);
/* Takes the newest error of OpenSSL's queue for the words, and empties the queue. */
enum err tls_fail(struct diag *, enum err, const char *what);

#endif

/* TLS of one connection, as a machine without I/O: ciphertext in from a slice, ciphertext out to a buffer. Private to rt.
 *
 *   handshake* ──done──▶ read*, write* ──▶ shutdown            any error: free it and drop the connection
 *
 * Thread: the connection's. Source: RFC 8446, RFC 5246; ALPN: RFC 7301. */
#ifndef PRISM_RT_TLS_SESSION_H
#define PRISM_RT_TLS_SESSION_H

#include "base/buf.h"
#include "rt/conn.h"

struct tls_session;

/* At most this much plaintext may come out of what the machine has kept of an unfinished record. */
enum { TLS_RECORD_BYTES = 17 << 10 };

/* server_name: for SNI and verification (a client's); an IP address is only verified. NULL on servers. */
enum err tls_session_new(struct tls *, const char *server_name, struct tls_session **ret_session);
void tls_session_free(struct tls_session *); /* NULL is fine */
/* Goes on with what has come (consumed from *in); what is to be sent is appended to out. */
enum err tls_session_handshake(struct tls_session *, struct slice *in, struct buf *out, struct diag *, bool *ret_done);
/* Decrypts all of *in. plain has room for in->size + TLS_RECORD_BYTES. ret_end: the peer said goodbye. */
enum err tls_session_read(struct tls_session *, struct slice *in, struct buf *out, uint8_t *plain, size_t room,
                          struct diag *, size_t *ret_size, bool *ret_end);
enum err tls_session_write(struct tls_session *, struct slice plain, struct buf *out);
void tls_session_shutdown(struct tls_session *, struct buf *out);
const char *tls_session_alpn(const struct tls_session *);
const char *tls_session_identity(const struct tls_session *); /* NULL: none */

#endif

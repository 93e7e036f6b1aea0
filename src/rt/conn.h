/* Byte streams: TCP, unix sockets, TLS over them. A conn belongs to its loop's thread.
 *
 *   connecting ──▶ handshaking (TLS) ──▶ open ──▶ closing ──▶ closed (on_closed: the last event, then the conn is gone)
 *
 * Never calls back from inside a call of its own user: conn_write and conn_close only note; events come from the loop. */
#ifndef PRISM_RT_CONN_H
#define PRISM_RT_CONN_H

#include "base/block.h"
#include "base/diag.h"
#include "rt/loop.h"

struct conn;
struct listener;
struct tls;

struct conn_events {
    /* Connected, TLS handshake done. For accepted plain connections it comes at once, from the loop. */
    void (*on_open)(void *context, struct conn *);
    /* Bytes have come. They lie in the block; take a reference to keep them. */
    void (*on_data)(void *context, struct conn *, struct block *, struct slice data);
    /* The output queue has fallen to half of LIMIT_OUTPUT_QUEUE_BYTES after having been above it. May
     * be NULL. */
    void (*on_drained)(void *context, struct conn *);
    /* The peer has closed its side: no more on_data. May be NULL: then the conn closes. */
    void (*on_eof)(void *context, struct conn *);
    /* Gone. OK: closed by us or in an orderly way by the peer. diag may be NULL. The last event. */
    void (*on_closed)(void *context, struct conn *, enum err, const struct diag *);
    /* Where the next bytes shall go: *ret_room bytes of the user's, into which they are read without a copy; on_data then lends them
     * from there, with block NULL. NULL, or the function NULL: into the loop's block. For messages whose size is known and large;
     * under TLS nobody is asked. */
    uint8_t *(*on_room)(void *context, struct conn *, size_t *ret_room);
};

/* "127.0.0.1:8980", "[::1]:8980", "localhost:8980", "unix:/path". Port 0: a free one. */
struct listen_options {
    const char *address;
    struct tls *tls; /* NULL: plain */
    bool reuse_port; /* several loops on one port */
    int backlog;
    const char *congestion; /* of accepted connections (rt/congestion.h); NULL: the system's. Outlives the listener */
    /* A connection has come: answer the events and context for it, or false to refuse it (closed at once). */
    bool (*on_accept)(void *context, struct conn *, const struct conn_events **ret_events, void **ret_context);
    void *context;
};
enum err listener_open(struct loop *, const struct listen_options *, struct diag *, struct listener **ret_listener);
/* "127.0.0.1:40123" with the real port. Lives as long as the listener. */
const char *listener_address(const struct listener *);
/* No more connections; those accepted stay. Freed by the loop. */
void listener_close(struct listener *);

/* Resolves, connects and shakes hands within timeout_ms; the outcome comes as on_open or on_closed. */
enum err conn_open(struct loop *, const char *address, struct tls *, const char *server_name, uint32_t timeout_ms,
                   const struct conn_events *, void *context, struct diag *, struct conn **ret_conn);
struct loop *conn_loop(const struct conn *);
/* Writes what the socket takes now, keeps a copy of the rest. Does not fail: a broken connection shows as on_closed, a lack
 * of memory closes it. Bytes are copied or sent before it returns. */
void conn_write(struct conn *, const struct slice *parts, size_t count);

/* A range of a file of env->disk. release gives the reference to the file back; it is called exactly once, on the loop's thread:
 * when the range has been read or sent, or when the connection ends (before on_closed), or from inside conn_write_parts. It must
 * not use the connection. */
struct conn_file {
    int fd;
    uint64_t offset, size;
    void (*release)(void *owner); /* NULL: nobody is told */
    void *owner;
};

enum conn_part_kind {
    CONN_BYTES, /* sent or copied before conn_write_parts returns */
    CONN_BLOCK, /* bytes in a block, of which a reference is taken where the socket does not take them: never copied */
    CONN_FILE,  /* sent by the kernel where the connection is plain and the range not small; else read piece by piece */
};
struct conn_part {
    enum conn_part_kind kind;
    struct slice bytes;    /* BYTES, BLOCK */
    struct block *block;   /* BLOCK */
    struct conn_file file; /* FILE */
};
/* As conn_write, in this order. A range of a file costs no memory while it waits, so that LIMIT_OUTPUT_QUEUE_BYTES_MAX does not
 * count it; past LIMIT_OUTPUT_REFERENCES blocks and ranges the connection is closed, and where a range cannot be read it is
 * aborted. Reading cold pages holds up the loop. At most LIMIT_OUTPUT_TURN_BYTES are sent at once, the rest in later turns. */
void conn_write_parts(struct conn *, const struct conn_part *parts, size_t count);
/* Bytes kept because the socket did not take them yet. Stop producing above LIMIT_OUTPUT_QUEUE_BYTES. */
size_t conn_queued_bytes(const struct conn *);
/* When the socket last took a byte (loop time): a peer that does not read shows here. */
uint64_t conn_last_write_ns(const struct conn *);
void conn_read(struct conn *, bool on); /* backpressure; on after on_open */
/* Sends what is queued, then closes. */
void conn_close(struct conn *);
/* Closes now, dropping what is queued (RST). */
void conn_abort(struct conn *);
const char *conn_peer_address(const struct conn *);
/* Negotiated by ALPN: "h2", "http/1.1", or "". */
const char *conn_alpn(const struct conn *);
/* Of a verified client certificate: first URI SAN, else first DNS SAN, else subject CN; NULL: no certificate. */
const char *conn_peer_identity(const struct conn *);

/* TLS 1.2+ with AEAD suites. Server: ALPN h2, http/1.1. Files are PEM. Reference-counted; atomically replaceable. */
struct tls_options {
    const char *cert_file;
    const char *key_file;
    const char *client_ca_file; /* server: verify client certificates against it; NULL: do not ask */
    bool client_cert_required;
    const char *ca_file; /* client: trust these instead of the system's */
    bool insecure;       /* client: do not verify (prismctl --insecure) */
};
enum err tls_server_new(const struct tls_options *, struct diag *, struct tls **ret_tls);
enum err tls_client_new(const struct tls_options *, struct diag *, struct tls **ret_tls);
/* Reads the files again; on an error the old ones stay. Thread: any; new handshakes use the new ones. */
enum err tls_reload(struct tls *, struct diag *);
/* Whether one of the files has another mtime, size or inode than when it was read. Blocking stat. */
bool tls_changed(struct tls *);
struct tls *tls_ref(struct tls *);
void tls_unref(struct tls *);

#endif

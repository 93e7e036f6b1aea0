/* RESP2, the protocol of Redis (https://redis.io/docs/reference/protocol-spec): commands as bytes, bytes as replies. No I/O.
 *
 * A reply is built in an arena as its bytes come; its texts are copies there. The parser keeps what it needs between two pieces,
 * so a reply that comes in many is read once, not from its start each time.
 *
 *   resp_init(&p, &limits);
 *   resp_begin(&p, arena);                     arena NULL: the reply is read and thrown away
 *   e = resp_feed(&p, &data, &reply, &done);   takes bytes off data; done: reply is complete, begin the next one
 *   resp_forget(&p);                           the arena goes away in the middle of a reply: the rest is thrown away, as it
 *                                              is where the arena has no room for it
 *   resp_fini(&p);
 *
 * Invariants: nothing is allocated for a size that a peer has only claimed, but for the places of an array, which are at most
 * items_max; a depth is at most RESP_DEPTH_MAX. After an error the stream has no meaning any more. */
#ifndef PRISM_DRIVERS_REDIS_RESP_H
#define PRISM_DRIVERS_REDIS_RESP_H

#include "base/arena.h"
#include "base/buf.h"

enum { RESP_DEPTH_MAX = 6 };

enum resp_kind { RESP_NIL, RESP_INTEGER, RESP_TEXT, RESP_STATUS, RESP_ERROR, RESP_ARRAY };

struct resp {
    enum resp_kind kind;
    int64_t integer;
    struct slice text; /* of TEXT, STATUS and ERROR */
    struct resp *items;
    uint32_t count;
};

struct resp_limits {
    size_t bytes_max;   /* of one text */
    uint32_t items_max; /* of one array */
};

struct resp_parser {
    struct resp_limits limits;
    struct arena *arena; /* NULL: nothing is built */
    struct buf kept;     /* the beginning of a line or text whose end has not come */
    bool in_text;        /* the length of a text is known, its bytes are awaited */
    size_t text_size;
    struct resp root;
    unsigned depth;
    struct {
        struct resp *items; /* NULL: nothing is built */
        uint32_t count, next;
    } stack[RESP_DEPTH_MAX];
};

void resp_init(struct resp_parser *, struct resp_limits);
void resp_fini(struct resp_parser *);
void resp_begin(struct resp_parser *, struct arena *);
void resp_forget(struct resp_parser *);
/* ERR_BACKEND_LOST: not RESP2, or past a limit; ERR_NOMEM: for the bytes that have to be kept. *ret_reply is valid where *ret_done, and
 * NULL where nothing was built. */
enum err resp_feed(struct resp_parser *, struct slice *data, const struct resp **ret_reply, bool *ret_done);

/* The reply is an error of this kind: "-MOVED 3999 127.0.0.1:6381" is a MOVED. */
bool resp_is_error(const struct resp *, const char *kind);
/* Item of an array; a NIL where there is none. */
const struct resp *resp_at(const struct resp *, uint32_t index);

/* What a server's error says of the call: ERR_BACKEND_REFUSED, ERR_BACKEND_DENIED, ERR_STORE_FULL, ERR_INTERNAL. */
enum err redis_error_of(const struct resp *error);

/* A command as an array of texts. Sizes are known before, so that the bytes take one piece of an arena.
 *
 *   struct resp_command c;
 *   resp_command_init(&c, arena);
 *   resp_put(&c, SLICE("GET")); resp_put(&c, key);
 *   e = resp_command_finish(&c, &bytes); */
struct resp_command {
    struct arena *arena;
    struct slice *words;
    uint32_t count, capacity;
    size_t bytes;
    bool failed;
};
void resp_command_init(struct resp_command *, struct arena *);
void resp_put(struct resp_command *, struct slice word); /* borrowed until finish */
/* As text, in the arena; empty where memory is out. */
struct slice resp_decimal(struct arena *, int64_t);
void resp_put_integer(struct resp_command *, int64_t);
/* ERR_NOMEM: of any step before. */
enum err resp_command_finish(struct resp_command *, struct slice *ret_bytes) __attribute__((warn_unused_result));

#endif

/* Addresses as people write them: "127.0.0.1:8980", "[::1]:8980", "localhost:8980", "unix:/path". Thread: any. */
#ifndef PRISM_RT_ADDRESS_H
#define PRISM_RT_ADDRESS_H

#include "base/diag.h"

enum { ADDRESS_TEXT_BYTES = 320 };

struct address {
    bool local;     /* a unix socket: host is its path */
    char host[256]; /* without brackets */
    uint16_t port;
};

/* ERR_ADDRESS_INVALID, with the reason in diag. */
enum err address_parse(const char *text, struct diag *, struct address *ret_address)
    __attribute__((warn_unused_result));
/* The inverse. Returns out. */
const char *address_format(const struct address *, char out[static ADDRESS_TEXT_BYTES]);

#endif

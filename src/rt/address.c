#include "rt/address.h"

#include <stdio.h>
#include <string.h>

static enum err invalid(struct diag *d, const char *text, const char *why)
{
    return diag_set(d, ERR_ADDRESS_INVALID, "\"%s\" is not an address: %s", text, why);
}

/* 1 to 5 digits up to 65535. */
static bool parse_port(const char *text, uint16_t *ret_port)
{
    unsigned value = 0, digits = 0;
    for (; *text >= '0' && *text <= '9' && digits < 6; text++, digits++)
        value = value * 10 + (unsigned)(*text - '0');
    if (*text || digits == 0 || value > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)value;
    return true;
}

static bool copy_host(const char *from, size_t size, struct address *a)
{
    if (size == 0 || size >= sizeof a->host)
        return false;
    memcpy(a->host, from, size);
    a->host[size] = '\0';
    return true;
}

static enum err parse_local(const char *text, struct diag *d, struct address *ret_address)
{
    enum { SUN_PATH_BYTES = 108 };
    const char *path = text + strlen("unix:");
    struct address a = {.local = true};
    if (*path != '/')
        return invalid(d, text, "the path of a unix socket begins with a slash");
    if (strlen(path) >= SUN_PATH_BYTES || !copy_host(path, strlen(path), &a))
        return invalid(d, text, "the path of a unix socket has at most 107 bytes");
    *ret_address = a;
    return OK;
}

enum err address_parse(const char *text, struct diag *d, struct address *ret_address)
{
    struct address a = {0};
    if (strncmp(text, "unix:", 5) == 0)
        return parse_local(text, d, ret_address);
    const char *colon = strrchr(text, ':');
    if (!colon || !parse_port(colon + 1, &a.port))
        return invalid(d, text, "it ends in a colon and a port of 0 to 65535, as in 127.0.0.1:8980");
    const char *host = text;
    size_t size = (size_t)(colon - text);
    bool brackets = size >= 2 && host[0] == '[' && host[size - 1] == ']';
    if (!brackets && memchr(host, ':', size))
        return invalid(d, text, "an IPv6 address stands in brackets, as in [::1]:8980");
    if (!copy_host(host + brackets, size - 2 * brackets, &a))
        return invalid(d, text, "the host before the port has 1 to 255 bytes");
    *ret_address = a;
    return OK;
}

const char *address_format(const struct address *a, char out[static ADDRESS_TEXT_BYTES])
{
    if (a->local)
        snprintf(out, ADDRESS_TEXT_BYTES, "unix:%s", a->host);
    else
        snprintf(out, ADDRESS_TEXT_BYTES, strchr(a->host, ':') ? "[%s]:%u" : "%s:%u", a->host, a->port);
    return out;
}

/* Addresses: what is accepted comes back when written again, what is not says why. */
#include "../harness.h"
#include "rt/address.h"

static void same(const char *text)
{
    struct address a;
    char again[ADDRESS_TEXT_BYTES];
    CHECK_ERR(address_parse(text, NULL, &a), OK);
    CHECK_STR(address_format(&a, again), text);
}

TEST(addresses_come_back)
{
    same("127.0.0.1:8980");
    same("[::1]:0");
    same("localhost:65535");
    same("unix:/run/prism.sock");
}

static void refused(const char *text, const char *why)
{
    struct arena arena;
    struct diag d;
    struct address a = {.port = 7};
    arena_init(&arena, 4096);
    diag_init(&d, &arena);
    CHECK_ERR(address_parse(text, &d, &a), ERR_ADDRESS_INVALID);
    CHECK(strstr(diag_message(&d), why) && strstr(diag_message(&d), text));
    CHECK_EQ(a.port, 7); /* outputs are written on success only */
    arena_fini(&arena);
}

TEST(what_is_no_address_says_why)
{
    refused("localhost", "ends in a colon and a port");
    refused("localhost:", "ends in a colon and a port");
    refused("localhost:65536", "0 to 65535");
    refused("localhost:80x", "0 to 65535");
    refused("localhost:-1", "0 to 65535");
    refused("::1:80", "in brackets");
    refused(":80", "1 to 255 bytes");
    refused("[]:80", "1 to 255 bytes");
    refused("unix:relative", "begins with a slash");
    char path[200] = "unix:/";
    memset(path + 6, 'a', 150);
    refused(path, "at most 107 bytes");
}

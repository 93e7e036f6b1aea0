#include "../harness.h"
#include "rpc/status.h"

static void make_diag(struct diag *d)
{
    diag_set(d, ERR_KEY_INVALID, "the key has %d bytes", 2000);
    diag_field(d, "items[3].key", "must have 1 to %d bytes", 1024);
    diag_field(d, "items[4].key", "is missing");
    diag_meta(d, "limit", "1024");
    diag_precondition(d, "TTL", "the namespace asks for one");
    diag_resource(d, "namespace", "orders");
    d->retry_after_ms = 1500;
}

static bool is_same(const struct diag_item *a, const struct diag_item *b)
{
    for (; a && b; a = a->next, b = b->next)
        if (strcmp(a->name, b->name) != 0 || strcmp(a->value, b->value) != 0)
            return false;
    return !a && !b;
}

/* Words are lost where memory is: then what is there must still be the beginning of what was. */
SCENARIO(a_diag_survives_the_wire)
{
    struct arena arena;
    struct diag d, back;
    struct slice bytes;
    arena_init(&arena, 1 << 20);
    diag_init(&d, &arena);
    diag_init(&back, &arena);
    make_diag(&d);
    enum err e = status_encode(&arena, ERR_KEY_INVALID, &d, &bytes) ? status_decode(bytes, &back) : ERR_NOMEM;
    if (!e && strcmp(diag_message(&back), "the key has 2000 bytes") == 0 && d.resource_name && back.resource_name) {
        CHECK_ERR(back.err, ERR_KEY_INVALID);
        CHECK_EQ(back.retry_after_ms, 1500);
        e = is_same(d.fields, back.fields) && is_same(d.metadata, back.metadata) &&
                    is_same(d.preconditions, back.preconditions)
                ? OK
                : ERR_NOMEM;
    } else if (!e) {
        e = ERR_NOMEM;
    }
    arena_fini(&arena);
    return e;
}

TEST(an_error_without_context_carries_its_name)
{
    struct arena arena;
    struct diag back;
    struct slice bytes;
    arena_init(&arena, 1 << 20);
    diag_init(&back, &arena);
    CHECK(status_encode(&arena, ERR_TRANSACTION_CONFLICT, NULL, &bytes));
    CHECK_ERR(status_decode(bytes, &back), OK);
    CHECK_ERR(back.err, ERR_TRANSACTION_CONFLICT);
    CHECK_STR(diag_message(&back), err_row(ERR_TRANSACTION_CONFLICT)->text);
    arena_fini(&arena);
}

/* A backend may put any bytes into its messages; a client would refuse a status whose strings are not UTF-8. */
TEST(words_that_are_not_utf8_are_made_so)
{
    struct arena arena;
    struct diag d, back;
    struct slice bytes;
    arena_init(&arena, 1 << 20);
    diag_init(&d, &arena);
    diag_init(&back, &arena);
    diag_set(&d, ERR_BACKEND_UNREACHABLE, "the server says \xce\xff, not \xc3\xa9");
    diag_meta(&d, "detail", "\x80");
    CHECK(status_encode(&arena, ERR_BACKEND_UNREACHABLE, &d, &bytes));
    CHECK_ERR(status_decode(bytes, &back), OK);
    CHECK_STR(diag_message(&back), "the server says ??, not \xc3\xa9");
    CHECK_STR(back.metadata->value, "?");
    arena_fini(&arena);
}

TEST(garbage_is_no_status)
{
    struct arena arena;
    struct diag back;
    arena_init(&arena, 1 << 20);
    diag_init(&back, &arena);
    CHECK_ERR(status_decode(SLICE("\xff\xff\xff"), &back), ERR_PB_MALFORMED);
    arena_fini(&arena);
}

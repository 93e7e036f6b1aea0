#include "../harness.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/diag.h"

TEST(arena_refuses_more_than_its_maximum)
{
    struct arena a;
    arena_init(&a, 10000);
    CHECK(arena_alloc(&a, 8000));
    CHECK(!arena_alloc(&a, 8000));
    CHECK(arena_alloc(&a, 1000));
    arena_fini(&a);
}

TEST(arena_grows_the_newest_block_in_place)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    char *p = arena_alloc(&a, 10);
    strcpy(p, "abc");
    CHECK(arena_grow(&a, p, 10, 100) == p);
    CHECK(arena_alloc(&a, 1));
    char *moved = arena_grow(&a, p, 100, 200);
    CHECK(moved != p);
    CHECK_STR(moved, "abc");
    arena_fini(&a);
}

TEST(arena_refuses_a_product_that_overflows)
{
    struct arena a;
    arena_init(&a, SIZE_MAX);
    CHECK(!arena_zalloc_array(&a, SIZE_MAX / 2, 3));
    arena_fini(&a);
}

SCENARIO(arena_and_buf_survive_without_memory)
{
    struct arena a;
    struct buf b;
    enum err err = OK;
    arena_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 100 && !err; i++) {
        struct slice copy;
        if (!arena_copy(&a, SLICE("some bytes that are copied"), &copy) || !arena_printf(&a, "%d", i))
            err = ERR_NOMEM;
        buf_printf(&b, "%d,", i);
    }
    if (!err)
        err = buf_err(&b);
    arena_fini(&a);
    buf_fini(&b);
    return err;
}

TEST(buf_keeps_its_error_until_reset)
{
    struct buf b;
    buf_init(&b, 8);
    buf_puts(&b, "12345");
    buf_puts(&b, "67890");
    CHECK_ERR(buf_err(&b), ERR_MESSAGE_TOO_LARGE);
    buf_puts(&b, "6");
    CHECK_SLICE(buf_slice(&b), SLICE("12345"));
    buf_reset(&b);
    buf_puts(&b, "ok");
    CHECK_ERR(buf_err(&b), OK);
    buf_fini(&b);
}

SCENARIO(diag_keeps_the_code_when_words_are_lost)
{
    struct arena a;
    struct diag d;
    arena_init(&a, 1 << 16);
    diag_init(&d, &a);
    enum err err = diag_set(&d, ERR_KEY_INVALID, "the key has %d bytes", 2000);
    diag_field(&d, "key", "must have 1 to %d bytes", 1024);
    diag_wrap(&d, "namespace %s", "orders");
    bool coded = err == ERR_KEY_INVALID && d.err == ERR_KEY_INVALID && diag_message(&d);
    bool worded = d.fields && strcmp(diag_message(&d), "namespace orders: the key has 2000 bytes") == 0;
    arena_fini(&a);
    return !coded ? ERR_INTERNAL : worded ? OK : ERR_NOMEM;
}

TEST(every_error_row_is_complete_and_found_by_its_name)
{
    for (enum err e = OK; e < ERR_COUNT; e++) {
        CHECK(err_row(e)->name && err_row(e)->text && err_row(e)->http >= 200 && err_row(e)->grpc <= 16);
        CHECK_EQ(err_by_name(err_name(e)), e);
    }
    CHECK_EQ(err_by_name("NO_SUCH_ERROR"), ERR_COUNT);
    CHECK_STR(grpc_status_name(16), "UNAUTHENTICATED");
}

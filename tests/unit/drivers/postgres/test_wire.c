/* Binary parameters, and what the server's codes and libpq's words mean. What needs a server is asked by tests/acceptance and
 * tests/postgres. */
#include "../../harness.h"
#include "data/keyvalue.h"
#include "drivers/postgres/session.h"
#include "drivers/postgres/store.h"

/* --- wire --------------------------------------------------------------------------------------------------------------------- */

static struct slice value_of(const struct postgres_params *p, int i)
{
    const char *values[POSTGRES_PARAMS_MAX];
    return slice_of(postgres_values(p, values)[i], (size_t)p->lengths[i]);
}

TEST(numbers_are_big_endian_and_survive_a_copy)
{
    struct postgres_params p = {0};
    postgres_put_int2(&p, -2);
    postgres_put_int4(&p, 0x01020304);
    postgres_put_int8(&p, 5);
    postgres_put_double(&p, 1.0);
    postgres_put_bool(&p, true);
    struct postgres_params copy = p;
    memset(&p, 0xff, sizeof p);
    CHECK_SLICE(value_of(&copy, 0), SLICE("\xff\xfe"));
    CHECK_SLICE(value_of(&copy, 1), SLICE("\x01\x02\x03\x04"));
    CHECK_SLICE(value_of(&copy, 2), SLICE("\0\0\0\0\0\0\0\x05"));
    CHECK_SLICE(value_of(&copy, 3), SLICE("\x3f\xf0\0\0\0\0\0\0"));
    CHECK_SLICE(value_of(&copy, 4), SLICE("\x01"));
}

TEST(nothing_is_null_and_empty_is_not)
{
    struct postgres_params p = {0};
    const char *values[POSTGRES_PARAMS_MAX];
    postgres_put_null(&p);
    postgres_put_bytes(&p, SLICE_EMPTY);
    postgres_put_time(&p, KV_NEVER);
    postgres_put_time(&p, INT64_C(946684800001)); /* a millisecond into 2000 */
    postgres_values(&p, values);
    CHECK(!values[0] && values[1] && !values[2]);
    CHECK_EQ(p.lengths[1], 0);
    CHECK_SLICE(value_of(&p, 3), SLICE("\0\0\0\0\0\0\x03\xe8"));
}

SCENARIO(an_array_is_its_dimensions_then_its_elements)
{
    struct arena arena;
    struct postgres_params p = {0};
    arena_init(&arena, 1 << 20);
    struct postgres_array a = postgres_array_new(&arena, TYPE_BYTEA, 3, 3);
    postgres_array_bytes(&a, SLICE("ab"));
    postgres_array_bytes_or_null(&a, SLICE_EMPTY);
    postgres_array_bytes(&a, SLICE("c"));
    postgres_put_array(&p, &a);
    bool failed = p.failed;
    if (!failed)
        CHECK_SLICE(value_of(&p, 0), SLICE("\0\0\0\x01\0\0\0\x01\0\0\0\x11\0\0\0\x03\0\0\0\x01"
                                           "\0\0\0\x02"
                                           "ab"
                                           "\xff\xff\xff\xff"
                                           "\0\0\0\x01"
                                           "c"));
    arena_fini(&arena);
    return failed ? ERR_NOMEM : OK;
}

/* --- codes -------------------------------------------------------------------------------------------------------------------- */

TEST(codes_say_whether_something_was_executed)
{
    CHECK_ERR(postgres_code("57P01"), ERR_BACKEND_REFUSED); /* shutting down */
    CHECK_ERR(postgres_code("57P02"), ERR_BACKEND_LOST);    /* crashed */
    CHECK_ERR(postgres_code("53300"), ERR_BACKEND_REFUSED); /* its class */
    CHECK_ERR(postgres_code("53100"), ERR_DISK_FULL);       /* more than its class */
    CHECK_ERR(postgres_code("28P01"), ERR_BACKEND_DENIED);
    CHECK_ERR(postgres_code("40001"), ERR_TRANSACTION_CONFLICT);
    CHECK_ERR(postgres_code("57014"), ERR_DEADLINE_EXCEEDED);
    CHECK_ERR(postgres_code("22012"), ERR_INTERNAL);
    CHECK_ERR(postgres_code(""), ERR_INTERNAL);
    CHECK_ERR(postgres_code(NULL), ERR_INTERNAL);
}

/* --- settings ----------------------------------------------------------------------------------------------------------------- */

static enum err parse(const char *connection, struct postgres_problem *p)
{
    struct postgres_address address;
    enum err e = postgres_address_parse(connection, SLICE("pw"), "test", p, &address);
    if (!e)
        postgres_address_fini(&address);
    return e;
}

SCENARIO(connections_are_uris_or_pairs)
{
    struct postgres_problem p = {0};
    enum err e = parse("postgresql://app@db.example:5433/app?sslmode=verify-full", &p);
    return e ? e : parse("host=/run/postgresql dbname=app", &p);
}

TEST(a_bad_connection_is_told_without_its_secret)
{
    static const char *const bad[] = {"postgresql://u:hunter2@[::1/d", "host=a password 'hunter2",
                                      "postgresql://u:hunter2@h:%zz/d"};
    struct postgres_problem p;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_ERR(parse(bad[i], &p), ERR_CONFIG_INVALID);
        CHECK(strstr(p.text, "write postgresql://") && !strstr(p.text, "hunter2"));
    }
    CHECK_ERR(parse("postgresql://h/d?sslmode=fast", &p), ERR_CONFIG_INVALID);
    CHECK(strstr(p.text, "`fast` does not exist") && strstr(p.text, "verify-full"));
    CHECK_ERR(parse("", &p), ERR_CONFIG_INVALID);
}

static unsigned lanes_of(uint32_t max, uint32_t min, unsigned loops, unsigned *ret_min)
{
    struct config_pool pool = {.max = max, .min = min};
    struct config_backend backend = {.pool = &pool};
    struct postgres_settings s;
    CHECK_ERR(postgres_settings_read(&(struct backend_open){.backend = &backend, .loops = loops}, NULL, &s), OK);
    *ret_min = s.lanes_min;
    return s.lanes_max;
}

TEST(a_pool_is_divided_among_workers_and_each_has_one)
{
    unsigned min;
    CHECK_EQ(lanes_of(16, 4, 2, &min), 8);
    CHECK_EQ(min, 2);
    CHECK_EQ(lanes_of(1, 1, 8, &min), 1);
    CHECK_EQ(lanes_of(0, 0, 4, &min), 4); /* 16 */
}

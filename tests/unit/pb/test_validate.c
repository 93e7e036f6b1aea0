#include "../harness.h"
#include "base/limits.h"
#include "pb/pb.h"
#include "prism/test/v1/kinds.pb.h"

static struct arena arena;
static struct diag diag;

/* A message that breaks no rule, with more from JSON. */
static enum err validate(const char *more)
{
    char *json;
    void *message;
    arena_fini(&arena);
    arena_init(&arena, 1 << 20);
    diag_init(&diag, &arena);
    json = arena_printf(&arena, "{\"requiredText\":\"x\",\"requiredMessage\":{},\"requiredOptional\":0%s%s}",
                        *more ? "," : "", more);
    enum err err = pb_json_read(&test_ruled_pb, slice_str(json), NULL, &arena, &diag, &message);
    if (err)
        test_fail(__FILE__, __LINE__, "%s", diag_message(&diag));
    return pb_validate(&test_ruled_pb, message, &diag);
}

static void check_valid(const char *more)
{
    if (validate(more))
        test_fail(__FILE__, __LINE__, "%s: %s", more, diag_message(&diag));
    arena_fini(&arena);
}

static void check_broken(const char *more, const char *field, const char *text)
{
    if (validate(more) != ERR_FIELD_INVALID)
        test_fail(__FILE__, __LINE__, "%s is taken", more);
    CHECK_STR(diag.fields->name, field);
    CHECK_STR(diag.fields->value, text);
    arena_fini(&arena);
}

TEST(what_keeps_the_rules_is_valid)
{
    check_valid("");
    check_valid("\"shortBytes\":\"AAAAAA==\",\"few\":[\"a-1\",\"b\"],\"between\":-5,\"real\":1.5,\"sized\":\"abcd\"");
    check_valid("\"email\":\"a.b+c@example.org\",\"uuid\":\"01234567-89ab-CDEF-0123-456789abcdef\"");
    check_valid("\"url\":\"https://example.org/x?y\",\"hostPort\":\"127.0.0.1:0\",\"choice\":\"green\"");
    check_valid("\"url\":\"http://h\",\"hostPort\":\"[::1]:65535\",\"large\":\"18446744073709551614\"");
}

TEST(broken_rules_are_named)
{
    check_broken("\"shortBytes\":\"AAAAAAA=\"", "short_bytes", "has 5 bytes, at most 4 are allowed");
    check_broken("\"few\":[\"a\",\"b\",\"c\"]", "few", "has 3 items, at most 2 are allowed");
    check_broken("\"few\":[\"a\"]", "few", "must have at least this many items: 2");
    check_broken("\"few\":[\"a\",\"B\"]", "few[1]",
                 "must be lower-case letters, digits and hyphens, with none at the ends");
    check_broken("\"between\":-6", "between", "must be at least -5");
    check_broken("\"between\":11", "between", "must be at most 10");
    check_broken("\"real\":1.5000001", "real", "must be at most 1.5");
    check_broken("\"real\":\"NaN\"", "real", "must be at most 1.5");
    check_broken("\"sized\":\"a\"", "sized", "must have at least this many bytes: 2");
    check_broken("\"sized\":\"abcde\"", "sized", "must have at most this many bytes: 4");
    check_broken("\"choice\":\"blue\"", "choice", "must be one of red|green");
    check_broken("\"large\":\"18446744073709551615\"", "large", "must be at most 18446744073709551614");
    check_broken("\"nested\":[{\"requiredMessage\":{},\"requiredOptional\":1}]", "nested[0].required_text",
                 "is required");
    check_broken("\"byName\":{\"a\":{\"requiredText\":\"x\",\"requiredOptional\":1}}",
                 "by_name[0].value.required_message", "is required");
    check_broken("\"byName\":{\"a\":{\"requiredText\":\"x\",\"requiredMessage\":{}}}",
                 "by_name[0].value.required_optional", "is required");
}

TEST(forms_of_text)
{
    static const char *const bad[] = {
        "\"email\":\"a\"",
        "\"email\":\"@b.c\"",
        "\"email\":\"a@b\"",
        "\"email\":\"a@.b\"",
        "\"email\":\"a@b.\"",
        "\"email\":\"a b@c.d\"",
        "\"email\":\"a@b@c.d\"",
        "\"uuid\":\"0123\"",
        "\"uuid\":\"0123456789abcdef0123456789abcdef0123\"",
        "\"uuid\":\"01234567-89ab-cdef-0123-456789abcdeg\"",
        "\"url\":\"ftp://x\"",
        "\"url\":\"https://\"",
        "\"url\":\"http:///x\"",
        "\"url\":\"http://a b\"",
        "\"hostPort\":\"host\"",
        "\"hostPort\":\":80\"",
        "\"hostPort\":\"h:\"",
        "\"hostPort\":\"h:65536\"",
        "\"hostPort\":\"h:8x\"",
        "\"hostPort\":\"::1:80\"",
        "\"hostPort\":\"[]:80\"",
        "\"hostPort\":\"h :1\"",
        "\"few\":[\"-a\",\"b\"]",
        "\"few\":[\"a-\",\"b\"]",
        "\"few\":[\"\",\"b\"]",
        "\"choice\":\"re\"",
        "\"choice\":\"red|green\"",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (validate(bad[i]) != ERR_FIELD_INVALID)
            test_fail(__FILE__, __LINE__, "%s is taken", bad[i]);
    arena_fini(&arena);
}

TEST(all_violations_are_listed_up_to_a_limit)
{
    struct test_ruled r = {.between = 99, .email = SLICE("x")}, *many[LIMIT_FIELD_VIOLATIONS];
    arena_init(&arena, 1 << 20);
    diag_init(&diag, &arena);
    CHECK_ERR(pb_validate(&test_ruled_pb, &r, &diag), ERR_FIELD_INVALID);
    CHECK_STR(diag_message(&diag), "required_text is required");
    int count = 0;
    for (struct diag_item *i = diag.fields; i; i = i->next)
        count++;
    CHECK_EQ(count, 5);
    for (size_t i = 0; i < LIMIT_FIELD_VIOLATIONS; i++)
        many[i] = &r;
    struct test_ruled outer = {.nested = {many, LIMIT_FIELD_VIOLATIONS, 0}};
    CHECK_ERR(pb_validate(&test_ruled_pb, &outer, &diag), ERR_FIELD_INVALID);
    count = 0;
    for (struct diag_item *i = diag.fields; i; i = i->next)
        count++;
    CHECK_EQ(count, LIMIT_FIELD_VIOLATIONS);
    CHECK_ERR(pb_validate(&test_ruled_pb, &outer, NULL), ERR_FIELD_INVALID);
    arena_fini(&arena);
}

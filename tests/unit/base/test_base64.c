#include "../harness.h"
#include "base/base64.h"
#include "base/hash.h"

static void check_decode(const char *text, enum base64_form form, const char *expected)
{
    uint8_t out[64];
    size_t size;
    CHECK_ERR(base64_decode(slice_str(text), form, out, &size), OK);
    CHECK_SLICE(slice_of(out, size), slice_str(expected));
}

static void check_refused(struct slice text, enum base64_form form)
{
    uint8_t out[64];
    size_t size = 42;
    if (base64_decode(text, form, out, &size) == OK)
        test_fail(__FILE__, __LINE__, "\"%.*s\" is taken for base64 of form %d", SLICE_ARG(text), form);
    CHECK_EQ(size, 42);
}

TEST(base64_matches_the_vectors_of_rfc_4648)
{
    static const struct {
        const char *plain, *padded, *bare;
    } rows[] = {{"", "", ""},
                {"f", "Zg==", "Zg"},
                {"fo", "Zm8=", "Zm8"},
                {"foo", "Zm9v", "Zm9v"},
                {"foob", "Zm9vYg==", "Zm9vYg"},
                {"fooba", "Zm9vYmE=", "Zm9vYmE"},
                {"foobar", "Zm9vYmFy", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[32];
        struct slice in = slice_str(rows[i].plain);
        CHECK_SLICE(slice_of(out, (size_t)(base64_encode(in, BASE64_STD, out) - out)), slice_str(rows[i].padded));
        CHECK_SLICE(slice_of(out, (size_t)(base64_encode(in, BASE64_URL, out) - out)), slice_str(rows[i].bare));
        CHECK_SLICE(slice_of(out, (size_t)(base64_encode(in, BASE64_BARE, out) - out)), slice_str(rows[i].bare));
        check_decode(rows[i].padded, BASE64_STD, rows[i].plain);
        check_decode(rows[i].bare, BASE64_URL, rows[i].plain);
        check_decode(rows[i].padded, BASE64_BARE, rows[i].plain);
        check_decode(rows[i].bare, BASE64_ANY, rows[i].plain);
    }
}

TEST(base64_refuses_what_is_not_strictly_its_form)
{
    check_refused(SLICE("Zg"), BASE64_STD); /* padding missing */
    check_refused(SLICE("Zg="), BASE64_STD);
    check_refused(SLICE("Zg="), BASE64_ANY);
    check_refused(SLICE("Zg=="), BASE64_URL); /* padding where none may be */
    check_refused(SLICE("Zg==="), BASE64_ANY);
    check_refused(SLICE("===="), BASE64_ANY);
    check_refused(SLICE("Z==="), BASE64_ANY);
    check_refused(SLICE("Z"), BASE64_ANY);
    check_refused(SLICE("Zh=="), BASE64_STD); /* bits left over */
    check_refused(SLICE("Zm9="), BASE64_STD);
    check_refused(SLICE("Zm9v\n"), BASE64_ANY);
    check_refused(SLICE("Zm 9v"), BASE64_ANY);
    check_refused(SLICE("Zm=v"), BASE64_ANY);
    check_refused(SLICE("Zm9v\0"), BASE64_ANY);
    check_refused(SLICE("-_8="), BASE64_STD); /* the other alphabet */
    check_refused(SLICE("+/8"), BASE64_URL);
    check_refused(SLICE("-_8"), BASE64_BARE);
}

TEST(base64_comes_back_whole_at_every_size)
{
    uint8_t in[200], back[256];
    char text[300];
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)hash_mix(i + 1);
    for (size_t size = 0; size <= sizeof in; size++) {
        for (enum base64_form form = BASE64_STD; form <= BASE64_ANY; form++) {
            size_t encoded = (size_t)(base64_encode(slice_of(in, size), form, text) - text), decoded;
            CHECK_EQ(encoded, base64_encoded_size(size, form));
            CHECK(base64_decoded_max(encoded) >= size);
            CHECK_ERR(base64_decode(slice_of(text, encoded), form, back, &decoded), OK);
            CHECK_SLICE(slice_of(back, decoded), slice_of(in, size));
        }
    }
}

#include "../harness.h"
#include "interfaces.h"
#include "pb/bootstrap/descriptor.pb.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"
#include "prism/options.pb.h"
#include "prism/test/v1/kinds.pb.h"

TEST(generated_methods_belong_to_their_interfaces)
{
    for (uint32_t i = 0; i < method_count; i++) {
        const struct interface_row *row = &interfaces[methods[i].interface];
        CHECK(methods[i].pb->service == row->service);
        CHECK(methods[i].pb == &row->service->methods[i - row->method_first]);
        CHECK(methods[i].invoke != NULL);
    }
    CHECK_STR(methods[METHOD_KEYVALUE_BASIC_GET].pb->path, "/prism.keyvalue.v1.KeyValueBasic/Get");
}

TEST(options_are_in_the_tables)
{
    const struct pb_method *set = &keyvalue_basic_service_methods[0], *get = &keyvalue_basic_service_methods[1];
    CHECK(set->mutation && !set->idempotent && set->permission == PERMISSION_WRITE);
    CHECK(!get->mutation && get->idempotent && get->cacheable && get->permission == PERMISSION_READ);
    CHECK_STR(keyvalue_basic_service.interface_id, "keyvalue_basic");
    CHECK_STR(keyvalue_basic_service.interface_version, "1.0");
    CHECK(get->doc && strstr(get->doc, "not an error"));
    const struct pb_field *key = pb_field_by_name(&keyvalue_set_request_pb, "key", 3);
    CHECK(key->rules->required && key->rules->max_length == 1024);
    CHECK_STR(key->doc, "1 to 1,024 bytes, any bytes.");
    CHECK_EQ(test_kinds_service_service_methods[0].timeout_ms, 1500);
    CHECK(test_kinds_service_service_methods[1].client_streaming &&
          test_kinds_service_service_methods[1].server_streaming);
    CHECK(pb_field_by_name(&test_ruled_pb, "email", 5)->rules->pii == PII_TYPE_EMAIL);
    CHECK(pb_field_by_name(&test_ruled_pb, "secret", 6)->rules->mask_in_logs);
}

TEST(every_generated_message_is_found_by_its_name)
{
    for (uint32_t i = 0; i < pb_message_count; i++) {
        const struct pb_message *m = pb_messages[i];
        CHECK(pb_find_message(m->name, strlen(m->name)) == m);
        CHECK(i == 0 || strcmp(pb_messages[i - 1]->name, m->name) < 0);
        CHECK(m->file != NULL);
    }
    CHECK(pb_find_message("google.protobuf.FileDescriptorProto", 35) == &google_protobuf_file_descriptor_proto_pb);
    CHECK(!pb_find_message("prism.none", 10));
    CHECK(!pb_find_message("", 0));
}

TEST(every_field_is_found_by_number_and_by_both_names)
{
    for (uint32_t i = 0; i < pb_message_count; i++) {
        const struct pb_message *m = pb_messages[i];
        for (uint32_t k = 0; k < m->field_count; k++) {
            const struct pb_field *f = &m->fields[k];
            CHECK(pb_field_by_number(m, f->number) == f);
            CHECK(pb_field_by_name(m, f->name, strlen(f->name)) == f);
            CHECK(pb_field_by_name(m, f->json_name, strlen(f->json_name)) == f);
        }
        CHECK(!pb_field_by_number(m, 0));
        CHECK(!pb_field_by_number(m, 536870910));
    }
    CHECK(!pb_field_by_name(&test_scalars_pb, "f_bool\0x", 8));
    CHECK(!pb_field_by_name(&test_scalars_pb, "f_boo", 5));
    CHECK(!pb_field_by_number(&test_awkward_pb, 199));
    CHECK_EQ(pb_field_by_number(&test_awkward_pb, 536870911)->offset, offsetof(struct test_awkward, level));
}

TEST(enums_are_found_by_number_and_name)
{
    CHECK_STR(pb_enum_name(&test_color_pb, -1), "COLOR_BACK");
    CHECK(!pb_enum_name(&test_color_pb, 3));
    CHECK_EQ(pb_enum_by_name(&test_color_pb, "COLOR_GREEN", 11)->number, COLOR_GREEN);
    CHECK(!pb_enum_by_name(&test_color_pb, "COLOR_GREE", 10));
    CHECK(!pb_enum_by_name(&test_color_pb, "COLOR\0RED", 9));
    CHECK_EQ(TEST_AWKWARD_NESTED_HIGH, 1);
}

TEST(presence_follows_the_field)
{
    struct test_optionals o = {.has_f_int32 = true};
    struct test_scalars s = {.f_float = -0.0f, .f_bool = true};
    CHECK(pb_has(pb_field_by_number(&test_optionals_pb, 5), &o));
    CHECK(!pb_has(pb_field_by_number(&test_optionals_pb, 3), &o));
    CHECK(!pb_has(pb_field_by_number(&test_optionals_pb, 11), &o));
    CHECK(pb_has(pb_field_by_number(&test_scalars_pb, 2), &s));
    CHECK(pb_has(pb_field_by_number(&test_scalars_pb, 8), &s));
    CHECK(!pb_has(pb_field_by_number(&test_scalars_pb, 1), &s));
}

SCENARIO(arrays_grow_and_keep_what_they_have)
{
    struct arena a;
    struct pb_array numbers = {NULL, 0, 0};
    enum err err = OK;
    arena_init(&a, 1 << 20);
    for (int32_t i = 0; i < 2000 && !err; i++) {
        int32_t *item = pb_array_add(&numbers, sizeof *item, &a);
        if (item)
            *item = i;
        else
            err = ERR_NOMEM;
    }
    for (uint32_t i = 0; i < numbers.count; i++)
        if (PB_AT(numbers, int32_t, i) != (int32_t)i)
            err = ERR_INTERNAL;
    arena_fini(&a);
    return err;
}

TEST(an_array_has_an_end)
{
    struct arena a;
    arena_init(&a, 1 << 12);
    struct pb_array full = {.count = UINT32_MAX / 4 + 1};
    CHECK(!pb_array_add(&full, 1, &a));
    arena_fini(&a);
}

TEST(encoding_needs_room)
{
    struct test_scalars s = {.f_string = SLICE("0123456789"), .f_int32 = -1};
    struct buf b;
    uint8_t out[32];
    CHECK_EQ(pb_encoded_size(&test_scalars_pb, &s), 23);
    CHECK(pb_encode(&test_scalars_pb, &s, out) == out + 23);
    CHECK(pb_encode_back(&test_scalars_pb, &s, out + 32) == out + 9);
    buf_init(&b, 22);
    CHECK_ERR(pb_encode_buf(&test_scalars_pb, &s, &b), ERR_MESSAGE_TOO_LARGE);
    CHECK_EQ(b.size, 0);
    buf_fini(&b);
}

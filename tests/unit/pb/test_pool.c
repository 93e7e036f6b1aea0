/* Tables made at run time: the same as generated ones, and refused where a descriptor makes no sense. Descriptors of the
 * tests are written as JSON. */
#include <stdio.h>

#include "../harness.h"
#include "pb/bootstrap/descriptor.pb.h"
#include "pb/descriptor.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"
#include "prism/test/v1/kinds.pb.h"

static struct arena arena;
static struct diag diag;

static void start(void)
{
    arena_fini(&arena);
    arena_init(&arena, 16 << 20);
    diag_init(&diag, &arena);
}

/* Serialized form of a descriptor.proto message in JSON. */
static struct slice serialized(const struct pb_message *t, const char *json)
{
    void *message;
    enum err err = pb_json_read(t, slice_str(json), NULL, &arena, &diag, &message);
    if (err)
        test_fail(__FILE__, __LINE__, "%s: %s", json, diag_message(&diag));
    size_t size = pb_encoded_size(t, message);
    uint8_t *bytes = arena_alloc(&arena, size);
    pb_encode(t, message, bytes);
    return slice_of(bytes, size);
}

static struct slice file_bytes(const char *json)
{
    return serialized(&google_protobuf_file_descriptor_proto_pb, json);
}

/* All generated files, in an order in which dependencies come first. */
static enum err add_generated(struct pb_pool *pool, const struct pb_file *f)
{
    for (uint32_t i = 0; f->dependencies[i]; i++) {
        enum err err = add_generated(pool, f->dependencies[i]);
        if (err)
            return err;
    }
    return pb_pool_add(pool, f->descriptor, &diag);
}

static struct pb_pool *generated_pool(void)
{
    struct pb_pool *pool;
    CHECK_ERR(pb_pool_new(NULL, &pool), OK);
    for (uint32_t i = 0; pb_files[i]; i++)
        CHECK_ERR(add_generated(pool, pb_files[i]), OK);
    return pool;
}

static void check_same_field(const struct pb_field *a, const struct pb_field *b)
{
    CHECK_STR(a->name, b->name);
    CHECK_STR(a->json_name, b->json_name);
    CHECK(a->number == b->number && a->type == b->type && a->card == b->card && a->packed == b->packed);
    CHECK(a->offset == b->offset && a->presence == b->presence);
    CHECK(!a->message == !b->message && !a->enumeration == !b->enumeration && !a->rules == !b->rules);
    if (a->message)
        CHECK_STR(a->message->name, b->message->name);
    if (a->oneof)
        CHECK_STR(a->oneof, b->oneof);
    if (a->rules)
        CHECK(a->rules->max_length == b->rules->max_length && a->rules->required == b->rules->required);
}

TEST(tables_made_at_run_time_equal_the_generated_ones)
{
    start();
    struct pb_pool *pool = generated_pool();
    for (uint32_t i = 0; i < pb_message_count; i++) {
        const struct pb_message *a = pb_messages[i], *b = pb_pool_message(pool, slice_str(a->name));
        CHECK(b != NULL && a != b);
        CHECK(a->size == b->size && a->field_count == b->field_count && a->map_entry == b->map_entry);
        CHECK(a->well_known == b->well_known && a->dense_count == b->dense_count);
        for (uint32_t k = 0; k < a->field_count; k++)
            check_same_field(&a->fields[k], &b->fields[k]);
    }
    pb_pool_free(pool);
    arena_fini(&arena);
}

TEST(services_come_with_their_options)
{
    start();
    struct pb_pool *pool = generated_pool();
    const struct pb_service *s = pb_pool_service(pool, SLICE("prism.keyvalue.v1.KeyValueBasic"));
    CHECK_STR(s->interface_id, "keyvalue_basic");
    CHECK_EQ(s->method_count, keyvalue_basic_service.method_count);
    for (uint32_t i = 0; i < s->method_count; i++) {
        const struct pb_method *a = &s->methods[i], *b = &keyvalue_basic_service.methods[i];
        CHECK_STR(a->path, b->path);
        CHECK_STR(a->input->name, b->input->name);
        CHECK(a->idempotent == b->idempotent && a->mutation == b->mutation && a->permission == b->permission);
        CHECK(pb_pool_method(pool, slice_str(a->path)) == a);
    }
    CHECK(pb_pool_method(pool, SLICE("prism.keyvalue.v1.KeyValueBasic/Get")) == &s->methods[1]);
    CHECK(!pb_pool_method(pool, SLICE("/prism.keyvalue.v1.KeyValueBasic/Nope")));
    CHECK(!pb_pool_method(pool, SLICE("/none.Such/Get")));
    CHECK(!pb_pool_method(pool, SLICE("Get")));
    CHECK(!pb_pool_method(pool, SLICE_EMPTY));
    CHECK(!pb_pool_service(pool, SLICE("prism.keyvalue.v1.SetRequest")));
    CHECK(!pb_pool_message(pool, SLICE("prism.keyvalue.v1.KeyValueBasic")));
    CHECK(!pb_pool_message(pool, SLICE_EMPTY));
    CHECK_EQ(pb_pool_enum(pool, SLICE("prism.test.v1.Color"))->count, 4);
    CHECK_STR(pb_pool_file(pool, SLICE("prism/test/v1/kinds.proto"))->package, "prism.test.v1");
    uint32_t count;
    const struct pb_file *const *files = pb_pool_files(pool, &count);
    CHECK(count > 10 && files[count - 1] != NULL);
    pb_pool_free(pool);
    arena_fini(&arena);
}

TEST(dynamic_messages_pass_through_binary_and_json)
{
    start();
    struct pb_pool *pool = generated_pool();
    const struct pb_message *t = pb_pool_message(pool, SLICE("prism.test.v1.Everything"));
    const char *json = "{\"scalars\":{\"fDouble\":1.5,\"fString\":\"x\"},\"optionals\":{\"fBool\":false},\"repeated\":{"
                       "\"fSint64\":[\"-1\"]},"
                       "\"maps\":{\"mMessage\":{\"1\":{\"fInt32\":2}}},\"oneofs\":{\"aMessage\":{},\"yes\":false},"
                       "\"wellKnown\":{\"timestamp\":\"2000-01-01T00:00:00Z\",\"any\":{\"@type\":\"t/"
                       "prism.test.v1.Scalars\",\"fInt32\":1}}}";
    struct pb_json_options options = {.types = pool};
    struct buf first, binary, second;
    void *message, *again;
    buf_init(&first, 1 << 16);
    buf_init(&binary, 1 << 16);
    buf_init(&second, 1 << 16);
    CHECK_ERR(pb_json_read(t, slice_str(json), &options, &arena, &diag, &message), OK);
    CHECK_ERR(pb_json_write(t, message, &options, &first), OK);
    CHECK_SLICE(buf_slice(&first), slice_str(json));
    CHECK_ERR(pb_encode_buf(t, message, &binary), OK);
    CHECK_ERR(pb_decode(&test_everything_pb, buf_slice(&binary), &arena, NULL, &again), OK);
    CHECK_ERR(pb_json_write(&test_everything_pb, again, NULL, &second), OK);
    CHECK_SLICE(buf_slice(&second), slice_str(json));
    buf_fini(&first);
    buf_fini(&binary);
    buf_fini(&second);
    pb_pool_free(pool);
    arena_fini(&arena);
}

TEST(a_set_may_be_in_any_order_and_files_may_come_twice)
{
    start();
    struct pb_pool *pool;
    struct slice set = serialized(
        &google_protobuf_file_descriptor_set_pb,
        "{\"file\":[{\"name\":\"b\",\"syntax\":\"proto3\",\"dependency\":[\"a\"],\"messageType\":[{\"name\":\"B\","
        "\"field\":[{\"name\":\"a\",\"number\":1,\"type\":11,\"label\":1,\"typeName\":\".p.A\"}]}]},"
        "{\"name\":\"a\",\"package\":\"p\",\"syntax\":\"proto3\",\"messageType\":[{\"name\":\"A\"}]}]}");
    CHECK_ERR(pb_pool_new(NULL, &pool), OK);
    CHECK_ERR(pb_pool_add_set(pool, set, &diag), OK);
    CHECK_ERR(pb_pool_add_set(pool, set, &diag), OK);
    CHECK(pb_pool_message(pool, SLICE("B"))->fields[0].message == pb_pool_message(pool, SLICE("p.A")));
    set = serialized(&google_protobuf_file_descriptor_set_pb,
                     "{\"file\":[{\"name\":\"c\",\"dependency\":[\"d\"]},{\"name\":\"d\",\"dependency\":[\"c\"]}]}");
    CHECK_ERR(pb_pool_add_set(pool, set, &diag), ERR_DESCRIPTOR_INVALID);
    CHECK_STR(diag_message(&diag), "c: a dependency is missing or circular");
    CHECK_ERR(pb_pool_add_set(pool, SLICE("\xff"), &diag), ERR_PB_MALFORMED);
    CHECK_ERR(pb_pool_add(pool, SLICE("\xff"), &diag), ERR_PB_MALFORMED);
    pb_pool_free(pool);
    pb_pool_free(NULL);
    arena_fini(&arena);
}

TEST(proto2_fields_have_presence_and_are_not_packed)
{
    start();
    struct pb_pool *pool;
    CHECK_ERR(pb_pool_new(NULL, &pool), OK);
    CHECK_ERR(
        pb_pool_add(pool,
                    file_bytes("{\"name\":\"a\",\"messageType\":[{\"name\":\"A\",\"field\":["
                               "{\"name\":\"one_two\",\"number\":3,\"type\":5,\"label\":1},"
                               "{\"name\":\"many\",\"number\":2,\"type\":5,\"label\":3},"
                               "{\"name\":\"tight\",\"number\":1,\"type\":5,\"label\":3,\"options\":{\"packed\":true}},"
                               "{\"name\":\"group\",\"number\":4,\"type\":10,\"label\":1,\"typeName\":\".A\"}]}]}"),
                    &diag),
        OK);
    const struct pb_message *m = pb_pool_message(pool, SLICE("A"));
    CHECK_EQ(m->field_count, 3);
    CHECK(m->fields[0].packed && !m->fields[1].packed && m->fields[2].card == PB_OPTIONAL);
    CHECK_STR(m->fields[2].json_name, "oneTwo");
    pb_pool_free(pool);
    arena_fini(&arena);
}

TEST(descriptors_without_sense_are_refused)
{
#define FIELD(text) "{\"name\":\"x\",\"syntax\":\"proto3\",\"messageType\":[{\"name\":\"A\",\"field\":[" text "]}]}"
#define ENTRY(fields)                                                                                                  \
    "{\"name\":\"x\",\"syntax\":\"proto3\",\"messageType\":[{\"name\":\"A\",\"options\":{\"mapEntry\":true},"          \
    "\"field\":[" fields "]}]}"
    static const char *const files[] = {
        "{}",
        "{\"name\":\"x\",\"syntax\":\"proto4\"}",
        "{\"name\":\"x\\u0000\"}",
        "{\"name\":\"x\",\"dependency\":[\"missing\"]}",
        "{\"name\":\"x\",\"messageType\":[{}]}",
        "{\"name\":\"x\",\"messageType\":[{\"name\":\"a.b\"}]}",
        "{\"name\":\"x\",\"messageType\":[{\"name\":\"1a\"}]}",
        "{\"name\":\"x\",\"messageType\":[{\"name\":\"A\"},{\"name\":\"A\"}]}",
        "{\"name\":\"x\",\"messageType\":[{\"name\":\"A\",\"nestedType\":[{\"name\":\"\"}]}]}",
        "{\"name\":\"x\",\"messageType\":[{\"name\":\"A\",\"enumType\":[{\"name\":\"-\"}]}]}",
        "{\"name\":\"x\",\"enumType\":[{\"name\":\"E\",\"value\":[{\"name\":\"a b\"}]}]}",
        "{\"name\":\"x\",\"enumType\":[{\"name\":\"E\"}],\"messageType\":[{\"name\":\"E\"}]}",
        "{\"name\":\"x\",\"service\":[{\"name\":\"\"}]}",
        "{\"name\":\"x\",\"service\":[{\"name\":\"S\",\"method\":[{\"name\":\"\"}]}]}",
        "{\"name\":\"x\",\"service\":[{\"name\":\"S\",\"method\":[{\"name\":\"M\",\"inputType\":\".A\"}]}]}",
        "{\"name\":\"x\",\"service\":[{\"name\":\"S\"},{\"name\":\"S\"}]}",
        FIELD("{\"number\":1,\"type\":5}"),
        FIELD("{\"name\":\"a\",\"number\":0,\"type\":5}"),
        FIELD("{\"name\":\"a\",\"number\":536870912,\"type\":5}"),
        FIELD("{\"name\":\"a\",\"number\":-1,\"type\":5}"),
        FIELD("{\"name\":\"a\",\"number\":1,\"type\":0}"),
        FIELD("{\"name\":\"a\",\"number\":1,\"type\":19}"),
        FIELD("{\"name\":\"a\",\"number\":1,\"type\":11}"),
        FIELD("{\"name\":\"a\",\"number\":1,\"type\":11,\"typeName\":\"A\"}"),
        FIELD("{\"name\":\"a\",\"number\":1,\"type\":14,\"typeName\":\".A\"}"),
        FIELD("{\"name\":\"a\",\"number\":1,\"type\":5},{\"name\":\"b\",\"number\":1,\"type\":5}"),
        FIELD("{\"name\":\"a\",\"number\":1,\"type\":5,\"oneofIndex\":0}"),
        FIELD("{\"name\":\"a\",\"number\":1,\"type\":5,\"oneofIndex\":-1}"),
        FIELD("{\"name\":\"a\",\"number\":1,\"type\":5,\"jsonName\":\"\\u0000\"}"),
        ENTRY(""),
        ENTRY("{\"name\":\"key\",\"number\":1,\"type\":5}"),
        ENTRY("{\"name\":\"key\",\"number\":1,\"type\":5},{\"name\":\"value\",\"number\":3,\"type\":5}"),
        ENTRY("{\"name\":\"key\",\"number\":1,\"type\":1},{\"name\":\"value\",\"number\":2,\"type\":5}"),
        ENTRY("{\"name\":\"key\",\"number\":1,\"type\":12},{\"name\":\"value\",\"number\":2,\"type\":5}"),
        ENTRY("{\"name\":\"key\",\"number\":1,\"type\":5,\"label\":3},{\"name\":\"value\",\"number\":2,\"type\":5}"),
        ("{\"name\":\"x\",\"messageType\":[{\"name\":\"A\",\"oneofDecl\":[{}],\"field\":[{\"name\":\"a\",\"number\":1,"
         "\"type\":5,\"oneofIndex\":0}]}]}"),
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct pb_pool *pool;
        start();
        CHECK_ERR(pb_pool_new(NULL, &pool), OK);
        enum err err = pb_pool_add(pool, file_bytes(files[i]), &diag);
        pb_pool_free(pool);
        if (err != ERR_DESCRIPTOR_INVALID)
            test_fail(__FILE__, __LINE__, "%s: %s", files[i], err_name(err));
    }
    arena_fini(&arena);
}

TEST(options_that_are_not_protobuf_are_refused)
{
    start();
    struct pb_pool *pool;
    CHECK_ERR(pb_pool_new(NULL, &pool), OK);
    /* FieldOptions whose extension 50105, a string, is not UTF-8. */
    CHECK_ERR(pb_pool_add(pool,
                          SLICE("\x0a\x01x\x22\x12\x0a\x01"
                                "A\x12\x0d\x0a\x01"
                                "a\x18\x01\x28\x05\x42\x04\xca\xbb\x18\x01"),
                          &diag),
              ERR_PB_MALFORMED);
    CHECK_ERR(pb_pool_add(pool,
                          SLICE("\x0a\x01x\x22\x13\x0a\x01"
                                "A\x12\x0e\x0a\x01"
                                "a\x18\x01\x28\x05\x42\x05\xca\xbb\x18\x01\xff"),
                          &diag),
              ERR_DESCRIPTOR_INVALID);
    pb_pool_free(pool);
    arena_fini(&arena);
}

/* A type that only has the name of a well-known one is an ordinary message. */
TEST(well_known_types_need_their_shape)
{
    start();
    struct pb_pool *pool;
    CHECK_ERR(pb_pool_new(NULL, &pool), OK);
    CHECK_ERR(
        pb_pool_add(
            pool,
            file_bytes("{\"name\":\"x\",\"package\":\"google.protobuf\",\"syntax\":\"proto3\",\"messageType\":["
                       "{\"name\":\"Timestamp\",\"field\":[{\"name\":\"seconds\",\"number\":1,\"type\":9}]},"
                       "{\"name\":\"Struct\",\"field\":[{\"name\":\"fields\",\"number\":1,\"type\":9,\"label\":3}]},"
                       "{\"name\":\"Empty\",\"field\":[{\"name\":\"a\",\"number\":1,\"type\":9}]},"
                       "{\"name\":\"BoolValue\",\"field\":[{\"name\":\"value\",\"number\":2,\"type\":8}]},"
                       "{\"name\":\"Duration\",\"field\":[{\"name\":\"seconds\",\"number\":1,\"type\":3},"
                       "{\"name\":\"nanos\",\"number\":2,\"type\":5}]},{\"name\":\"Other\"}]}"),
            &diag),
        OK);
    CHECK_EQ(pb_pool_message(pool, SLICE("google.protobuf.Timestamp"))->well_known, PB_NOT_WELL_KNOWN);
    CHECK_EQ(pb_pool_message(pool, SLICE("google.protobuf.Struct"))->well_known, PB_NOT_WELL_KNOWN);
    CHECK_EQ(pb_pool_message(pool, SLICE("google.protobuf.Empty"))->well_known, PB_NOT_WELL_KNOWN);
    CHECK_EQ(pb_pool_message(pool, SLICE("google.protobuf.BoolValue"))->well_known, PB_NOT_WELL_KNOWN);
    CHECK_EQ(pb_pool_message(pool, SLICE("google.protobuf.Duration"))->well_known, PB_DURATION);
    CHECK_EQ(pb_pool_message(pool, SLICE("google.protobuf.Other"))->well_known, PB_NOT_WELL_KNOWN);
    pb_pool_free(pool);
    arena_fini(&arena);
}

static const char commented[] =
    "{\"name\":\"x\",\"package\":\"p\",\"messageType\":[{\"name\":\"A\",\"field\":[{\"name\":\"a\",\"number\":1,"
    "\"type\":5,\"label\":1}]}],"
    "\"enumType\":[{\"name\":\"E\",\"value\":[{\"name\":\"V\"}]}],\"service\":[{\"name\":\"S\",\"method\":[{\"name\":"
    "\"M\","
    "\"inputType\":\".p.A\",\"outputType\":\".p.A\"}]}],"
    "\"extension\":[{\"name\":\"later\",\"number\":50002,\"type\":9,\"label\":1,\"extendee\":\".google.protobuf."
    "FieldOptions\"},"
    "{\"name\":\"other\",\"number\":50001,\"type\":5,\"label\":3,\"extendee\":\".google.protobuf.FileOptions\"},"
    "{\"name\":\"first\",\"number\":50001,\"type\":8,\"label\":1,\"extendee\":\".google.protobuf.FieldOptions\"}],"
    "\"sourceCodeInfo\":{\"location\":[{\"path\":[6,0,2,0],\"leadingComments\":\" A "
    "method.\\n\"},{\"path\":[4,0],\"leadingComments\":"
    "\" A message.\\n Two lines.\\n\"},{\"path\":[4,0,2,0],\"trailingComments\":\" "
    "behind\\n\"},{\"path\":[5,0],\"leadingComments\":\"E\"},"
    "{\"path\":[5,0,2,0],\"leadingComments\":\" V\"},{\"path\":[6,0],\"leadingComments\":\" "
    "S\"},{\"path\":[]},{\"path\":[4,0,1]},"
    "{\"path\":[7,0],\"leadingComments\":\" ext\"}]}}";

TEST(comments_and_extension_views_are_for_those_who_ask)
{
    start();
    struct pb_pool *pool;
    CHECK_ERR(pb_pool_new(&(struct pb_pool_options){.comments = true, .extension_views = true}, &pool), OK);
    CHECK_ERR(pb_pool_add(pool, file_bytes(commented), &diag), OK);
    const struct pb_file *f = pb_pool_file(pool, SLICE("x"));
    CHECK_STR(f->messages[0]->doc, "A message.\nTwo lines.");
    CHECK_STR(f->messages[0]->fields[0].doc, "behind");
    CHECK_STR(f->enums[0]->doc, "E");
    CHECK_STR(f->enums[0]->values[0].doc, "V");
    CHECK_STR(f->services[0]->doc, "S");
    CHECK_STR(f->services[0]->methods[0].doc, "A method.");
    CHECK(f->messages[1]->extension_view && f->messages[2]->extension_view && !f->messages[3]);
    CHECK_STR(f->messages[1]->name, "p.FieldOptions");
    CHECK_EQ(f->messages[1]->field_count, 2);
    CHECK_STR(f->messages[1]->fields[0].name, "first");
    CHECK_STR(f->messages[1]->fields[1].doc, "ext");
    CHECK(!pb_pool_message(pool, SLICE("p.FieldOptions")));
    pb_pool_free(pool);
    CHECK_ERR(pb_pool_new(NULL, &pool), OK);
    CHECK_ERR(pb_pool_add(pool, file_bytes(commented), &diag), OK);
    f = pb_pool_file(pool, SLICE("x"));
    CHECK(!f->messages[0]->doc && !f->messages[1]);
    pb_pool_free(pool);
    arena_fini(&arena);
}

SCENARIO(a_pool_survives_without_memory)
{
    struct pb_pool *pool = NULL;
    start();
    enum err err = pb_pool_new(&(struct pb_pool_options){.extension_views = true}, &pool);
    for (uint32_t i = 0; !err && pb_files[i]; i++)
        err = add_generated(pool, pb_files[i]);
    pb_pool_free(pool);
    arena_fini(&arena);
    return err;
}

SCENARIO(a_set_survives_without_memory)
{
    static const uint8_t set[] = "\x0a\x1a\x0a\x01"
                                 "a\x12\x01p\x22\x0a\x0a\x01"
                                 "A\x22\x05\x0a\x03"
                                 "Sub\x62\x06proto3";
    struct pb_pool *pool = NULL;
    start();
    enum err err = pb_pool_new(NULL, &pool);
    if (!err)
        err = pb_pool_add_set(pool, slice_of(set, sizeof set - 1), &diag);
    pb_pool_free(pool);
    arena_fini(&arena);
    return err;
}

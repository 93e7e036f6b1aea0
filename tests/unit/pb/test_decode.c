#include "../harness.h"
#include "interfaces.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"

static struct arena arena;

static enum err decode(const struct pb_message *t, struct slice input, void *ret)
{
    arena_init(&arena, 1 << 20);
    return pb_decode(t, input, &arena, NULL, ret);
}

TEST(decodes_a_set_request_and_encodes_the_same_bytes)
{
    struct slice input = SLICE("\x0a\x01k\x12\x05value\x1a\x06\x0a\x01"
                               "a\x12\x01"
                               "b\x22\x02\x08\x05\x2a\x00");
    struct keyvalue_set_request *r;
    CHECK_ERR(decode(&keyvalue_set_request_pb, input, &r), OK);
    CHECK_SLICE(r->key, SLICE("k"));
    CHECK_SLICE(r->value, SLICE("value"));
    CHECK_EQ(r->tags.count, 1);
    CHECK_SLICE(PB_AT(r->tags, struct keyvalue_set_request_tags_entry *, 0)->value, SLICE("b"));
    CHECK_EQ(r->ttl->seconds, 5);
    CHECK(r->has_if_version && r->if_version.size == 0);
    struct buf b;
    buf_init(&b, 1 << 16);
    CHECK_ERR(pb_encode_buf(&keyvalue_set_request_pb, r, &b), OK);
    CHECK_SLICE(buf_slice(&b), input);
    buf_fini(&b);
    arena_fini(&arena);
}

TEST(generated_methods_belong_to_their_interfaces)
{
    for (uint32_t i = 0; i < method_count; i++) {
        const struct interface_row *row = &interfaces[methods[i].interface];
        CHECK(methods[i].pb->service == row->service);
        CHECK(methods[i].pb == &row->service->methods[i - row->method_first]);
        CHECK(methods[i].invoke != NULL);
    }
    CHECK_STR(methods[METHOD_KEYVALUE_BASIC_GET].pb->path, "/prism.keyvalue.v1.KeyValueBasic/Get");
    CHECK(pb_find_message("prism.keyvalue.v1.SetRequest", 28) == &keyvalue_set_request_pb);
}

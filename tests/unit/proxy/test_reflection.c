/* reflection.c answers v1alpha with the structs of v1: their tables must be the same, row by row. */
#include "../harness.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"

static void check_same(const struct pb_message *a, const struct pb_message *b, int depth)
{
    CHECK_EQ(a->size, b->size);
    CHECK_EQ(a->field_count, b->field_count);
    for (uint32_t i = 0; i < a->field_count; i++) {
        const struct pb_field *x = &a->fields[i], *y = &b->fields[i];
        CHECK_STR(x->name, y->name);
        CHECK_EQ(x->number, y->number);
        CHECK_EQ(x->type, y->type);
        CHECK_EQ(x->card, y->card);
        CHECK_EQ(x->offset, y->offset);
        CHECK_EQ(x->presence, y->presence);
        if (x->message && depth < 5)
            check_same(x->message, y->message, depth + 1);
    }
}

TEST(both_versions_of_reflection_have_the_same_tables)
{
    check_same(&grpc_reflection_v1_server_reflection_request_pb, &grpc_reflection_v1alpha_server_reflection_request_pb,
               0);
    check_same(&grpc_reflection_v1_server_reflection_response_pb,
               &grpc_reflection_v1alpha_server_reflection_response_pb, 0);
}

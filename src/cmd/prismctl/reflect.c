/* A client of gRPC reflection (v1, else v1alpha, whose messages are the same): names of services, then the files that declare
 * them with all that these import, made into tables. Source: grpc/doc/server-reflection.md. */
#include "cli.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "pb/bootstrap/descriptor.pb.h"
#include "pb/descriptor.h"

enum {
    ASK_FILE = GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_FILE_BY_FILENAME,
    ASK_SYMBOL = GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_FILE_CONTAINING_SYMBOL,
    ASK_SERVICES = GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_LIST_SERVICES,
    ROUNDS_MAX = 64, /* of asking for imports: deeper than any tree of files */
};

typedef struct grpc_reflection_v1_server_reflection_request request_message;

/* Files that have come. Keys of the arrays are their names. */
struct files {
    struct cli *cli;
    struct pb_array names;     /* struct slice */
    struct pb_array bytes;     /* struct slice: serialized FileDescriptorProto */
    struct pb_array wanted;    /* struct slice: imports */
    struct pb_array *services; /* where names of services go */
};

static bool add_slice(struct arena *arena, struct pb_array *list, struct slice s)
{
    struct slice *place = pb_array_add(list, sizeof *place, arena);
    return place && arena_copy(arena, s, place);
}

static bool has_slice(const struct pb_array *list, struct slice s)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (slice_eq(PB_AT(*list, struct slice, i), s))
            return true;
    return false;
}

static enum err take_file(struct files *f, struct slice bytes)
{
    struct arena *arena = &f->cli->arena;
    struct google_protobuf_file_descriptor_proto *file;
    struct slice copy;
    if (!arena_copy(arena, bytes, &copy))
        return ERR_NOMEM;
    enum err e = pb_decode(&google_protobuf_file_descriptor_proto_pb, copy, arena, &pb_limits_default, (void **)&file);
    if (e)
        return e;
    if (has_slice(&f->names, file->name))
        return OK;
    struct slice *place = pb_array_add(&f->bytes, sizeof *place, arena);
    if (!place || !add_slice(arena, &f->names, file->name))
        return ERR_NOMEM;
    *place = copy;
    for (uint32_t i = 0; i < file->dependency.count; i++)
        if (!add_slice(arena, &f->wanted, PB_AT(file->dependency, struct slice, i)))
            return ERR_NOMEM;
    return OK;
}

static enum err take_services(struct files *f, const struct grpc_reflection_v1_list_service_response *list)
{
    for (uint32_t i = 0; i < list->service.count; i++) {
        const struct grpc_reflection_v1_service_response *service =
            PB_AT(list->service, struct grpc_reflection_v1_service_response *, i);
        if (!add_slice(&f->cli->arena, f->services, service->name))
            return ERR_NOMEM;
    }
    return OK;
}

static enum err take_answer(void *context, struct slice message)
{
    struct files *f = context;
    struct grpc_reflection_v1_server_reflection_response *answer;
    enum err e = pb_decode(&grpc_reflection_v1_server_reflection_response_pb, message, &f->cli->arena,
                           &pb_limits_default, (void **)&answer);
    if (e)
        return e;
    if (answer->error_response)
        return diag_set(&f->cli->diag, err_from_grpc((unsigned)answer->error_response->error_code), "reflection: %.*s",
                        SLICE_ARG(answer->error_response->error_message));
    if (answer->list_services_response)
        return take_services(f, answer->list_services_response);
    const struct grpc_reflection_v1_file_descriptor_response *files = answer->file_descriptor_response;
    for (uint32_t i = 0; files && !e && i < files->file_descriptor_proto.count; i++)
        e = take_file(f, PB_AT(files->file_descriptor_proto, struct slice, i));
    return e;
}

static enum err add_request(struct files *f, struct pb_array *requests, uint32_t kind, struct slice name)
{
    request_message request = {.message_request_case = kind, .list_services = SLICE("*")};
    if (kind == ASK_FILE)
        request.file_by_filename = name;
    if (kind == ASK_SYMBOL)
        request.file_containing_symbol = name;
    const struct pb_message *table = &grpc_reflection_v1_server_reflection_request_pb;
    uint8_t *out = arena_alloc(&f->cli->arena, pb_encoded_size(table, &request) + 1);
    struct slice *place = pb_array_add(requests, sizeof *place, &f->cli->arena);
    if (!out || !place)
        return ERR_NOMEM;
    *place = slice_of(out, (size_t)(pb_encode(table, &request, out) - out));
    return OK;
}

static enum err ask(struct files *f, enum side side, const struct pb_array *requests)
{
    enum err e = cli_stream(f->cli, side, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", requests->items,
                            requests->count, take_answer, f);
    if (err_row(e)->grpc != err_row(ERR_UNIMPLEMENTED)->grpc)
        return e;
    return cli_stream(f->cli, side, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", requests->items,
                      requests->count, take_answer, f);
}

enum err reflect_list(struct cli *cli, enum side side, struct reflection *ret_reflection)
{
    *ret_reflection = (struct reflection){.cli = cli, .side = side};
    struct files f = {.cli = cli, .services = &ret_reflection->services};
    struct pb_array requests = {.items = NULL};
    enum err e = add_request(&f, &requests, ASK_SERVICES, SLICE_EMPTY);
    return e ? e : ask(&f, side, &requests);
}

/* Imports that a server has not sent along. */
static enum err ask_for_imports(struct files *f, enum side side)
{
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        struct pb_array requests = {.items = NULL};
        struct pb_array wanted = f->wanted;
        f->wanted = (struct pb_array){.items = NULL};
        enum err e = OK;
        for (uint32_t i = 0; !e && i < wanted.count; i++)
            if (!has_slice(&f->names, PB_AT(wanted, struct slice, i)))
                e = add_request(f, &requests, ASK_FILE, PB_AT(wanted, struct slice, i));
        if (e || !requests.count)
            return e;
        e = ask(f, side, &requests);
        if (e)
            return e;
    }
    return diag_set(&f->cli->diag, ERR_INTERNAL, "reflection: the server's files import each other without an end");
}

/* The files as a FileDescriptorSet: each is field 1 of it, a length and its bytes. */
static enum err make_pool(struct files *f, struct pb_pool **ret_pool)
{
    struct buf set;
    buf_init(&set, LIMIT_CALL_ARENA_BYTES);
    for (uint32_t i = 0; i < f->bytes.count; i++) {
        struct slice file = PB_AT(f->bytes, struct slice, i);
        buf_putc(&set, 0x0a);
        size_t rest = file.size;
        for (; rest >= 0x80; rest >>= 7)
            buf_putc(&set, (char)(0x80 | (rest & 0x7f)));
        buf_putc(&set, (char)rest);
        buf_put_slice(&set, file);
    }
    struct pb_pool_options options = {.comments = true};
    enum err e = buf_err(&set);
    if (!e)
        e = pb_pool_new(&options, ret_pool);
    if (!e)
        e = pb_pool_add_set(*ret_pool, buf_slice(&set), &f->cli->diag);
    buf_fini(&set);
    return e;
}

enum err reflect_load(struct reflection *r, struct slice service)
{
    struct files f = {.cli = r->cli, .services = &r->services};
    struct pb_array requests = {.items = NULL};
    enum err e = OK;
    for (uint32_t i = 0; !e && i < r->services.count; i++) {
        struct slice name = PB_AT(r->services, struct slice, i);
        if (!service.size || slice_eq(name, service))
            e = add_request(&f, &requests, ASK_SYMBOL, name);
    }
    if (!e)
        e = ask(&f, r->side, &requests);
    if (!e)
        e = ask_for_imports(&f, r->side);
    return e ? e : make_pool(&f, &r->pool);
}

void reflect_close(struct reflection *r)
{
    pb_pool_free(r->pool);
    r->pool = NULL;
}

bool is_end_of_name(struct slice full, struct slice name)
{
    if (!name.size || name.size > full.size)
        return false;
    size_t before = full.size - name.size;
    return slice_eq(slice_skip(full, before), name) && (before == 0 || full.data[before - 1] == '.');
}

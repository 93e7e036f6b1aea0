/* Methods that this build has no tables for: asked of the server, by reflection (v1). One question is one call with one message; a
 * file that an answer does not bring along is asked for by its name. Source: grpc/doc/server-reflection.md. */
#include "base/limits.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "loadtest.h"
#include "pb/bootstrap/descriptor.pb.h"
#include "pb/descriptor.h"
#include "rt/loop.h"
#include "rt/tls.h"

typedef struct grpc_reflection_v1_server_reflection_request question;
typedef struct grpc_reflection_v1_server_reflection_response answer;

enum {
    ASK_FILE = GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_FILE_BY_FILENAME,
    ASK_SYMBOL = GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_FILE_CONTAINING_SYMBOL,
    ASK_SERVICES = GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_LIST_SERVICES,
};

struct reflector {
    const struct options *options;
    struct arena *arena;
    struct diag *diag;
    struct loop *loop;
    struct tls *tls;
    struct rpc_client *client;
    struct pb_array names;   /* struct slice: files that have come */
    struct pb_array imports; /* struct slice: files that they need */
    struct buf set;          /* FileDescriptorSet */
    /* The question under way. */
    answer *answer;
    enum err err;
    bool ended;
};

/* --- one question ---------------------------------------------------------------------------------------------------- */

static void on_message(struct rpc_client_call *call, struct slice message)
{
    struct reflector *r = rpc_client_call_user(call);
    struct slice copy;
    r->err = arena_copy(r->arena, message, &copy) ? OK : ERR_NOMEM;
    if (!r->err)
        r->err = pb_decode(&grpc_reflection_v1_server_reflection_response_pb, copy, r->arena, &pb_limits_default,
                           (void **)&r->answer);
}

static void on_end(struct rpc_client_call *call, unsigned status, const struct diag *diag)
{
    struct reflector *r = rpc_client_call_user(call);
    r->ended = true;
    if (status && !r->err)
        r->err = diag_set(r->diag, diag->err ? diag->err : err_from_grpc(status), "asking %s by reflection: %s",
                          r->options->address, diag_message(diag));
}

static enum err judge(struct reflector *r)
{
    if (r->err)
        return r->err;
    if (!r->answer)
        return diag_set(r->diag, ERR_INTERNAL, "%s did not answer a question of reflection", r->options->address);
    if (r->answer->error_response)
        return diag_set(r->diag, ERR_METHOD_UNKNOWN, "reflection says: %.*s",
                        SLICE_ARG(r->answer->error_response->error_message));
    return OK;
}

static enum err ask(struct reflector *r, uint32_t kind, struct slice name)
{
    static const struct rpc_client_events events = {.on_message = on_message, .on_end = on_end};
    const struct rpc_client_call_options options = {.path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                                                    .timeout_ns = (uint64_t)r->options->timeout_ns};
    question q = {.message_request_case = kind, .list_services = SLICE("*")};
    if (kind == ASK_FILE)
        q.file_by_filename = name;
    if (kind == ASK_SYMBOL)
        q.file_containing_symbol = name;
    struct rpc_client_call *call;
    struct buf bytes;
    buf_init(&bytes, LIMIT_MESSAGE_BYTES);
    r->answer = NULL, r->err = OK, r->ended = false;
    enum err e = pb_encode_buf(&grpc_reflection_v1_server_reflection_request_pb, &q, &bytes);
    if (!e)
        e = rpc_client_call(r->client, &options, &events, r, &call);
    if (!e) {
        rpc_client_send(call, buf_slice(&bytes));
        rpc_client_send_end(call);
        while (!r->ended)
            loop_turn(r->loop, true);
        e = judge(r);
    }
    buf_fini(&bytes);
    return e;
}

/* --- files ----------------------------------------------------------------------------------------------------------- */

static bool has(const struct pb_array *list, struct slice name)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (slice_eq(PB_AT(*list, struct slice, i), name))
            return true;
    return false;
}

static bool add(struct reflector *r, struct pb_array *list, struct slice name)
{
    struct slice *place = pb_array_add(list, sizeof *place, r->arena);
    if (place)
        *place = name;
    return place;
}

/* Field 1 of a FileDescriptorSet: its length and its bytes. */
static void put_file(struct buf *set, struct slice file)
{
    size_t rest = file.size;
    buf_putc(set, 0x0a);
    for (; rest >= 0x80; rest >>= 7)
        buf_putc(set, (char)(0x80 | (rest & 0x7f)));
    buf_putc(set, (char)rest);
    buf_put_slice(set, file);
}

static enum err take_file(struct reflector *r, struct slice bytes)
{
    struct google_protobuf_file_descriptor_proto *file;
    enum err e =
        pb_decode(&google_protobuf_file_descriptor_proto_pb, bytes, r->arena, &pb_limits_default, (void **)&file);
    if (e || has(&r->names, file->name))
        return e;
    put_file(&r->set, bytes);
    if (!add(r, &r->names, file->name))
        return ERR_NOMEM;
    for (uint32_t i = 0; i < file->dependency.count; i++)
        if (!add(r, &r->imports, PB_AT(file->dependency, struct slice, i)))
            return ERR_NOMEM;
    return buf_err(&r->set);
}

static enum err take_files(struct reflector *r)
{
    const struct grpc_reflection_v1_file_descriptor_response *files = r->answer->file_descriptor_response;
    enum err e = OK;
    for (uint32_t i = 0; files && !e && i < files->file_descriptor_proto.count; i++)
        e = take_file(r, PB_AT(files->file_descriptor_proto, struct slice, i));
    return e;
}

/* imports grows while its files come; LIMIT_PB_FILES ends a server that names ever new ones. */
static enum err load_files(struct reflector *r, struct slice service)
{
    enum err e = ask(r, ASK_SYMBOL, service);
    e = e ? e : take_files(r);
    for (uint32_t i = 0; !e && i < r->imports.count && i < LIMIT_PB_FILES; i++) {
        struct slice name = PB_AT(r->imports, struct slice, i);
        if (has(&r->names, name))
            continue;
        e = ask(r, ASK_FILE, name);
        e = e ? e : take_files(r);
    }
    return e;
}

/* --- the service ----------------------------------------------------------------------------------------------------- */

static bool is_end_of_name(struct slice full, struct slice name)
{
    if (!name.size || name.size > full.size)
        return false;
    size_t before = full.size - name.size;
    return slice_eq(slice_skip(full, before), name) && (before == 0 || full.data[before - 1] == '.');
}

static enum err find_service(struct reflector *r, struct slice name, struct slice *ret_service)
{
    enum err e = ask(r, ASK_SERVICES, SLICE_EMPTY);
    if (e)
        return e;
    const struct grpc_reflection_v1_list_service_response *list = r->answer->list_services_response;
    for (uint32_t i = 0; list && i < list->service.count; i++) {
        *ret_service = PB_AT(list->service, struct grpc_reflection_v1_service_response *, i)->name;
        if (is_end_of_name(*ret_service, name))
            return OK;
    }
    return diag_set(r->diag, ERR_METHOD_UNKNOWN, "%s has no service \"%.*s\"; prismctl services lists them",
                    r->options->address, SLICE_ARG(name));
}

static enum err open_client(struct reflector *r)
{
    const struct options *o = r->options;
    const struct tls_options tls = {.ca_file = o->ca_file, .insecure = o->insecure};
    enum err e = loop_new(env_real(), 0, &r->loop);
    if (!e && o->tls)
        e = tls_client_new(&tls, r->diag, &r->tls);
    const struct rpc_client_options options = {.loop = r->loop, .address = o->address, .tls = r->tls};
    return e ? e : rpc_client_new(&options, r->diag, &r->client);
}

static void close_client(struct reflector *r)
{
    if (r->client)
        rpc_client_free(r->client);
    while (r->loop && loop_turn(r->loop, false))
        ;
    tls_unref(r->tls);
    loop_free(r->loop);
    buf_fini(&r->set);
}

static enum err make_pool(struct reflector *r, struct slice service, struct pb_pool **ret_pool)
{
    static const struct pb_pool_options options = {.comments = false};
    struct pb_pool *pool;
    enum err e = pb_pool_new(&options, &pool);
    if (e)
        return e;
    e = pb_pool_add_set(pool, buf_slice(&r->set), r->diag);
    if (!e && !pb_pool_service(pool, service))
        e = diag_set(r->diag, ERR_INTERNAL, "%s did not send the file of %.*s", r->options->address,
                     SLICE_ARG(service));
    if (e)
        pb_pool_free(pool);
    else
        *ret_pool = pool;
    return e;
}

enum err reflect_service(const struct options *o, struct slice name, struct arena *arena, struct diag *diag,
                         struct pb_pool **ret_pool, const struct pb_service **ret_service)
{
    struct reflector r = {.options = o, .arena = arena, .diag = diag};
    struct slice service;
    buf_init(&r.set, LIMIT_PB_POOL_BYTES);
    enum err e = open_client(&r);
    e = e ? e : find_service(&r, name, &service);
    e = e ? e : load_files(&r, service);
    e = e ? e : make_pool(&r, service, ret_pool);
    if (!e)
        *ret_service = pb_pool_service(*ret_pool, service);
    close_client(&r);
    return e;
}

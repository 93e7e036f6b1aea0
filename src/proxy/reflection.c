/* gRPC reflection: what the services here look like, for tools that have no .proto files. Files and symbols come from the
 * generated tables (pb_files), extensions from the descriptors themselves.
 *
 * v1alpha has the messages of v1, field by field; so the structs of v1 serve both, and each answer is encoded by the table of
 * the method that asked (a test compares the tables). A session ends when its client does, or at a drain.
 * Source: grpc/doc/server-reflection.md. */
#include "base/limits.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "pb/bootstrap/descriptor.pb.h"
#include "proxy/served.h"

enum { ASK_FILE = 3, ASK_SYMBOL = 4, ASK_EXTENSION = 5, ASK_NUMBERS = 6, ASK_SERVICES = 7 };
enum { ANSWER_FILES = 4, ANSWER_NUMBERS = 5, ANSWER_SERVICES = 6, ANSWER_ERROR = 7 };

struct session {
    struct waiting waiting; /* the first member */
    bool *sent;             /* by index in pb_files: files that this client has */
    bool hold;              /* the next request waits until the last answer is on its way */
    bool ended;             /* the client asks no more */
};

/* One request and its answer. */
struct question {
    struct arena *arena;
    const struct served *served;
    struct session *session;
    const struct grpc_reflection_v1_server_reflection_request *request;
    struct grpc_reflection_v1_server_reflection_response *response;
};

/* --- files ------------------------------------------------------------------------------------------------------------------- */

static uint32_t file_count(void)
{
    uint32_t n = 0;
    while (pb_files[n])
        n++;
    return n;
}

static uint32_t file_index(const struct pb_file *file)
{
    uint32_t i = 0;
    while (pb_files[i] != file)
        i++;
    return i;
}

static const struct pb_file *file_named(struct slice name)
{
    for (uint32_t i = 0; pb_files[i]; i++)
        if (slice_eq(slice_str(pb_files[i]->name), name))
            return pb_files[i];
    return NULL;
}

static enum err add_bytes(struct question *q, struct pb_array *list, struct slice bytes)
{
    struct slice *item = pb_array_add(list, sizeof *item, q->arena);
    if (!item)
        return ERR_NOMEM;
    *item = bytes;
    return OK;
}

/* The file, then what it imports, each once a session. The one that was asked for is always sent. */
static enum err add_file(struct question *q, struct pb_array *list, const struct pb_file *file, bool asked_for)
{
    bool *sent = &q->session->sent[file_index(file)];
    if (*sent && !asked_for)
        return OK;
    *sent = true;
    enum err e = add_bytes(q, list, file->descriptor);
    for (uint32_t i = 0; !e && file->dependencies[i]; i++)
        e = add_file(q, list, file->dependencies[i], false);
    return e;
}

static enum err answer_file(struct question *q, const struct pb_file *file)
{
    struct grpc_reflection_v1_file_descriptor_response *files =
        pb_new(&grpc_reflection_v1_file_descriptor_response_pb, q->arena);
    if (!files)
        return ERR_NOMEM;
    q->response->message_response_case = ANSWER_FILES;
    q->response->file_descriptor_response = files;
    return add_file(q, &files->file_descriptor_proto, file, true);
}

static enum err answer_error(struct question *q, enum err error, const char *what, struct slice name)
{
    struct grpc_reflection_v1_error_response *response = pb_new(&grpc_reflection_v1_error_response_pb, q->arena);
    char *text = arena_printf(q->arena, "%s not found: %.*s", what, name.size < 256 ? (int)name.size : 256,
                              (const char *)name.data);
    if (!response || !text)
        return ERR_NOMEM;
    response->error_code = err_row(error)->grpc;
    response->error_message = slice_str(text);
    q->response->message_response_case = ANSWER_ERROR;
    q->response->error_response = response;
    return OK;
}

/* --- symbols ----------------------------------------------------------------------------------------------------------------- */

/* Whether symbol is scope, a dot, and the rest. */
static bool is_member(struct slice symbol, const char *scope, struct slice *ret_rest)
{
    struct slice s = slice_str(scope);
    if (!slice_starts_with(symbol, s) || symbol.size <= s.size || symbol.data[s.size] != '.')
        return false;
    *ret_rest = slice_skip(symbol, s.size + 1);
    return true;
}

static bool message_has(const struct pb_message *m, struct slice symbol)
{
    struct slice rest;
    if (slice_eq(slice_str(m->name), symbol))
        return true;
    if (!is_member(symbol, m->name, &rest))
        return false;
    for (uint32_t i = 0; i < m->field_count; i++)
        if (slice_eq(slice_str(m->fields[i].name), rest))
            return true;
    return false;
}

/* A value's full name stands beside its enum, not below it. */
static bool enum_has(const struct pb_enum *e, struct slice symbol)
{
    struct slice name = slice_str(e->name);
    if (slice_eq(name, symbol))
        return true;
    while (name.size && name.data[name.size - 1] != '.')
        name.size--;
    if (!slice_starts_with(symbol, name))
        return false;
    for (uint32_t i = 0; i < e->count; i++)
        if (slice_eq(slice_str(e->values[i].name), slice_skip(symbol, name.size)))
            return true;
    return false;
}

static bool service_has(const struct pb_service *s, struct slice symbol)
{
    struct slice rest;
    if (slice_eq(slice_str(s->name), symbol))
        return true;
    if (!is_member(symbol, s->name, &rest))
        return false;
    for (uint32_t i = 0; i < s->method_count; i++)
        if (slice_eq(slice_str(s->methods[i].name), rest))
            return true;
    return false;
}

static bool file_has(const struct pb_file *f, struct slice symbol)
{
    for (uint32_t i = 0; f->services[i]; i++)
        if (service_has(f->services[i], symbol))
            return true;
    for (uint32_t i = 0; f->messages[i]; i++)
        if (message_has(f->messages[i], symbol))
            return true;
    for (uint32_t i = 0; f->enums[i]; i++)
        if (enum_has(f->enums[i], symbol))
            return true;
    return false;
}

/* --- extensions -------------------------------------------------------------------------------------------------------------- */

/* What is looked for: an extension by its full name, or by type and number; or all of a type, collected. */
struct extension_query {
    struct slice symbol;   /* empty: not by name */
    struct slice extended; /* full name of the type */
    int32_t number;        /* 0: all */
    struct pb_array *numbers;
};

static bool extends(const struct google_protobuf_field_descriptor_proto *x, struct slice type)
{
    return type.size && x->extendee.size == type.size + 1 && slice_eq(slice_skip(x->extendee, 1), type);
}

static bool matches(const struct pb_file *f, const struct google_protobuf_field_descriptor_proto *x,
                    const struct extension_query *w)
{
    struct slice rest;
    if (w->symbol.size)
        return is_member(w->symbol, f->package, &rest) && slice_eq(rest, x->name);
    return extends(x, w->extended) && (w->number == 0 || w->number == x->number);
}

static enum err collect(struct arena *arena, struct pb_array *numbers, int32_t number)
{
    int32_t *item = pb_array_add(numbers, sizeof *item, arena);
    if (!item)
        return ERR_NOMEM;
    *item = number;
    return OK;
}

static enum err search_file(struct arena *arena, const struct pb_file *f, const struct extension_query *w,
                            bool *ret_found)
{
    void *decoded;
    enum err e =
        pb_decode(&google_protobuf_file_descriptor_proto_pb, f->descriptor, arena, &pb_limits_default, &decoded);
    if (e)
        return e;
    const struct pb_array *list = &((struct google_protobuf_file_descriptor_proto *)decoded)->extension;
    for (uint32_t i = 0; i < list->count && !e; i++) {
        const struct google_protobuf_field_descriptor_proto *x =
            PB_AT(*list, struct google_protobuf_field_descriptor_proto *, i);
        if (!matches(f, x, w))
            continue;
        *ret_found = true;
        if (w->numbers)
            e = collect(arena, w->numbers, x->number);
    }
    return e;
}

/* The first file that matches; all files where numbers are collected. */
static enum err search_extensions(struct arena *arena, const struct extension_query *w, const struct pb_file **ret_file)
{
    *ret_file = NULL;
    for (uint32_t i = 0; pb_files[i]; i++) {
        bool found = false;
        enum err e = search_file(arena, pb_files[i], w, &found);
        if (e)
            return e;
        if (found && !*ret_file)
            *ret_file = pb_files[i];
        if (found && !w->numbers)
            return OK;
    }
    return OK;
}

/* --- questions --------------------------------------------------------------------------------------------------------------- */

static enum err ask_file(struct question *q)
{
    const struct pb_file *file = file_named(q->request->file_by_filename);
    return file ? answer_file(q, file) : answer_error(q, ERR_NOT_FOUND, "file", q->request->file_by_filename);
}

static enum err ask_symbol(struct question *q)
{
    struct slice symbol = q->request->file_containing_symbol;
    for (uint32_t i = 0; pb_files[i]; i++)
        if (file_has(pb_files[i], symbol))
            return answer_file(q, pb_files[i]);
    const struct pb_file *file = NULL;
    if (symbol.size) {
        enum err e = search_extensions(q->arena, &(struct extension_query){.symbol = symbol}, &file);
        if (e)
            return e;
    }
    return file ? answer_file(q, file) : answer_error(q, ERR_NOT_FOUND, "symbol", symbol);
}

static enum err ask_extension(struct question *q)
{
    const struct grpc_reflection_v1_extension_request *x = q->request->file_containing_extension;
    struct extension_query wanted = {0};
    if (x) {
        wanted.extended = x->containing_type;
        wanted.number = x->extension_number;
    }
    const struct pb_file *file = NULL;
    enum err e = wanted.number ? search_extensions(q->arena, &wanted, &file) : OK;
    if (e)
        return e;
    return file ? answer_file(q, file) : answer_error(q, ERR_NOT_FOUND, "extension of", wanted.extended);
}

static enum err ask_numbers(struct question *q)
{
    struct slice type = q->request->all_extension_numbers_of_type;
    if (!pb_find_message((const char *)type.data, type.size))
        return answer_error(q, ERR_NOT_FOUND, "type", type);
    struct grpc_reflection_v1_extension_number_response *answer =
        pb_new(&grpc_reflection_v1_extension_number_response_pb, q->arena);
    if (!answer)
        return ERR_NOMEM;
    answer->base_type_name = type;
    q->response->message_response_case = ANSWER_NUMBERS;
    q->response->all_extension_numbers_response = answer;
    const struct pb_file *file;
    struct extension_query wanted = {.extended = type, .numbers = &answer->extension_number};
    return search_extensions(q->arena, &wanted, &file);
}

static enum err ask_services(struct question *q)
{
    struct grpc_reflection_v1_list_service_response *list =
        pb_new(&grpc_reflection_v1_list_service_response_pb, q->arena);
    if (!list)
        return ERR_NOMEM;
    q->response->message_response_case = ANSWER_SERVICES;
    q->response->list_services_response = list;
    for (uint32_t i = 0; i < q->served->count; i++) {
        struct grpc_reflection_v1_service_response **item = pb_array_add(&list->service, sizeof *item, q->arena);
        struct grpc_reflection_v1_service_response *service =
            item ? pb_new(&grpc_reflection_v1_service_response_pb, q->arena) : NULL;
        if (!service)
            return ERR_NOMEM;
        service->name = slice_str(q->served->services[i]->name);
        *item = service;
    }
    return OK;
}

static enum err ask(struct question *q)
{
    q->response->valid_host = q->request->host;
    q->response->original_request = (struct grpc_reflection_v1_server_reflection_request *)(uintptr_t)q->request;
    switch (q->request->message_request_case) {
    case ASK_FILE:
        return ask_file(q);
    case ASK_SYMBOL:
        return ask_symbol(q);
    case ASK_EXTENSION:
        return ask_extension(q);
    case ASK_NUMBERS:
        return ask_numbers(q);
    case ASK_SERVICES:
        return ask_services(q);
    default:
        return answer_error(q, ERR_INVALID_ARGUMENT, "request", SLICE("none was set"));
    }
}

/* --- the session ------------------------------------------------------------------------------------------------------------- */

static void finish(struct session *s, enum err e)
{
    waiting_remove(&s->waiting);
    rpc_finish(s->waiting.rpc, e);
}

static void drain_session(struct waiting *w)
{
    rpc_finish(w->rpc, ERR_DRAINING);
}

static void on_start(struct rpc_call *rpc)
{
    struct session *s = arena_new(rpc->arena, struct session);
    if (s)
        s->sent = arena_array(rpc->arena, bool, file_count());
    if (!s || !s->sent) {
        rpc_finish(rpc, ERR_NOMEM);
        return;
    }
    s->waiting.rpc = rpc;
    s->waiting.drain = drain_session;
    rpc->user = s;
    waiting_add(rpc->context, &s->waiting);
}

/* Each answer is made in an arena of its own: a session may ask for as long as it likes. */
static enum err answer(struct rpc_call *rpc, struct session *s, void *request)
{
    struct arena arena;
    arena_init(&arena, LIMIT_REFLECTION_BYTES);
    struct grpc_reflection_v1_server_reflection_response response = {0};
    struct question q = {&arena, rpc->context, s, request, &response};
    enum err e = ask(&q);
    if (!e)
        s->hold = rpc_send(rpc, &response) == FLOW_HOLD;
    arena_fini(&arena);
    return e;
}

static void on_message(struct rpc_call *rpc, const struct rpc_message *message)
{
    struct session *s = rpc->user;
    void *request;
    enum err e = rpc_decode(rpc, message, &request);
    if (!e)
        e = answer(rpc, s, request);
    if (e)
        finish(s, e);
    else if (!s->hold)
        rpc_receive(rpc);
}

static void on_ready(struct rpc_call *rpc)
{
    struct session *s = rpc->user;
    if (!s->hold)
        return;
    s->hold = false;
    if (s->ended)
        finish(s, OK);
    else
        rpc_receive(rpc);
}

static void on_end(struct rpc_call *rpc)
{
    struct session *s = rpc->user;
    s->ended = true;
    if (!s->hold)
        finish(s, OK);
}

static void on_cancel(struct rpc_call *rpc, enum err e)
{
    finish(rpc->user, e);
}

static const struct rpc_handlers handlers = {
    .on_start = on_start, .on_message = on_message, .on_end = on_end, .on_ready = on_ready, .on_cancel = on_cancel};

enum err reflection_serve(struct served *s, struct rpc_server *server)
{
    enum err e = served_add(s, server, &grpc_reflection_v1_server_reflection_service, &handlers, s);
    if (!e)
        e = served_add(s, server, &grpc_reflection_v1alpha_server_reflection_service, &handlers, s);
    return e;
}

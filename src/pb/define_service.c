/* From descriptors to rows: services and methods with Prism's options, and the comments of the source info. */
#include "pb/bootstrap/options.pb.h"
#include "pb/pool.h"

enum { PATH_FILE_SERVICE = 6, PATH_SERVICE_METHOD = 2 };

static enum err define_method(struct draft *d, const struct google_protobuf_method_descriptor_proto *proto,
                              const struct pb_service *service, struct pb_method *m)
{
    const struct prism_method_options *o;
    m->service = service;
    enum err err = pb_draft_name(d, "", proto->name, &m->name);
    if (!err)
        err = pb_draft_options(d, &prism_method_options_pb, proto->options, &o);
    if (err)
        return err;
    m->path = arena_printf(&d->pool->arena, "/%s/%s", service->name, m->name);
    if (!m->path)
        return ERR_NOMEM;
    m->input = pb_pool_resolve(d->pool, SYMBOL_MESSAGE, proto->input_type);
    m->output = pb_pool_resolve(d->pool, SYMBOL_MESSAGE, proto->output_type);
    if (!m->input || !m->output)
        return pb_draft_invalid(d, "%s: its request or response is not there", m->path);
    m->client_streaming = proto->client_streaming;
    m->server_streaming = proto->server_streaming;
    m->idempotent = o->idempotent;
    m->cacheable = o->cacheable;
    m->mutation = o->mutation;
    m->permission = (uint8_t)o->required_permission;
    m->timeout_ms = o->timeout_ms;
    return OK;
}

static enum err define_methods(struct draft *d, const struct google_protobuf_service_descriptor_proto *proto,
                               uint32_t index, struct pb_service *s)
{
    struct pb_method *methods = arena_array(&d->pool->arena, struct pb_method, proto->method.count);
    if (!methods)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < proto->method.count; i++) {
        enum err err = define_method(d, PB_AT(proto->method, void *, i), s, &methods[i]);
        if (err)
            return err;
        const int32_t path[] = {PATH_FILE_SERVICE, (int32_t)index, PATH_SERVICE_METHOD, (int32_t)i};
        methods[i].doc = pb_draft_comment(d, path, 4);
    }
    s->methods = methods;
    s->method_count = proto->method.count;
    return OK;
}

static enum err service_options(struct draft *d, const struct google_protobuf_service_descriptor_proto *proto,
                                struct pb_service *s)
{
    const struct prism_service_options *o;
    enum err err = pb_draft_options(d, &prism_service_options_pb, proto->options, &o);
    if (err)
        return err;
    s->require_auth = o->require_auth;
    s->rate_limit_rps = o->rate_limit_rps;
    if (o->interface_id.size)
        err = pb_draft_name(d, "", o->interface_id, &s->interface_id);
    if (!err && o->interface_version.size)
        err = pb_draft_text(d, o->interface_version, &s->interface_version);
    return err;
}

static enum err define_service(struct draft *d, const struct google_protobuf_service_descriptor_proto *proto,
                               uint32_t index)
{
    struct pb_service *s = arena_new(&d->pool->arena, struct pb_service);
    struct pb_service **entry = pb_array_add(&d->services, sizeof *entry, &d->pool->arena);
    if (!s || !entry)
        return ERR_NOMEM;
    *entry = s;
    s->file = d->file;
    s->doc = pb_draft_comment(d, (int32_t[]){PATH_FILE_SERVICE, (int32_t)index}, 2);
    enum err err = pb_draft_name(d, d->file->package, proto->name, &s->name);
    if (!err)
        err = service_options(d, proto, s);
    if (!err)
        err = define_methods(d, proto, index, s);
    return err ? err : pb_pool_enter(d, SYMBOL_SERVICE, slice_str(s->name), s);
}

enum err pb_define_services(struct draft *d)
{
    for (uint32_t i = 0; i < d->proto->service.count; i++) {
        enum err err = define_service(d, PB_AT(d->proto->service, void *, i), i);
        if (err)
            return err;
    }
    return OK;
}

/* --- comments --------------------------------------------------------------------------------------------------------------- */

static int path_cmp(const struct google_protobuf_source_code_info_location *l, const int32_t *path, uint32_t depth)
{
    for (uint32_t i = 0; i < l->path.count && i < depth; i++) {
        int32_t at = PB_AT(l->path, int32_t, i);
        if (at != path[i])
            return at < path[i] ? -1 : 1;
    }
    return (l->path.count > depth) - (l->path.count < depth);
}

static void sift_down(struct google_protobuf_source_code_info_location **heap, uint32_t root, uint32_t count)
{
    for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && path_cmp(heap[child], heap[child + 1]->path.items, heap[child + 1]->path.count) < 0)
            child++;
        if (path_cmp(heap[root], heap[child]->path.items, heap[child]->path.count) >= 0)
            return;
        struct google_protobuf_source_code_info_location *swap = heap[root];
        heap[root] = heap[child];
        heap[child] = swap;
    }
}

/* Heap sort: in place, and never quadratic. */
enum err pb_draft_index_comments(struct draft *d)
{
    if (!d->pool->options.comments || !d->proto->source_code_info)
        return OK;
    const struct pb_array *all = &d->proto->source_code_info->location;
    struct google_protobuf_source_code_info_location **sorted = all->items;
    for (uint32_t i = all->count / 2; i > 0; i--)
        sift_down(sorted, i - 1, all->count);
    for (uint32_t last = all->count; last > 1; last--) {
        struct google_protobuf_source_code_info_location *swap = sorted[0];
        sorted[0] = sorted[last - 1];
        sorted[last - 1] = swap;
        sift_down(sorted, 0, last - 1);
    }
    d->locations = sorted;
    d->location_count = all->count;
    return OK;
}

/* Without the blank in front of each line and the newline at the end, which are the comment's and not the text's. */
static const char *comment_text(struct draft *d, struct slice comment)
{
    char *text = arena_alloc(&d->pool->arena, comment.size + 1), *to = text;
    bool line_start = true;
    for (size_t i = 0; text && i < comment.size; i++) {
        char c = (char)comment.data[i];
        if (!(line_start && c == ' '))
            *to++ = c;
        line_start = c == '\n';
    }
    while (text && to > text && to[-1] == '\n')
        to--;
    if (text)
        *to = 0;
    return text;
}

const char *pb_draft_comment(struct draft *d, const int32_t *path, uint32_t depth)
{
    uint32_t low = 0, high = d->location_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (path_cmp(d->locations[middle], path, depth) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low >= d->location_count || path_cmp(d->locations[low], path, depth) != 0)
        return NULL;
    const struct google_protobuf_source_code_info_location *l = d->locations[low];
    struct slice comment = l->leading_comments.size ? l->leading_comments : l->trailing_comments;
    return comment.size ? comment_text(d, comment) : NULL;
}

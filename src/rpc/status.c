#include "rpc/status.h"

#include "base/utf8.h"
#include "google/protobuf/any.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "pb/pb.h"

static const struct slice domain = SLICE("prism");

/* ---- making ----------------------------------------------------------------------------------------------------------- */

static bool encode(struct arena *arena, const struct pb_message *table, const void *message, struct slice *ret_bytes)
{
    size_t size = pb_encoded_size(table, message);
    uint8_t *bytes = arena_alloc(arena, size + 1);
    if (!bytes)
        return false;
    pb_encode(table, message, bytes);
    *ret_bytes = slice_of(bytes, size);
    return true;
}

/* Text for a string field. Backends put bytes of theirs into messages: what is not UTF-8 becomes a question mark, since a client
 * would refuse the whole status. */
static struct slice text_of(struct arena *arena, const char *text)
{
    struct slice all = slice_str(text), copy;
    if (utf8_valid(all))
        return all;
    if (!arena_copy(arena, all, &copy))
        return SLICE_EMPTY;
    uint8_t *at = (uint8_t *)(uintptr_t)copy.data, *end = at + copy.size;
    while (at < end) {
        size_t size = utf8_char_size(slice_of(at, (size_t)(end - at)));
        if (!size)
            *at = '?';
        at += size ? size : 1;
    }
    return copy;
}

static bool add_detail(struct google_rpc_status *s, struct arena *arena, const struct pb_message *table,
                       const void *message)
{
    struct google_protobuf_any **item = pb_array_add(&s->details, sizeof *item, arena);
    struct google_protobuf_any *any = item ? pb_new(&google_protobuf_any_pb, arena) : NULL;
    char *url = any ? arena_printf(arena, "type.googleapis.com/%s", table->name) : NULL;
    if (!url || !encode(arena, table, message, &any->value)) {
        if (item)
            s->details.count--;
        return false;
    }
    any->type_url = slice_str(url);
    *item = any;
    return true;
}

static bool add_error_info(struct google_rpc_status *s, struct arena *arena, enum err e, const struct diag *d)
{
    struct google_rpc_error_info info = {.reason = slice_str(err_name(e)), .domain = domain};
    for (const struct diag_item *i = d ? d->metadata : NULL; i; i = i->next) {
        struct google_rpc_error_info_metadata_entry **item = pb_array_add(&info.metadata, sizeof *item, arena);
        struct google_rpc_error_info_metadata_entry *entry = item ? arena_new(arena, typeof(*entry)) : NULL;
        if (!entry)
            return false;
        entry->key = slice_str(i->name);
        entry->value = text_of(arena, i->value);
        *item = entry;
    }
    return add_detail(s, arena, &google_rpc_error_info_pb, &info);
}

static bool add_retry_info(struct google_rpc_status *s, struct arena *arena, const struct diag *d)
{
    enum { MS_PER_S = 1000, NS_PER_MS = 1000000 };
    if (!d->retry_after_ms)
        return true;
    struct google_protobuf_duration delay = {.seconds = d->retry_after_ms / MS_PER_S,
                                             .nanos = (int32_t)(d->retry_after_ms % MS_PER_S) * NS_PER_MS};
    struct google_rpc_retry_info info = {.retry_delay = &delay};
    return add_detail(s, arena, &google_rpc_retry_info_pb, &info);
}

static bool add_bad_request(struct google_rpc_status *s, struct arena *arena, const struct diag *d)
{
    struct google_rpc_bad_request request = {0};
    for (const struct diag_item *i = d->fields; i; i = i->next) {
        struct google_rpc_bad_request_field_violation **item =
            pb_array_add(&request.field_violations, sizeof *item, arena);
        struct google_rpc_bad_request_field_violation *violation = item ? arena_new(arena, typeof(*violation)) : NULL;
        if (!violation)
            return false;
        violation->field = slice_str(i->name);
        violation->description = text_of(arena, i->value);
        *item = violation;
    }
    return !d->fields || add_detail(s, arena, &google_rpc_bad_request_pb, &request);
}

static bool add_preconditions(struct google_rpc_status *s, struct arena *arena, const struct diag *d)
{
    struct google_rpc_precondition_failure failure = {0};
    for (const struct diag_item *i = d->preconditions; i; i = i->next) {
        struct google_rpc_precondition_failure_violation **item =
            pb_array_add(&failure.violations, sizeof *item, arena);
        struct google_rpc_precondition_failure_violation *violation =
            item ? arena_new(arena, typeof(*violation)) : NULL;
        if (!violation)
            return false;
        violation->type = slice_str(i->name);
        violation->description = text_of(arena, i->value);
        *item = violation;
    }
    return !d->preconditions || add_detail(s, arena, &google_rpc_precondition_failure_pb, &failure);
}

/* Limits that others share and that give way with time; a message that is too large is no quota. */
static bool is_quota(enum err e)
{
    return err_row(e)->grpc == err_row(ERR_RESOURCE_EXHAUSTED)->grpc && err_row(e)->retry == RETRY_BACKOFF &&
           e != ERR_NOMEM && e != ERR_DISK_FULL;
}

static bool add_quota(struct google_rpc_status *s, struct arena *arena, enum err e, const struct diag *d)
{
    if (!is_quota(e))
        return true;
    struct google_rpc_quota_failure_violation violation = {.subject = slice_str(d->resource_name),
                                                           .description = text_of(arena, diag_message(d))};
    struct google_rpc_quota_failure_violation *items[] = {&violation};
    struct google_rpc_quota_failure failure = {.violations = {items, 1, 1}};
    return add_detail(s, arena, &google_rpc_quota_failure_pb, &failure);
}

static bool add_resource(struct google_rpc_status *s, struct arena *arena, const struct diag *d)
{
    if (!d->resource_type)
        return true;
    struct google_rpc_resource_info info = {.resource_type = slice_str(d->resource_type),
                                            .resource_name = slice_str(d->resource_name)};
    return add_detail(s, arena, &google_rpc_resource_info_pb, &info);
}

static bool add_details(struct google_rpc_status *s, struct arena *arena, enum err e, const struct diag *d)
{
    return add_error_info(s, arena, e, d) && add_retry_info(s, arena, d) && add_bad_request(s, arena, d) &&
           add_preconditions(s, arena, d) && add_quota(s, arena, e, d) && add_resource(s, arena, d);
}

struct google_rpc_status *status_make(struct arena *arena, enum err e, const struct diag *d)
{
    struct diag bare = {.err = e};
    if (!d || d->err != e)
        d = &bare;
    struct google_rpc_status *s = pb_new(&google_rpc_status_pb, arena);
    if (!s)
        return NULL;
    s->code = err_row(e)->grpc;
    s->message = text_of(arena, diag_message(d));
    return add_details(s, arena, e, d) ? s : NULL;
}

bool status_encode(struct arena *arena, enum err e, const struct diag *d, struct slice *ret_bytes)
{
    const struct google_rpc_status *s = status_make(arena, e, d);
    return s && encode(arena, &google_rpc_status_pb, s, ret_bytes);
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

/* The message of an Any where it is of this type, else NULL. */
static void *unpack(const struct google_protobuf_any *any, const struct pb_message *table, struct arena *arena)
{
    struct slice name = slice_str(table->name);
    void *message;
    bool is = any->type_url.size > name.size && any->type_url.data[any->type_url.size - name.size - 1] == '/' &&
              slice_eq(slice_skip(any->type_url, any->type_url.size - name.size), name);
    return is && pb_decode(table, any->value, arena, &pb_limits_default, &message) == OK ? message : NULL;
}

static const char *text(struct arena *arena, struct slice s)
{
    struct slice copy;
    return arena_copy(arena, s, &copy) ? (const char *)copy.data : NULL;
}

static void read_error_info(const struct google_rpc_error_info *info, struct diag *d)
{
    if (!slice_eq(info->domain, domain))
        return;
    const char *reason = text(d->arena, info->reason);
    enum err e = reason ? err_by_name(reason) : ERR_COUNT;
    if (e != ERR_COUNT)
        d->err = e;
    for (uint32_t i = 0; i < info->metadata.count; i++) {
        const struct google_rpc_error_info_metadata_entry *entry =
            PB_AT(info->metadata, struct google_rpc_error_info_metadata_entry *, i);
        const char *key = text(d->arena, entry->key);
        if (key)
            diag_meta(d, key, "%.*s", SLICE_ARG(entry->value));
    }
}

static void read_bad_request(const struct google_rpc_bad_request *request, struct diag *d)
{
    for (uint32_t i = 0; i < request->field_violations.count; i++) {
        const struct google_rpc_bad_request_field_violation *v =
            PB_AT(request->field_violations, struct google_rpc_bad_request_field_violation *, i);
        const char *field = text(d->arena, v->field);
        if (field)
            diag_field(d, field, "%.*s", SLICE_ARG(v->description));
    }
}

static void read_preconditions(const struct google_rpc_precondition_failure *failure, struct diag *d)
{
    for (uint32_t i = 0; i < failure->violations.count; i++) {
        const struct google_rpc_precondition_failure_violation *v =
            PB_AT(failure->violations, struct google_rpc_precondition_failure_violation *, i);
        const char *type = text(d->arena, v->type);
        if (type)
            diag_precondition(d, type, "%.*s", SLICE_ARG(v->description));
    }
}

static void read_retry_info(const struct google_rpc_retry_info *info, struct diag *d)
{
    enum { MS_PER_S = 1000, NS_PER_MS = 1000000, SECONDS_MAX = 86400 };
    const struct google_protobuf_duration *delay = info->retry_delay;
    if (delay && delay->seconds >= 0 && delay->seconds <= SECONDS_MAX && delay->nanos >= 0)
        d->retry_after_ms = (uint32_t)(delay->seconds * MS_PER_S + delay->nanos / NS_PER_MS);
}

static void read_resource(const struct google_rpc_resource_info *info, struct diag *d)
{
    const char *type = text(d->arena, info->resource_type), *name = text(d->arena, info->resource_name);
    if (type && name)
        diag_resource(d, type, name);
}

static void read_detail(const struct google_protobuf_any *any, struct diag *d)
{
    const void *m;
    if ((m = unpack(any, &google_rpc_error_info_pb, d->arena)))
        read_error_info(m, d);
    else if ((m = unpack(any, &google_rpc_bad_request_pb, d->arena)))
        read_bad_request(m, d);
    else if ((m = unpack(any, &google_rpc_precondition_failure_pb, d->arena)))
        read_preconditions(m, d);
    else if ((m = unpack(any, &google_rpc_retry_info_pb, d->arena)))
        read_retry_info(m, d);
    else if ((m = unpack(any, &google_rpc_resource_info_pb, d->arena)))
        read_resource(m, d);
}

enum err status_decode(struct slice bytes, struct diag *d)
{
    void *decoded;
    enum err e = pb_decode(&google_rpc_status_pb, bytes, d->arena, &pb_limits_default, &decoded);
    if (e)
        return e;
    const struct google_rpc_status *s = decoded;
    diag_set(d, err_from_grpc((unsigned)s->code), "%.*s", SLICE_ARG(s->message));
    for (uint32_t i = 0; i < s->details.count; i++)
        read_detail(PB_AT(s->details, struct google_protobuf_any *, i), d);
    return OK;
}

#include "rpc/json_error.h"

#include "base/json.h"
#include "google/protobuf/any.pb.h"
#include "google/rpc/status.pb.h"
#include "pb/pb.h"
#include "rpc/status.h"

static void write_detail(struct json *j, const struct google_protobuf_any *any)
{
    static const struct pb_json_options options = {0};
    size_t before = j->out->size;
    if (j->comma)
        buf_putc(j->out, ',');
    if (pb_json_write(&google_protobuf_any_pb, any, &options, j->out) == OK)
        j->comma = true;
    else if (!buf_err(j->out))
        j->out->size = before; /* a detail of a type that we do not know */
}

static void write_details(struct json *j, enum err e, const struct diag *d, struct arena *arena)
{
    const struct google_rpc_status *status = status_make(arena, e, d);
    if (!status)
        return;
    json_key(j, "details");
    json_array(j);
    for (uint32_t i = 0; i < status->details.count; i++)
        write_detail(j, PB_AT(status->details, struct google_protobuf_any *, i));
    json_end_array(j);
}

void json_error_write(struct buf *out, enum err e, const struct diag *d, struct arena *arena)
{
    struct json j = json_to(out);
    const char *message = d && d->err == e ? diag_message(d) : err_row(e)->text;
    json_object(&j);
    json_key(&j, "error");
    json_object(&j);
    json_key(&j, "code");
    json_int(&j, err_row(e)->grpc);
    json_key(&j, "status");
    json_text(&j, grpc_status_name(err_row(e)->grpc));
    json_key(&j, "reason");
    json_text(&j, err_name(e));
    json_key(&j, "message");
    json_text(&j, message);
    if (arena)
        write_details(&j, e, d, arena);
    json_end_object(&j);
    json_end_object(&j);
}

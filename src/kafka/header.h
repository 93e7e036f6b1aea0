/* Frames and headers: what stands before each request and response. A frame is an int32 size and so many bytes.
 *
 *   request     key, version, correlation id, client id (string or null); tagged fields where the version is flexible
 *   response    correlation id; tagged fields where it is flexible, never for ApiVersions (KIP-511: who asks with a version that
 *               is too new must be able to read the answer)
 *
 * A frame is written between a begin and kafka_frame_end, with kafka_encode for its body:
 *
 *   struct kafka_frame frame;
 *   err = kafka_response_begin(&out, api, version, correlation_id, &frame);
 *   err = kafka_encode(api->response, version, &response, &out);
 *   err = kafka_frame_end(&out, &frame);
 *
 * Thread: any. */
#ifndef PRISM_KAFKA_HEADER_H
#define PRISM_KAFKA_HEADER_H

#include "kafka/api.h"

enum { KAFKA_FRAME_SIZE_BYTES = 4 };

struct kafka_request_header {
    int16_t key, version;
    int32_t correlation_id;
    struct slice client_id;      /* data NULL: null */
    const struct kafka_api *api; /* NULL: not one of ours; the version may still be none of the api's */
};

/* Size of the frame that begins with these 4 bytes, these not counted. Negative: not a frame. */
int32_t kafka_frame_size(const uint8_t size[KAFKA_FRAME_SIZE_BYTES]);

/* `frame` has no size before it. *ret_body: what lies behind the header; of an API or a version that we do not have only key,
 * version and correlation id can be relied on, and the body is empty. ERR_KAFKA_MALFORMED. */
enum err kafka_request_header_read(struct slice frame, struct kafka_request_header *ret_header, struct slice *ret_body,
                                   struct kafka_fault *ret_fault) __attribute__((warn_unused_result));
/* Of a response to that API and version. */
enum err kafka_response_header_read(struct slice frame, const struct kafka_api *, int16_t version,
                                    int32_t *ret_correlation_id, struct slice *ret_body, struct kafka_fault *ret_fault)
    __attribute__((warn_unused_result));

/* Where a frame began. */
struct kafka_frame {
    size_t at;
    uint64_t hole_bytes;
};

enum err kafka_request_begin(struct kafka_out *, const struct kafka_api *, int16_t version, int32_t correlation_id,
                             struct slice client_id, struct kafka_frame *ret_frame) __attribute__((warn_unused_result));
enum err kafka_response_begin(struct kafka_out *, const struct kafka_api *, int16_t version, int32_t correlation_id,
                              struct kafka_frame *ret_frame) __attribute__((warn_unused_result));
/* Writes the size. ERR_MESSAGE_TOO_LARGE where it does not fit 31 bits. */
enum err kafka_frame_end(struct kafka_out *, const struct kafka_frame *) __attribute__((warn_unused_result));

#endif

/* Frames of one direction, in the order that they may have. */
#include "wire_watch.h"

#include <string.h>

#include "common/rpc/frame.h"

void wire_watch_init(struct wire_watch *watch, const struct model *model, enum model_side sender)
{
    memset(watch, 0, sizeof *watch);
    watch->model = model;
    watch->sender = sender;
}

static void see_client_frame(struct wire_watch *watch, const struct rpc_frame *frame)
{
    size_t i = frame->stream_id / 2;
    switch (frame->type) {
    case RPC_FRAME_REQUEST:
        MODEL_CHECK(watch->model, frame->stream_id > watch->last_id);
        watch->last_id = frame->stream_id;
        watch->streams[i] = (frame->flags & RPC_FRAME_REMOTE_OPEN) != 0 ? WIRE_OPEN : WIRE_CLOSED;
        break;
    case RPC_FRAME_DATA:
        MODEL_CHECK(watch->model, watch->streams[i] == WIRE_OPEN);
        /* Go's server refuses a body in the frame that closes. */
        MODEL_CHECK(watch->model, frame->flags == 0 || (frame->flags == 5 && frame->body_len == 0));
        if (frame->flags != 0)
            watch->streams[i] = WIRE_CLOSED;
        break;
    default:
        MODEL_CHECK(watch->model, frame->type == RPC_FRAME_CANCEL && frame->body_len == 0);
        MODEL_CHECK(
            watch->model, watch->streams[i] == WIRE_OPEN || watch->streams[i] == WIRE_CLOSED);
        watch->streams[i] = WIRE_CANCELLED;
        break;
    }
}

static void see_server_frame(struct wire_watch *watch, const struct rpc_frame *frame)
{
    size_t i = frame->stream_id / 2;
    MODEL_CHECK(watch->model, watch->streams[i] != WIRE_CLOSED);
    MODEL_CHECK(watch->model, frame->type == RPC_FRAME_DATA || frame->type == RPC_FRAME_RESPONSE);
    bool is_end = frame->type == RPC_FRAME_RESPONSE || frame->flags != 0;
    MODEL_CHECK(watch->model, frame->type == RPC_FRAME_RESPONSE
                                  ? frame->flags == 0
                                  : frame->flags == 0 || frame->flags == 5);
    watch->streams[i] = is_end ? WIRE_CLOSED : WIRE_OPEN;
}

static void see_header(struct wire_watch *watch)
{
    struct rpc_frame frame;
    rpc_frame_decode(watch->header, &frame);
    watch->header_len = 0;
    watch->body_left = frame.body_len;
    MODEL_CHECK(watch->model, frame.body_len <= RPC_MESSAGE_BYTES_MAX);
    MODEL_CHECK(watch->model, frame.stream_id % 2 == 1);
    MODEL_CHECK(watch->model, frame.stream_id / 2 < MODEL_CALLS_MAX);
    if (watch->sender == MODEL_CLIENT)
        see_client_frame(watch, &frame);
    else
        see_server_frame(watch, &frame);
}

void wire_watch_see(struct wire_watch *watch, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        size_t n = watch->body_left < len ? watch->body_left : len;
        watch->body_left -= n;
        bytes += n;
        len -= n;
        if (len == 0)
            break;
        watch->header[watch->header_len++] = *bytes++;
        len--;
        if (watch->header_len == sizeof watch->header)
            see_header(watch);
    }
}

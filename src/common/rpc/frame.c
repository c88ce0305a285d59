/* The ten bytes of ttrpc: length and stream as big-endian, type, flags. */
#include "common/rpc/frame.h"

static void put_be32(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
}

static uint32_t get_be32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

void rpc_frame_encode(const struct rpc_frame *frame, uint8_t out[RPC_FRAME_HEADER_BYTES])
{
    put_be32(out, frame->body_len);
    put_be32(out + 4, frame->stream_id);
    out[8] = frame->type;
    out[9] = frame->flags;
}

void rpc_frame_decode(const uint8_t bytes[RPC_FRAME_HEADER_BYTES], struct rpc_frame *out)
{
    *out = (struct rpc_frame){
        .body_len = get_be32(bytes),
        .stream_id = get_be32(bytes + 4),
        .type = bytes[8],
        .flags = bytes[9],
    };
}

#include "echo_frame.h"

#include <stdlib.h>
#include <string.h>

#include "common/rpc/envelope.h"
#include "common/rpc/frame.h"
#include "common/rpc/wire.h"

enum { PAYLOAD_FIELD = 1, STREAM_OFFSET = 4 };
static const int64_t TIMEOUT_NANO = 29950 * 1000000LL;

static struct rpc_request_envelope request_of(size_t payload_len)
{
    return (struct rpc_request_envelope){
        .service = RPC_BYTES_OF_TEXT("bench.v1.EchoService"),
        .method = RPC_BYTES_OF_TEXT("Echo"),
        .payload = {.len = rpc_wire_bytes_size(PAYLOAD_FIELD, payload_len)},
        .timeout_nano = TIMEOUT_NANO,
    };
}

static void write_frame(uint8_t *out, size_t payload_len)
{
    const struct rpc_request_envelope request = request_of(payload_len);
    const struct rpc_frame frame = {
        .body_len = (uint32_t)rpc_request_size(&request), .type = RPC_FRAME_REQUEST};
    rpc_frame_encode(&frame, out);
    uint8_t *message = rpc_request_encode(&request, out + RPC_FRAME_HEADER_BYTES);
    memset(rpc_wire_put_bytes_head(message, PAYLOAD_FIELD, payload_len), 'x', payload_len);
}

uint8_t *echo_frames_new(size_t payload_len, size_t count, size_t *out_len)
{
    const struct rpc_request_envelope request = request_of(payload_len);
    *out_len = RPC_FRAME_HEADER_BYTES + rpc_request_size(&request);
    uint8_t *frames = calloc(count, *out_len);
    for (size_t i = 0; frames != NULL && i < count; i++)
        write_frame(frames + i * *out_len, payload_len);
    return frames;
}

void echo_frames_number(uint8_t *frames, size_t frame_len, size_t count, uint32_t first)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t *id = frames + i * frame_len + STREAM_OFFSET;
        uint32_t number = first + 2 * (uint32_t)i;
        id[0] = (uint8_t)(number >> 24);
        id[1] = (uint8_t)(number >> 16);
        id[2] = (uint8_t)(number >> 8);
        id[3] = (uint8_t)number;
    }
}

size_t echo_answer_len(size_t payload_len)
{
    const struct rpc_response_envelope response = {
        .payload = {.len = rpc_wire_bytes_size(PAYLOAD_FIELD, payload_len)}};
    return RPC_FRAME_HEADER_BYTES + rpc_response_size(&response);
}

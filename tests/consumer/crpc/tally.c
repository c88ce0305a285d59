/* The nanopb flavour: both ends of a call in fixed memory, framed for any server of ttrpc. */
#include <stdio.h>
#include <string.h>

#include "crpc/envelope.h"
#include "crpc/frame.h"
#include "crpc/nano.h"
#include "depot/v1/tally.nano.h"
#include "depot/v1/tally.pb.h"

static enum rpc_code tally(
    void *self, const depot_tally_request *request, depot_tally_response *response)
{
    uint32_t *total = self;
    *total += request->pieces;
    response->total = *total;
    return RPC_OK;
}

/* A request in a frame, as a device would write it to a socket. Answers its length. */
static size_t write_request(uint8_t *frame, const depot_tally_request *request)
{
    uint8_t payload[DEPOT_TALLY_REQUEST_MAX];
    size_t len;
    if (!depot_tally_tally_encode_request(request, payload, sizeof payload, &len))
        return 0;
    const struct rpc_request_envelope envelope = {.service = RPC_BYTES_OF_TEXT(DEPOT_TALLY_SERVICE),
        .method = RPC_BYTES_OF_TEXT(DEPOT_TALLY_TALLY_METHOD),
        .payload = {payload, len}};
    const struct rpc_frame header = {.body_len = (uint32_t)rpc_request_size(&envelope),
        .stream_id = 1,
        .type = RPC_FRAME_REQUEST};
    rpc_frame_encode(&header, frame);
    rpc_request_encode(&envelope, frame + RPC_FRAME_HEADER_BYTES);
    return RPC_FRAME_HEADER_BYTES + header.body_len;
}

/* What another device answers to it: the payload. */
static size_t serve(const uint8_t *frame, uint32_t *total, uint8_t *out, size_t out_cap)
{
    static const struct depot_tally_handlers handlers = {.tally = tally};
    struct depot_tally_scratch scratch;
    struct rpc_request_envelope request;
    struct rpc_frame header;
    size_t len;
    rpc_frame_decode(frame, &header);
    if (!rpc_request_decode(frame + RPC_FRAME_HEADER_BYTES, header.body_len, NULL, 0, &request))
        return 0;
    if (depot_tally_dispatch(&handlers, total, &scratch, (const char *)request.method.data,
            request.method.len, request.payload.data, request.payload.len, out, out_cap,
            &len) != RPC_OK)
        return 0;
    return len;
}

int main(void)
{
    const depot_tally_request request = {.name = "lamp", .pieces = 3};
    depot_tally_response response;
    uint8_t frame[256];
    uint8_t answer[DEPOT_TALLY_RESPONSE_MAX];
    uint32_t total = 4;
    if (write_request(frame, &request) == 0)
        return 1;
    size_t len = serve(frame, &total, answer, sizeof answer);
    if (!depot_tally_tally_decode_response(answer, len, &response) || response.total != 7)
        return 1;
    puts("tally: all is there");
    return 0;
}

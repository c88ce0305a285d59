/* The frame of ttrpc: ten bytes before every message. Pure, no heap; also in the keeper and the
 * nano client. Source: containerd/ttrpc PROTOCOL.md. */
#ifndef CRPC_FRAME_H
#define CRPC_FRAME_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { RPC_FRAME_HEADER_BYTES = 10 };

enum rpc_frame_type {
    RPC_FRAME_REQUEST = 0x01,
    RPC_FRAME_RESPONSE = 0x02,
    RPC_FRAME_DATA = 0x03,
    /* Ours, client to server, empty: gives the call up. Sent only after it was negotiated by
     * metadata. (0x04 and 0x05 are spoken for: containerd/ttrpc#203.) */
    RPC_FRAME_CANCEL = 0x10
};

enum rpc_frame_flag {
    /* The sender's last frame of this stream. */
    RPC_FRAME_REMOTE_CLOSED = 0x01,
    /* On a request: not unary, and the client will send data. */
    RPC_FRAME_REMOTE_OPEN = 0x02,
    /* An empty body is not an empty message. */
    RPC_FRAME_NO_DATA = 0x04
};

struct rpc_frame {
    uint32_t body_len;
    /* Odd: begun by the client. */
    uint32_t stream_id;
    /* enum rpc_frame_type or unknown. */
    uint8_t type;
    uint8_t flags;
};

void rpc_frame_encode(const struct rpc_frame *frame, uint8_t out[RPC_FRAME_HEADER_BYTES]);
/* Every ten bytes are a header; what they ask for is judged by the session. */
void rpc_frame_decode(const uint8_t bytes[RPC_FRAME_HEADER_BYTES], struct rpc_frame *out);

#ifdef __cplusplus
}
#endif
#endif

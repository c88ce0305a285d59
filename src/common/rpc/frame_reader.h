/* Bytes cut anywhere in, whole ttrpc frames out. Frames that lie whole in what was given are handed
 * out where they lie; only cut ones are copied. */
#ifndef CRPC_FRAME_READER_H
#define CRPC_FRAME_READER_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/rpc/frame.h"

/* Embedded by value; private members. */
struct rpc_frame_reader {
    /* Given last and not yet parsed; borrowed. */
    const uint8_t *bytes;
    size_t len;
    /* A cut frame and what follows it. While it is not empty nothing is borrowed. */
    struct buffer kept;
    /* Parsed bytes of `kept`: dropped later, because a frame's body may still be looked at. */
    size_t kept_parsed;
    /* Bytes of an oversize frame still to be skipped. */
    size_t discard_len;
    int64_t now_ms;
    /* When the first byte of the frame that is not whole came; INT64_MAX: none. */
    int64_t incomplete_since;
};

enum rpc_frame_result {
    /* Nothing whole is left. */
    RPC_FRAME_NONE,
    RPC_FRAME_WHOLE,
    /* A header whose body is beyond RPC_MESSAGE_BYTES_MAX; the body will be skipped. */
    RPC_FRAME_OVERSIZE,
    /* Beyond RPC_DISCARD_BYTES_MAX: the connection cannot go on. */
    RPC_FRAME_BROKEN,
    /* No memory for a cut frame, or more bytes given than may wait. */
    RPC_FRAME_NO_ROOM
};

void rpc_frame_reader_init(struct rpc_frame_reader *reader);
void rpc_frame_reader_deinit(struct rpc_frame_reader *reader);

/* `bytes` stay borrowed until rpc_frame_reader_next answers NONE or rpc_frame_reader_keep is
 * called, one of which must come before the next bytes. NONE: taken; else NO_ROOM. */
enum rpc_frame_result rpc_frame_reader_give(
    struct rpc_frame_reader *reader, const uint8_t *bytes, size_t len, int64_t now_ms);
/* WHOLE: *out_body is valid until the next call on this reader. */
enum rpc_frame_result rpc_frame_reader_next(
    struct rpc_frame_reader *reader, struct rpc_frame *out, const uint8_t **out_body);
/* Stops before NONE: copies what has not been parsed. NONE or NO_ROOM. */
enum rpc_frame_result rpc_frame_reader_keep(struct rpc_frame_reader *reader);

#endif

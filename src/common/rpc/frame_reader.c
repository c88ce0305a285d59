/* Reassembly of frames. A length is believed only after it was compared with the bounds. */
#include "common/rpc/frame_reader.h"

#include <assert.h>
#include <stdbool.h>

#include "crpc/limits.h"

enum {
    /* One whole frame, and what a transport may have read after it before it was told to stop. */
    MAX_KEPT_BYTES = RPC_FRAME_HEADER_BYTES + RPC_MESSAGE_BYTES_MAX + (1 << 20)
};

void rpc_frame_reader_init(struct rpc_frame_reader *reader)
{
    *reader = (struct rpc_frame_reader){.incomplete_since = INT64_MAX};
    buffer_init(&reader->kept, MAX_KEPT_BYTES);
}

void rpc_frame_reader_deinit(struct rpc_frame_reader *reader)
{
    buffer_deinit(&reader->kept);
}

static void drop_parsed(struct rpc_frame_reader *reader)
{
    buffer_consume(&reader->kept, reader->kept_parsed);
    reader->kept_parsed = 0;
}

enum rpc_frame_result rpc_frame_reader_give(
    struct rpc_frame_reader *reader, const uint8_t *bytes, size_t len, int64_t now_ms)
{
    assert(reader->len == 0);
    reader->now_ms = now_ms;
    drop_parsed(reader);
    if (buffer_length(&reader->kept) == 0) {
        reader->bytes = bytes;
        reader->len = len;
        return RPC_FRAME_NONE;
    }
    return buffer_append(&reader->kept, bytes, len) == 0 ? RPC_FRAME_NONE : RPC_FRAME_NO_ROOM;
}

enum rpc_frame_result rpc_frame_reader_keep(struct rpc_frame_reader *reader)
{
    size_t len = reader->len;
    reader->len = 0;
    drop_parsed(reader);
    return buffer_append(&reader->kept, reader->bytes, len) == 0 ? RPC_FRAME_NONE
                                                                 : RPC_FRAME_NO_ROOM;
}

static const uint8_t *unparsed(const struct rpc_frame_reader *reader, size_t *out_len)
{
    if (buffer_length(&reader->kept) == 0) {
        *out_len = reader->len;
        return reader->bytes;
    }
    *out_len = buffer_length(&reader->kept) - reader->kept_parsed;
    return buffer_data(&reader->kept) + reader->kept_parsed;
}

static void mark_parsed(struct rpc_frame_reader *reader, size_t len)
{
    if (buffer_length(&reader->kept) > 0) {
        reader->kept_parsed += len;
        return;
    }
    reader->bytes += len;
    reader->len -= len;
}

static void skip_discarded(struct rpc_frame_reader *reader)
{
    size_t available = 0;
    (void)unparsed(reader, &available);
    size_t n = available < reader->discard_len ? available : reader->discard_len;
    if (n == 0)
        return;
    mark_parsed(reader, n);
    reader->discard_len -= n;
    if (reader->discard_len == 0)
        reader->incomplete_since = INT64_MAX;
}

/* Nothing whole is left: keeps the beginning of the
 * next frame and remembers since when it waits. */
static enum rpc_frame_result wait_for_more(struct rpc_frame_reader *reader)
{
    /* Mostly all that came was whole. */
    if (reader->len == 0 && reader->discard_len == 0 && buffer_length(&reader->kept) == 0) {
        reader->incomplete_since = INT64_MAX;
        return RPC_FRAME_NONE;
    }
    enum rpc_frame_result result = rpc_frame_reader_keep(reader);
    bool is_incomplete = buffer_length(&reader->kept) > 0 || reader->discard_len > 0;
    if (!is_incomplete)
        reader->incomplete_since = INT64_MAX;
    else if (reader->incomplete_since == INT64_MAX)
        reader->incomplete_since = reader->now_ms;
    return result;
}

enum rpc_frame_result rpc_frame_reader_next(
    struct rpc_frame_reader *reader, struct rpc_frame *out, const uint8_t **out_body)
{
    skip_discarded(reader);
    size_t len = 0;
    const uint8_t *bytes = unparsed(reader, &len);
    if (len < RPC_FRAME_HEADER_BYTES)
        return wait_for_more(reader);
    rpc_frame_decode(bytes, out);
    if (out->body_len > RPC_DISCARD_BYTES_MAX)
        return RPC_FRAME_BROKEN;
    if (out->body_len > RPC_MESSAGE_BYTES_MAX) {
        mark_parsed(reader, RPC_FRAME_HEADER_BYTES);
        reader->discard_len = out->body_len;
        return RPC_FRAME_OVERSIZE;
    }
    if (len - RPC_FRAME_HEADER_BYTES < out->body_len)
        return wait_for_more(reader);
    *out_body = bytes + RPC_FRAME_HEADER_BYTES;
    mark_parsed(reader, RPC_FRAME_HEADER_BYTES + (size_t)out->body_len);
    reader->incomplete_since = INT64_MAX;
    return RPC_FRAME_WHOLE;
}

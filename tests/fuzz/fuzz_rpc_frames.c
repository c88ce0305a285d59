/* Frames must not depend on how their bytes were cut: once whole, once in pieces. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/rpc/frame_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_FRAMES = 64 };

struct seen {
    enum rpc_frame_result results[MAX_FRAMES];
    struct rpc_frame frames[MAX_FRAMES];
    uint32_t sums[MAX_FRAMES];
    size_t n;
};

static uint32_t sum_of(const uint8_t *bytes, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum = sum * 31 + bytes[i];
    return sum;
}

static enum rpc_frame_result take(struct rpc_frame_reader *reader, struct seen *seen)
{
    struct rpc_frame frame = {.body_len = 0};
    const uint8_t *body = NULL;
    enum rpc_frame_result result = rpc_frame_reader_next(reader, &frame, &body);
    if (result != RPC_FRAME_NONE && seen->n < MAX_FRAMES) {
        seen->results[seen->n] = result;
        seen->frames[seen->n] = frame;
        seen->sums[seen->n] = result == RPC_FRAME_WHOLE ? sum_of(body, frame.body_len) : 0;
        seen->n++;
    }
    return result;
}

static void read_in_pieces(const uint8_t *data, size_t size, size_t piece, struct seen *seen)
{
    struct rpc_frame_reader reader;
    rpc_frame_reader_init(&reader);
    for (size_t at = 0; at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        uint8_t *copy = malloc(n);
        assert(copy != NULL);
        memcpy(copy, data + at, n);
        enum rpc_frame_result result = rpc_frame_reader_give(&reader, copy, n, 0);
        assert(result == RPC_FRAME_NONE);
        do
            result = take(&reader, seen);
        while (result == RPC_FRAME_WHOLE || result == RPC_FRAME_OVERSIZE);
        free(copy);
        /* BROKEN: nothing more is given. */
        if (result != RPC_FRAME_NONE)
            break;
    }
    rpc_frame_reader_deinit(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    static struct seen whole;
    static struct seen cut;
    memset(&whole, 0, sizeof whole);
    memset(&cut, 0, sizeof cut);
    read_in_pieces(data + 1, size - 1, size, &whole);
    read_in_pieces(data + 1, size - 1, (size_t)data[0] % 23 + 1, &cut);
    assert(whole.n == cut.n);
    for (size_t i = 0; i < whole.n; i++) {
        assert(whole.results[i] == cut.results[i] && whole.sums[i] == cut.sums[i]);
        assert(whole.frames[i].body_len == cut.frames[i].body_len);
        assert(whole.frames[i].stream_id == cut.frames[i].stream_id);
        assert(whole.frames[i].type == cut.frames[i].type);
        assert(whole.frames[i].flags == cut.frames[i].flags);
    }
    return 0;
}

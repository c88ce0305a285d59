/* One header block of a request, field by field: checked as RFC 9113 (8.2, 8.3) asks of a server,
 * and read as gRPC writes it. Pure. */
#ifndef CRPC_HTTP2_BLOCK_H
#define CRPC_HTTP2_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/rpc/session.h"

/* A place in `text`. */
struct http2_text {
    uint32_t at;
    uint32_t len;
};

/* Embedded by value; private. */
struct http2_block {
    /* Names and values, each with a NUL behind it. */
    struct buffer text;
    /* Of the fields that come once at most. */
    unsigned seen;
    struct http2_text single[16];
    bool is_trailers;
    bool has_regular;
    /* Malformed: the stream is reset. */
    bool is_malformed;
    /* No memory. */
    bool is_lost;
    /* The call is refused so. */
    enum rpc_code code;
    const char *objection;
    bool says_encodings;
    bool is_compressed;
    size_t list_len;
    size_t metadata_len;
    size_t n_pairs;
    struct {
        struct http2_text key;
        struct http2_text value;
    } pairs[RPC_METADATA_PAIRS_MAX];
};

enum http2_verdict {
    HTTP2_VERDICT_CALL,
    HTTP2_VERDICT_MALFORMED,
    /* A request, but none of gRPC's: an HTTP status is the answer. */
    HTTP2_VERDICT_NOT_POST,
    HTTP2_VERDICT_NOT_GRPC,
    HTTP2_VERDICT_NO_MEMORY
};

void http2_block_init(struct http2_block *block);
void http2_block_deinit(struct http2_block *block);
/* Forgets what was there. */
void http2_block_begin(struct http2_block *block, bool is_trailers);
/* False: the rest need not be told, whatever it is. */
bool http2_block_add(struct http2_block *block, const uint8_t *name, size_t name_len,
    const uint8_t *value, size_t value_len);
/* The whole block was told. */
enum http2_verdict http2_block_judge(struct http2_block *block);
/* Of a call: content-length; -1: not said, -2: no number. */
int64_t http2_block_content_length(const struct http2_block *block);
/* Of a call: fills facts (but for the method), status and pairs, borrowed from the block. */
void http2_block_tell(const struct http2_block *block, struct rpc_session_event *out);

#endif

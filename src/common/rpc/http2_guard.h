/* Frames as they come in: where each ends, whether there are too many of a kind, and what nghttp2
 * does not look at. Pure: bytes and the time are arguments. */
#ifndef CRPC_HTTP2_GUARD_H
#define CRPC_HTTP2_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many may come at once, and so many a second after that. */
struct http2_bucket {
    uint32_t left;
    int64_t filled_at;
};

/* Embedded by value; private but for incomplete_since. */
struct http2_guard {
    /* Of the client's preface, not yet seen. */
    size_t preface_left;
    uint8_t head[9];
    size_t head_len;
    /* Of the frame whose head is whole. */
    size_t body_left;
    /* Between HEADERS and the last CONTINUATION. */
    bool is_in_block;
    uint32_t n_continuations;
    struct http2_bucket resets;
    struct http2_bucket settings;
    struct http2_bucket control;
    /* With an objection: what it is to HTTP/2 (RFC 9113, section 7). */
    uint32_t error;
    /* When the first byte of what is not whole came; INT64_MAX: everything is. */
    int64_t incomplete_since;
};

void http2_guard_init(struct http2_guard *guard, int64_t now_ms);
/* How many of the bytes to give to nghttp2 now: to the end of the frame, or of its head, or all.
 * Constant text in *out_objection: the connection is to end with guard->error; else NULL. */
size_t http2_guard_look(struct http2_guard *guard, const uint8_t *bytes, size_t len, int64_t now_ms,
    const char **out_objection);
/* A stream of the peer's was reset, by either side. False: too many. */
bool http2_guard_count_reset(struct http2_guard *guard, int64_t now_ms);
/* A frame with content went out: what the peer says to it is its right. */
void http2_guard_credit(struct http2_guard *guard);

#endif

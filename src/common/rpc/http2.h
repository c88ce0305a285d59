/* A server's HTTP/2 session for gRPC; private to http2*.c.
 *
 *     http2.c          life, bytes in, events out
 *     http2_frames.c   nghttp2's callbacks: what each frame does
 *     http2_block.c    header blocks: what RFC 9113 and gRPC ask of them
 *     http2_in.c       a call's messages out of DATA
 *     http2_out.c      a call's answers into frames
 *     http2_trailers.c how a status is written
 *     http2_guard.c    whole frames, and how many of which kind in a time
 *     http2_text.c     timeouts and percent-encoding
 *
 * nghttp2 does the framing, HPACK and the windows. It checks no header: the authorities that gRPC
 * clients send on unix sockets are not valid (rpc.md 3.3), and its check cannot be told. It is
 * given one frame at a time, so that at most one is being told. */
#ifndef CRPC_HTTP2_H
#define CRPC_HTTP2_H

#include <nghttp2/nghttp2.h>

#include "common/base/attributes.h"
#include "common/base/buffer.h"
#include "common/base/list.h"
#include "common/rpc/http2_block.h"
#include "common/rpc/http2_guard.h"
#include "common/rpc/session.h"

enum {
    /* gRPC's prefix of a message: a flag and a length. */
    HTTP2_PREFIX_BYTES = 5,
    /* Released calls kept for the next, and how much of their memory. */
    HTTP2_SPARE_CALLS = 16,
    HTTP2_SPARE_BYTES = 4 << 10,
    HTTP2_RESERVE_BYTES = 1 << 10
};

/* The trailers of a call that wait for its data to go first: their names and values behind them. */
struct http2_trailers {
    /* Of the block in memory. */
    size_t size;
    size_t n;
    nghttp2_nv *nv;
};

struct http2_call {
    struct rpc_session_call base;
    struct http2_session *session;
    struct list in_session; /* session->calls, from OPENED until it is freed; or session->spare */
    struct list in_ended;   /* session->ended, while ENDED is to be told */
    struct list in_ready;   /* session->ready, while messages may be told without a new frame */
    struct list in_blocked; /* session->blocked, while its data waits for room in the output */
    struct list in_starved; /* session->starved, while a large message waits for its share */
    int32_t id;
    /* nghttp2 has the stream; it is not closed. */
    bool has_stream;
    /* Finished by us, or ENDED is decided. */
    bool is_over;
    bool is_released;
    /* Whether our side and the peer's send messages of their own accord. */
    bool sends_stream;
    bool receives_stream;
    enum rpc_code end_code;
    const char *end_text;

    /* ---- in ---- */
    bool is_in_closed;
    /* HALF_CLOSED was told. */
    bool half_close_is_told;
    uint16_t n_untaken;
    size_t untaken_len;
    /* What the message that was told last takes at the front of `in`; dropped when the next is
     * looked for. */
    size_t told_len;
    /* The one request was told. */
    bool has_told_request;
    struct buffer in;
    /* Bytes that were received and whose window was not given back. Given back early are those of a
     * large message that is still coming (lent), and of such that came and were not taken. */
    size_t window_owed;
    size_t window_lent;
    size_t window_credit;
    /* The large message's part of session->inbound_len. */
    size_t share;
    /* What is left of content-length; -1: it was not said. */
    int64_t content_left;

    /* ---- out ---- */
    bool has_sent_headers;
    /* nghttp2 will ask for data. */
    bool has_data_item;
    /* No further message: the trailers follow. */
    bool is_finished;
    bool says_encodings;
    struct buffer out;
    struct http2_trailers *trailers; /* NULL: OK, and nothing else */
    /* Of session->calls_held. */
    size_t held;
};

struct http2_session {
    struct rpc_session base;
    nghttp2_session *h2;
    nghttp2_mem memory;
    /* For the first allocation of nghttp2's that fails; NULL: used. */
    void *reserve;
    rpc_find_method_fn find;
    const void *table;
    bool is_lost;
    /* A connection error was found: nothing is read, and with the last byte written it is over. */
    const char *ending;
    int64_t ending_since;
    int64_t now_ms;

    /* Not yet given to nghttp2: the caller's, or all of `kept`. */
    const uint8_t *input;
    size_t input_len;
    struct buffer kept;
    struct http2_guard guard;
    bool was_stalled;

    /* The header block that is being received, or told. */
    struct http2_block block;
    /* What the frame given last has brought and was not told. */
    struct http2_call *current;
    bool is_open_due;
    const uint8_t *chunk;
    size_t chunk_len;
    /* Where the message lies that was told last, when its call has gone. */
    struct buffer told;

    struct list calls;
    struct list ended;
    struct list ready;
    struct list blocked;
    struct list starved;
    struct list spare;
    size_t n_spare;
    /* What calls hold, what waits in their `out`, and messages that were told and not taken, with
     * large ones that are coming. */
    size_t calls_held;
    size_t queued_len;
    size_t inbound_len;
    size_t h2_held;

    struct buffer output;
    /* nghttp2 may have something to send. */
    bool is_dirty;
    /* The last id is chosen and has not gone out. */
    bool owes_goaway;
    bool has_peer_left;
    unsigned n_unflushed;

    /* The graceful end: 0; notice sent; told for good. */
    enum { HTTP2_OPEN, HTTP2_NOTICE, HTTP2_TOLD } shut;
    int64_t shut_since;
    /* Since when the peer, which has said GOAWAY, has no call left; CLOCK_NEVER: it has. */
    int64_t left_since;
};

static inline struct http2_session *http2_session_of(struct rpc_session *session)
{
    return CONTAINER_OF(session, struct http2_session, base);
}

static inline struct http2_call *http2_call_of(struct rpc_session_call *call)
{
    return CONTAINER_OF(call, struct http2_call, base);
}

/* ---- http2.c ---- */

/* A connection error: GOAWAY with `error`, all calls end, and the session when that is written. */
void http2_fail(struct http2_session *session, uint32_t error, const char *text);
/* No memory: at once, without a word. */
void http2_break(struct http2_session *session, const char *text);
static inline void http2_begin_event(
    struct rpc_session_event *event, enum rpc_session_event_kind kind, struct http2_call *call)
{
    event->kind = kind;
    event->call = &call->base;
    event->message = (struct rpc_bytes){.data = NULL};
    event->status = (struct rpc_status){.code = RPC_OK};
}
void http2_reset(struct http2_session *session, int32_t id, uint32_t error);

/* ---- http2_calls.c ---- */

/* NULL without memory. */
struct http2_call *http2_add_call(struct http2_session *session, int32_t id);
/* ENDED will be told; `text` is static. */
void http2_end_call(struct http2_call *call, enum rpc_code code, const char *text);
/* The stream is closed, or the call released: frees it when both are. */
void http2_let_call_go(struct http2_call *call);
/* After its buffers changed. */
void http2_count_call(struct http2_call *call);
/* The session answers in the handler's place, and ENDED is told. */
void http2_refuse(struct http2_call *call, enum rpc_code code, const char *text);
/* The verb: its owner needs it no more. */
void http2_release_call(struct rpc_session_call *call);
/* Whatever it is about, also a spare one. */
void http2_free_call(struct http2_call *call);

/* ---- http2_frames.c ---- */

/* 0, or nghttp2's error. */
int http2_new_nghttp2(struct http2_session *session);
/* A round trip after the notice of a graceful end, or when that takes too long. */
void http2_end_notice(struct http2_session *session);

/* ---- http2_in.c ---- */

/* The next event of what `chunk` and `call->in` hold; false: there is none. */
bool http2_tell_in(struct http2_call *call, struct rpc_session_event *out);
/* Those that waited for their share of memory may have it now. */
void http2_feed_starved(struct http2_session *session);
/* Nothing of what has come is wanted any more. */
void http2_drop_in(struct http2_call *call);
void http2_taken(struct rpc_session_call *call, size_t len);

/* ---- http2_out.c ---- */

void http2_flush(struct http2_session *session);
const uint8_t *http2_output(struct rpc_session *session, size_t *out_len);
bool http2_has_output(const struct rpc_session *session);
void http2_sent(struct rpc_session *session, size_t len);
bool http2_is_stalled(const struct http2_session *session);
void http2_drop_out(struct http2_call *call);
bool http2_call_is_writable(const struct rpc_session_call *call);
enum rpc_send_result http2_call_send(
    struct rpc_session_call *call, const struct rpc_payload *message);
enum rpc_send_result http2_call_send_headers(
    struct rpc_session_call *call, const struct rpc_envelope_pair *headers, size_t n_headers);
enum rpc_send_result http2_call_finish(struct rpc_session_call *call,
    const struct rpc_status *status, const struct rpc_payload *answer);
/* nghttp2's callbacks. */
ssize_t http2_read_data(nghttp2_session *h2, int32_t id, uint8_t *bytes, size_t len,
    uint32_t *flags, nghttp2_data_source *source, void *data);
int http2_send_data(nghttp2_session *h2, nghttp2_frame *frame, const uint8_t *head, size_t len,
    nghttp2_data_source *source, void *data);
/* Answers without a call: an HTTP status that is not 200. */
void http2_answer_http(struct http2_session *session, int32_t id, int http_status);

/* ---- http2_trailers.c ---- */

/* A name and a value that stay where they are until the frame is sent; at file scope. */
#define HTTP2_CONSTANT(name_text, value_text)                                                      \
    {                                                                                              \
        (uint8_t[]){name_text}, (uint8_t[]){value_text}, sizeof(name_text) - 1,                    \
            sizeof(value_text) - 1, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE   \
    }

/* One block that the caller frees; NULL without memory. Details are left out where the list would
 * be larger than `max_bytes` (RFC 9113, 6.5.2), then the text is. */
struct http2_trailers *http2_trailers_new(
    const struct rpc_status *status, bool says_encodings, size_t max_bytes);
/* Of headers: the same without a status. */
struct http2_trailers *http2_headers_new(const struct rpc_envelope_pair *pairs, size_t n_pairs);

#endif

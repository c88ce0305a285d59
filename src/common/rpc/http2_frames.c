/* What each frame does. nghttp2 calls these from inside nghttp2_session_mem_recv, with one frame at
 * a time, and from inside mem_send. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "common/rpc/http2.h"

/* ---- memory ---- */

/* Counted, because the peer decides how much it is: open streams, header tables, queued frames. */
static void *count(struct http2_session *session, void *memory)
{
    if (memory != NULL)
        session->h2_held += malloc_usable_size(memory);
    return memory;
}

/* nghttp2 1.52 frees twice when it finds no memory for its queue of streams. What is put by is
 * given up for the one allocation that fails, and the session is over before there is another. */
static void *rescue(struct http2_session *session, size_t size)
{
    if (session->reserve == NULL)
        return NULL;
    free(session->reserve);
    session->reserve = NULL;
    http2_break(session, "no memory for HTTP/2");
    return malloc(size);
}

static void *take_memory(size_t size, void *data)
{
    void *memory = malloc(size);
    return count(data, memory != NULL ? memory : rescue(data, size));
}

static void *take_zeroed(size_t n, size_t size, void *data)
{
    void *memory = calloc(n, size);
    if (memory == NULL) {
        memory = rescue(data, n * size);
        if (memory != NULL)
            memset(memory, 0, n * size);
    }
    return count(data, memory);
}

static void give_memory(void *memory, void *data)
{
    struct http2_session *session = data;
    if (memory != NULL)
        session->h2_held -= malloc_usable_size(memory);
    free(memory);
}

static void *take_again(void *memory, size_t size, void *data)
{
    struct http2_session *session = data;
    size_t old_size = memory == NULL ? 0 : malloc_usable_size(memory);
    void *moved = realloc(memory, size);
    if (moved == NULL && session->reserve != NULL) {
        free(rescue(session, size));
        moved = realloc(memory, size);
    }
    if (moved == NULL)
        return NULL;
    session->h2_held -= old_size;
    return count(session, moved);
}

/* ---- header blocks ---- */

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *data)
{
    struct http2_session *session = data;
    (void)h2;
    http2_block_begin(&session->block, frame->headers.cat != NGHTTP2_HCAT_REQUEST);
    return 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *data)
{
    struct http2_session *session = data;
    (void)h2;
    (void)frame;
    (void)flags;
    if (http2_block_add(&session->block, name, name_len, value, value_len))
        return 0;
    /* Far too much: the stream is reset, and the rest is decoded unheard. */
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int open_call(struct http2_session *session, int32_t id, bool is_closed)
{
    struct http2_call *call = http2_add_call(session, id);
    if (call == NULL)
        return NGHTTP2_ERR_NOMEM;
    if (nghttp2_session_set_stream_user_data(session->h2, id, call) != 0) {
        call->is_over = true;
        call->is_released = true;
        http2_let_call_go(call);
        return 0;
    }
    call->has_stream = true;
    call->content_left = http2_block_content_length(&session->block);
    call->is_in_closed = is_closed;
    call->says_encodings = session->block.says_encodings;
    session->current = call;
    session->is_open_due = true;
    return 0;
}

static int take_request(struct http2_session *session, int32_t id, bool is_closed)
{
    switch (http2_block_judge(&session->block)) {
    case HTTP2_VERDICT_CALL:
        if (is_closed && http2_block_content_length(&session->block) > 0)
            break;
        return open_call(session, id, is_closed);
    case HTTP2_VERDICT_NOT_POST:
        http2_answer_http(session, id, 405);
        return 0;
    case HTTP2_VERDICT_NOT_GRPC:
        http2_answer_http(session, id, 415);
        return 0;
    case HTTP2_VERDICT_NO_MEMORY:
        return NGHTTP2_ERR_NOMEM;
    case HTTP2_VERDICT_MALFORMED:
        break;
    }
    http2_reset(session, id, NGHTTP2_PROTOCOL_ERROR);
    return 0;
}

/* ---- calls ---- */

static struct http2_call *call_of(nghttp2_session *h2, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h2, id);
}

/* The request is not what it said it would be (RFC 9113, 8.1.1). */
static void reject(struct http2_session *session, struct http2_call *call, int32_t id)
{
    if (call != NULL && !call->is_over)
        http2_end_call(call, RPC_CANCELLED, "the request is malformed");
    http2_reset(session, id, NGHTTP2_PROTOCOL_ERROR);
}

static int on_data_chunk(
    nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *bytes, size_t len, void *data)
{
    struct http2_session *session = data;
    struct http2_call *call = call_of(h2, id);
    (void)flags;
    if (nghttp2_session_consume_connection(h2, len) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    session->is_dirty = true;
    if (call == NULL || call->is_over)
        return 0;
    if (call->content_left >= 0) {
        if ((size_t)call->content_left < len) {
            reject(session, call, id);
            return 0;
        }
        call->content_left -= (int64_t)len;
    }
    call->window_owed += len;
    session->current = call;
    session->chunk = bytes;
    session->chunk_len = len;
    return 0;
}

static void close_in(struct http2_session *session, int32_t id)
{
    struct http2_call *call = call_of(session->h2, id);
    if (call == NULL || call->is_over)
        return;
    if (call->content_left > 0) {
        reject(session, call, id);
        return;
    }
    call->is_in_closed = true;
    session->current = call;
}

static int take_headers(struct http2_session *session, const nghttp2_frame *frame)
{
    int32_t id = frame->hd.stream_id;
    bool is_closed = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        return take_request(session, id, is_closed);
    if (!is_closed || http2_block_judge(&session->block) != HTTP2_VERDICT_CALL)
        reject(session, call_of(session->h2, id), id);
    else
        close_in(session, id);
    return 0;
}

/* The peer has heard of the end: what it has begun so far is served, and nothing else. */
static void shut_for_good(struct http2_session *session)
{
    int32_t last = nghttp2_session_get_last_proc_stream_id(session->h2);
    session->shut = HTTP2_TOLD;
    session->owes_goaway = true;
    session->is_dirty = true;
    if (nghttp2_submit_goaway(session->h2, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0) != 0)
        http2_break(session, "no memory for a farewell");
}

void http2_end_notice(struct http2_session *session)
{
    if (session->shut == HTTP2_NOTICE)
        shut_for_good(session);
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *data)
{
    struct http2_session *session = data;
    (void)h2;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        return take_headers(session, frame);
    case NGHTTP2_DATA:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
            close_in(session, frame->hd.stream_id);
        return 0;
    case NGHTTP2_GOAWAY:
        session->has_peer_left = true;
        return 0;
    case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
            http2_end_notice(session);
        return 0;
    default:
        return 0;
    }
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t error, void *data)
{
    struct http2_call *call = call_of(h2, id);
    (void)error;
    (void)data;
    if (call == NULL)
        return 0;
    call->has_stream = false;
    http2_drop_out(call);
    if (!call->is_over)
        http2_end_call(call, RPC_CANCELLED, "the caller cancelled the call");
    http2_let_call_go(call);
    return 0;
}

/* ---- what went out ---- */

static int on_sent_goaway(struct http2_session *session, const nghttp2_goaway *frame)
{
    if (frame->error_code != NGHTTP2_NO_ERROR) {
        if (session->ending == NULL)
            http2_fail(session, frame->error_code, "the peer broke the rules of HTTP/2");
        return 0;
    }
    /* Only now, because PINGs overtake what is queued: who answers it has heard the notice. */
    if (session->shut == HTTP2_NOTICE)
        return nghttp2_submit_ping(session->h2, NGHTTP2_FLAG_NONE, NULL);
    if (frame->last_stream_id != INT32_MAX)
        session->owes_goaway = false;
    return 0;
}

static int on_sent(nghttp2_session *h2, const nghttp2_frame *frame, void *data)
{
    struct http2_session *session = data;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        return on_sent_goaway(session, &frame->goaway);
    /* What a peer makes us reset is as cheap for it as what it resets itself; nghttp2 resets
     * streams, too, for windows that are too large. */
    if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR &&
        !http2_guard_count_reset(&session->guard, session->now_ms))
        http2_fail(session, NGHTTP2_ENHANCE_YOUR_CALM, "too many streams were reset");
    if (frame->hd.type != NGHTTP2_HEADERS || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 ||
        nghttp2_session_get_stream_remote_close(h2, frame->hd.stream_id) != 0)
        return 0;
    /* The answer is complete; what the client still sends is not wanted (RFC 9113, 8.1). Not
     * earlier, because a reset drops what is queued. */
    return nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
}

/* ---- the session ---- */

static void set_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, http2_send_data);
}

static void set_options(nghttp2_option *options)
{
    nghttp2_option_set_no_http_messaging(options, 1);
    nghttp2_option_set_no_auto_window_update(options, 1);
    /* Counted by ourselves, by a clock that is an argument. */
    nghttp2_option_set_stream_reset_rate_limit(options, UINT64_MAX, UINT64_MAX);
}

static int submit_settings(struct http2_session *session)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, RPC_CONNECTION_CALLS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, RPC_HTTP2_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, RPC_HTTP2_HEADER_LIST_BYTES},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    int result =
        nghttp2_submit_settings(session->h2, NGHTTP2_FLAG_NONE, settings, ARRAY_LENGTH(settings));
    if (result == 0)
        result = nghttp2_session_set_local_window_size(
            session->h2, NGHTTP2_FLAG_NONE, 0, RPC_HTTP2_CONNECTION_WINDOW_BYTES);
    return result;
}

int http2_new_nghttp2(struct http2_session *session)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *options = NULL;
    session->memory = (nghttp2_mem){.mem_user_data = session,
        .malloc = take_memory,
        .free = give_memory,
        .calloc = take_zeroed,
        .realloc = take_again};
    int result = nghttp2_session_callbacks_new(&callbacks);
    if (result == 0)
        result = nghttp2_option_new(&options);
    if (result == 0) {
        set_callbacks(callbacks);
        set_options(options);
        result = nghttp2_session_server_new3(
            &session->h2, callbacks, session, options, &session->memory);
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(options);
    return result != 0 ? result : submit_settings(session);
}

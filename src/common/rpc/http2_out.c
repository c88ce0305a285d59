/* Answers into frames. A call's messages wait in its own queue, prefixed, until nghttp2 has window
 * for them; frames wait in the session's output until they are written.
 *
 * Messages are queued as long as little waits: of one call at most RPC_HTTP2_QUEUE_BYTES and one
 * message more, so that a stream that is not read holds that and hinders no other. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/rpc/http2.h"

static const nghttp2_nv RESPONSE_HEADERS[] = {
    HTTP2_CONSTANT(":status", "200"), HTTP2_CONSTANT("content-type", "application/grpc")};
static const nghttp2_nv OK_TRAILERS[] = {HTTP2_CONSTANT("grpc-status", "0")};
static const nghttp2_nv NOT_POST[] = {
    HTTP2_CONSTANT(":status", "405"), HTTP2_CONSTANT("allow", "POST")};
static const nghttp2_nv NOT_GRPC[] = {HTTP2_CONSTANT(":status", "415")};

enum { N_RESPONSE_HEADERS = ARRAY_LENGTH(RESPONSE_HEADERS) };

/* ---- frames ---- */

bool http2_is_stalled(const struct http2_session *session)
{
    return buffer_length(&session->output) >= RPC_OUTPUT_STALL_BYTES;
}

static void put(struct http2_session *session, const uint8_t *bytes, size_t len)
{
    if (buffer_append(&session->output, bytes, len) != 0)
        http2_break(session, "no room for more output");
}

/* With the last byte of a GOAWAY that ends it, the session is over. */
static void end_when_written(struct http2_session *session)
{
    if (session->ending != NULL && buffer_length(&session->output) == 0 && !session->is_dirty)
        http2_break(session, session->ending);
}

/* Whoever speaks another protocol hears nothing. */
static bool may_speak(const struct http2_session *session)
{
    return session->is_dirty && session->guard.preface_left == 0;
}

void http2_flush(struct http2_session *session)
{
    if (!may_speak(session))
        return;
    while (session->is_dirty && session->base.broken == NULL && !http2_is_stalled(session)) {
        const uint8_t *bytes = NULL;
        ssize_t len = nghttp2_session_mem_send(session->h2, &bytes);
        if (len < 0)
            http2_break(session, nghttp2_strerror((int)len));
        else if (len == 0)
            session->is_dirty = false;
        else
            put(session, bytes, (size_t)len);
    }
    end_when_written(session);
}

const uint8_t *http2_output(struct rpc_session *base, size_t *out_len)
{
    struct http2_session *session = http2_session_of(base);
    http2_flush(session);
    *out_len = buffer_length(&session->output);
    return *out_len == 0 ? NULL : buffer_data(&session->output);
}

bool http2_has_output(const struct rpc_session *base)
{
    const struct http2_session *session = (const struct http2_session *)base;
    return buffer_length(&session->output) > 0 ||
           (may_speak(session) && nghttp2_session_want_write(session->h2) != 0);
}

/* Data that waited for room in the output. */
static void resume_blocked(struct http2_session *session)
{
    while (!list_is_empty(&session->blocked)) {
        struct http2_call *call =
            CONTAINER_OF(session->blocked.next, struct http2_call, in_blocked);
        list_remove(&call->in_blocked);
        (void)nghttp2_session_resume_data(session->h2, call->id);
        session->is_dirty = true;
    }
}

void http2_sent(struct rpc_session *base, size_t len)
{
    struct http2_session *session = http2_session_of(base);
    buffer_consume(&session->output, len);
    if (buffer_length(&session->output) < RPC_OUTPUT_SOFT_BYTES)
        resume_blocked(session);
    end_when_written(session);
}

/* ---- what nghttp2 asks for ---- */

static void submit_trailers(struct http2_call *call)
{
    struct http2_session *session = call->session;
    const struct http2_trailers *trailers = call->trailers;
    int result =
        trailers == NULL
            ? nghttp2_submit_trailer(session->h2, call->id, OK_TRAILERS, ARRAY_LENGTH(OK_TRAILERS))
            : nghttp2_submit_trailer(session->h2, call->id, trailers->nv, trailers->n);
    if (result != 0)
        http2_break(session, "no memory for an answer");
    session->is_dirty = true;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): nghttp2 says what it is. */
ssize_t http2_read_data(nghttp2_session *h2, int32_t id, uint8_t *bytes, size_t len,
    uint32_t *flags, nghttp2_data_source *source, void *data)
{
    struct http2_session *session = data;
    struct http2_call *call = source->ptr;
    (void)h2;
    (void)id;
    (void)bytes;
    if (buffer_length(&session->output) >= RPC_OUTPUT_SOFT_BYTES) {
        if (list_is_empty(&call->in_blocked))
            list_append(&session->blocked, &call->in_blocked);
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t have = buffer_length(&call->out);
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (have > len)
        return (ssize_t)len;
    /* All there is. What comes later gets an item of its own; trailers must be submitted here, or
     * they would overtake the data (nghttp2 #269). */
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    call->has_data_item = false;
    if (call->is_finished)
        submit_trailers(call);
    return (ssize_t)have;
}

int http2_send_data(nghttp2_session *h2, nghttp2_frame *frame, const uint8_t *head, size_t len,
    nghttp2_data_source *source, void *data)
{
    enum { HEAD_BYTES = 9 };
    struct http2_session *session = data;
    struct http2_call *call = source->ptr;
    (void)h2;
    (void)frame;
    uint8_t *out = buffer_reserve(&session->output, HEAD_BYTES + len);
    if (out == NULL)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    memcpy(out, head, HEAD_BYTES);
    if (len > 0)
        memcpy(out + HEAD_BYTES, buffer_data(&call->out), len);
    buffer_commit(&session->output, HEAD_BYTES + len);
    buffer_consume(&call->out, len);
    session->queued_len -= len;
    http2_count_call(call);
    http2_guard_credit(&session->guard);
    return 0;
}

/* ---- queueing ---- */

void http2_drop_out(struct http2_call *call)
{
    call->session->queued_len -= buffer_length(&call->out);
    buffer_truncate(&call->out, 0);
    list_remove(&call->in_blocked);
    call->has_data_item = false;
    http2_count_call(call);
}

/* Headers, if they have not gone, and the queue. False: no memory, and the session is broken. */
static bool submit_data(struct http2_call *call)
{
    struct http2_session *session = call->session;
    const nghttp2_data_provider provider = {
        .source = {.ptr = call}, .read_callback = http2_read_data};
    session->is_dirty = true;
    if (call->has_data_item)
        return true;
    int result = call->has_sent_headers
                     ? nghttp2_submit_data(session->h2, NGHTTP2_FLAG_NONE, call->id, &provider)
                     : nghttp2_submit_response(
                           session->h2, call->id, RESPONSE_HEADERS, N_RESPONSE_HEADERS, &provider);
    if (result != 0) {
        http2_break(session, "no memory for an answer");
        return false;
    }
    call->has_sent_headers = true;
    call->has_data_item = true;
    return true;
}

/* A message behind what waits. */
static enum rpc_send_result queue(struct http2_call *call, const struct rpc_payload *message)
{
    struct http2_session *session = call->session;
    if (message->len > RPC_MESSAGE_BYTES_MAX)
        return RPC_SEND_TOO_LARGE;
    size_t len = HTTP2_PREFIX_BYTES + message->len;
    if (len > RPC_OUTPUT_HARD_BYTES - session->queued_len)
        return RPC_SEND_NO_ROOM;
    uint8_t *out = buffer_reserve(&call->out, len);
    if (out == NULL)
        return RPC_SEND_NO_ROOM;
    out[0] = 0;
    out[1] = (uint8_t)(message->len >> 24);
    out[2] = (uint8_t)(message->len >> 16);
    out[3] = (uint8_t)(message->len >> 8);
    out[4] = (uint8_t)message->len;
    if (message->len > 0)
        message->write(message->source, out + HTTP2_PREFIX_BYTES);
    buffer_commit(&call->out, len);
    session->queued_len += len;
    http2_count_call(call);
    return RPC_SEND_TAKEN;
}

bool http2_call_is_writable(const struct rpc_session_call *base)
{
    const struct http2_call *call = (const struct http2_call *)base;
    const struct http2_session *session = call->session;
    size_t waiting = buffer_length(&call->out);
    if (!call->sends_stream || call->is_over || session->base.broken != NULL ||
        buffer_length(&session->output) >= RPC_OUTPUT_SOFT_BYTES)
        return false;
    /* One message of each may wait, however many streams there are that nobody reads. */
    if (waiting == 0)
        return session->queued_len < RPC_OUTPUT_STALL_BYTES;
    return waiting < RPC_HTTP2_QUEUE_BYTES && session->queued_len < RPC_OUTPUT_SOFT_BYTES;
}

enum rpc_send_result http2_call_send(
    struct rpc_session_call *base, const struct rpc_payload *message)
{
    struct http2_call *call = http2_call_of(base);
    assert(call->sends_stream);
    if (call->is_over)
        return RPC_SEND_GONE;
    enum rpc_send_result result = queue(call, message);
    if (result != RPC_SEND_TAKEN)
        return result;
    return submit_data(call) ? RPC_SEND_TAKEN : RPC_SEND_NO_ROOM;
}

/* ---- headers and trailers ---- */

enum rpc_send_result http2_call_send_headers(
    struct rpc_session_call *base, const struct rpc_envelope_pair *headers, size_t n_headers)
{
    struct http2_call *call = http2_call_of(base);
    struct http2_session *session = call->session;
    assert(!call->has_sent_headers);
    if (call->is_over)
        return RPC_SEND_GONE;
    nghttp2_nv nv[N_RESPONSE_HEADERS + RPC_METADATA_PAIRS_MAX];
    struct http2_trailers *added = http2_headers_new(headers, n_headers);
    if (added == NULL)
        return RPC_SEND_NO_ROOM;
    memcpy(nv, RESPONSE_HEADERS, sizeof RESPONSE_HEADERS);
    if (added->n > 0)
        memcpy(nv + N_RESPONSE_HEADERS, added->nv, added->n * sizeof *nv);
    int result = nghttp2_submit_headers(
        session->h2, NGHTTP2_FLAG_NONE, call->id, NULL, nv, N_RESPONSE_HEADERS + added->n, NULL);
    free(added);
    if (result != 0) {
        http2_break(session, "no memory for an answer");
        return RPC_SEND_NO_ROOM;
    }
    call->has_sent_headers = true;
    session->is_dirty = true;
    return RPC_SEND_TAKEN;
}

/* An error before any header: all in one frame. */
static void submit_trailers_only(struct http2_call *call)
{
    struct http2_session *session = call->session;
    nghttp2_nv nv[N_RESPONSE_HEADERS + RPC_METADATA_PAIRS_MAX + 4];
    memcpy(nv, RESPONSE_HEADERS, sizeof RESPONSE_HEADERS);
    memcpy(nv + N_RESPONSE_HEADERS, call->trailers->nv, call->trailers->n * sizeof *nv);
    if (nghttp2_submit_response(
            session->h2, call->id, nv, N_RESPONSE_HEADERS + call->trailers->n, NULL) != 0)
        http2_break(session, "no memory for an answer");
    call->has_sent_headers = true;
    session->is_dirty = true;
}

static size_t trailers_max(const struct http2_session *session)
{
    uint32_t announced =
        nghttp2_session_get_remote_settings(session->h2, NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE);
    return announced < RPC_HTTP2_TRAILERS_BYTES ? announced : RPC_HTTP2_TRAILERS_BYTES;
}

/* What the status says besides OK. False: no memory. */
static bool prepare_trailers(struct http2_call *call, const struct rpc_status *status)
{
    if (status->code == RPC_OK && status->n_trailers == 0)
        return true;
    call->trailers = http2_trailers_new(status, call->says_encodings, trailers_max(call->session));
    http2_count_call(call);
    return call->trailers != NULL;
}

static void submit_end(struct http2_call *call, enum rpc_code code)
{
    call->is_finished = true;
    if (buffer_length(&call->out) > 0)
        (void)submit_data(call);
    else if (code != RPC_OK && !call->has_sent_headers)
        submit_trailers_only(call);
    else if (call->has_sent_headers ||
             http2_call_send_headers(&call->base, NULL, 0) == RPC_SEND_TAKEN)
        submit_trailers(call);
}

enum rpc_send_result http2_call_finish(struct rpc_session_call *base,
    const struct rpc_status *status, const struct rpc_payload *answer)
{
    struct http2_call *call = http2_call_of(base);
    if (call->is_over)
        return RPC_SEND_GONE;
    if (!prepare_trailers(call, status))
        return RPC_SEND_NO_ROOM;
    if (status->code == RPC_OK && !call->sends_stream) {
        enum rpc_send_result result = queue(call, answer);
        if (result != RPC_SEND_TAKEN) {
            free(call->trailers);
            call->trailers = NULL;
            http2_count_call(call);
            return result;
        }
    }
    submit_end(call, status->code);
    call->is_over = true;
    http2_drop_in(call);
    return RPC_SEND_TAKEN;
}

void http2_answer_http(struct http2_session *session, int32_t id, int http_status)
{
    int result =
        http_status == 405
            ? nghttp2_submit_response(session->h2, id, NOT_POST, ARRAY_LENGTH(NOT_POST), NULL)
            : nghttp2_submit_response(session->h2, id, NOT_GRPC, ARRAY_LENGTH(NOT_GRPC), NULL);
    if (result != 0)
        http2_break(session, "no memory for an answer");
    session->is_dirty = true;
}

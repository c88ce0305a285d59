/* The life of a call: made, ended, released by its owner, kept as a spare. */
#include <assert.h>
#include <stdlib.h>

#include "common/rpc/http2.h"

static void init_call(struct http2_call *call, struct http2_session *session, int32_t id)
{
    struct buffer in = call->in;
    struct buffer out = call->out;
    size_t held = call->held;
    *call = (struct http2_call){.base = {.verbs = session->base.verbs},
        .session = session,
        .id = id,
        .in = in,
        .out = out,
        .held = held,
        .content_left = -1};
    list_init(&call->in_session);
    list_init(&call->in_ended);
    list_init(&call->in_ready);
    list_init(&call->in_blocked);
    list_init(&call->in_starved);
    list_append(&session->calls, &call->in_session);
    http2_count_call(call);
}

struct http2_call *http2_add_call(struct http2_session *session, int32_t id)
{
    struct http2_call *call = NULL;
    if (session->n_spare > 0) {
        call = CONTAINER_OF(session->spare.next, struct http2_call, in_session);
        list_remove(&call->in_session);
        session->n_spare--;
    } else {
        call = malloc(sizeof *call);
        if (call == NULL)
            return NULL;
        buffer_init(
            &call->in, HTTP2_PREFIX_BYTES + (size_t)RPC_MESSAGE_BYTES_MAX + RPC_HTTP2_WINDOW_BYTES);
        buffer_init(&call->out, RPC_OUTPUT_HARD_BYTES);
        call->held = 0;
    }
    init_call(call, session, id);
    return call;
}

void http2_count_call(struct http2_call *call)
{
    size_t held = sizeof *call + call->in.capacity + call->out.capacity + call->untaken_len +
                  (call->trailers == NULL ? 0 : call->trailers->size);
    call->session->calls_held += held - call->held;
    call->held = held;
}

void http2_free_call(struct http2_call *call)
{
    call->session->calls_held -= call->held;
    list_remove(&call->in_session);
    buffer_deinit(&call->in);
    buffer_deinit(&call->out);
    free(call);
}

void http2_let_call_go(struct http2_call *call)
{
    struct http2_session *session = call->session;
    if (call->has_stream || !call->is_released)
        return;
    free(call->trailers);
    call->trailers = NULL;
    list_remove(&call->in_session);
    if (session->n_spare == HTTP2_SPARE_CALLS ||
        call->in.capacity + call->out.capacity > HTTP2_SPARE_BYTES) {
        http2_free_call(call);
        return;
    }
    buffer_truncate(&call->in, 0);
    buffer_truncate(&call->out, 0);
    http2_count_call(call);
    list_append(&session->spare, &call->in_session);
    session->n_spare++;
}

void http2_end_call(struct http2_call *call, enum rpc_code code, const char *text)
{
    assert(!call->is_over);
    call->is_over = true;
    call->end_code = code;
    call->end_text = text;
    http2_drop_in(call);
    list_append(&call->session->ended, &call->in_ended);
}

void http2_refuse(struct http2_call *call, enum rpc_code code, const char *text)
{
    const struct rpc_status status = {.code = code, .message = RPC_BYTES_OF_TEXT(text)};
    if (http2_call_finish(&call->base, &status, NULL) != RPC_SEND_TAKEN) {
        http2_reset(call->session, call->id, NGHTTP2_INTERNAL_ERROR);
        if (call->is_over)
            return;
    }
    call->is_over = false;
    http2_end_call(call, code, text);
}

void http2_release_call(struct rpc_session_call *base)
{
    struct http2_call *call = http2_call_of(base);
    struct http2_session *session = call->session;
    assert(call->is_over);
    if (session->current == call)
        session->current = NULL;
    list_remove(&call->in_ended);
    http2_drop_in(call);
    call->is_released = true;
    http2_let_call_go(call);
}

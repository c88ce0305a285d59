/* The output of a ttrpc session: one row of frames, sent from the front. What an ended call has
 * still queued is dropped from the middle, so that a reader who gives up much and reads slowly
 * hears of the rest in time. */
#include <assert.h>
#include <string.h>

#include "common/rpc/ttrpc.h"

/* ---- queueing ---- */

uint8_t *ttrpc_put_frame(struct ttrpc_session *session, const struct rpc_frame *frame)
{
    size_t len = RPC_FRAME_HEADER_BYTES + (size_t)frame->body_len;
    uint8_t *bytes = buffer_reserve(&session->output, len);
    if (bytes == NULL) {
        session->base.broken = "no room for more output";
        return NULL;
    }
    rpc_frame_encode(frame, bytes);
    buffer_commit(&session->output, len);
    return bytes + RPC_FRAME_HEADER_BYTES;
}

void ttrpc_put_response(
    struct ttrpc_session *session, uint32_t id, enum rpc_code code, const char *text)
{
    struct rpc_response_envelope response = {
        .code = (int32_t)code, .message = RPC_BYTES_OF_TEXT(text)};
    const struct rpc_frame frame = {
        .body_len = (uint32_t)rpc_response_size(&response),
        .stream_id = id,
        .type = RPC_FRAME_RESPONSE,
    };
    uint8_t *body = ttrpc_put_frame(session, &frame);
    if (body != NULL)
        (void)rpc_response_encode(&response, body);
}

uint8_t *ttrpc_put_droppable(
    struct ttrpc_call *call, enum rpc_frame_type type, uint8_t flags, size_t body_len)
{
    struct ttrpc_session *session = call->session;
    const struct rpc_frame frame = {
        .body_len = (uint32_t)body_len,
        .stream_id = call->id,
        .type = (uint8_t)type,
        .flags = flags,
    };
    uint8_t *body = ttrpc_put_frame(session, &frame);
    if (body == NULL)
        return NULL;
    call->droppable_len += RPC_FRAME_HEADER_BYTES + body_len;
    call->droppable_end = session->sent_len + buffer_length(&session->output);
    return body;
}

bool ttrpc_put_close(struct ttrpc_call *call)
{
    const uint8_t flags = RPC_FRAME_REMOTE_CLOSED | RPC_FRAME_NO_DATA;
    return ttrpc_put_droppable(call, RPC_FRAME_DATA, flags, 0) != NULL;
}

bool ttrpc_call_is_writable(const struct rpc_session_call *base)
{
    const struct ttrpc_call *call = (const struct ttrpc_call *)base;
    const struct ttrpc_session *session = call->session;
    return call->sends_stream && !call->is_over && !call->is_out_closed &&
           session->base.broken == NULL && buffer_length(&session->output) < RPC_OUTPUT_SOFT_BYTES;
}

enum rpc_send_result ttrpc_call_send(
    struct rpc_session_call *base, const struct rpc_payload *message)
{
    struct ttrpc_call *call = ttrpc_call_of(base);
    assert(call->sends_stream && !call->is_out_closed);
    if (call->is_over)
        return RPC_SEND_GONE;
    if (message->len > RPC_MESSAGE_BYTES_MAX)
        return RPC_SEND_TOO_LARGE;
    uint8_t *body = ttrpc_put_droppable(call, RPC_FRAME_DATA, 0, message->len);
    if (body == NULL)
        return RPC_SEND_NO_ROOM;
    if (message->len > 0)
        message->write(message->source, body);
    return RPC_SEND_TAKEN;
}

/* ---- sending ---- */

bool ttrpc_has_output(const struct rpc_session *base)
{
    return buffer_length(&((const struct ttrpc_session *)base)->output) > 0;
}

const uint8_t *ttrpc_output(struct rpc_session *base, size_t *out_len)
{
    const struct ttrpc_session *session = ttrpc_session_of(base);
    *out_len = buffer_length(&session->output);
    return *out_len == 0 ? NULL : buffer_data(&session->output);
}

static void forget_doomed(struct ttrpc_session *session)
{
    session->n_doomed = 0;
    session->doomed_len = 0;
}

static size_t frame_len_at(const uint8_t *bytes, struct rpc_frame *out)
{
    rpc_frame_decode(bytes, out);
    return RPC_FRAME_HEADER_BYTES + (size_t)out->body_len;
}

/* Where the frame ends that is cut at `len`, counted from there. */
static size_t begun_len(const struct ttrpc_session *session, size_t len)
{
    const uint8_t *bytes = buffer_data(&session->output);
    size_t at = session->output_begun_len;
    struct rpc_frame frame;
    while (at < len)
        at += frame_len_at(bytes + at, &frame);
    return at - len;
}

void ttrpc_sent(struct rpc_session *base, size_t len)
{
    struct ttrpc_session *session = ttrpc_session_of(base);
    if (len < buffer_length(&session->output)) {
        session->output_begun_len = begun_len(session, len);
    } else {
        session->output_begun_len = 0;
        forget_doomed(session);
    }
    session->sent_len += len;
    buffer_consume(&session->output, len);
}

/* ---- dropping ---- */

/* The place of `id` among the doomed, or n_doomed. */
static size_t find_doomed(const struct ttrpc_session *session, uint32_t id)
{
    size_t i = 0;
    while (i < session->n_doomed && session->doomed[i] != id)
        i++;
    return i;
}

/* What one pass over the queue knows of the doomed. */
struct pass {
    const struct ttrpc_session *session;
    /* By id modulo the length: most frames are of calls that go on. */
    bool may_be_doomed[256];
    /* In the order of session->doomed: its request was dropped, so the server never hears of it. */
    bool is_unmade[TTRPC_DOOMED_MAX];
};

static bool *hint_of(struct pass *pass, uint32_t id)
{
    return &pass->may_be_doomed[id / 2 % ARRAY_LENGTH(pass->may_be_doomed)];
}

static bool is_dropped(struct pass *pass, const struct rpc_frame *frame)
{
    if (!*hint_of(pass, frame->stream_id))
        return false;
    size_t i = find_doomed(pass->session, frame->stream_id);
    if (i == pass->session->n_doomed)
        return false;
    switch (frame->type) {
    case RPC_FRAME_DATA:
        return true;
    case RPC_FRAME_REQUEST:
        pass->is_unmade[i] = pass->session->announced_by != frame->stream_id;
        return pass->is_unmade[i];
    case RPC_FRAME_CANCEL:
        return pass->is_unmade[i];
    default:
        return false;
    }
}

static void drop_doomed(struct ttrpc_session *session)
{
    struct pass pass = {.session = session};
    for (size_t i = 0; i < session->n_doomed; i++)
        *hint_of(&pass, session->doomed[i]) = true;
    uint8_t *bytes = session->output.data + session->output.begin;
    size_t len = buffer_length(&session->output);
    size_t kept_len = session->output_begun_len;
    for (size_t at = kept_len; at < len;) {
        struct rpc_frame frame;
        size_t frame_len = frame_len_at(bytes + at, &frame);
        if (!is_dropped(&pass, &frame)) {
            if (kept_len < at)
                memmove(bytes + kept_len, bytes + at, frame_len);
            kept_len += frame_len;
        }
        at += frame_len;
    }
    buffer_truncate(&session->output, kept_len);
    forget_doomed(session);
}

/* Dropping passes over the whole queue. It waits until a quarter of that may go, or for many calls
 * at once, so that a client that opens and cancels all the time pays for most of it in bytes. */
void ttrpc_drop_output(struct ttrpc_call *call)
{
    struct ttrpc_session *session = call->session;
    if (call->droppable_end <= session->sent_len)
        return;
    session->doomed[session->n_doomed++] = call->id;
    session->doomed_len += call->droppable_len;
    if (session->doomed_len >= buffer_length(&session->output) / 4 ||
        session->n_doomed == TTRPC_DOOMED_MAX)
        drop_doomed(session);
}

void ttrpc_keep_output(struct ttrpc_session *session, uint32_t id)
{
    size_t i = find_doomed(session, id);
    if (i < session->n_doomed)
        session->doomed[i] = session->doomed[--session->n_doomed];
}

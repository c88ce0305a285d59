/* The server's end of ttrpc: requests in, responses out. */
#include <assert.h>
#include <string.h>

#include "common/rpc/ttrpc.h"

struct rpc_session *rpc_ttrpc_server_new(rpc_find_method_fn find, const void *table)
{
    struct ttrpc_session *session = ttrpc_new(false);
    if (session == NULL)
        return NULL;
    session->find = find;
    session->table = table;
    return &session->base;
}

static const char TOO_MANY[] =
    "the stream brings messages faster than they are taken; those that wait are at their bound";

static bool equals(struct rpc_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

static size_t metadata_bytes(const struct rpc_envelope_pair *pairs, size_t n_pairs)
{
    size_t sum = 0;
    for (size_t i = 0; i < n_pairs; i++)
        sum += pairs[i].key.len + pairs[i].value.len;
    return sum;
}

static void take_metadata(struct ttrpc_session *session, const struct rpc_request_envelope *request,
    struct rpc_session_event *out)
{
    if (request->n_pairs > RPC_METADATA_PAIRS_MAX ||
        metadata_bytes(request->pairs, request->n_pairs) > RPC_METADATA_BYTES_MAX) {
        ttrpc_set_status(out, RPC_RESOURCE_EXHAUSTED, "the request has too much metadata");
        return;
    }
    out->facts.metadata = request->pairs;
    out->facts.n_metadata = request->n_pairs;
    for (size_t i = 0; i < request->n_pairs; i++) {
        if (equals(request->pairs[i].key, TTRPC_EXTENSION_KEY) &&
            equals(request->pairs[i].value, TTRPC_EXTENSION_CANCEL))
            session->cancel_is_negotiated = true;
    }
}

static bool streams_to_client(const struct rpc_method *method)
{
    return method->kind == RPC_SERVER_STREAM || method->kind == RPC_BIDI;
}

static bool streams_to_server(const struct rpc_method *method)
{
    return method->kind == RPC_CLIENT_STREAM || method->kind == RPC_BIDI;
}

/* Whether the flags of the request fit the method; else the event says why not. */
static void judge_flags(
    const struct rpc_method *method, uint8_t flags, struct rpc_session_event *out)
{
    bool is_stream = (flags & (RPC_FRAME_REMOTE_CLOSED | RPC_FRAME_REMOTE_OPEN)) != 0;
    if (method->kind == RPC_UNARY && (flags & RPC_FRAME_REMOTE_OPEN) != 0)
        ttrpc_set_status(out, RPC_INVALID_ARGUMENT, "the method is unary and takes no stream");
    else if (method->kind != RPC_UNARY && !is_stream)
        ttrpc_set_status(out, RPC_UNIMPLEMENTED,
            "the method streams, but this client calls it as if it were unary: its stub was made "
            "by a generator that knows no streams");
}

/* What the frame of the request says about messages: Go's rule, and ttrpc-rust's NO_DATA. */
static void take_payload(struct ttrpc_session *session, struct ttrpc_call *call,
    const struct rpc_frame *frame, struct rpc_session_event *out)
{
    const struct rpc_method *method = out->facts.method;
    unsigned to_tell = TTRPC_TELL_MESSAGE | TTRPC_TELL_HALF_CLOSED;
    if (method != NULL && method->kind != RPC_UNARY) {
        call->sends_stream = streams_to_client(method);
        call->receives_stream = streams_to_server(method);
        call->may_close_again = (frame->flags & RPC_FRAME_REMOTE_CLOSED) == 0;
    }
    if (call->receives_stream) {
        bool has_message = session->message.len > 0 && (frame->flags & RPC_FRAME_NO_DATA) == 0;
        if (!has_message)
            to_tell &= ~(unsigned)TTRPC_TELL_MESSAGE;
        if (call->may_close_again)
            to_tell &= ~(unsigned)TTRPC_TELL_HALF_CLOSED;
        if (has_message && !ttrpc_count_message(call, session->message.len)) {
            ttrpc_set_status(out, RPC_RESOURCE_EXHAUSTED, TOO_MANY);
            return;
        }
    }
    call->is_in_closed = (to_tell & TTRPC_TELL_HALF_CLOSED) != 0;
    session->current = call;
    session->to_tell = to_tell;
}

static void take_request(struct ttrpc_session *session, struct ttrpc_call *call,
    const struct rpc_frame *frame, const uint8_t *body, struct rpc_session_event *out)
{
    struct rpc_request_envelope request;
    if (!rpc_request_decode(body, frame->body_len, out->pairs, RPC_METADATA_PAIRS_MAX, &request)) {
        ttrpc_set_status(out, RPC_INVALID_ARGUMENT, "the request is not a valid ttrpc message");
        return;
    }
    out->facts.service_name = request.service;
    out->facts.method_name = request.method;
    out->facts.method = session->find(session->table, request.service, request.method);
    out->facts.timeout_nano = request.timeout_nano;
    take_metadata(session, &request, out);
    if (out->facts.method != NULL && out->status.code == RPC_OK)
        judge_flags(out->facts.method, frame->flags, out);
    session->message = request.payload;
    if (out->status.code == RPC_OK)
        take_payload(session, call, frame, out);
}

/* Ids that a client may not use are answered on the same id, as Go's server does. */
static const char *judge_id(const struct ttrpc_session *session, uint32_t id)
{
    if (id % 2 == 0)
        return "stream ids of clients are odd";
    if (ttrpc_find_call(session, id) != NULL)
        return "the stream id is in use";
    return NULL;
}

static bool open_call(struct ttrpc_session *session, const struct rpc_frame *frame,
    const uint8_t *body, bool is_oversize, struct rpc_session_event *out)
{
    const char *objection = judge_id(session, frame->stream_id);
    if (objection != NULL) {
        ttrpc_put_response(session, frame->stream_id, RPC_INVALID_ARGUMENT, objection);
        return false;
    }
    struct ttrpc_call *call = ttrpc_add_call(session, frame->stream_id);
    if (call == NULL)
        return false;
    if (frame->stream_id > session->last_id)
        session->last_id = frame->stream_id;
    else
        ttrpc_keep_output(session, frame->stream_id);
    ttrpc_begin_event(out, RPC_EVENT_OPENED, call);
    out->facts = (struct rpc_session_facts){.authority = ""};
    if (is_oversize)
        ttrpc_set_status(out, RPC_RESOURCE_EXHAUSTED, "the request is larger than 4 MiB");
    else
        take_request(session, call, frame, body, out);
    return true;
}

/* The peer broke the protocol, a bound, or off: the session answers in the handler's place. */
static void refuse(struct ttrpc_call *call, enum rpc_code code, const char *text)
{
    ttrpc_put_response(call->session, call->id, code, text);
    ttrpc_drop_output(call);
    ttrpc_end_call(call, code, text);
}

/* Data on an id without a call. On one of the past it crossed our answer: nothing to say. */
static void take_stray_data(struct ttrpc_session *session, uint32_t id)
{
    if (id % 2 == 0 || id > session->last_id)
        ttrpc_put_response(
            session, id, RPC_INVALID_ARGUMENT, "data was sent on a stream that is not open");
}

/* Why a call takes no such data; NULL: it does. */
static const char *judge_data(const struct ttrpc_call *call, bool is_close)
{
    if (!call->receives_stream && !call->sends_stream)
        return "data was sent to a unary method";
    if (!call->receives_stream && !is_close)
        return "data was sent to a method that takes one request";
    if (call->is_in_closed && !(is_close && call->may_close_again))
        return "data was sent on a stream that its sender has closed";
    return NULL;
}

static bool take_data(struct ttrpc_session *session, const struct rpc_frame *frame,
    const uint8_t *body, bool is_oversize, struct rpc_session_event *out)
{
    struct ttrpc_call *call = ttrpc_find_call(session, frame->stream_id);
    if (call == NULL) {
        take_stray_data(session, frame->stream_id);
        return false;
    }
    bool has_message = (frame->flags & RPC_FRAME_NO_DATA) == 0;
    bool is_close = (frame->flags & RPC_FRAME_REMOTE_CLOSED) != 0;
    const char *objection = judge_data(call, is_close && !has_message);
    if (objection != NULL) {
        refuse(call, RPC_INVALID_ARGUMENT, objection);
        return false;
    }
    if (has_message && is_oversize) {
        refuse(call, RPC_RESOURCE_EXHAUSTED, "the message is larger than 4 MiB");
        return false;
    }
    if (has_message && !ttrpc_count_message(call, frame->body_len)) {
        refuse(call, RPC_RESOURCE_EXHAUSTED, TOO_MANY);
        return false;
    }
    session->current = call;
    session->message = (struct rpc_bytes){.data = body, .len = frame->body_len};
    session->to_tell = has_message ? TTRPC_TELL_MESSAGE : 0;
    if (is_close) {
        call->may_close_again = false;
        session->to_tell |= call->is_in_closed ? 0 : TTRPC_TELL_HALF_CLOSED;
        call->is_in_closed = true;
    }
    return ttrpc_tell(session, out);
}

static void take_cancel(struct ttrpc_session *session, uint32_t id)
{
    struct ttrpc_call *call = ttrpc_find_call(session, id);
    if (call != NULL && session->cancel_is_negotiated)
        refuse(call, RPC_CANCELLED, "the caller cancelled the call");
}

bool ttrpc_server_take(struct ttrpc_session *session, const struct rpc_frame *frame,
    const uint8_t *body, bool is_oversize, struct rpc_session_event *out)
{
    switch (frame->type) {
    case RPC_FRAME_REQUEST:
        return open_call(session, frame, body, is_oversize, out);
    case RPC_FRAME_DATA:
        return take_data(session, frame, body, is_oversize, out);
    case RPC_FRAME_CANCEL:
        take_cancel(session, frame->stream_id);
        return false;
    default:
        /* Unknown types must be ignored (ttrpc's server.go). */
        return false;
    }
}

static enum rpc_send_result put_end(
    struct ttrpc_call *call, const struct rpc_status *status, const struct rpc_payload *answer)
{
    struct ttrpc_session *session = call->session;
    if (status->code == RPC_OK && call->sends_stream)
        return ttrpc_put_close(call) ? RPC_SEND_TAKEN : RPC_SEND_NO_ROOM;
    struct rpc_response_envelope response = {
        .code = (int32_t)status->code,
        .message = status->message,
        .details = status->details,
        .n_details = status->n_details,
    };
    if (status->code == RPC_OK)
        response.payload.len = answer->len;
    size_t size = rpc_response_size(&response);
    if (size > RPC_MESSAGE_BYTES_MAX)
        return RPC_SEND_TOO_LARGE;
    const struct rpc_frame frame = {
        .body_len = (uint32_t)size, .stream_id = call->id, .type = RPC_FRAME_RESPONSE};
    uint8_t *body = ttrpc_put_frame(session, &frame);
    if (body == NULL)
        return RPC_SEND_NO_ROOM;
    uint8_t *payload = rpc_response_encode(&response, body);
    if (response.payload.len > 0)
        answer->write(answer->source, payload);
    return RPC_SEND_TAKEN;
}

enum rpc_send_result ttrpc_call_finish(struct rpc_session_call *base,
    const struct rpc_status *status, const struct rpc_payload *answer)
{
    struct ttrpc_call *call = ttrpc_call_of(base);
    struct ttrpc_session *session = call->session;
    assert(!session->is_client);
    if (call->is_over)
        return RPC_SEND_GONE;
    enum rpc_send_result result = put_end(call, status, answer);
    if (result != RPC_SEND_TAKEN)
        return result;
    ttrpc_close_call(call);
    if (session->current == call)
        ttrpc_tell_nothing(session);
    return RPC_SEND_TAKEN;
}

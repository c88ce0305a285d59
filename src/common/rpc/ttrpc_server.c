/* The server's end of ttrpc: requests in, responses out. */
#include <assert.h>
#include <string.h>

#include "common/rpc/ttrpc.h"

struct rpc_session *rpc_ttrpc_server_new(rpc_find_method_fn find, const void *table)
{
    struct rpc_session *session = ttrpc_new(false);
    if (session == NULL)
        return NULL;
    session->find = find;
    session->table = table;
    return session;
}

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

static void take_metadata(struct rpc_session *session, const struct rpc_request_envelope *request,
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

static void take_request(struct rpc_session *session, const struct rpc_frame *frame,
    const uint8_t *body, struct rpc_session_event *out)
{
    struct rpc_request_envelope request;
    if (!rpc_request_decode(body, frame->body_len, out->pairs, RPC_METADATA_PAIRS_MAX, &request)) {
        ttrpc_set_status(out, RPC_INVALID_ARGUMENT, "the request is not a valid ttrpc message");
        return;
    }
    out->facts.service_name = request.service;
    out->facts.method_name = request.method;
    out->facts.method = session->find(session->table, request.service, request.method);
    out->facts.timeout_nano = request.timeout_nano > 0 ? request.timeout_nano : 0;
    take_metadata(session, &request, out);
    const struct rpc_method *method = out->facts.method;
    if (method != NULL && method->kind == RPC_UNARY && (frame->flags & RPC_FRAME_REMOTE_OPEN) != 0)
        ttrpc_set_status(out, RPC_INVALID_ARGUMENT, "the method is unary and takes no stream");
    session->message = request.payload;
}

/* Ids that a client may not use are answered on the same id, as Go's server does. */
static const char *judge_id(const struct rpc_session *session, uint32_t id)
{
    if (id % 2 == 0)
        return "stream ids of clients are odd";
    if (ttrpc_find_call(session, id) != NULL)
        return "the stream id is in use";
    return NULL;
}

static bool open_call(struct rpc_session *session, const struct rpc_frame *frame,
    const uint8_t *body, bool is_oversize, struct rpc_session_event *out)
{
    const char *objection = judge_id(session, frame->stream_id);
    if (objection != NULL) {
        ttrpc_put_response(session, frame->stream_id, RPC_INVALID_ARGUMENT, objection);
        return false;
    }
    struct rpc_session_call *call = ttrpc_add_call(session, frame->stream_id);
    if (call == NULL)
        return false;
    if (frame->stream_id > session->last_id)
        session->last_id = frame->stream_id;
    ttrpc_begin_event(out, RPC_EVENT_OPENED, call);
    if (is_oversize)
        ttrpc_set_status(out, RPC_RESOURCE_EXHAUSTED, "the request is larger than 4 MiB");
    else
        take_request(session, frame, body, out);
    if (out->status.code == RPC_OK) {
        session->current = call;
        session->to_tell = TTRPC_TELL_MESSAGE | TTRPC_TELL_HALF_CLOSED;
    }
    return true;
}

/* Streams are opened by requests only, and no stream of a method that is served takes data. */
static void take_data(struct rpc_session *session, uint32_t id)
{
    struct rpc_session_call *call = ttrpc_find_call(session, id);
    if (call != NULL) {
        static const char TEXT[] = "data was sent to a unary method";
        ttrpc_put_response(session, id, RPC_INVALID_ARGUMENT, TEXT);
        ttrpc_end_call(call, RPC_INVALID_ARGUMENT, TEXT);
    } else if (id % 2 == 0 || id > session->last_id) {
        ttrpc_put_response(
            session, id, RPC_INVALID_ARGUMENT, "data was sent on a stream that is not open");
    }
    /* On an id of the past it crossed our answer: nothing to say. */
}

static void take_cancel(struct rpc_session *session, uint32_t id)
{
    struct rpc_session_call *call = ttrpc_find_call(session, id);
    if (call == NULL || !session->cancel_is_negotiated)
        return;
    static const char TEXT[] = "the caller cancelled the call";
    ttrpc_put_response(session, id, RPC_CANCELLED, TEXT);
    ttrpc_end_call(call, RPC_CANCELLED, TEXT);
}

bool ttrpc_server_take(struct rpc_session *session, const struct rpc_frame *frame,
    const uint8_t *body, bool is_oversize, struct rpc_session_event *out)
{
    switch (frame->type) {
    case RPC_FRAME_REQUEST:
        return open_call(session, frame, body, is_oversize, out);
    case RPC_FRAME_DATA:
        take_data(session, frame->stream_id);
        return false;
    case RPC_FRAME_CANCEL:
        take_cancel(session, frame->stream_id);
        return false;
    default:
        /* Unknown types must be ignored (ttrpc's server.go). */
        return false;
    }
}

enum rpc_send_result rpc_session_call_finish(struct rpc_session_call *call,
    const struct rpc_status *status, const struct rpc_payload *answer)
{
    assert(!call->session->is_client);
    if (call->is_over)
        return RPC_SEND_GONE;
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
    uint8_t *body = ttrpc_put_frame(call->session, RPC_FRAME_RESPONSE, call->id, size);
    if (body == NULL)
        return RPC_SEND_NO_ROOM;
    uint8_t *payload = rpc_response_encode(&response, body);
    if (response.payload.len > 0)
        answer->write(answer->source, payload);
    call->is_over = true;
    return RPC_SEND_TAKEN;
}

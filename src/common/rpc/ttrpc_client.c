/* The client's end of ttrpc: requests out, responses in. */
#include <string.h>

#include "common/rpc/ttrpc.h"

struct rpc_session *rpc_ttrpc_client_new(void)
{
    struct ttrpc_session *session = ttrpc_new(true);
    if (session == NULL)
        return NULL;
    session->last_id = 1;
    return &session->base;
}

/* The caller's pairs; on the first request ours too. Answers how many, 0 with `pairs` untouched
 * when there is nothing to add and the caller's array can be used as it is. */
static size_t add_extension(const struct ttrpc_session *session,
    const struct rpc_envelope_pair *metadata, size_t n_metadata, struct rpc_envelope_pair *pairs)
{
    if (session->cancel_is_negotiated || n_metadata >= RPC_METADATA_PAIRS_MAX)
        return 0;
    if (n_metadata > 0)
        memcpy(pairs, metadata, n_metadata * sizeof *pairs);
    pairs[n_metadata] = (struct rpc_envelope_pair){
        .key = RPC_BYTES_OF_TEXT(TTRPC_EXTENSION_KEY),
        .value = RPC_BYTES_OF_TEXT(TTRPC_EXTENSION_CANCEL),
    };
    return n_metadata + 1;
}

static uint8_t flags_of(const struct rpc_method *method)
{
    switch (method->kind) {
    case RPC_UNARY:
        return 0;
    case RPC_SERVER_STREAM:
        return RPC_FRAME_REMOTE_CLOSED;
    case RPC_CLIENT_STREAM:
    case RPC_BIDI:
        return RPC_FRAME_REMOTE_OPEN;
    }
    return 0;
}

static bool put_request(struct ttrpc_call *call, const struct rpc_method *method,
    const struct rpc_request_envelope *request, const struct rpc_payload *message)
{
    size_t size = rpc_request_size(request);
    if (size > RPC_MESSAGE_BYTES_MAX)
        return false;
    uint8_t *body = ttrpc_put_droppable(call, RPC_FRAME_REQUEST, flags_of(method), size);
    if (body == NULL)
        return false;
    uint8_t *payload = rpc_request_encode(request, body);
    if (request->payload.len > 0)
        message->write(message->source, payload);
    call->sends_stream = method->kind == RPC_CLIENT_STREAM || method->kind == RPC_BIDI;
    call->receives_stream = method->kind == RPC_SERVER_STREAM || method->kind == RPC_BIDI;
    call->is_out_closed = !call->sends_stream;
    return true;
}

struct rpc_session_call *rpc_session_open(struct rpc_session *base, const struct rpc_method *method,
    int64_t timeout_nano, const struct rpc_envelope_pair *metadata, size_t n_metadata,
    const struct rpc_payload *request)
{
    struct ttrpc_session *session = ttrpc_session_of(base);
    if (session->base.broken != NULL || session->is_lost || session->last_id > UINT32_MAX)
        return NULL;
    struct rpc_envelope_pair pairs[RPC_METADATA_PAIRS_MAX];
    struct rpc_request_envelope envelope = {
        .service = RPC_BYTES_OF_TEXT(method->service),
        .method = RPC_BYTES_OF_TEXT(method->name),
        .payload = {.len = request == NULL ? 0 : request->len},
        .timeout_nano = timeout_nano,
        .pairs = metadata,
        .n_pairs = n_metadata,
    };
    size_t n_pairs = add_extension(session, metadata, n_metadata, pairs);
    if (n_pairs > 0) {
        envelope.pairs = pairs;
        envelope.n_pairs = n_pairs;
    }
    struct ttrpc_call *call = ttrpc_add_call(session, (uint32_t)session->last_id);
    if (call == NULL)
        return NULL;
    if (!put_request(call, method, &envelope, request)) {
        ttrpc_close_call(call);
        ttrpc_call_release(&call->base);
        return NULL;
    }
    session->last_id += 2;
    if (n_pairs > 0) {
        session->cancel_is_negotiated = true;
        session->announced_by = call->id;
    }
    return &call->base;
}

void rpc_session_call_half_close(struct rpc_session_call *base)
{
    struct ttrpc_call *call = ttrpc_call_of(base);
    if (call->is_over || call->is_out_closed)
        return;
    call->is_out_closed = true;
    (void)ttrpc_put_close(call);
}

/* Ends a call that the server has not ended. */
static void give_up(struct ttrpc_call *call, enum rpc_code code, const char *text)
{
    struct ttrpc_session *session = call->session;
    if (session->cancel_is_negotiated && session->base.broken == NULL && !session->is_lost) {
        const struct rpc_frame frame = {.stream_id = call->id, .type = RPC_FRAME_CANCEL};
        (void)ttrpc_put_frame(session, &frame);
    }
    ttrpc_drop_output(call);
    ttrpc_end_call(call, code, text);
}

void rpc_session_call_cancel(struct rpc_session_call *base)
{
    struct ttrpc_call *call = ttrpc_call_of(base);
    if (!call->is_over)
        give_up(call, RPC_CANCELLED, "cancelled by the caller");
}

/* ---- what comes in ---- */

static const char TOO_MANY[] =
    "the server's messages were not taken; those that wait are at their bound";

/* The server has ended the call. */
static bool end_from_server(
    struct ttrpc_call *call, const struct rpc_status *status, struct rpc_session_event *out)
{
    ttrpc_drop_output(call);
    ttrpc_close_call(call);
    ttrpc_begin_event(out, RPC_EVENT_ENDED, call);
    out->status = *status;
    return true;
}

/* A last message, if there is one, and the end with OK. */
static bool end_well(struct ttrpc_call *call, bool has_message, struct rpc_session_event *out)
{
    struct ttrpc_session *session = call->session;
    if (call->sends_stream)
        ttrpc_drop_output(call);
    if (has_message && call->receives_stream && !ttrpc_count_message(call, session->message.len)) {
        ttrpc_end_call(call, RPC_RESOURCE_EXHAUSTED, TOO_MANY);
        return false;
    }
    ttrpc_close_call(call);
    session->current = call;
    session->to_tell = TTRPC_TELL_END_OK | (has_message ? TTRPC_TELL_MESSAGE : 0U);
    return ttrpc_tell(session, out);
}

static void fail(struct ttrpc_call *call, enum rpc_code code, const char *text)
{
    ttrpc_drop_output(call);
    ttrpc_end_call(call, code, text);
}

static bool take_response(struct ttrpc_session *session, struct ttrpc_call *call,
    const uint8_t *body, size_t len, struct rpc_session_event *out)
{
    struct rpc_response_envelope response;
    bool is_valid = rpc_response_decode(body, len, out->pairs, RPC_METADATA_PAIRS_MAX, &response);
    if (!is_valid || response.n_details > RPC_METADATA_PAIRS_MAX || response.code < 0) {
        fail(call, RPC_INTERNAL, "the server's response is not a valid ttrpc message");
        return false;
    }
    if (response.code == RPC_OK) {
        session->message = response.payload;
        return end_well(call, !call->receives_stream || response.payload.len > 0, out);
    }
    const struct rpc_status status = {
        .code = response.code > RPC_UNAUTHENTICATED ? RPC_UNKNOWN : (enum rpc_code)response.code,
        .message = response.message,
        .details = response.details,
        .n_details = response.n_details,
    };
    return end_from_server(call, &status, out);
}

static bool take_data(struct ttrpc_session *session, struct ttrpc_call *call,
    const struct rpc_frame *frame, const uint8_t *body, struct rpc_session_event *out)
{
    if (!call->receives_stream) {
        give_up(call, RPC_INTERNAL, "the server sent stream data on a call with one answer");
        return false;
    }
    bool has_message = (frame->flags & RPC_FRAME_NO_DATA) == 0;
    session->message = (struct rpc_bytes){.data = body, .len = frame->body_len};
    if ((frame->flags & RPC_FRAME_REMOTE_CLOSED) != 0)
        return end_well(call, has_message, out);
    if (!has_message)
        return false;
    if (!ttrpc_count_message(call, frame->body_len)) {
        give_up(call, RPC_RESOURCE_EXHAUSTED, TOO_MANY);
        return false;
    }
    ttrpc_begin_event(out, RPC_EVENT_MESSAGE, call);
    out->message = session->message;
    return true;
}

bool ttrpc_client_take(struct ttrpc_session *session, const struct rpc_frame *frame,
    const uint8_t *body, bool is_oversize, struct rpc_session_event *out)
{
    struct ttrpc_call *call = ttrpc_find_call(session, frame->stream_id);
    /* Late answers to calls that were given up, and types of the future. */
    if (call == NULL || (frame->type != RPC_FRAME_RESPONSE && frame->type != RPC_FRAME_DATA))
        return false;
    bool is_end = frame->type == RPC_FRAME_RESPONSE;
    if (is_oversize && is_end) {
        fail(call, RPC_RESOURCE_EXHAUSTED, "the response is larger than 4 MiB");
        return false;
    }
    if (is_oversize) {
        give_up(call, RPC_RESOURCE_EXHAUSTED, "a message of the server is larger than 4 MiB");
        return false;
    }
    return is_end ? take_response(session, call, body, frame->body_len, out)
                  : take_data(session, call, frame, body, out);
}

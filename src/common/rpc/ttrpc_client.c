/* The client's end of ttrpc: requests out, responses in. */
#include <string.h>

#include "common/rpc/ttrpc.h"

struct rpc_session *rpc_ttrpc_client_new(void)
{
    struct rpc_session *session = ttrpc_new(true);
    if (session != NULL)
        session->last_id = 1;
    return session;
}

/* The caller's pairs; on the first request ours too. Answers how many, 0 with `pairs` untouched
 * when there is nothing to add and the caller's array can be used as it is. */
static size_t add_extension(const struct rpc_session *session,
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

static bool put_request(struct rpc_session *session, uint32_t id,
    const struct rpc_request_envelope *request, const struct rpc_payload *message)
{
    size_t size = rpc_request_size(request);
    if (size > RPC_MESSAGE_BYTES_MAX)
        return false;
    uint8_t *body = ttrpc_put_frame(session, RPC_FRAME_REQUEST, id, size);
    if (body == NULL)
        return false;
    uint8_t *payload = rpc_request_encode(request, body);
    if (message->len > 0)
        message->write(message->source, payload);
    return true;
}

struct rpc_session_call *rpc_session_open(struct rpc_session *session,
    const struct rpc_method *method, int64_t timeout_nano, const struct rpc_envelope_pair *metadata,
    size_t n_metadata, const struct rpc_payload *request)
{
    if (session->broken != NULL || session->is_lost || session->last_id > UINT32_MAX)
        return NULL;
    struct rpc_envelope_pair pairs[RPC_METADATA_PAIRS_MAX];
    struct rpc_request_envelope envelope = {
        .service = RPC_BYTES_OF_TEXT(method->service),
        .method = RPC_BYTES_OF_TEXT(method->name),
        .payload = {.len = request->len},
        .timeout_nano = timeout_nano,
        .pairs = metadata,
        .n_pairs = n_metadata,
    };
    size_t n_pairs = add_extension(session, metadata, n_metadata, pairs);
    if (n_pairs > 0) {
        envelope.pairs = pairs;
        envelope.n_pairs = n_pairs;
    }
    struct rpc_session_call *call = ttrpc_add_call(session, (uint32_t)session->last_id);
    if (call == NULL)
        return NULL;
    if (!put_request(session, call->id, &envelope, request)) {
        call->is_over = true;
        rpc_session_call_release(call);
        return NULL;
    }
    session->last_id += 2;
    session->cancel_is_negotiated = session->cancel_is_negotiated || n_pairs > 0;
    return call;
}

void rpc_session_call_cancel(struct rpc_session_call *call)
{
    struct rpc_session *session = call->session;
    if (call->is_over)
        return;
    if (session->cancel_is_negotiated && session->broken == NULL && !session->is_lost)
        (void)ttrpc_put_frame(session, RPC_FRAME_CANCEL, call->id, 0);
    ttrpc_end_call(call, RPC_CANCELLED, "cancelled by the caller");
}

static bool take_response(struct rpc_session *session, struct rpc_session_call *call,
    const uint8_t *body, size_t len, struct rpc_session_event *out)
{
    struct rpc_response_envelope response;
    bool is_valid = rpc_response_decode(body, len, out->pairs, RPC_METADATA_PAIRS_MAX, &response);
    if (!is_valid || response.n_details > RPC_METADATA_PAIRS_MAX || response.code < 0) {
        ttrpc_end_call(call, RPC_INTERNAL, "the server's response is not a valid ttrpc message");
        return false;
    }
    call->is_over = true;
    if (response.code == RPC_OK) {
        session->current = call;
        session->to_tell = TTRPC_TELL_END_OK;
        ttrpc_begin_event(out, RPC_EVENT_MESSAGE, call);
        out->message = response.payload;
        return true;
    }
    ttrpc_begin_event(out, RPC_EVENT_ENDED, call);
    out->status = (struct rpc_status){
        .code = response.code > RPC_UNAUTHENTICATED ? RPC_UNKNOWN : (enum rpc_code)response.code,
        .message = response.message,
        .details = response.details,
        .n_details = response.n_details,
    };
    return true;
}

bool ttrpc_client_take(struct rpc_session *session, const struct rpc_frame *frame,
    const uint8_t *body, bool is_oversize, struct rpc_session_event *out)
{
    struct rpc_session_call *call = ttrpc_find_call(session, frame->stream_id);
    /* Late answers to calls that were given up, and types of the future. */
    if (call == NULL || (frame->type != RPC_FRAME_RESPONSE && frame->type != RPC_FRAME_DATA))
        return false;
    if (is_oversize) {
        ttrpc_end_call(call, RPC_RESOURCE_EXHAUSTED, "the response is larger than 4 MiB");
        return false;
    }
    if (frame->type == RPC_FRAME_DATA) {
        ttrpc_end_call(call, RPC_INTERNAL, "the server sent stream data on a unary call");
        return false;
    }
    return take_response(session, call, body, frame->body_len, out);
}

/* A ttrpc session: what both ends have in common. */
#include "common/rpc/ttrpc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"

/* ---- life ---- */

struct rpc_session *ttrpc_new(bool is_client)
{
    struct rpc_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->is_client = is_client;
    rpc_frame_reader_init(&session->reader);
    buffer_init(&session->output, RPC_OUTPUT_HARD_BYTES);
    list_init(&session->calls);
    return session;
}

void rpc_session_free(struct rpc_session *session)
{
    if (session == NULL)
        return;
    assert(list_is_empty(&session->calls));
    rpc_frame_reader_deinit(&session->reader);
    buffer_deinit(&session->output);
    free(session->spare);
    free(session);
}

/* ---- calls ---- */

struct rpc_session_call *ttrpc_add_call(struct rpc_session *session, uint32_t id)
{
    struct rpc_session_call *call = session->spare;
    session->spare = NULL;
    if (call == NULL)
        call = malloc(sizeof *call);
    if (call == NULL) {
        session->broken = "no memory for a call";
        return NULL;
    }
    *call = (struct rpc_session_call){.session = session, .id = id};
    list_append(&session->calls, &call->in_calls);
    return call;
}

struct rpc_session_call *ttrpc_find_call(const struct rpc_session *session, uint32_t id)
{
    LIST_FOR_EACH(link, &session->calls)
    {
        struct rpc_session_call *call = CONTAINER_OF(link, struct rpc_session_call, in_calls);
        if (call->id == id && !call->is_over)
            return call;
    }
    return NULL;
}

void ttrpc_end_call(struct rpc_session_call *call, enum rpc_code code, const char *text)
{
    if (call->is_over)
        return;
    call->is_over = true;
    call->has_end_to_tell = true;
    call->end_code = code;
    call->end_text = text;
    call->session->n_ends_to_tell++;
}

void rpc_session_call_release(struct rpc_session_call *call)
{
    struct rpc_session *session = call->session;
    assert(call->is_over);
    if (session->current == call) {
        session->current = NULL;
        session->to_tell = 0;
    }
    if (call->has_end_to_tell)
        session->n_ends_to_tell--;
    list_remove(&call->in_calls);
    if (session->spare == NULL)
        session->spare = call;
    else
        free(call);
}

void rpc_session_call_set_owner(struct rpc_session_call *call, void *owner)
{
    call->owner = owner;
}

void *rpc_session_call_owner(const struct rpc_session_call *call)
{
    return call->owner;
}

/* ---- output ---- */

uint8_t *ttrpc_put_frame(
    struct rpc_session *session, enum rpc_frame_type type, uint32_t id, size_t body_len)
{
    size_t len = RPC_FRAME_HEADER_BYTES + body_len;
    uint8_t *bytes = buffer_reserve(&session->output, len);
    if (bytes == NULL) {
        session->broken = "no room for more output";
        return NULL;
    }
    struct rpc_frame frame = {
        .body_len = (uint32_t)body_len, .stream_id = id, .type = (uint8_t)type};
    rpc_frame_encode(&frame, bytes);
    buffer_commit(&session->output, len);
    return bytes + RPC_FRAME_HEADER_BYTES;
}

void ttrpc_put_response(
    struct rpc_session *session, uint32_t id, enum rpc_code code, const char *text)
{
    struct rpc_response_envelope response = {
        .code = (int32_t)code, .message = RPC_BYTES_OF_TEXT(text)};
    uint8_t *body = ttrpc_put_frame(session, RPC_FRAME_RESPONSE, id, rpc_response_size(&response));
    if (body != NULL)
        (void)rpc_response_encode(&response, body);
}

const uint8_t *rpc_session_output(const struct rpc_session *session, size_t *out_len)
{
    *out_len = buffer_length(&session->output);
    return *out_len == 0 ? NULL : buffer_data(&session->output);
}

void rpc_session_sent(struct rpc_session *session, size_t len)
{
    buffer_consume(&session->output, len);
}

static bool is_stalled(const struct rpc_session *session)
{
    return buffer_length(&session->output) >= RPC_OUTPUT_STALL_BYTES;
}

bool rpc_session_wants_read(const struct rpc_session *session)
{
    return session->broken == NULL && !session->is_lost &&
           (session->is_client || !is_stalled(session));
}

/* ---- events ---- */

void ttrpc_begin_event(struct rpc_session_event *event, enum rpc_session_event_kind kind,
    struct rpc_session_call *call)
{
    /* Member by member: the pairs are 2 KiB that nobody reads unless they are counted. */
    event->kind = kind;
    event->call = call;
    event->facts = (struct rpc_session_facts){.method = NULL};
    event->message = (struct rpc_bytes){.data = NULL};
    event->status = (struct rpc_status){.code = RPC_OK};
}

void ttrpc_set_status(struct rpc_session_event *event, enum rpc_code code, const char *text)
{
    event->status = (struct rpc_status){.code = code, .message = RPC_BYTES_OF_TEXT(text)};
}

/* The rest of what the last frame brought. */
static bool tell_rest(struct rpc_session *session, struct rpc_session_event *out)
{
    struct rpc_session_call *call = session->current;
    if ((session->to_tell & TTRPC_TELL_MESSAGE) != 0) {
        session->to_tell &= ~(unsigned)TTRPC_TELL_MESSAGE;
        ttrpc_begin_event(out, RPC_EVENT_MESSAGE, call);
        out->message = session->message;
        return true;
    }
    if ((session->to_tell & TTRPC_TELL_HALF_CLOSED) != 0) {
        session->to_tell = 0;
        ttrpc_begin_event(out, RPC_EVENT_HALF_CLOSED, call);
        return true;
    }
    if ((session->to_tell & TTRPC_TELL_END_OK) != 0) {
        session->to_tell = 0;
        ttrpc_begin_event(out, RPC_EVENT_ENDED, call);
        return true;
    }
    return false;
}

static bool tell_end(struct rpc_session *session, struct rpc_session_event *out)
{
    if (session->n_ends_to_tell == 0)
        return false;
    LIST_FOR_EACH(link, &session->calls)
    {
        struct rpc_session_call *call = CONTAINER_OF(link, struct rpc_session_call, in_calls);
        if (!call->has_end_to_tell)
            continue;
        call->has_end_to_tell = false;
        session->n_ends_to_tell--;
        ttrpc_begin_event(out, RPC_EVENT_ENDED, call);
        ttrpc_set_status(out, call->end_code, call->end_text);
        out->status.is_local = true;
        return true;
    }
    return false;
}

static void accept_reader_result(struct rpc_session *session, enum rpc_frame_result result)
{
    if (result == RPC_FRAME_BROKEN)
        session->broken = "a frame is far too large, or this is not ttrpc";
    else if (result == RPC_FRAME_NO_ROOM)
        session->broken = "no room for an incomplete frame";
}

void rpc_session_receive(
    struct rpc_session *session, const uint8_t *bytes, size_t len, int64_t now_ms)
{
    if (session->broken == NULL && !session->is_lost)
        accept_reader_result(session, rpc_frame_reader_give(&session->reader, bytes, len, now_ms));
}

static bool may_parse(struct rpc_session *session)
{
    if (session->broken != NULL || session->is_lost)
        return false;
    if (session->is_client || !is_stalled(session))
        return true;
    /* Whole frames stay here until there is room for their answers. */
    accept_reader_result(session, rpc_frame_reader_keep(&session->reader));
    return false;
}

bool rpc_session_next(struct rpc_session *session, struct rpc_session_event *out)
{
    if (tell_rest(session, out))
        return true;
    for (;;) {
        if (tell_end(session, out))
            return true;
        if (!may_parse(session))
            return false;
        struct rpc_frame frame;
        const uint8_t *body = NULL;
        enum rpc_frame_result result = rpc_frame_reader_next(&session->reader, &frame, &body);
        if (result != RPC_FRAME_WHOLE && result != RPC_FRAME_OVERSIZE) {
            accept_reader_result(session, result);
            return false;
        }
        bool is_oversize = result == RPC_FRAME_OVERSIZE;
        bool is_event = session->is_client
                            ? ttrpc_client_take(session, &frame, body, is_oversize, out)
                            : ttrpc_server_take(session, &frame, body, is_oversize, out);
        if (is_event)
            return true;
    }
}

/* ---- ends ---- */

const char *rpc_session_broken(const struct rpc_session *session)
{
    return session->broken;
}

int64_t rpc_session_tick(struct rpc_session *session, int64_t now_ms)
{
    if (session->broken != NULL || session->reader.incomplete_since == CLOCK_NEVER)
        return CLOCK_NEVER;
    int64_t limit_at = clock_add_ms(session->reader.incomplete_since, RPC_FRAME_MS_MAX);
    if (now_ms < limit_at)
        return limit_at;
    session->broken = "half a frame for too long";
    return CLOCK_NEVER;
}

void rpc_session_lose(struct rpc_session *session, enum rpc_code code, const char *text)
{
    if (session->is_lost)
        return;
    session->is_lost = true;
    session->current = NULL;
    session->to_tell = 0;
    LIST_FOR_EACH(link, &session->calls)
    ttrpc_end_call(CONTAINER_OF(link, struct rpc_session_call, in_calls), code, text);
}

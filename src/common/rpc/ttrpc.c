/* A ttrpc session: what both ends have in common. */
#include "common/rpc/ttrpc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"

/* ---- life ---- */

static const struct rpc_session_verbs VERBS;

static void free_session(struct rpc_session *base)
{
    struct ttrpc_session *session = ttrpc_session_of(base);
    assert(session->n_calls == 0 && "streams are closed before their client");
    rpc_frame_reader_deinit(&session->reader);
    buffer_deinit(&session->output);
    free(session->spare);
    free(session);
}

/* ---- calls ---- */

static struct ttrpc_call **chain_of(struct ttrpc_session *session, uint32_t id)
{
    /* Ids are odd. */
    return &session->live[id / 2 % TTRPC_CHAINS];
}

struct ttrpc_call *ttrpc_add_call(struct ttrpc_session *session, uint32_t id)
{
    struct ttrpc_call *call = session->spare;
    session->spare = NULL;
    if (call == NULL)
        call = malloc(sizeof *call);
    if (call == NULL) {
        session->base.broken = "no memory for a call";
        return NULL;
    }
    struct ttrpc_call **chain = chain_of(session, id);
    *call = (struct ttrpc_call){
        .base = {.verbs = &VERBS}, .session = session, .id = id, .next_in_chain = *chain};
    *chain = call;
    list_init(&call->in_ended);
    session->n_calls++;
    return call;
}

struct ttrpc_call *ttrpc_find_call(const struct ttrpc_session *session, uint32_t id)
{
    struct ttrpc_call *call = session->live[id / 2 % TTRPC_CHAINS];
    while (call != NULL && call->id != id)
        call = call->next_in_chain;
    return call;
}

void ttrpc_close_call(struct ttrpc_call *call)
{
    assert(!call->is_over);
    call->is_over = true;
    struct ttrpc_call **link = chain_of(call->session, call->id);
    while (*link != call)
        link = &(*link)->next_in_chain;
    *link = call->next_in_chain;
}

void ttrpc_tell_nothing(struct ttrpc_session *session)
{
    session->current = NULL;
    session->to_tell = 0;
}

void ttrpc_end_call(struct ttrpc_call *call, enum rpc_code code, const char *text)
{
    struct ttrpc_session *session = call->session;
    ttrpc_close_call(call);
    call->end_code = code;
    call->end_text = text;
    list_append(&session->ended, &call->in_ended);
}

bool ttrpc_count_message(struct ttrpc_call *call, size_t len)
{
    struct ttrpc_session *session = call->session;
    assert(call->receives_stream);
    if (call->n_untaken == RPC_INBOUND_MESSAGES_MAX ||
        len > RPC_INBOUND_BYTES_MAX - session->untaken_len)
        return false;
    call->n_untaken++;
    call->untaken_len += (uint32_t)len;
    session->untaken_len += len;
    return true;
}

static void take(struct rpc_session_call *base, size_t len)
{
    struct ttrpc_call *call = ttrpc_call_of(base);
    if (call->n_untaken == 0)
        return;
    assert(len <= call->untaken_len);
    call->n_untaken--;
    call->untaken_len -= (uint32_t)len;
    call->session->untaken_len -= len;
}

void ttrpc_call_release(struct rpc_session_call *base)
{
    struct ttrpc_call *call = ttrpc_call_of(base);
    struct ttrpc_session *session = call->session;
    assert(call->is_over);
    if (session->current == call)
        ttrpc_tell_nothing(session);
    list_remove(&call->in_ended);
    session->untaken_len -= call->untaken_len;
    session->n_calls--;
    if (session->spare == NULL)
        session->spare = call;
    else
        free(call);
}

static size_t held_bytes(const struct rpc_session *base)
{
    const struct ttrpc_session *session = (const struct ttrpc_session *)base;
    return session->reader.kept.capacity + session->output.capacity + session->untaken_len;
}

/* ---- events ---- */

void ttrpc_set_status(struct rpc_session_event *event, enum rpc_code code, const char *text)
{
    event->status = (struct rpc_status){.code = code, .message = RPC_BYTES_OF_TEXT(text)};
}

bool ttrpc_tell(struct ttrpc_session *session, struct rpc_session_event *out)
{
    struct ttrpc_call *call = session->current;
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

static bool tell_end(struct ttrpc_session *session, struct rpc_session_event *out)
{
    if (list_is_empty(&session->ended))
        return false;
    struct ttrpc_call *call = CONTAINER_OF(session->ended.next, struct ttrpc_call, in_ended);
    list_remove(&call->in_ended);
    ttrpc_begin_event(out, RPC_EVENT_ENDED, call);
    ttrpc_set_status(out, call->end_code, call->end_text);
    out->status.is_local = true;
    return true;
}

static bool wants_read(const struct rpc_session *base)
{
    const struct ttrpc_session *session = (const struct ttrpc_session *)base;
    return session->base.broken == NULL && !session->is_lost && !ttrpc_is_stalled(session);
}

static void accept_reader_result(struct ttrpc_session *session, enum rpc_frame_result result)
{
    if (result == RPC_FRAME_BROKEN)
        session->base.broken = "a frame is far too large, or this is not ttrpc";
    else if (result == RPC_FRAME_NO_ROOM)
        session->base.broken = "no room for an incomplete frame";
}

static void receive(struct rpc_session *base, const uint8_t *bytes, size_t len, int64_t now_ms)
{
    struct ttrpc_session *session = ttrpc_session_of(base);
    if (session->base.broken == NULL && !session->is_lost)
        accept_reader_result(session, rpc_frame_reader_give(&session->reader, bytes, len, now_ms));
}

static bool may_parse(struct ttrpc_session *session)
{
    if (session->base.broken != NULL || session->is_lost)
        return false;
    if (!ttrpc_is_stalled(session))
        return true;
    /* Whole frames stay here until there is room for their answers. */
    accept_reader_result(session, rpc_frame_reader_keep(&session->reader));
    return false;
}

static bool next(struct rpc_session *base, struct rpc_session_event *out)
{
    struct ttrpc_session *session = ttrpc_session_of(base);
    if (session->to_tell != 0 && ttrpc_tell(session, out))
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

static int64_t tick(struct rpc_session *base, int64_t now_ms)
{
    struct ttrpc_session *session = ttrpc_session_of(base);
    /* While nothing is read, the rest of a frame cannot come. */
    bool is_stalled = ttrpc_is_stalled(session);
    bool reads_again = session->was_stalled && !is_stalled;
    session->was_stalled = is_stalled;
    if (session->base.broken != NULL || is_stalled ||
        session->reader.incomplete_since == CLOCK_NEVER)
        return CLOCK_NEVER;
    if (reads_again)
        session->reader.incomplete_since = now_ms;
    int64_t limit_at = clock_add_ms(session->reader.incomplete_since, RPC_FRAME_MS_MAX);
    if (now_ms < limit_at)
        return limit_at;
    session->base.broken = "half a frame for too long";
    return CLOCK_NEVER;
}

static void lose(struct rpc_session *base, enum rpc_code code, const char *text)
{
    struct ttrpc_session *session = ttrpc_session_of(base);
    if (session->is_lost)
        return;
    session->is_lost = true;
    /* An answer that has come whole is still told; else nothing is but the end. */
    if ((session->to_tell & TTRPC_TELL_END_OK) == 0)
        ttrpc_tell_nothing(session);
    for (size_t i = 0; i < TTRPC_CHAINS; i++) {
        while (session->live[i] != NULL)
            ttrpc_end_call(session->live[i], code, text);
    }
}

/* ---- the table ---- */

static const struct rpc_session_verbs VERBS = {
    .free = free_session,
    .receive = receive,
    .next = next,
    .output = ttrpc_output,
    .has_output = ttrpc_has_output,
    .sent = ttrpc_sent,
    .wants_read = wants_read,
    .held_bytes = held_bytes,
    .tick = tick,
    .lose = lose,
    .call_is_writable = ttrpc_call_is_writable,
    .call_send = ttrpc_call_send,
    .call_taken = take,
    .call_finish = ttrpc_call_finish,
    .call_release = ttrpc_call_release,
};

struct ttrpc_session *ttrpc_new(bool is_client)
{
    struct ttrpc_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->base.verbs = &VERBS;
    session->is_client = is_client;
    rpc_frame_reader_init(&session->reader);
    buffer_init(&session->output, RPC_OUTPUT_HARD_BYTES);
    list_init(&session->ended);
    return session;
}

#include "common/rpc/http2.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/clock.h"

/* Frames are taken before nghttp2 writes what it has to say to them: its queue is bounded
 * (max_outbound_ack is 1000), and whether the output is stalled shows only afterwards. */
enum { FRAMES_PER_FLUSH = 64 };

/* ---- ends ---- */

void http2_break(struct http2_session *session, const char *text)
{
    if (session->base.broken == NULL)
        session->base.broken = text;
}

static void end_all(struct http2_session *session, enum rpc_code code, const char *text)
{
    session->current = NULL;
    LIST_FOR_EACH(link, &session->calls)
    {
        struct http2_call *call = CONTAINER_OF(link, struct http2_call, in_session);
        if (!call->is_over)
            http2_end_call(call, code, text);
    }
}

void http2_fail(struct http2_session *session, uint32_t error, const char *text)
{
    if (session->ending != NULL || session->base.broken != NULL)
        return;
    session->ending = text;
    session->ending_since = session->now_ms;
    session->is_dirty = true;
    end_all(session, RPC_CANCELLED, text);
    if (nghttp2_session_terminate_session(session->h2, error) != 0)
        http2_break(session, text);
}

void http2_reset(struct http2_session *session, int32_t id, uint32_t error)
{
    session->is_dirty = true;
    if (nghttp2_submit_rst_stream(session->h2, NGHTTP2_FLAG_NONE, id, error) != 0)
        http2_break(session, "no memory for a frame");
}

/* ---- events ---- */

static bool tell_end(struct http2_session *session, struct rpc_session_event *out)
{
    if (list_is_empty(&session->ended))
        return false;
    struct http2_call *call = CONTAINER_OF(session->ended.next, struct http2_call, in_ended);
    list_remove(&call->in_ended);
    http2_begin_event(out, RPC_EVENT_ENDED, call);
    out->status = (struct rpc_status){
        .code = call->end_code, .is_local = true, .message = RPC_BYTES_OF_TEXT(call->end_text)};
    return true;
}

static void tell_open(struct http2_call *call, struct rpc_session_event *out)
{
    struct http2_session *session = call->session;
    http2_begin_event(out, RPC_EVENT_OPENED, call);
    http2_block_tell(&session->block, out);
    const struct rpc_method *method =
        session->find(session->table, out->facts.service_name, out->facts.method_name);
    out->facts.method = method;
    if (method == NULL)
        return;
    call->sends_stream = method->kind == RPC_SERVER_STREAM || method->kind == RPC_BIDI;
    call->receives_stream = method->kind == RPC_CLIENT_STREAM || method->kind == RPC_BIDI;
}

/* The next event of the frame that was given last. */
static bool tell_current(struct http2_session *session, struct rpc_session_event *out)
{
    struct http2_call *call = session->current;
    if (call == NULL)
        return false;
    if (session->is_open_due) {
        session->is_open_due = false;
        tell_open(call, out);
        return true;
    }
    if (!call->is_over && http2_tell_in(call, out))
        return true;
    session->current = NULL;
    session->chunk_len = 0;
    return false;
}

/* Messages that waited until others were taken. */
static bool take_ready(struct http2_session *session)
{
    if (list_is_empty(&session->ready))
        return false;
    struct http2_call *call = CONTAINER_OF(session->ready.next, struct http2_call, in_ready);
    list_remove(&call->in_ready);
    session->current = call;
    return true;
}

/* ---- receiving ---- */

static void give(struct http2_session *session, size_t len)
{
    ssize_t used = nghttp2_session_mem_recv(session->h2, session->input, len);
    session->input += len;
    session->input_len -= len;
    session->is_dirty = true;
    if (used == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
        http2_break(session, "it begins like HTTP/2, but is not");
    else if (used < 0)
        http2_break(session, nghttp2_strerror((int)used));
}

/* A stream that nghttp2 takes after the last id was chosen would be served, and said not to be. */
static bool must_tell_last(const struct http2_session *session)
{
    return session->owes_goaway && session->guard.preface_left == 0;
}

/* One frame, or what there is of it. False: nothing more is read. */
static bool feed(struct http2_session *session)
{
    if (session->base.broken != NULL || session->ending != NULL || session->input_len == 0)
        return false;
    bool must_flush = must_tell_last(session);
    if (must_flush || ++session->n_unflushed == FRAMES_PER_FLUSH) {
        session->n_unflushed = 0;
        http2_flush(session);
    }
    if (http2_is_stalled(session) || session->base.broken != NULL || session->ending != NULL ||
        (must_flush && must_tell_last(session)))
        return false;
    const char *objection = NULL;
    size_t len = http2_guard_look(
        &session->guard, session->input, session->input_len, session->now_ms, &objection);
    if (objection != NULL) {
        http2_fail(session, session->guard.error, objection);
        return false;
    }
    give(session, len);
    return true;
}

static void receive(struct rpc_session *base, const uint8_t *bytes, size_t len, int64_t now_ms)
{
    struct http2_session *session = http2_session_of(base);
    session->now_ms = now_ms;
    if (session->base.broken != NULL || session->is_lost || session->ending != NULL)
        return;
    if (buffer_length(&session->kept) == 0) {
        session->input = bytes;
        session->input_len = len;
        return;
    }
    if (buffer_append(&session->kept, bytes, len) != 0) {
        http2_break(session, "no room for frames that wait");
        return;
    }
    session->input = buffer_data(&session->kept);
    session->input_len = buffer_length(&session->kept);
}

/* The caller's bytes are not there for longer. */
static void keep_input(struct http2_session *session)
{
    size_t kept_len = buffer_length(&session->kept);
    if (kept_len > 0) {
        buffer_consume(&session->kept, kept_len - session->input_len);
    } else if (session->input_len > 0 && session->base.broken == NULL &&
               buffer_append(&session->kept, session->input, session->input_len) != 0) {
        http2_break(session, "no room for frames that wait");
    }
    session->input = buffer_data(&session->kept);
    session->input_len = buffer_length(&session->kept);
}

/* Streams that nghttp2 resets by itself are closed when that goes out. */
static bool has_flush_ended_any(struct http2_session *session)
{
    http2_flush(session);
    return !list_is_empty(&session->ended);
}

static bool next(struct rpc_session *base, struct rpc_session_event *out)
{
    struct http2_session *session = http2_session_of(base);
    buffer_deinit(&session->told);
    do {
        if (tell_current(session, out) || tell_end(session, out))
            return true;
    } while (!session->is_lost &&
             (take_ready(session) || feed(session) || has_flush_ended_any(session)));
    keep_input(session);
    return false;
}

static bool wants_read(const struct rpc_session *base)
{
    const struct http2_session *session = (const struct http2_session *)base;
    return base->broken == NULL && !session->is_lost && session->ending == NULL &&
           !http2_is_stalled(session);
}

static size_t held_bytes(const struct rpc_session *base)
{
    const struct http2_session *session = (const struct http2_session *)base;
    return session->kept.capacity + session->output.capacity + session->block.text.capacity +
           session->told.capacity + session->calls_held + session->h2_held;
}

/* ---- time ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Half a frame for too long; while nothing is read, the rest of it cannot come. */
static int64_t watch_frame(struct http2_session *session, int64_t now_ms)
{
    struct http2_guard *guard = &session->guard;
    bool is_stalled = http2_is_stalled(session);
    bool reads_again = session->was_stalled && !is_stalled;
    session->was_stalled = is_stalled;
    if (is_stalled || guard->incomplete_since == CLOCK_NEVER)
        return CLOCK_NEVER;
    if (reads_again)
        guard->incomplete_since = now_ms;
    int64_t limit_at = clock_add_ms(guard->incomplete_since, RPC_FRAME_MS_MAX);
    if (now_ms >= limit_at)
        http2_break(session, "half a frame for too long");
    return limit_at;
}

/* nghttp2 hears nothing from a peer that has said GOAWAY and has no stream left, not even PINGs. */
static int64_t watch_leaving(struct http2_session *session, int64_t now_ms)
{
    if (!session->has_peer_left || !list_is_empty(&session->calls)) {
        session->left_since = CLOCK_NEVER;
        return CLOCK_NEVER;
    }
    if (session->left_since == CLOCK_NEVER)
        session->left_since = now_ms;
    int64_t end_at = clock_add_ms(session->left_since, RPC_HTTP2_FAREWELL_MS);
    if (now_ms >= end_at)
        http2_break(session, "the peer has said goodbye, and stays");
    return end_at;
}

static int64_t tick(struct rpc_session *base, int64_t now_ms)
{
    struct http2_session *session = http2_session_of(base);
    session->now_ms = now_ms;
    if (session->ending != NULL) {
        int64_t end_at = clock_add_ms(session->ending_since, RPC_HTTP2_FAREWELL_MS);
        if (now_ms >= end_at)
            http2_break(session, session->ending);
        return base->broken == NULL ? end_at : CLOCK_NEVER;
    }
    int64_t next_at = earlier(watch_frame(session, now_ms), watch_leaving(session, now_ms));
    if (session->shut == HTTP2_NOTICE) {
        int64_t told_at = clock_add_ms(session->shut_since, RPC_HTTP2_FAREWELL_MS);
        if (now_ms >= told_at)
            http2_end_notice(session);
        else
            next_at = earlier(next_at, told_at);
    }
    return base->broken == NULL ? next_at : CLOCK_NEVER;
}

/* ---- the end ---- */

static void lose(struct rpc_session *base, enum rpc_code code, const char *text)
{
    struct http2_session *session = http2_session_of(base);
    if (session->is_lost)
        return;
    session->is_lost = true;
    end_all(session, code, text);
}

static void shut(struct rpc_session *base, int64_t now_ms)
{
    struct http2_session *session = http2_session_of(base);
    if (session->shut != HTTP2_OPEN || session->ending != NULL)
        return;
    session->shut = HTTP2_NOTICE;
    session->shut_since = now_ms;
    session->is_dirty = true;
    if (nghttp2_submit_shutdown_notice(session->h2) != 0)
        http2_break(session, "no memory for a farewell");
}

static bool is_drained(const struct rpc_session *base)
{
    const struct http2_session *session = (const struct http2_session *)base;
    return session->shut == HTTP2_TOLD && list_is_empty(&session->calls);
}

static void free_session(struct rpc_session *base)
{
    struct http2_session *session = http2_session_of(base);
    /* Streams that were not closed have calls that nobody else knows any more. */
    LIST_FOR_EACH_SAFE(link, &session->calls)
    {
        struct http2_call *call = CONTAINER_OF(link, struct http2_call, in_session);
        assert(call->is_released && "session calls are released before their session");
        call->has_stream = false;
        http2_let_call_go(call);
    }
    LIST_FOR_EACH_SAFE(link, &session->spare)
    http2_free_call(CONTAINER_OF(link, struct http2_call, in_session));
    nghttp2_session_del(session->h2);
    http2_block_deinit(&session->block);
    buffer_deinit(&session->kept);
    buffer_deinit(&session->told);
    buffer_deinit(&session->output);
    free(session->reserve);
    free(session);
}

static const struct rpc_session_verbs VERBS = {
    .free = free_session,
    .receive = receive,
    .next = next,
    .output = http2_output,
    .has_output = http2_has_output,
    .sent = http2_sent,
    .wants_read = wants_read,
    .held_bytes = held_bytes,
    .tick = tick,
    .lose = lose,
    .shut = shut,
    .is_drained = is_drained,
    .call_is_writable = http2_call_is_writable,
    .call_send = http2_call_send,
    .call_send_headers = http2_call_send_headers,
    .call_taken = http2_taken,
    .call_finish = http2_call_finish,
    .call_release = http2_release_call,
};

struct rpc_session *rpc_http2_server_new(rpc_find_method_fn find, const void *table, int64_t now_ms)
{
    struct http2_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->base.verbs = &VERBS;
    session->find = find;
    session->table = table;
    session->now_ms = now_ms;
    session->is_dirty = true;
    session->left_since = CLOCK_NEVER;
    list_init(&session->calls);
    list_init(&session->ended);
    list_init(&session->ready);
    list_init(&session->blocked);
    list_init(&session->starved);
    list_init(&session->spare);
    http2_guard_init(&session->guard, now_ms);
    http2_block_init(&session->block);
    buffer_init(&session->kept, RPC_OUTPUT_HARD_BYTES);
    buffer_init(&session->output, RPC_OUTPUT_HARD_BYTES);
    session->reserve = malloc(HTTP2_RESERVE_BYTES);
    if (session->reserve == NULL || http2_new_nghttp2(session) != 0) {
        free_session(&session->base);
        return NULL;
    }
    return &session->base;
}

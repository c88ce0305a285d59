/* Messages out of DATA, whose frames say nothing about where they end (PROTOCOL-HTTP2.md).
 *
 * The window of a stream is given back as its messages are taken, so that a handler that takes none
 * holds a window and no more. Only a large message must have its bytes given back while it
 * is coming, or it never would be whole; for that it needs a share of RPC_INBOUND_BYTES_MAX. The
 * connection's window is given back at once: a stream that is not taken must not stop the others.
 */
#include <assert.h>

#include "common/rpc/http2.h"

/* nghttp2 tells the peer of window that was given back when it is half of all: a message that may
 * be longer than the other half must have its bytes given back while it is coming. */
enum { LARGE_BYTES = RPC_HTTP2_WINDOW_BYTES / 2 };

/* ---- windows ---- */

static void give_back(struct http2_call *call, size_t len)
{
    struct http2_session *session = call->session;
    if (len > call->window_owed)
        len = call->window_owed;
    call->window_owed -= len;
    if (len == 0 || !call->has_stream)
        return;
    /* Only without memory; the stream stands still then. */
    (void)nghttp2_session_consume_stream(session->h2, call->id, len);
    session->is_dirty = true;
}

static void drop_share(struct http2_call *call)
{
    call->session->inbound_len -= call->share;
    call->share = 0;
    list_remove(&call->in_starved);
}

/* False: it must wait until others were taken. */
static bool get_share(struct http2_call *call, size_t len)
{
    struct http2_session *session = call->session;
    if (call->share > 0)
        return true;
    if (session->inbound_len > 0 && session->inbound_len + len > RPC_INBOUND_BYTES_MAX) {
        if (list_is_empty(&call->in_starved))
            list_append(&session->starved, &call->in_starved);
        return false;
    }
    list_remove(&call->in_starved);
    call->share = len;
    session->inbound_len += len;
    return true;
}

/* ---- the message at the front ---- */

struct front {
    /* Of all bytes there are. */
    size_t have;
    /* With its prefix; 0: not yet known. */
    size_t need;
    const uint8_t *bytes;
    /* They lie in the frame that was given last, not in `in`. */
    bool is_in_chunk;
};

static struct front front_of(const struct http2_call *call)
{
    const struct http2_session *session = call->session;
    struct front front = {.have = buffer_length(&call->in), .bytes = buffer_data(&call->in)};
    if (front.have == 0 && session->current == call)
        front = (struct front){
            .have = session->chunk_len, .bytes = session->chunk, .is_in_chunk = true};
    const uint8_t *head = front.bytes;
    if (front.have >= HTTP2_PREFIX_BYTES)
        front.need = HTTP2_PREFIX_BYTES + ((size_t)head[1] << 24 | (size_t)head[2] << 16 |
                                              (size_t)head[3] << 8 | head[4]);
    return front;
}

static bool is_whole(const struct front *front)
{
    return front->need > 0 && front->have >= front->need;
}

/* Bytes that came and cannot be told from where they are. False: no memory. */
static bool stash(struct http2_call *call)
{
    struct http2_session *session = call->session;
    if (session->current != call || session->chunk_len == 0)
        return true;
    size_t len = session->chunk_len;
    session->chunk_len = 0;
    if (buffer_append(&call->in, session->chunk, len) != 0) {
        http2_refuse(call, RPC_RESOURCE_EXHAUSTED, "no memory for a message");
        return false;
    }
    http2_count_call(call);
    return true;
}

/* False: the call has been refused. */
static bool judge_prefix(struct http2_call *call, const struct front *front)
{
    if (front->need == 0)
        return true;
    if (front->bytes[0] != 0) {
        http2_refuse(call, RPC_INTERNAL,
            front->bytes[0] == 1 ? "a message is compressed, but grpc-encoding names no method"
                                 : "the flag of a message is neither 0 nor 1");
        return false;
    }
    if (front->need > HTTP2_PREFIX_BYTES + (size_t)RPC_MESSAGE_BYTES_MAX) {
        http2_refuse(call, RPC_RESOURCE_EXHAUSTED, "the message is larger than 4 MiB");
        return false;
    }
    return true;
}

/* The message is not whole: more of it has to come. */
static void wait_for_more(struct http2_call *call, const struct front *front)
{
    if (front->need <= LARGE_BYTES || call->is_in_closed ||
        !get_share(call, front->need - HTTP2_PREFIX_BYTES))
        return;
    size_t len = buffer_length(&call->in) - call->window_lent;
    call->window_lent += len;
    give_back(call, len);
}

static void tell_front(
    struct http2_call *call, const struct front *front, struct rpc_session_event *out)
{
    struct http2_session *session = call->session;
    http2_begin_event(out, RPC_EVENT_MESSAGE, call);
    out->message = (struct rpc_bytes){
        .data = front->bytes + HTTP2_PREFIX_BYTES, .len = front->need - HTTP2_PREFIX_BYTES};
    if (front->is_in_chunk) {
        session->chunk += front->need;
        session->chunk_len -= front->need;
    } else {
        call->told_len = front->need;
    }
    call->window_credit += call->window_lent;
    call->window_lent = 0;
    drop_share(call);
    if (!call->receives_stream)
        http2_feed_starved(session);
}

static bool tell_half_close(struct http2_call *call, struct rpc_session_event *out)
{
    if (!call->is_in_closed || call->half_close_is_told)
        return false;
    call->half_close_is_told = true;
    http2_begin_event(out, RPC_EVENT_HALF_CLOSED, call);
    return true;
}

static const char CUT[] = "the request ends inside a message";

/* ---- one request ---- */

/* Told when it is certain that it is the only one: a handler must not have run when a second
 * follows. */
static bool tell_request(struct http2_call *call, struct rpc_session_event *out)
{
    if (call->has_told_request)
        return tell_half_close(call, out);
    if (!call->is_in_closed || buffer_length(&call->in) > 0) {
        if (!stash(call))
            return false;
    }
    struct front front = front_of(call);
    if (!judge_prefix(call, &front))
        return false;
    if (is_whole(&front) && front.have > front.need) {
        http2_refuse(call, RPC_UNIMPLEMENTED, "the method takes one message, but several came");
        return false;
    }
    if (!call->is_in_closed) {
        wait_for_more(call, &front);
        return false;
    }
    if (!is_whole(&front)) {
        if (front.have == 0)
            http2_refuse(call, RPC_UNIMPLEMENTED, "the method takes one message, but none came");
        else
            http2_refuse(call, RPC_INVALID_ARGUMENT, CUT);
        return false;
    }
    call->has_told_request = true;
    tell_front(call, &front, out);
    return true;
}

/* ---- a stream of them ---- */

static bool tell_message(struct http2_call *call, struct rpc_session_event *out)
{
    struct http2_session *session = call->session;
    if (buffer_length(&call->in) > 0 && !stash(call))
        return false;
    struct front front = front_of(call);
    if (!judge_prefix(call, &front))
        return false;
    if (!is_whole(&front)) {
        if (call->is_in_closed && front.have > 0)
            http2_refuse(call, RPC_INVALID_ARGUMENT, CUT);
        else if (call->is_in_closed)
            return tell_half_close(call, out);
        else if (stash(call))
            wait_for_more(call, &front);
        return false;
    }
    if (call->n_untaken == RPC_INBOUND_MESSAGES_MAX) {
        (void)stash(call);
        return false;
    }
    tell_front(call, &front, out);
    call->n_untaken++;
    call->untaken_len += out->message.len;
    session->inbound_len += out->message.len;
    http2_count_call(call);
    return true;
}

bool http2_tell_in(struct http2_call *call, struct rpc_session_event *out)
{
    if (call->told_len > 0) {
        buffer_consume(&call->in, call->told_len);
        call->told_len = 0;
        http2_count_call(call);
    }
    return call->receives_stream ? tell_message(call, out) : tell_request(call, out);
}

/* ---- afterwards ---- */

void http2_feed_starved(struct http2_session *session)
{
    while (!list_is_empty(&session->starved)) {
        struct http2_call *call =
            CONTAINER_OF(session->starved.next, struct http2_call, in_starved);
        struct front front = front_of(call);
        wait_for_more(call, &front);
        if (call->share == 0)
            return;
    }
}

void http2_taken(struct rpc_session_call *base, size_t len)
{
    struct http2_call *call = http2_call_of(base);
    struct http2_session *session = call->session;
    if (call->n_untaken == 0)
        return;
    assert(len <= call->untaken_len);
    call->n_untaken--;
    call->untaken_len -= len;
    session->inbound_len -= len;
    http2_count_call(call);
    size_t owed = len + HTTP2_PREFIX_BYTES;
    size_t credit = owed < call->window_credit ? owed : call->window_credit;
    call->window_credit -= credit;
    give_back(call, owed - credit);
    if (!call->is_over && list_is_empty(&call->in_ready) &&
        (buffer_length(&call->in) > call->told_len || call->is_in_closed))
        list_append(&session->ready, &call->in_ready);
    http2_feed_starved(session);
}

void http2_drop_in(struct http2_call *call)
{
    struct http2_session *session = call->session;
    if (session->current == call) {
        session->chunk_len = 0;
        session->is_open_due = false;
    }
    if (call->told_len > 0) {
        /* The message that is being told lies there. */
        buffer_deinit(&session->told);
        session->told = call->in;
        buffer_init(
            &call->in, HTTP2_PREFIX_BYTES + (size_t)RPC_MESSAGE_BYTES_MAX + RPC_HTTP2_WINDOW_BYTES);
        call->told_len = 0;
    } else {
        buffer_truncate(&call->in, 0);
    }
    list_remove(&call->in_ready);
    session->inbound_len -= call->untaken_len;
    call->untaken_len = 0;
    call->n_untaken = 0;
    drop_share(call);
    http2_count_call(call);
    http2_feed_starved(session);
}

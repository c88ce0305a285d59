/* One peer's connection: turns the session's events into calls. */
#include <assert.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/utf8.h"
#include "common/rpc/engine.h"

struct rpc_connection *rpc_connection_new(struct rpc_server *server, const struct rpc_peer *peer)
{
    struct rpc_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return NULL;
    connection->server = server;
    connection->peer = *peer;
    connection->stalled_since = CLOCK_NEVER;
    rpc_pace_init(&connection->pace);
    list_init(&connection->calls);
    list_init(&connection->awake);
    return connection;
}

/* One call at a time: a cancel hook may finish any other call of the same connection. */
static void abandon_calls(struct rpc_connection *connection)
{
    while (!list_is_empty(&connection->calls))
        rpc_call_abandon(
            CONTAINER_OF(connection->calls.next, struct rpc_call, in_owner), RPC_CANCELLED);
}

void rpc_connection_free(struct rpc_connection *connection)
{
    if (connection == NULL)
        return;
    assert(!connection->is_active);
    connection->is_active = true;
    if (connection->session != NULL)
        rpc_session_lose(connection->session, RPC_CANCELLED, "the connection was closed");
    abandon_calls(connection);
    rpc_session_free(connection->session);
    free(connection);
}

void rpc_connection_on_output(
    struct rpc_connection *connection, void (*ready)(void *data), void *data)
{
    connection->output_ready = ready;
    connection->output_data = data;
}

/* ---- the protocol ---- */

/* The first byte says which: a frame of ttrpc begins with the high byte of a length that never
 * reaches 2^24, HTTP/2's preface with 'P' (RFC 9113, 3.4). False: neither. */
static bool open_session(struct rpc_connection *connection, uint8_t first_byte, int64_t now_ms)
{
    if (first_byte == 0x00)
        connection->session = rpc_ttrpc_server_new(rpc_server_find, connection->server);
    else if (first_byte == 'P')
        connection->session = rpc_http2_server_new(rpc_server_find, connection->server, now_ms);
    else
        connection->close_reason = "its first byte is of no protocol";
    if (connection->session == NULL && connection->close_reason == NULL)
        connection->close_reason = "no memory for a connection";
    return connection->session != NULL;
}

static bool has_output(const struct rpc_connection *connection)
{
    return connection->session != NULL && rpc_session_has_output(connection->session);
}

/* ---- opening calls ---- */

static int64_t deadline_of(const struct rpc_session_facts *facts, int64_t now_ms)
{
    int64_t timeout_ms = CLOCK_NEVER;
    if (facts->timeout_nano > 0)
        timeout_ms = facts->timeout_nano / 1000000 + (facts->timeout_nano % 1000000 != 0);
    int64_t max_ms = facts->method->max_deadline_ms;
    if (max_ms > 0 && timeout_ms > max_ms)
        timeout_ms = max_ms;
    return clock_add_ms(now_ms, timeout_ms);
}

/* A name as the peer wrote it, shortened, and only if it is text. */
static struct rpc_bytes shown(struct rpc_bytes name)
{
    enum { MAX_SHOWN = 100 };
    if (name.len == 0 || !utf8_is_valid(name.data, name.len))
        return (struct rpc_bytes){.data = (const uint8_t *)"?", .len = 1};
    name.len = utf8_cut((const char *)name.data, name.len, MAX_SHOWN);
    return name;
}

static void refuse_unknown(struct rpc_call *call, const struct rpc_session_facts *facts)
{
    struct rpc_bytes service = shown(facts->service_name);
    struct rpc_bytes method = shown(facts->method_name);
    rpc_call_refuse(call, RPC_REFUSAL_NOT_IMPLEMENTED, "unknown method %.*s of service %.*s",
        (int)method.len, (const char *)method.data, (int)service.len, (const char *)service.data);
}

static void refuse_judged(struct rpc_call *call, const struct rpc_status *status)
{
    enum rpc_refusal refusal = RPC_REFUSAL_MALFORMED;
    if (status->code == RPC_RESOURCE_EXHAUSTED)
        refusal = RPC_REFUSAL_LIMIT;
    else if (status->code == RPC_UNIMPLEMENTED)
        refusal = RPC_REFUSAL_NOT_IMPLEMENTED;
    rpc_call_refuse(
        call, refusal, "%.*s", (int)status->message.len, (const char *)status->message.data);
}

/* `call` is counted already. */
static bool is_server_full(const struct rpc_call *call)
{
    bool is_first = call->connection->n_calls == 1;
    size_t most = RPC_SERVER_CALLS_MAX + (is_first ? RPC_SERVER_CALLS_RESERVED : 0);
    return call->server->n_calls > most;
}

/* Whether new calls are refused: where the peer is told of the end, only before it is told. */
static bool is_shut(const struct rpc_connection *connection)
{
    return !connection->tells_shut && (connection->is_shut || connection->server->is_shut);
}

/* Everything that can be said about a call before its message. False: refused, and gone. */
static bool admit_call(struct rpc_call *call, const struct rpc_session_event *event)
{
    struct rpc_connection *connection = call->connection;
    const struct rpc_server *server = call->server;
    if (event->status.code != RPC_OK)
        refuse_judged(call, &event->status);
    else if (is_shut(connection))
        rpc_call_refuse(call, RPC_REFUSAL_SHUTTING_DOWN, "the server is shutting down");
    else if (connection->n_calls > RPC_CONNECTION_CALLS_MAX)
        rpc_call_refuse(call, RPC_REFUSAL_LIMIT, "more than %d calls in flight on one connection",
            RPC_CONNECTION_CALLS_MAX);
    else if (is_server_full(call))
        rpc_call_refuse(
            call, RPC_REFUSAL_LIMIT, "more than %d calls in flight", RPC_SERVER_CALLS_MAX);
    else if (server->orphaned_bytes > RPC_ORPHANED_BYTES_MAX)
        rpc_call_refuse(call, RPC_REFUSAL_LIMIT,
            "calls whose callers have gone hold more than %d bytes", RPC_ORPHANED_BYTES_MAX);
    else if (call->method == NULL)
        refuse_unknown(call, &event->facts);
    else if (event->facts.timeout_nano < 0)
        rpc_call_refuse(
            call, RPC_REFUSAL_DEADLINE, "the deadline had passed before the request was sent");
    else
        return true;
    return false;
}

/* What is allocated for a call besides itself and its metadata. False: refused, and gone. */
static bool furnish_call(struct rpc_call *call, enum rpc_metadata_result metadata)
{
    if (metadata == RPC_METADATA_BAD_TEXT) {
        rpc_call_refuse(call, RPC_REFUSAL_BAD_TEXT,
            "the metadata is not text: not UTF-8, or it has a NUL in it");
        return false;
    }
    if (call->method->kind != RPC_UNARY)
        call->stream = rpc_call_stream_new(call);
    if (metadata == RPC_METADATA_NO_MEMORY ||
        (call->method->kind != RPC_UNARY && call->stream == NULL)) {
        rpc_call_refuse(call, RPC_REFUSAL_LIMIT, "no memory for the call");
        return false;
    }
    return true;
}

/* False: the gate has ended the call, and it is gone. Metadata that could not be copied is not
 * there for it either. */
static bool pass_gate(struct rpc_call *call, const struct rpc_session_facts *facts)
{
    const struct rpc_connection *connection = call->connection;
    if (connection->enter == NULL)
        return true;
    rpc_call_hold(call);
    (void)connection->enter(connection->enter_data, call, facts->authority);
    return rpc_call_unhold(call);
}

static void open_call(struct rpc_connection *connection, const struct rpc_session_event *event)
{
    struct rpc_call *call = rpc_call_new(connection, event->call);
    if (call == NULL) {
        connection->close_reason = "no memory for a call";
        rpc_session_lose(connection->session, RPC_CANCELLED, connection->close_reason);
        return;
    }
    call->method = event->facts.method;
    enum rpc_metadata_result metadata = RPC_METADATA_COPIED;
    if (event->facts.n_metadata > 0)
        metadata =
            rpc_metadata_copy(event->facts.metadata, event->facts.n_metadata, &call->metadata);
    if (!pass_gate(call, &event->facts) || !admit_call(call, event) ||
        !furnish_call(call, metadata))
        return;
    call->service = rpc_server_service_of(call->server, call->method);
    call->deadline_at = deadline_of(&event->facts, connection->now_ms);
    if (rpc_method_takes_stream(call->method))
        rpc_call_run(call, NULL);
    else
        rpc_call_await_deadline(call);
}

/* ---- events ---- */

static void take_message(struct rpc_call *call, struct rpc_bytes message)
{
    if (rpc_method_takes_stream(call->method))
        rpc_call_stream_take_message(call->stream, message);
    else
        rpc_call_run(call, &message);
}

static void take_half_close(struct rpc_call *call)
{
    /* Otherwise the message was the request, and its handler is at work. */
    if (rpc_method_takes_stream(call->method))
        rpc_call_stream_take_half_close(call->stream);
}

static void end_call(const struct rpc_session_event *event)
{
    struct rpc_call *call = rpc_session_call_owner(event->call);
    if (call != NULL)
        rpc_call_abandon(call, event->status.code);
    else
        rpc_session_call_release(event->call);
}

static void pump(struct rpc_connection *connection)
{
    struct rpc_session_event event;
    while (rpc_session_next(connection->session, &event)) {
        switch (event.kind) {
        case RPC_EVENT_OPENED:
            open_call(connection, &event);
            break;
        case RPC_EVENT_MESSAGE:
            take_message(rpc_session_call_owner(event.call), event.message);
            break;
        case RPC_EVENT_HALF_CLOSED:
            take_half_close(rpc_session_call_owner(event.call));
            break;
        case RPC_EVENT_ENDED:
            end_call(&event);
            break;
        }
    }
}

/* Answers how much output waits. */
static size_t watch_stall(struct rpc_connection *connection)
{
    size_t len = 0;
    if (connection->session != NULL)
        (void)rpc_session_output(connection->session, &len);
    if (len < RPC_OUTPUT_STALL_BYTES)
        connection->stalled_since = CLOCK_NEVER;
    else if (connection->stalled_since == CLOCK_NEVER)
        connection->stalled_since = connection->now_ms;
    return len;
}

static size_t work(struct rpc_connection *connection)
{
    connection->is_active = true;
    pump(connection);
    connection->is_active = false;
    return watch_stall(connection);
}

void rpc_connection_receive(
    struct rpc_connection *connection, const uint8_t *bytes, size_t len, int64_t now_ms)
{
    size_t output_before = 0;
    connection->now_ms = now_ms;
    connection->answered_len = 0;
    if (len == 0 || connection->close_reason != NULL ||
        (connection->session == NULL && !open_session(connection, bytes[0], now_ms)))
        return;
    (void)rpc_session_output(connection->session, &output_before);
    rpc_session_receive(connection->session, bytes, len, now_ms);
    size_t output_after = work(connection);
    size_t written = output_after > output_before ? output_after - output_before : 0;
    /* Answers that wait for window, or whose callers have gone, were work all the same. */
    rpc_pace_learn(&connection->pace, len,
        written > connection->answered_len ? written : connection->answered_len);
}

size_t rpc_connection_read_max(const struct rpc_connection *connection)
{
    return connection == NULL ? RPC_RECEIVE_BYTES_FIRST : rpc_pace_bytes(&connection->pace);
}

void rpc_connection_set_gate(struct rpc_connection *connection,
    bool (*enter)(void *data, struct rpc_call *call, const char *authority), void *data)
{
    connection->enter = enter;
    connection->enter_data = data;
}

void rpc_connection_shut(struct rpc_connection *connection, int64_t now_ms)
{
    connection->now_ms = now_ms;
    if (connection->is_shut)
        return;
    connection->is_shut = true;
    if (connection->session != NULL)
        connection->tells_shut = rpc_session_shut(connection->session, now_ms);
}

void rpc_connection_receive_end(struct rpc_connection *connection)
{
    connection->has_ended = true;
    if (connection->session == NULL)
        return;
    rpc_session_lose(connection->session, RPC_CANCELLED, "the peer closed the connection");
    (void)work(connection);
}

/* ---- output ---- */

static void ask_streams(struct rpc_connection *connection)
{
    assert(!connection->is_active);
    connection->is_active = true;
    rpc_call_streams_ask(&connection->awake);
    /* What they have taken may have been in the way of more. */
    pump(connection);
    connection->is_active = false;
    (void)watch_stall(connection);
}

const uint8_t *rpc_connection_output(struct rpc_connection *connection, size_t *out_len)
{
    connection->has_told_awake = false;
    *out_len = 0;
    if (!list_is_empty(&connection->awake))
        ask_streams(connection);
    return connection->session == NULL ? NULL : rpc_session_output(connection->session, out_len);
}

void rpc_connection_sent(struct rpc_connection *connection, size_t len, int64_t now_ms)
{
    connection->now_ms = now_ms;
    bool was_stalled = connection->stalled_since != CLOCK_NEVER;
    if (connection->session == NULL)
        return;
    rpc_session_sent(connection->session, len);
    if (was_stalled)
        (void)work(connection);
}

void rpc_connection_note_output(struct rpc_connection *connection, bool had_output)
{
    if (connection->is_active || connection->output_ready == NULL)
        return;
    bool has_begun_to_wait = !had_output && rpc_session_has_output(connection->session);
    if (has_begun_to_wait || rpc_session_broken(connection->session) != NULL)
        connection->output_ready(connection->output_data);
}

void rpc_connection_note_awake(struct rpc_connection *connection)
{
    if (connection->is_active || connection->has_told_awake || connection->output_ready == NULL)
        return;
    connection->has_told_awake = true;
    connection->output_ready(connection->output_data);
}

/* ---- what the transport should do ---- */

static bool has_stream_to_ask(const struct rpc_connection *connection)
{
    LIST_FOR_EACH(link, &connection->awake)
    {
        if (rpc_call_stream_is_ready(CONTAINER_OF(link, struct rpc_call_stream, in_awake)))
            return true;
    }
    return false;
}

static const char *reason_to_close(const struct rpc_connection *connection, bool has_more)
{
    const struct rpc_session *session = connection->session;
    if (connection->close_reason != NULL)
        return connection->close_reason;
    if (session != NULL && rpc_session_broken(session) != NULL)
        return rpc_session_broken(session);
    if (has_more)
        return "";
    if (connection->has_ended)
        return "the peer closed the connection";
    if (connection->is_shut && connection->n_calls == 0 &&
        (session == NULL || rpc_session_is_drained(session)))
        return "the connection was shut";
    return "";
}

const char *rpc_connection_close_reason(const struct rpc_connection *connection)
{
    return reason_to_close(connection, has_output(connection));
}

unsigned rpc_connection_wants(const struct rpc_connection *connection)
{
    bool has_more = has_output(connection);
    if (reason_to_close(connection, has_more)[0] != '\0')
        return RPC_WANTS_CLOSE;
    unsigned wants = 0;
    if (has_more || has_stream_to_ask(connection))
        wants |= RPC_WANTS_WRITE;
    if (connection->session == NULL || rpc_session_wants_read(connection->session))
        wants |= RPC_WANTS_READ;
    return wants;
}

int64_t rpc_connection_tick(struct rpc_connection *connection, int64_t now_ms)
{
    connection->now_ms = now_ms;
    (void)watch_stall(connection);
    int64_t next_at = CLOCK_NEVER;
    if (connection->session != NULL)
        next_at = rpc_session_tick(connection->session, now_ms);
    int64_t stall_at = clock_add_ms(connection->stalled_since, RPC_OUTPUT_STALL_MS);
    if (now_ms >= stall_at)
        connection->close_reason = "the peer does not read its answers";
    return stall_at < next_at ? stall_at : next_at;
}

size_t rpc_connection_n_calls(const struct rpc_connection *connection)
{
    return connection->n_calls;
}

size_t rpc_connection_held_bytes(const struct rpc_connection *connection)
{
    size_t held = 0;
    if (connection->session != NULL)
        held = rpc_session_held_bytes(connection->session);
    LIST_FOR_EACH(link, &connection->calls)
    {
        held += rpc_call_held_bytes(CONTAINER_OF(link, struct rpc_call, in_owner));
    }
    return held;
}

#include "server/transport/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "server/transport/limits.h"

static void complain(
    const struct connection *connection, enum complaint_kind kind, const char *text)
{
    struct connection_shared *shared = connection->shared;

    shared->complain(shared->data, kind, &connection->peer, text);
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;

    free(connection);
}

void connection_close(struct connection *connection)
{
    if (connection->is_closing)
        return;
    connection->is_closing = true;
    population_leave(&connection->shared->population, &connection->member);
    list_remove(&connection->link);
    rpc_connection_free(connection->rpc);
    connection->rpc = NULL;
    list_remove(&connection->unsettled);
    /* uv_close stops the polling, so the descriptor may go at once (libuv, uv_poll_t). */
    uv_close((uv_handle_t *)&connection->poll, on_closed);
    fd_close(&connection->fd);
}

void connection_note(struct connection *connection)
{
    if (connection->is_closing)
        return;
    /* One that waits keeps its place, however often it is noted. */
    if (list_is_empty(&connection->unsettled))
        list_append(
            connection->is_noisy ? &connection->shared->noisy : &connection->shared->unsettled,
            &connection->unsettled);
    connection->shared->noted(connection->shared->data);
}

/* ---- the gate of TCP ---- */

static const char *refusal_text(enum gate_verdict verdict)
{
    switch (verdict) {
    case GATE_NO_TOKEN:
        return "a call over TCP without the token";
    case GATE_WRONG_TOKEN:
        return "a call over TCP with another token";
    case GATE_FOREIGN:
        return "a call over TCP for an authority that is not this machine's loopback";
    case GATE_OPEN:
        break;
    }
    return "";
}

static bool ask_gate(void *data, struct rpc_call *call, const char *authority)
{
    struct connection *connection = data;
    const struct gate_claim claim = {
        .is_http2 = connection->is_http2,
        .has_entered = connection->has_entered,
        .authority = authority,
        .authorization = rpc_call_metadata_value(call, "authorization"),
    };
    enum gate_verdict verdict = gate_judge(&connection->shared->token, &claim);
    const ProtobufCMessage *detail = NULL;

    if (verdict == GATE_OPEN) {
        connection->has_entered = true;
        return true;
    }
    complain(connection, COMPLAINT_GATE, refusal_text(verdict));
    if (connection->shared->gate_detail)
        detail = connection->shared->gate_detail(verdict);
    rpc_call_fail(call, verdict == GATE_FOREIGN ? RPC_PERMISSION_DENIED : RPC_UNAUTHENTICATED,
        detail, "%s", refusal_text(verdict));
    return false;
}

/* ---- receiving ---- */

static void note_output(void *data)
{
    connection_note(data);
}

/* False: the connection is closed. */
static bool open_door(struct connection *connection, uint8_t first_byte)
{
    connection->rpc = rpc_connection_new(connection->shared->server, &connection->peer);
    if (!connection->rpc) {
        complain(connection, COMPLAINT_CROWD, "no memory for a connection");
        connection_close(connection);
        return false;
    }
    /* Of HTTP/2's preface (RFC 9113, 3.4); a frame of ttrpc begins with 0. */
    connection->is_http2 = first_byte == 'P';
    rpc_connection_on_output(connection->rpc, note_output, connection);
    if (connection->is_tcp)
        rpc_connection_set_gate(connection->rpc, ask_gate, connection);
    return true;
}

static void tell_entering(struct connection *connection)
{
    if (!connection->has_entered || connection->has_told_entering)
        return;
    connection->has_told_entering = true;
    connection->shared->entered(connection->shared->data, connection);
}

static void take(struct connection *connection, size_t len, int64_t now_ms)
{
    const uint8_t *bytes = connection->shared->read_buffer;

    connection->active_at = now_ms;
    population_touch(&connection->member);
    if (!connection->rpc && !open_door(connection, bytes[0]))
        return;
    rpc_connection_receive(connection->rpc, bytes, len, now_ms);
    tell_entering(connection);
}

static void take_end(struct connection *connection)
{
    if (!connection->rpc) {
        connection_close(connection);
        return;
    }
    connection->has_ended = true;
    rpc_connection_receive_end(connection->rpc);
}

static void read_once(struct connection *connection, int64_t now_ms)
{
    size_t most = rpc_connection_read_max(connection->rpc);
    ssize_t len = read(connection->fd, connection->shared->read_buffer, most);

    connection->is_readable = false;
    connection->is_noisy = len == (ssize_t)most;
    if (len > 0 && connection->is_lingering)
        return;
    if (len > 0)
        take(connection, (size_t)len, now_ms);
    else if (len == 0)
        take_end(connection);
    else if (errno != EAGAIN && errno != EINTR)
        connection_close(connection);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct connection *connection = poll->data;

    if (status < 0) {
        /* POLLERR: the peer went away with our output unread. */
        connection_close(connection);
        return;
    }
    if (events & UV_READABLE)
        connection->is_readable = true;
    connection_note(connection);
}

/* ---- settling ---- */

/* False: the connection is closed. */
static bool write_once(struct connection *connection, int64_t now_ms)
{
    size_t len;
    const uint8_t *bytes = rpc_connection_output(connection->rpc, &len);
    ssize_t written;

    if (len == 0)
        return true;
    written = send(connection->fd, bytes, len, MSG_NOSIGNAL);
    if (written > 0) {
        connection->active_at = now_ms;
        population_touch(&connection->member);
        rpc_connection_sent(connection->rpc, (size_t)written, now_ms);
        return true;
    }
    if (errno == EAGAIN || errno == EINTR)
        return true;
    connection_close(connection);
    return false;
}

/* False: the connection is closed. */
static bool poll_for(struct connection *connection, int events)
{
    if (events == connection->polled_events)
        return true;
    if (uv_poll_start(&connection->poll, events, on_poll) != 0) {
        connection_close(connection);
        return false;
    }
    connection->polled_events = events;
    return true;
}

/* False: the connection is closed. */
static bool poll_for_wants(struct connection *connection)
{
    unsigned wants = rpc_connection_wants(connection->rpc);
    int events =
        (wants & RPC_WANTS_READ ? UV_READABLE : 0) | (wants & RPC_WANTS_WRITE ? UV_WRITABLE : 0);

    return (wants & RPC_WANTS_CLOSE) || poll_for(connection, events);
}

static bool wants_close(const struct connection *connection)
{
    return (rpc_connection_wants(connection->rpc) & RPC_WANTS_CLOSE) != 0;
}

/* Closing at once would fail what the peer is just writing (an acknowledgement, a PING), and with
 * that the answers that it has not read yet. Who has been silent for longer has read them. */
static bool deserves_to_linger(const struct connection *connection, int64_t now_ms)
{
    return connection->is_shut && !connection->has_ended &&
           now_ms < clock_add_ms(connection->active_at, TRANSPORT_FAREWELL_MS);
}

static void linger(struct connection *connection, int64_t now_ms)
{
    rpc_connection_free(connection->rpc);
    connection->rpc = NULL;
    connection->member.is_busy = false;
    population_hold(&connection->shared->population, &connection->member, 0);
    connection->is_lingering = true;
    connection->ends_at = clock_add_ms(now_ms, TRANSPORT_FAREWELL_MS);
    if (shutdown(connection->fd, SHUT_WR) != 0)
        connection_close(connection);
    else
        (void)poll_for(connection, UV_READABLE);
}

/* Answers when to come again. */
static int64_t end(struct connection *connection, const char *reason, int64_t now_ms)
{
    if (!connection->has_ended && !connection->is_shut)
        complain(connection, COMPLAINT_PROTOCOL, reason);
    if (deserves_to_linger(connection, now_ms))
        linger(connection, now_ms);
    else
        connection_close(connection);
    return connection->is_closing ? CLOCK_NEVER : connection->ends_at;
}

/* When a connection without a call has been silent for too long, or a stranger over TCP has been
 * one. */
static int64_t idle_at(const struct connection *connection)
{
    if (connection->is_tcp && !connection->has_entered)
        return clock_add_ms(connection->opened_at, TRANSPORT_STRANGER_MS);
    if (connection->member.is_busy)
        return CLOCK_NEVER;
    return clock_add_ms(connection->active_at, TRANSPORT_IDLE_MS);
}

/* The time limit of a connection that was shut. False: the connection is closed. */
static bool end_in_time(struct connection *connection, int64_t now_ms)
{
    if (now_ms < connection->ends_at)
        return true;
    if (!connection->rpc || connection->has_ended_calls) {
        connection_close(connection);
        return false;
    }
    connection->has_ended_calls = true;
    connection->ends_at = clock_add_ms(now_ms, TRANSPORT_FAREWELL_MS);
    rpc_connection_end_calls(connection->rpc, connection->shut_text);
    return true;
}

static int64_t soonest(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

static int64_t next_at(struct connection *connection, int64_t tick_at, int64_t now_ms)
{
    int64_t idle = idle_at(connection);

    if (connection->rpc && wants_close(connection))
        return end(connection, rpc_connection_close_reason(connection->rpc), now_ms);
    if (idle <= now_ms) {
        connection_close(connection);
        return CLOCK_NEVER;
    }
    if (!end_in_time(connection, now_ms))
        return CLOCK_NEVER;
    return soonest(soonest(idle, tick_at), connection->ends_at);
}

/* What had come by then has been heard. */
static void begin_end(struct connection *connection, int64_t now_ms)
{
    if (!connection->is_shut || connection->has_begun_end)
        return;
    connection->has_begun_end = true;
    connection->ends_at = connection->shut_until;
    rpc_connection_shut(connection->rpc, now_ms);
}

int64_t connection_settle(struct connection *connection, int64_t now_ms)
{
    int64_t tick_at;

    list_remove(&connection->unsettled);
    if (connection->is_readable)
        read_once(connection, now_ms);
    if (connection->is_closing)
        return CLOCK_NEVER;
    if (!connection->rpc)
        return next_at(connection, CLOCK_NEVER, now_ms);
    begin_end(connection, now_ms);
    if (!write_once(connection, now_ms))
        return CLOCK_NEVER;
    if (connection->is_shut)
        rpc_connection_end_waiting_streams(connection->rpc, connection->shut_text);
    connection->member.is_busy = rpc_connection_n_calls(connection->rpc) > 0;
    population_hold(&connection->shared->population, &connection->member,
        rpc_connection_held_bytes(connection->rpc));
    /* Before it is polled: what the passing time has to say is to be written, too. */
    tick_at = rpc_connection_tick(connection->rpc, now_ms);
    if (!poll_for_wants(connection))
        return CLOCK_NEVER;
    return next_at(connection, tick_at, now_ms);
}

void connection_shut(struct connection *connection, int64_t ends_at, const char *text)
{
    if (connection->is_closing || connection->is_shut)
        return;
    connection->is_shut = true;
    connection->shut_until = ends_at;
    connection->ends_at = ends_at;
    connection->shut_text = text;
    connection->is_readable = true;
    /* A silent one has perhaps just been accepted, and is about to speak. */
    if (!connection->rpc)
        connection->ends_at = clock_add_ms(connection->opened_at, TRANSPORT_SILENT_MS);
    connection_note(connection);
}

/* ---- life ---- */

int connection_open(struct connection_shared *shared, int fd,
    const struct connection_origin *origin, struct error *error)
{
    CLEANUP(fd_close) int socket_fd = fd;
    struct connection *connection = calloc(1, sizeof(*connection));
    int result;

    if (!connection)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a connection");
    result = uv_poll_init(shared->loop, &connection->poll, socket_fd);
    if (result != 0) {
        free(connection);
        return error_set_errno(error, -result, "watch a connection");
    }
    connection->poll.data = connection;
    connection->fd = fd_take(&socket_fd);
    connection->shared = shared;
    connection->peer = origin->peer;
    connection->is_tcp = origin->is_tcp;
    connection->opened_at = clock_monotonic_ms();
    connection->active_at = connection->opened_at;
    connection->ends_at = CLOCK_NEVER;
    list_init(&connection->unsettled);
    list_append(&shared->connections, &connection->link);
    result = population_join(&shared->population, origin->crowd, &connection->member);
    if (result < 0) {
        connection_close(connection);
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a connection");
    }
    if (!poll_for(connection, UV_READABLE))
        return error_set(error, STATUS_INTERNAL, "cannot watch a connection");
    connection_note(connection);
    return 0;
}

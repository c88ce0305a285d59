#include "server/transport/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "server/transport/door.h"
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

/* ---- receiving ---- */

static void note_output(void *data)
{
    connection_note(data);
}

/* False: the connection is closed. */
static bool open_door(struct connection *connection, uint8_t first_byte)
{
    const uint8_t *goodbye;
    size_t len;

    switch (door_of(first_byte)) {
    case DOOR_TTRPC:
        connection->rpc = rpc_connection_new(connection->shared->server, &connection->peer);
        if (connection->rpc) {
            rpc_connection_on_output(connection->rpc, note_output, connection);
            return true;
        }
        complain(connection, COMPLAINT_CROWD, "no memory for a connection");
        break;
    case DOOR_HTTP2:
        complain(connection, COMPLAINT_HTTP2, "gRPC is not served by this version");
        goodbye = door_http2_goodbye(&len);
        /* A courtesy: whether it arrives changes nothing. */
        (void)!send(connection->fd, goodbye, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        break;
    case DOOR_NONE:
        complain(connection, COMPLAINT_DOOR, "first byte of no protocol");
        break;
    }
    connection_close(connection);
    return false;
}

static void take(struct connection *connection, size_t len, int64_t now_ms)
{
    const uint8_t *bytes = connection->shared->read_buffer;

    connection->active_at = now_ms;
    population_touch(&connection->member);
    if (!connection->rpc && !open_door(connection, bytes[0]))
        return;
    rpc_connection_receive(connection->rpc, bytes, len, now_ms);
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

static bool wants_close(const struct connection *connection)
{
    return (rpc_connection_wants(connection->rpc) & RPC_WANTS_CLOSE) != 0;
}

static void close_for(struct connection *connection, const char *reason)
{
    if (!connection->has_ended)
        complain(connection, COMPLAINT_PROTOCOL, reason);
    connection_close(connection);
}

/* When a connection without a call has been silent for too long. */
static int64_t idle_at(const struct connection *connection)
{
    if (connection->member.is_busy)
        return CLOCK_NEVER;
    return clock_add_ms(connection->active_at, TRANSPORT_IDLE_MS);
}

static int64_t next_at(struct connection *connection, int64_t now_ms)
{
    int64_t idle = idle_at(connection);
    int64_t tick = connection->rpc ? rpc_connection_tick(connection->rpc, now_ms) : CLOCK_NEVER;

    if (connection->rpc && wants_close(connection)) {
        close_for(connection, rpc_connection_close_reason(connection->rpc));
        return CLOCK_NEVER;
    }
    if (idle <= now_ms) {
        connection_close(connection);
        return CLOCK_NEVER;
    }
    return idle < tick ? idle : tick;
}

int64_t connection_settle(struct connection *connection, int64_t now_ms)
{
    unsigned wants;
    int events;

    list_remove(&connection->unsettled);
    if (connection->is_readable)
        read_once(connection, now_ms);
    if (connection->is_closing)
        return CLOCK_NEVER;
    if (!connection->rpc)
        return next_at(connection, now_ms);
    if (!write_once(connection, now_ms))
        return CLOCK_NEVER;
    connection->member.is_busy = rpc_connection_n_calls(connection->rpc) > 0;
    population_hold(&connection->shared->population, &connection->member,
        rpc_connection_held_bytes(connection->rpc));
    wants = rpc_connection_wants(connection->rpc);
    events =
        (wants & RPC_WANTS_READ ? UV_READABLE : 0) | (wants & RPC_WANTS_WRITE ? UV_WRITABLE : 0);
    if (!(wants & RPC_WANTS_CLOSE) && !poll_for(connection, events))
        return CLOCK_NEVER;
    return next_at(connection, now_ms);
}

/* ---- life ---- */

int connection_open(
    struct connection_shared *shared, int fd, const struct rpc_peer *peer, struct error *error)
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
    connection->peer = *peer;
    connection->active_at = clock_monotonic_ms();
    list_init(&connection->unsettled);
    list_append(&shared->connections, &connection->link);
    result = population_join(&shared->population, peer->pid, &connection->member);
    if (result < 0) {
        connection_close(connection);
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a connection");
    }
    if (!poll_for(connection, UV_READABLE))
        return error_set(error, STATUS_INTERNAL, "cannot watch a connection");
    connection_note(connection);
    return 0;
}

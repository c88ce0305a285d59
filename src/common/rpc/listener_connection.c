/* One connection of a listener. In one turn it reads once and, with everything that was answered
 * meanwhile, writes once. It decides nothing about other connections. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/rpc/listener_parts.h"

void listener_connection_close(struct listener_connection *connection)
{
    if (connection->is_closed)
        return;
    struct rpc_listener *listener = connection->listener;
    connection->is_closed = true;
    population_leave(&listener->population, &connection->member);
    list_remove(&connection->unsettled);
    list_remove(&connection->link);
    list_append(&listener->closed, &connection->link);
    rpc_connection_free(connection->rpc);
    connection->rpc = NULL;
    /* Explicitly: a child between fork and exec may hold the socket, and epoll would go on to name
     * this connection (epoll(7), Q6). */
    (void)epoll_ctl(listener->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
    fd_close(&connection->fd);
}

void listener_connection_free_closed(struct rpc_listener *listener)
{
    LIST_FOR_EACH_SAFE(link, &listener->closed)
    {
        list_remove(link);
        free(CONTAINER_OF(link, struct listener_connection, link));
    }
}

static void close_for(struct listener_connection *connection, const char *reason)
{
    if (!connection->has_ended)
        listener_refuse(connection->listener, &connection->peer, reason);
    listener_connection_close(connection);
}

void listener_connection_note(struct listener_connection *connection)
{
    struct rpc_listener *listener = connection->listener;
    if (connection->is_closed)
        return;
    list_remove(&connection->unsettled);
    list_append(&listener->unsettled, &connection->unsettled);
    if (!listener->is_in_turn)
        listener_wake(listener);
}

static void note_output(void *data)
{
    listener_connection_note(data);
}

/* ---- receiving ---- */

/* False: the connection is closed. */
static bool begin(struct listener_connection *connection)
{
    connection->rpc = rpc_connection_new(connection->listener->server, &connection->peer);
    if (connection->rpc == NULL) {
        close_for(connection, "no memory for a connection");
        return false;
    }
    rpc_connection_on_output(connection->rpc, note_output, connection);
    return true;
}

static void take(struct listener_connection *connection, size_t len, int64_t now_ms)
{
    const uint8_t *bytes = connection->listener->read_buffer;
    connection->active_at = now_ms;
    population_touch(&connection->member);
    if (connection->rpc == NULL && !begin(connection))
        return;
    rpc_connection_receive(connection->rpc, bytes, len, now_ms);
    listener_connection_note(connection);
}

static void take_end(struct listener_connection *connection)
{
    connection->has_ended = true;
    if (connection->rpc == NULL) {
        listener_connection_close(connection);
        return;
    }
    rpc_connection_receive_end(connection->rpc);
    listener_connection_note(connection);
}

/* False: nothing was there. */
static bool read_once(struct listener_connection *connection, int64_t now_ms)
{
    uint8_t *buffer = connection->listener->read_buffer;
    size_t most = rpc_connection_read_max(connection->rpc);
    ssize_t len = recv(connection->fd, buffer, most, MSG_DONTWAIT);
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (len > 0)
        take(connection, (size_t)len, now_ms);
    else if (len == 0)
        take_end(connection);
    else
        listener_connection_close(connection);
    return true;
}

void listener_connection_on_event(
    struct listener_connection *connection, uint32_t events, int64_t now_ms)
{
    if (connection->is_closed)
        return;
    if (events & EPOLLIN)
        (void)read_once(connection, now_ms);
    else if (events & (EPOLLHUP | EPOLLERR))
        /* Told whether watched for or not. The peer is gone, and nobody will read an answer. */
        listener_connection_close(connection);
    else
        listener_connection_note(connection);
}

/* ---- settling ---- */

/* False: the connection is closed. */
static bool write_once(struct listener_connection *connection, int64_t now_ms)
{
    size_t len = 0;
    const uint8_t *bytes = rpc_connection_output(connection->rpc, &len);
    if (len == 0)
        return true;
    ssize_t written = send(connection->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (written < 0) {
        listener_connection_close(connection);
        return false;
    }
    connection->active_at = now_ms;
    population_touch(&connection->member);
    rpc_connection_sent(connection->rpc, (size_t)written, now_ms);
    return true;
}

/* False: the connection is closed. */
static bool watch(struct listener_connection *connection, uint32_t events)
{
    if (events == connection->watched)
        return true;
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(connection->listener->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event) != 0) {
        close_for(connection, "it cannot be watched");
        return false;
    }
    connection->watched = events;
    return true;
}

static bool watch_for(struct listener_connection *connection, unsigned wants)
{
    uint32_t events = 0;
    /* The end would be readable for ever. */
    if (wants & RPC_WANTS_READ && !connection->has_ended)
        events |= EPOLLIN;
    if (wants & RPC_WANTS_WRITE)
        events |= EPOLLOUT;
    return watch(connection, events);
}

/* After a stop. What the peer has sent already is read first, so that those calls get an answer;
 * then it is told, and the engine knows when nothing is left to do. */
static void begin_end(struct listener_connection *connection, int64_t now_ms)
{
    if (!connection->listener->is_shut || connection->has_begun_end || connection->has_ended)
        return;
    bool may_read =
        connection->rpc == NULL || rpc_connection_wants(connection->rpc) & RPC_WANTS_READ;
    if (may_read && read_once(connection, now_ms))
        return;
    if (connection->rpc == NULL) {
        listener_connection_close(connection);
        return;
    }
    connection->has_begun_end = true;
    rpc_connection_shut(connection->rpc, now_ms);
}

/* When a connection without a call has been silent for too long. */
static int64_t idle_at(const struct listener_connection *connection)
{
    if (connection->member.is_busy)
        return CLOCK_NEVER;
    return clock_add_ms(connection->active_at, connection->listener->options.idle_ms);
}

/* A connection that ends because the listener does is not worth a word. */
static void close_wanted(struct listener_connection *connection)
{
    if (connection->has_begun_end)
        listener_connection_close(connection);
    else
        close_for(connection, rpc_connection_close_reason(connection->rpc));
}

/* Closes what is broken or idle. Answers when to come again. */
static int64_t next_at(struct listener_connection *connection, int64_t rpc_at, int64_t now_ms)
{
    int64_t idle = idle_at(connection);
    if (connection->rpc != NULL && rpc_connection_wants(connection->rpc) & RPC_WANTS_CLOSE) {
        close_wanted(connection);
        return CLOCK_NEVER;
    }
    if (idle <= now_ms) {
        listener_connection_close(connection);
        return CLOCK_NEVER;
    }
    return idle < rpc_at ? idle : rpc_at;
}

int64_t listener_connection_settle(struct listener_connection *connection, int64_t now_ms)
{
    int64_t rpc_at = CLOCK_NEVER;
    list_remove(&connection->unsettled);
    if (!connection->is_closed)
        begin_end(connection, now_ms);
    if (connection->is_closed)
        return CLOCK_NEVER;
    if (connection->rpc != NULL) {
        if (!write_once(connection, now_ms))
            return CLOCK_NEVER;
        connection->member.is_busy = rpc_connection_n_calls(connection->rpc) > 0;
        population_hold(&connection->listener->population, &connection->member,
            rpc_connection_held_bytes(connection->rpc));
        /* Before it is polled: what the passing time has to say is to be written, too. */
        rpc_at = rpc_connection_tick(connection->rpc, now_ms);
        unsigned wants = rpc_connection_wants(connection->rpc);
        if (!(wants & RPC_WANTS_CLOSE) && !watch_for(connection, wants))
            return CLOCK_NEVER;
    }
    return next_at(connection, rpc_at, now_ms);
}

/* ---- life ---- */

bool listener_connection_open(
    struct rpc_listener *listener, int fd, const struct rpc_peer *peer, int64_t now_ms)
{
    CLEANUP(fd_close) int socket_fd = fd;
    struct listener_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return false;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (population_join(&listener->population, peer->pid, &connection->member) < 0) {
        free(connection);
        return false;
    }
    if (epoll_ctl(listener->epoll_fd, EPOLL_CTL_ADD, socket_fd, &event) != 0) {
        population_leave(&listener->population, &connection->member);
        free(connection);
        return false;
    }
    connection->listener = listener;
    connection->fd = fd_take(&socket_fd);
    connection->watched = EPOLLIN;
    connection->peer = *peer;
    connection->active_at = now_ms;
    list_init(&connection->unsettled);
    list_append(&listener->connections, &connection->link);
    listener_connection_note(connection);
    return true;
}

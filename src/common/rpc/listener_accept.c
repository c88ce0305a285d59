/* Whom a listener lets in, and who has to go for it. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/rpc/client_error.h"
#include "common/rpc/listener_parts.h"

/* SO_PEERCRED: the process that connected, at the time it did (unix(7)); pid 0 and ids of -1 for
 * other kinds of socket. */
static bool identify(int fd, struct rpc_peer *out)
{
    struct ucred credentials;
    socklen_t len = sizeof credentials;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) != 0)
        return false;
    *out =
        (struct rpc_peer){.pid = credentials.pid, .uid = credentials.uid, .gid = credentials.gid};
    return true;
}

static void evict(
    struct rpc_listener *listener, struct population_member *member, const char *reason)
{
    struct listener_connection *connection =
        CONTAINER_OF(member, struct listener_connection, member);
    listener_refuse(listener, &connection->peer, reason);
    listener_connection_close(connection);
}

void listener_lighten(struct rpc_listener *listener)
{
    while (population_held(&listener->population) > RPC_HELD_BYTES_MAX)
        evict(listener, population_heaviest(&listener->population),
            "its connections hold too much memory");
}

/* False: there is no room for one more of this peer. */
static bool make_room(struct rpc_listener *listener, const struct rpc_peer *peer)
{
    const struct population *population = &listener->population;
    struct population_member *victim;
    if (population_count_of(population, peer->pid) >= listener->options.connections_per_pid_max)
        victim = population_victim_of(population, peer->pid);
    else if (population_count(population) >= listener->options.connections_max)
        victim = population_victim(population, peer->pid);
    else
        return true;
    if (victim == NULL)
        return false;
    evict(listener, victim, "too many connections");
    return true;
}

static void let_in(struct rpc_listener *listener, int fd, int64_t now_ms)
{
    CLEANUP(fd_close) int newcomer_fd = fd;
    struct rpc_peer peer = {.uid = UINT32_MAX, .gid = UINT32_MAX};
    if (!identify(newcomer_fd, &peer))
        listener_refuse(listener, &peer, "its identity is unknown");
    else if (!listener->options.admit(listener->options.data, &peer))
        listener_refuse(listener, &peer, "not admitted");
    else if (!make_room(listener, &peer))
        listener_refuse(listener, &peer, "too many connections, all of them with calls");
    else if (!listener_connection_open(listener, fd_take(&newcomer_fd), &peer, now_ms))
        listener_refuse(listener, &peer, "no memory for a connection");
}

/* accept() had no descriptor. A connection that idles makes room; where there is none, the newcomer
 * is turned away with the descriptor in reserve, or the socket would stay readable and the loop
 * would spin on it. 0, or what accept() says even now. */
static int make_descriptor(struct rpc_listener *listener)
{
    struct population_member *victim = population_victim(&listener->population, 0);
    if (victim != NULL) {
        evict(listener, victim, "too many connections");
        return 0;
    }
    fd_close(&listener->reserve_fd);
    int fd = accept4(listener->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    int system_error = fd < 0 ? errno : 0;
    if (fd >= 0)
        listener_refuse(listener, &(struct rpc_peer){.uid = UINT32_MAX}, "no descriptor left");
    fd_close(&fd);
    listener->reserve_fd = listener_open_reserve();
    return system_error;
}

/* Level-triggered epoll would tell of the same newcomer for ever: accepting rests. */
static void pause_accepting(struct rpc_listener *listener, int64_t now_ms)
{
    struct epoll_event event = {.events = 0, .data.ptr = &listener->listen_fd};
    (void)epoll_ctl(listener->epoll_fd, EPOLL_CTL_MOD, listener->listen_fd, &event);
    listener->accept_at = clock_add_ms(now_ms, RPC_LISTENER_PAUSE_MS);
}

/* True: worth trying again at once. */
static bool recover(struct rpc_listener *listener, int system_error, int64_t now_ms)
{
    if (system_error == EMFILE || system_error == ENFILE)
        system_error = make_descriptor(listener);
    switch (system_error) {
    case 0:
    case EINTR:
    case ECONNABORTED:
        return true;
    case EAGAIN:
        return false;
    default:
        pause_accepting(listener, now_ms);
        return false;
    }
}

void listener_accept(struct rpc_listener *listener, int64_t now_ms)
{
    for (int i = 0; i < RPC_LISTENER_ACCEPTS_PER_TURN; i++) {
        int fd = accept4(listener->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            let_in(listener, fd, now_ms);
        else if (!recover(listener, errno, now_ms))
            return;
    }
}

enum rpc_result rpc_listener_take_connection(
    struct rpc_listener *listener, int fd, struct rpc_error **error)
{
    CLEANUP(fd_close) int socket_fd = fd;
    struct rpc_peer peer;
    if (listener->is_shut)
        return rpc_error_make(error, RPC_FAILED_PRECONDITION, 0, "the listener was stopped");
    if (!identify(socket_fd, &peer))
        return listener_fail(error, errno, "asking who is connected", NULL);
    if (!make_room(listener, &peer))
        return rpc_error_make(
            error, RPC_RESOURCE_EXHAUSTED, 0, "too many connections, all of them with calls");
    if (!listener_connection_open(listener, fd_take(&socket_fd), &peer, clock_monotonic_ms()))
        return rpc_error_make(error, RPC_RESOURCE_EXHAUSTED, ENOMEM, "no memory for a connection");
    return RPC_DONE;
}

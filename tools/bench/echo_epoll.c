/* The smallest honest shell: level-triggered epoll, one read, one write. It asks for writability
 * only while the socket is full. */
#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "crpc/server.h"
#include "echo_service.h"
#include "echo_shells.h"

enum { READ_BYTES = 64 * 1024, EVENTS_PER_TURN = 256, DESCRIPTORS_MAX = 8192 };

struct peer {
    int fd;
    uint32_t watched;
    struct rpc_connection *connection;
};

struct shell {
    int epoll_fd;
    int listen_fd;
    struct rpc_server *server;
    /* By descriptor. */
    struct peer peers[DESCRIPTORS_MAX];
    uint8_t input[READ_BYTES];
};

static void drop(struct peer *peer)
{
    rpc_connection_free(peer->connection);
    (void)close(peer->fd);
}

static void accept_one(struct shell *shell)
{
    int fd = accept4(shell->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 || fd >= DESCRIPTORS_MAX) {
        (void)close(fd);
        return;
    }
    struct peer *peer = &shell->peers[fd];
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    peer->fd = fd;
    peer->watched = EPOLLIN;
    peer->connection = rpc_connection_new(shell->server, &(struct rpc_peer){.uid = UINT32_MAX});
    if (peer->connection == NULL || epoll_ctl(shell->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        drop(peer);
}

/* False: the connection is gone. */
static bool read_once(struct shell *shell, struct peer *peer, int64_t now_ms)
{
    ssize_t len = read(peer->fd, shell->input, sizeof shell->input);
    if (len > 0)
        rpc_connection_receive(peer->connection, shell->input, (size_t)len, now_ms);
    return len > 0 || (len < 0 && errno == EAGAIN);
}

/* False: the connection is gone. */
static bool write_once(struct peer *peer, int64_t now_ms)
{
    size_t len = 0;
    const uint8_t *bytes = rpc_connection_output(peer->connection, &len);
    if (len == 0)
        return true;
    ssize_t written = send(peer->fd, bytes, len, MSG_NOSIGNAL);
    if (written > 0)
        rpc_connection_sent(peer->connection, (size_t)written, now_ms);
    return written > 0 || errno == EAGAIN;
}

static bool watch(struct shell *shell, struct peer *peer)
{
    unsigned wants = rpc_connection_wants(peer->connection);
    uint32_t events = ((wants & RPC_WANTS_READ) != 0 ? (uint32_t)EPOLLIN : 0) |
                      ((wants & RPC_WANTS_WRITE) != 0 ? (uint32_t)EPOLLOUT : 0);
    struct epoll_event event = {.events = events, .data.fd = peer->fd};
    if ((wants & RPC_WANTS_CLOSE) != 0)
        return false;
    if (events == peer->watched)
        return true;
    peer->watched = events;
    return epoll_ctl(shell->epoll_fd, EPOLL_CTL_MOD, peer->fd, &event) == 0;
}

static void serve_peer(struct shell *shell, struct peer *peer, uint32_t events)
{
    int64_t now_ms = clock_monotonic_ms();
    if (((events & EPOLLIN) != 0 && !read_once(shell, peer, now_ms)) || !write_once(peer, now_ms) ||
        !watch(shell, peer) || (events & (EPOLLHUP | EPOLLERR)) != 0)
        drop(peer);
}

static void turn(struct shell *shell)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int n = epoll_wait(shell->epoll_fd, events, EVENTS_PER_TURN, -1);
    for (int i = 0; i < n; i++) {
        if (events[i].data.fd == shell->listen_fd)
            accept_one(shell);
        else
            serve_peer(shell, &shell->peers[events[i].data.fd], events[i].events);
    }
}

int echo_serve_epoll(int listen_fd)
{
    static struct shell shell;
    shell.listen_fd = listen_fd;
    shell.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    shell.server = rpc_server_new(&(struct rpc_server_hooks){.data = NULL});
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listen_fd};
    if (shell.epoll_fd < 0 || shell.server == NULL ||
        rpc_server_add(shell.server, echo_service()) != 0 ||
        epoll_ctl(shell.epoll_fd, EPOLL_CTL_ADD, listen_fd, &event) != 0)
        return 1;
    for (;;)
        turn(&shell);
}

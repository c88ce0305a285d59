/* A listener's life: what it holds, and where it listens. */
#include "crpc/listener.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/status.h"
#include "common/rpc/client_error.h"
#include "common/rpc/listener_parts.h"

/* A service as it was added: the server keeps a pointer. */
struct listener_service {
    struct list link;
    struct rpc_service service;
};

enum rpc_result listener_fail(
    struct rpc_error **error, int system_error, const char *attempt, const char *subject)
{
    const char *description = strerrordesc_np(system_error);
    /* The codes of base are gRPC's, too. */
    return rpc_error_make(error, (enum rpc_code)status_from_errno(system_error), system_error,
        "%s%s%s: %s", attempt, subject == NULL ? "" : " ", subject == NULL ? "" : subject,
        description == NULL ? "unknown error" : description);
}

void listener_refuse(
    const struct rpc_listener *listener, const struct rpc_peer *peer, const char *reason)
{
    if (listener->options.refused != NULL)
        listener->options.refused(listener->options.data, peer, reason);
}

/* ---- options ---- */

static bool admit_ourselves(void *data, const struct rpc_peer *peer)
{
    (void)data;
    return peer->uid == geteuid() || peer->uid == 0;
}

/* How many connections the process's descriptors allow. */
static size_t connections_allowed(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return SIZE_MAX;
    return limit.rlim_cur > RPC_LISTENER_DESCRIPTORS_RESERVED
               ? limit.rlim_cur - RPC_LISTENER_DESCRIPTORS_RESERVED
               : 1;
}

static void choose_options(
    struct rpc_listener_options *out, const struct rpc_listener_options *wanted)
{
    if (wanted != NULL)
        *out = *wanted;
    if (out->connections_max == 0)
        out->connections_max = RPC_LISTENER_CONNECTIONS_MAX;
    if (out->connections_max > connections_allowed())
        out->connections_max = connections_allowed();
    if (out->connections_per_pid_max == 0)
        out->connections_per_pid_max = RPC_LISTENER_CONNECTIONS_PER_PID;
    if (out->idle_ms <= 0)
        out->idle_ms = RPC_LISTENER_IDLE_MS;
    if (out->shut_ms <= 0)
        out->shut_ms = RPC_LISTENER_SHUT_MS;
    if (out->admit == NULL)
        out->admit = admit_ourselves;
}

/* ---- life ---- */

int listener_open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static struct rpc_listener *alloc_listener(const struct rpc_listener_options *options)
{
    const struct rpc_server_hooks no_hooks = {0};
    struct rpc_listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL)
        return NULL;
    listener->epoll_fd = -1;
    listener->wake_fd = -1;
    listener->listen_fd = -1;
    listener->reserve_fd = -1;
    listener->shut_at = CLOCK_NEVER;
    listener->accept_at = CLOCK_NEVER;
    listener->timer_at = CLOCK_NEVER;
    list_init(&listener->services);
    list_init(&listener->connections);
    list_init(&listener->unsettled);
    list_init(&listener->closed);
    population_init(&listener->population);
    atomic_init(&listener->stops, 0);
    choose_options(&listener->options, options);
    listener->server =
        rpc_server_new(listener->options.hooks == NULL ? &no_hooks : listener->options.hooks);
    /* The server has copied it, and it may be gone now. */
    listener->options.hooks = NULL;
    listener->read_buffer = malloc(RPC_RECEIVE_BYTES_MAX);
    if (listener->server != NULL && listener->read_buffer != NULL)
        return listener;
    rpc_listener_free(listener);
    return NULL;
}

/* `place` is where the listener holds the descriptor: that names it among the connections. */
static enum rpc_result watch(
    struct rpc_listener *listener, void *place, int fd, uint32_t events, struct rpc_error **error)
{
    struct epoll_event event = {.events = events, .data = {.ptr = place}};
    if (epoll_ctl(listener->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return listener_fail(error, errno, "watching a descriptor", NULL);
    return RPC_DONE;
}

static enum rpc_result open_descriptors(struct rpc_listener *listener, struct rpc_error **error)
{
    listener->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (listener->epoll_fd < 0)
        return listener_fail(error, errno, "opening an epoll descriptor", NULL);
    listener->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (listener->wake_fd < 0)
        return listener_fail(error, errno, "opening an eventfd", NULL);
    listener->reserve_fd = listener_open_reserve();
    if (listener->reserve_fd < 0)
        return listener_fail(error, errno, "opening", "/dev/null");
    return watch(listener, &listener->wake_fd, listener->wake_fd, EPOLLIN | EPOLLET, error);
}

struct rpc_listener *rpc_listener_new(
    const struct rpc_listener_options *options, struct rpc_error **error)
{
    struct rpc_listener *listener = alloc_listener(options);
    if (listener == NULL) {
        (void)rpc_error_make(error, RPC_RESOURCE_EXHAUSTED, ENOMEM, "no memory for a listener");
        return NULL;
    }
    if (open_descriptors(listener, error) != RPC_DONE) {
        rpc_listener_free(listener);
        return NULL;
    }
    return listener;
}

void listener_close_socket(struct rpc_listener *listener)
{
    listener_path_remove(&listener->path);
    if (listener->listen_fd >= 0)
        (void)epoll_ctl(listener->epoll_fd, EPOLL_CTL_DEL, listener->listen_fd, NULL);
    fd_close(&listener->listen_fd);
    listener->accept_at = CLOCK_NEVER;
}

static void free_services(struct rpc_listener *listener)
{
    LIST_FOR_EACH_SAFE(link, &listener->services)
    {
        list_remove(link);
        free(CONTAINER_OF(link, struct listener_service, link));
    }
}

void rpc_listener_free(struct rpc_listener *listener)
{
    if (listener == NULL)
        return;
    assert(!listener->is_in_turn);
    /* Nobody has to be woken by what cancel hooks do. */
    listener->is_in_turn = true;
    listener_close_socket(listener);
    while (!list_is_empty(&listener->connections))
        listener_connection_close(
            CONTAINER_OF(listener->connections.next, struct listener_connection, link));
    listener_connection_free_closed(listener);
    population_deinit(&listener->population);
    rpc_server_free(listener->server);
    free_services(listener);
    fd_close(&listener->reserve_fd);
    fd_close(&listener->wake_fd);
    fd_close(&listener->epoll_fd);
    free(listener->read_buffer);
    free(listener);
}

enum rpc_code rpc_listener_add(struct rpc_listener *listener, const struct rpc_service *service)
{
    struct listener_service *kept = malloc(sizeof *kept);
    if (kept == NULL)
        return RPC_RESOURCE_EXHAUSTED;
    kept->service = *service;
    enum rpc_code code = rpc_server_add(listener->server, &kept->service);
    if (code != RPC_OK)
        free(kept);
    else
        list_append(&listener->services, &kept->link);
    return code;
}

size_t rpc_listener_n_connections(const struct rpc_listener *listener)
{
    return population_count(&listener->population);
}

int rpc_listener_fd(const struct rpc_listener *listener)
{
    return listener->epoll_fd;
}

/* ---- where it listens ---- */

static enum rpc_result watch_socket(struct rpc_listener *listener, struct rpc_error **error)
{
    enum rpc_result result =
        watch(listener, &listener->listen_fd, listener->listen_fd, EPOLLIN, error);
    if (result != RPC_DONE)
        listener_close_socket(listener);
    return result;
}

static enum rpc_result may_listen(const struct rpc_listener *listener, struct rpc_error **error)
{
    if (listener->listen_fd >= 0)
        return rpc_error_make(error, RPC_FAILED_PRECONDITION, 0, "the listener has a socket");
    if (listener->is_shut || atomic_load(&listener->stops) > 0)
        return rpc_error_make(error, RPC_FAILED_PRECONDITION, 0, "the listener was stopped");
    return RPC_DONE;
}

enum rpc_result rpc_listener_bind(
    struct rpc_listener *listener, const char *path, mode_t mode, struct rpc_error **error)
{
    if (may_listen(listener, error) != RPC_DONE ||
        listener_path_bind(&listener->path, path, mode, &listener->listen_fd, error) != RPC_DONE)
        return RPC_ERROR;
    return watch_socket(listener, error);
}

static bool is_listening_stream(int fd)
{
    int value = 0;
    socklen_t len = sizeof value;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) != 0 || value == 0)
        return false;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len) == 0 && value == SOCK_STREAM;
}

enum rpc_result rpc_listener_take_listening_fd(
    struct rpc_listener *listener, int fd, struct rpc_error **error)
{
    CLEANUP(fd_close) int socket_fd = fd;
    if (may_listen(listener, error) != RPC_DONE)
        return RPC_ERROR;
    if (!is_listening_stream(socket_fd))
        return rpc_error_make(
            error, RPC_INVALID_ARGUMENT, 0, "descriptor %d is no stream socket that listens", fd);
    /* Who shares the socket may be quicker: accept must not wait for the next newcomer. */
    if (fd_set_nonblocking(socket_fd, true, NULL) < 0)
        return listener_fail(error, errno, "setting non-blocking mode of a socket", NULL);
    listener->listen_fd = fd_take(&socket_fd);
    return watch_socket(listener, error);
}

#include "peer.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flocks/v1/supervisor.server.h"

#include "common/base/clock.h"
#include "crpc/server.h"
#include "unit.h"

static void get_status(
    void *self, struct flocks_get_status_call *call, const flocks_get_status_request *request)
{
    (void)self;
    flocks_get_status_response response = FLOCKS_GET_STATUS_RESPONSE_INIT;
    response.event_token = "token";
    if (request->n_services > 0 && request->services[0][0] == '#') {
        size_t len = strtoul(request->services[0] + 1, NULL, 10);
        char *text = calloc(1, len + 1);
        memset(text, 'x', len);
        response.event_token = text;
        flocks_get_status_reply(call, &response);
        free(text);
        return;
    }
    flocks_get_status_reply(call, &response);
}

static void stop_services(
    void *self, struct flocks_stop_services_call *call, const flocks_stop_services_request *request)
{
    (void)self;
    flocks_error_detail detail = FLOCKS_ERROR_DETAIL_INIT;
    detail.reason = FLOCKS__V1__ERROR_REASON__ERROR_REASON_UNKNOWN_SERVICE;
    detail.service = request->services[0];
    detail.hint = "see flocks status";
    rpc_call_fail(flocks_stop_services_base(call), RPC_NOT_FOUND, &detail.base,
        "there is no service %s", request->services[0]);
}

static void get_operation(
    void *self, struct flocks_get_operation_call *call, const flocks_get_operation_request *request)
{
    (void)self;
    (void)call;
    (void)request;
}

static void shut_down(
    void *self, struct flocks_shutdown_call *call, const flocks_shutdown_request *request)
{
    (void)self;
    (void)call;
    (void)request;
    _exit(0);
}

static const struct flocks_supervisor_handlers HANDLERS = {.get_status = get_status,
    .stop_services = stop_services,
    .get_operation = get_operation,
    .shutdown = shut_down};

static void receive(struct rpc_connection *connection, int fd)
{
    static uint8_t bytes[64 * 1024];
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0)
        rpc_connection_receive(connection, bytes, (size_t)n, clock_monotonic_ms());
    else if (n == 0)
        rpc_connection_receive_end(connection);
}

static void transmit(struct rpc_connection *connection, int fd)
{
    size_t len = 0;
    const uint8_t *bytes = rpc_connection_output(connection, &len);
    ssize_t n = len == 0 ? 0 : send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
        rpc_connection_sent(connection, (size_t)n, clock_monotonic_ms());
}

static void serve(struct rpc_server *server, int fd)
{
    struct rpc_connection *connection = rpc_connection_new(server, &(struct rpc_peer){.pid = 1});
    for (;;) {
        unsigned wants = rpc_connection_wants(connection);
        if ((wants & RPC_WANTS_CLOSE) != 0)
            break;
        struct pollfd ready = {.fd = fd,
            .events = (short)(((wants & RPC_WANTS_READ) != 0 ? POLLIN : 0) |
                              ((wants & RPC_WANTS_WRITE) != 0 ? POLLOUT : 0))};
        int64_t next_at = rpc_server_next_tick(server);
        int64_t wait_ms = next_at == CLOCK_NEVER ? -1 : next_at - clock_monotonic_ms();
        (void)poll(&ready, 1, wait_ms > 0 || next_at == CLOCK_NEVER ? (int)wait_ms : 0);
        rpc_server_tick(server, clock_monotonic_ms());
        if ((ready.revents & (POLLIN | POLLHUP)) != 0)
            receive(connection, fd);
        transmit(connection, fd);
    }
    rpc_connection_free(connection);
    (void)close(fd);
}

static struct rpc_server *make_server(struct rpc_service *service)
{
    const struct rpc_server_hooks hooks = {.data = NULL};
    struct rpc_server *server = rpc_server_new(&hooks);
    *service = flocks_supervisor_service(&HANDLERS, NULL);
    if (server == NULL || rpc_server_add(server, service) != 0)
        _exit(3);
    return server;
}

pid_t peer_serve(int fd)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rpc_service service;
        struct rpc_server *server = make_server(&service);
        serve(server, fd);
        rpc_server_free(server);
        _exit(0);
    }
    (void)close(fd);
    return pid;
}

pid_t peer_accept(int listener, int n_dropped)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rpc_service service;
        struct rpc_server *server = make_server(&service);
        for (;;) {
            int fd = accept(listener, NULL, NULL);
            if (fd < 0)
                _exit(4);
            if (n_dropped-- > 0)
                (void)close(fd);
            else
                serve(server, fd);
        }
    }
    (void)close(listener);
    return pid;
}

void peer_end(pid_t pid)
{
    (void)kill(pid, SIGTERM);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGTERM : WEXITSTATUS(status) == 0);
}

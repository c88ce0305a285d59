/* Serves bench.v1 on a unix socket until it is killed; says "ready" first.
 *
 *   bench-echo-server listener PATH     crpc/listener.h, as a stranger would serve it
 *   bench-echo-server flocksd PATH      the transport that flocksd has (libuv, peers, bounds) */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "calls.h"
#include "crpc/listener.h"
#include "echo_service.h"
#include "echo_transport.h"

static int listen_on(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, SOMAXCONN) != 0)
        return -1;
    return fd;
}

static void say_ready(void)
{
    (void)printf("ready\n");
    (void)fflush(stdout);
}

static int serve_with_transport(const char *path)
{
    int fd = listen_on(path);
    if (fd < 0) {
        perror(path);
        return 1;
    }
    say_ready();
    return echo_transport_serve(fd);
}

static int serve_with_listener(const char *path)
{
    const struct rpc_listener_options options = {
        .connections_max = CALLS_CONNECTIONS_MAX, .connections_per_pid_max = CALLS_CONNECTIONS_MAX};
    struct rpc_error *error = NULL;
    struct rpc_listener *listener = rpc_listener_new(&options, &error);
    if (listener == NULL)
        return calls_failed(error);
    if (rpc_listener_add(listener, echo_service()) != RPC_OK ||
        rpc_listener_add(listener, stream_service()) != RPC_OK)
        return 1;
    if (rpc_listener_bind(listener, path, 0600, &error) != RPC_DONE)
        return calls_failed(error);
    say_ready();
    int result = rpc_listener_run(listener, &error) == RPC_DONE ? 0 : calls_failed(error);
    rpc_listener_free(listener);
    return result;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 3) {
        (void)fprintf(stderr, "usage: %s listener|flocksd PATH\n", arguments[0]);
        return 2;
    }
    if (strcmp(arguments[1], "listener") == 0)
        return serve_with_listener(arguments[2]);
    return serve_with_transport(arguments[2]);
}

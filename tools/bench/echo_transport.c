#include "echo_transport.h"

#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#include "echo_service.h"
#include "server/transport/transport.h"

int echo_transport_serve(int listen_fd)
{
    const struct rpc_service *services[] = {echo_service(), stream_service()};
    const struct rpc_server_hooks hooks = {.data = NULL};
    const struct transport_setup setup = {
        .loop = uv_default_loop(),
        .listen_fd = listen_fd,
        .owner = getuid(),
        .services = services,
        .n_services = 2,
        .hooks = &hooks,
    };
    struct error error = ERROR_INIT;
    struct transport *transport = NULL;
    if (transport_open(&setup, &transport, &error) < 0) {
        (void)fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

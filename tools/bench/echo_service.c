#include "echo_service.h"

#include "echo.server.h"

static void echo(void *self, struct bench_echo_call *call, const bench_echo_request *request)
{
    (void)self;
    bench_echo_response response = BENCH_ECHO_RESPONSE_INIT;
    response.payload = request->payload;
    bench_echo_reply(call, &response);
}

const struct rpc_service *echo_service(void)
{
    static const struct bench_echo_handlers handlers = {.echo = echo};
    static struct rpc_service service;
    service = bench_echo_service(&handlers, NULL);
    return &service;
}

/* The generated client, one call at a time: prints nanoseconds, one call a line.
 *
 *   bench-echo-client PATH CALLS BYTES [CONNECTIONS [quiet]] */
#include <stdio.h>

#include "calls.h"
#include "echo.client.h"
#include "rounds.h"

static int call(struct rpc_client *client, void *data)
{
    const bench_echo_request *request = data;
    const bench_echo_response *response = NULL;
    struct rpc_error *error = NULL;
    if (bench_echo_echo(client, NULL, request, &response, &error) != RPC_DONE)
        return calls_failed(error);
    int result = response->payload.len != request->payload.len;
    rpc_message_free(&response->base);
    return result;
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 4 || argument_count > 6) {
        (void)fprintf(stderr, "usage: %s PATH CALLS BYTES [CONNECTIONS [quiet]]\n", arguments[0]);
        return 2;
    }
    bench_echo_request request = BENCH_ECHO_REQUEST_INIT;
    request.payload.len = rounds_number(arguments[3]);
    request.payload.data = rounds_message(request.payload.len);
    if (request.payload.data == NULL)
        return 2;
    return calls_run(&(struct calls_plan){
        .path = arguments[1],
        .n_calls = rounds_number(arguments[2]),
        .n_connections = argument_count >= 5 ? rounds_number(arguments[4]) : 1,
        .is_quiet = argument_count == 6,
        .call = call,
        .data = &request,
    });
}

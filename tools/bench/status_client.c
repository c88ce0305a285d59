/* GetStatus of a running flocksd, one call at a time: prints nanoseconds, one call a line.
 *
 *   bench-status-client PATH CALLS [CONNECTIONS] */
#include <stdio.h>

#include "flocks/v1/supervisor.client.h"

#include "calls.h"
#include "rounds.h"

static int call(struct rpc_client *client, void *data)
{
    const flocks_get_status_response *response = NULL;
    struct rpc_error *error = NULL;
    if (flocks_supervisor_get_status(client, NULL, data, &response, &error) != RPC_DONE)
        return calls_failed(error);
    rpc_message_free(&response->base);
    return 0;
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 3 || argument_count > 4) {
        (void)fprintf(stderr, "usage: %s PATH CALLS [CONNECTIONS]\n", arguments[0]);
        return 2;
    }
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    return calls_run(&(struct calls_plan){
        .path = arguments[1],
        .n_calls = rounds_number(arguments[2]),
        .n_connections = argument_count == 4 ? rounds_number(arguments[3]) : 1,
        .call = call,
        .data = &request,
    });
}

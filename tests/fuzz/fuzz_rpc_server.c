/* A hostile client against the whole engine: cuts,
 * deadlines, late answers and losses from the input. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "flocks/v1/supervisor.server.h"

#include "crpc/limits.h"
#include "crpc/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct state {
    struct rpc_call *waiting[RPC_CONNECTION_CALLS_MAX];
    size_t n_waiting;
};

static void get_status(
    void *self, struct flocks_get_status_call *call, const flocks_get_status_request *request)
{
    (void)self;
    flocks_get_status_response response = FLOCKS_GET_STATUS_RESPONSE_INIT;
    if (request->n_services > 0)
        response.event_token = request->services[0];
    flocks_get_status_reply(call, &response);
}

static void stop_services(
    void *self, struct flocks_stop_services_call *call, const flocks_stop_services_request *request)
{
    (void)self;
    rpc_call_fail(flocks_stop_services_base(call), RPC_ABORTED, NULL, "%zu", request->n_services);
}

static void get_operation(
    void *self, struct flocks_get_operation_call *call, const flocks_get_operation_request *request)
{
    (void)request;
    struct state *state = self;
    state->waiting[state->n_waiting++] = flocks_get_operation_base(call);
}

static const struct flocks_supervisor_handlers HANDLERS = {
    .get_status = get_status, .stop_services = stop_services, .get_operation = get_operation};

static void answer_all(struct state *state)
{
    while (state->n_waiting > 0) {
        flocks_get_operation_response response = FLOCKS_GET_OPERATION_RESPONSE_INIT;
        rpc_call_reply_message(state->waiting[--state->n_waiting], &response.base);
    }
}

static void step(struct rpc_server *server, struct rpc_connection *connection, struct state *state,
    const uint8_t *bytes, size_t len, unsigned action, int64_t now_ms)
{
    uint8_t *copy = malloc(len + 1);
    assert(copy != NULL);
    memcpy(copy, bytes, len);
    rpc_connection_receive(connection, copy, len, now_ms);
    free(copy);
    if ((action & 1U) != 0 || state->n_waiting > RPC_CONNECTION_CALLS_MAX / 2)
        answer_all(state);
    if ((action & 2U) != 0)
        rpc_server_tick(server, now_ms);
    if ((action & 4U) != 0) {
        size_t output_len = 0;
        (void)rpc_connection_output(connection, &output_len);
        rpc_connection_sent(connection, output_len, now_ms);
    }
    (void)rpc_connection_tick(connection, now_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    static struct state state;
    state.n_waiting = 0;
    const struct rpc_server_hooks hooks = {.data = NULL};
    struct rpc_server *server = rpc_server_new(&hooks);
    struct rpc_service service = flocks_supervisor_service(&HANDLERS, &state);
    int result = rpc_server_add(server, &service);
    assert(result == 0);
    struct rpc_connection *connection = rpc_connection_new(server, &(struct rpc_peer){.pid = 1});
    size_t piece = (size_t)data[0] * 4 + 1;
    unsigned actions = data[1];
    int64_t now_ms = 1000;
    for (size_t at = 2; at < size; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        step(server, connection, &state, data + at, len, actions, now_ms);
        if ((rpc_connection_wants(connection) & RPC_WANTS_CLOSE) != 0)
            break;
        actions = actions * 5 + 3;
        now_ms += 100;
    }
    if ((actions & 8U) != 0)
        answer_all(&state);
    rpc_connection_free(connection);
    rpc_server_free(server);
    return 0;
}

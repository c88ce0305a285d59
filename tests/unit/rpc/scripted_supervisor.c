#include "scripted_supervisor.h"

#include <stdlib.h>
#include <string.h>

static void get_status(
    void *self, struct flocks_get_status_call *call, const flocks_get_status_request *request)
{
    struct scripted_supervisor *supervisor = self;
    supervisor->n_requests++;
    supervisor->peer = *rpc_call_peer(flocks_get_status_base(call));
    flocks_get_status_response response = FLOCKS_GET_STATUS_RESPONSE_INIT;
    if (request->n_services == 1 && request->services[0][0] == '#') {
        /* "#<n>": an answer of so many bytes. */
        size_t len = strtoul(request->services[0] + 1, NULL, 10);
        char *text = malloc(len + 1);
        memset(text, 'x', len);
        text[len] = '\0';
        response.event_token = text;
        flocks_get_status_reply(call, &response);
        free(text);
        return;
    }
    response.event_token = "1-2";
    flocks_get_status_reply(call, &response);
}

static void stop_services(
    void *self, struct flocks_stop_services_call *call, const flocks_stop_services_request *request)
{
    struct scripted_supervisor *supervisor = self;
    supervisor->n_requests++;
    supervisor->deadline_at = rpc_call_deadline_ms(flocks_stop_services_base(call));
    rpc_call_fail(flocks_stop_services_base(call), RPC_NOT_FOUND, NULL, "no service %s",
        request->n_services > 0 ? request->services[0] : "");
}

static void on_cancelled(void *data)
{
    struct scripted_supervisor *supervisor = data;
    supervisor->n_cancelled++;
    if (!supervisor->answers_when_cancelled)
        return;
    flocks_error_detail detail = FLOCKS_ERROR_DETAIL_INIT;
    detail.reason = FLOCKS__V1__ERROR_REASON__ERROR_REASON_START_TIMEOUT;
    rpc_call_fail(flocks_get_operation_base(supervisor->waiting[--supervisor->n_waiting]),
        RPC_DEADLINE_EXCEEDED, &detail.base, "operation 5 goes on");
}

static void get_operation(
    void *self, struct flocks_get_operation_call *call, const flocks_get_operation_request *request)
{
    (void)request;
    struct scripted_supervisor *supervisor = self;
    rpc_call_on_cancel(flocks_get_operation_base(call), on_cancelled, self);
    supervisor->waiting[supervisor->n_waiting++] = call;
}

void scripted_supervisor_answer(struct scripted_supervisor *supervisor)
{
    flocks_get_operation_response response = FLOCKS_GET_OPERATION_RESPONSE_INIT;
    flocks_get_operation_reply(supervisor->waiting[--supervisor->n_waiting], &response);
}

const struct flocks_supervisor_handlers scripted_supervisor_handlers = {
    .get_status = get_status, .stop_services = stop_services, .get_operation = get_operation};

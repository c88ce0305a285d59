/* The least that a program with all calls can be; measured by size.sh. */
#include "flocks/nano.h"

static struct flocks_nano nano;
static struct flocks_nano_error error;

static void see_service(void *data, const flocks_service_status *service)
{
    unsigned *n_healthy = data;
    *n_healthy += service->state == FLOCKS_SERVICE_STATE_HEALTHY;
}

static void see_outcome(void *data, const flocks_service_outcome *outcome)
{
    unsigned *n_done = data;
    *n_done += outcome->state == FLOCKS_OPERATION_STATE_SUCCEEDED;
}

static void see_exit(void *data, const flocks_exit_record *record)
{
    unsigned *n_exits = data;
    *n_exits += record->generation > 0;
}

int main(int argc, char **argv)
{
    static flocks_get_status_request status_request;
    static flocks_get_status_response status;
    static flocks_restart_services_request restart_request;
    static flocks_restart_services_response restart;
    static flocks_stop_services_request stop_request;
    static flocks_stop_services_response stop;
    static flocks_get_operation_request get_request;
    static flocks_get_operation_response operation;
    static flocks_explain_service_request explain_request;
    static flocks_explain_service_response why;
    unsigned n = 0;
    if (argc < 2 || flocks_nano_connect(&nano, argv[1], 0, &error) != RPC_OK)
        return 1;
    if (flocks_nano_get_status(&nano, &status_request, see_service, &n, &status, &error) ||
        flocks_nano_restart_services(&nano, &restart_request, see_outcome, &n, &restart, &error) ||
        flocks_nano_stop_services(&nano, &stop_request, see_outcome, &n, &stop, &error) ||
        flocks_nano_get_operation(&nano, &get_request, see_outcome, &n, &operation, &error) ||
        flocks_nano_explain_service(&nano, &explain_request, see_exit, &n, &why, &error))
        return 1;
    flocks_nano_close(&nano);
    return n > 0 ? 0 : 1;
}

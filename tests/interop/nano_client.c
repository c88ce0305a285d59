/* The nano client as a program: nano_client SOCKET COMMAND [NAME...]. Prints what it saw, one fact
 * a line; the tests judge it. Linked with an allocator that aborts (abort_on_heap.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flocks/nano.h"

static struct flocks_nano nano;
static struct flocks_nano_error error;

static int tell_error(void)
{
    printf("code %d\nmessage %s\n", (int)error.code, error.message);
    if (error.has_detail)
        printf("reason %d\nservice %s\nhint %s\noperation %s\n", (int)error.detail.reason,
            error.detail.service, error.detail.hint, error.detail.operation_id);
    return EXIT_SUCCESS;
}

static void tell_service(void *data, const flocks_service_status *service)
{
    (void)data;
    printf("service %s %d %d %u %lld\n", service->name, (int)service->state, (int)service->pid,
        (unsigned)service->generation, (long long)service->since.seconds);
}

static void tell_outcome(void *data, const flocks_service_outcome *outcome)
{
    (void)data;
    printf("outcome %s %d %u %u\n", outcome->service, (int)outcome->state,
        (unsigned)outcome->from_generation, (unsigned)outcome->to_generation);
}

static int tell_operation(const flocks_operation *operation)
{
    printf("operation %s %d %d\n", operation->id, (int)operation->kind, (int)operation->state);
    return EXIT_SUCCESS;
}

/* A name too many is left to the library to refuse. */
static pb_size_t take_names(char (*out)[64], size_t room, char **names, int n_names)
{
    for (size_t i = 0; i < room && i < (size_t)n_names; i++)
        (void)snprintf(out[i], sizeof out[i], "%s", names[i]);
    return (pb_size_t)n_names;
}

#define ROOM(array) (sizeof(array) / sizeof *(array))

static int get_status(char **names, int n_names)
{
    static flocks_get_status_request request;
    static flocks_get_status_response status;
    request.services_count = take_names(request.services, ROOM(request.services), names, n_names);
    if (flocks_nano_get_status(&nano, &request, tell_service, NULL, &status, &error) != RPC_OK)
        return tell_error();
    printf("daemon %d %s\n", (int)status.daemon.pid, status.daemon.version);
    return EXIT_SUCCESS;
}

static int restart(char **names, int n_names, uint32_t timeout_ms)
{
    static flocks_restart_services_request request;
    static flocks_restart_services_response answer;
    request.wait = true;
    request.services_count = take_names(request.services, ROOM(request.services), names, n_names);
    nano.timeout_ms = timeout_ms;
    if (flocks_nano_restart_services(&nano, &request, tell_outcome, NULL, &answer, &error) !=
        RPC_OK)
        return tell_error();
    return tell_operation(&answer.operation);
}

static int stop(char **names, int n_names)
{
    static flocks_stop_services_request request;
    static flocks_stop_services_response answer;
    request.wait = true;
    request.services_count = take_names(request.services, ROOM(request.services), names, n_names);
    if (flocks_nano_stop_services(&nano, &request, tell_outcome, NULL, &answer, &error) != RPC_OK)
        return tell_error();
    return tell_operation(&answer.operation);
}

static int run(const char *command, char **names, int n_names)
{
    enum { SHORT_MS = 2000 };
    if (strcmp(command, "status") == 0)
        return get_status(names, n_names);
    if (strcmp(command, "restart") == 0)
        return restart(names, n_names, 0);
    if (strcmp(command, "stop") == 0)
        return stop(names, n_names);
    if (strcmp(command, "hurried-restart") == 0)
        return restart(names, n_names, SHORT_MS);
    return 2;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fputs(
            "usage: nano_client SOCKET status|restart|stop|hurried-restart [NAME...]\n", stderr);
        return 2;
    }
    if (flocks_nano_connect(&nano, argv[1], 0, &error) != RPC_OK)
        return tell_error();
    int result = run(argv[2], argv + 3, argc - 3);
    flocks_nano_close(&nano);
    return result;
}

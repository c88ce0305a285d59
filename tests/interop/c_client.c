/* A caller of our generated C client, for servers in other languages: c_client SOCKET COMMAND
 * [ARGUMENT]. Prints what it saw, one fact a line; test_go.py judges it. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flocks/v1/supervisor.client.h"
#include "flocks/v1/types.names.h"

#include "common/base/clock.h"
#include "crpc/crpc.h"

enum { IN_FLIGHT = 64, DEADLINE_MS = 400 };

static void print_error(struct rpc_error *error)
{
    printf("code %d\nfrom_server %d\nmessage %s\n", (int)error->code, error->from_server,
        error->message);
    for (size_t i = 0; i < error->n_details; i++) {
        const struct rpc_error_detail *packed = &error->details[i];
        flocks_error_detail *detail = (flocks_error_detail *)protobuf_c_message_unpack(
            &flocks__v1__error_detail__descriptor, NULL, packed->value_len, packed->value);
        if (detail == NULL)
            continue;
        printf("type %s\nreason %s\nservice %s\nhint %s\noperation %s\n", packed->type_name,
            flocks_error_reason_name(flocks_error_reason_from(detail->reason)), detail->service,
            detail->hint, detail->operation_id);
        protobuf_c_message_free_unpacked(&detail->base, NULL);
    }
    rpc_error_free(error);
}

static void print_status(const flocks_get_status_response *status)
{
    if (status->daemon != NULL)
        printf("daemon %d %s\n", (int)status->daemon->pid, status->daemon->version);
    if (status->event_token[0] != '\0')
        printf("token %s\n", status->event_token);
    for (size_t i = 0; i < status->n_services; i++) {
        const flocks_service_status *service = status->services[i];
        printf("service %s %s %d %u %lld %s\n", service->name,
            flocks_service_state_name(flocks_service_state_from(service->state)), (int)service->pid,
            (unsigned)service->generation, (long long)service->since->seconds, service->log_path);
    }
}

static int get_status(struct rpc_client *client, const char *name)
{
    static const struct rpc_pair NOTES[] = {{"note", "one"}, {"note", "two"}};
    const struct rpc_options options = {
        .timeout_ms = name != NULL && strcmp(name, "slow") == 0 ? DEADLINE_MS : 10000,
        .metadata = NOTES,
        .n_metadata = sizeof NOTES / sizeof *NOTES,
    };
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    const char *names[] = {name};
    request.services = names;
    request.n_services = name != NULL;
    const flocks_get_status_response *status = NULL;
    struct rpc_error *error = NULL;
    int64_t began_at = clock_monotonic_ms();
    if (flocks_supervisor_get_status(client, &options, &request, &status, &error) != RPC_DONE)
        print_error(error);
    else
        print_status(status);
    printf("took %lld\nalive %d\n", (long long)(clock_monotonic_ms() - began_at),
        rpc_client_is_alive(client));
    rpc_message_free((const ProtobufCMessage *)status);
    return EXIT_SUCCESS;
}

/* ---- many in flight, through a loop of the caller's own ---- */

struct expected {
    char name[32];
    bool is_right;
    int *n_left;
};

static void on_status(
    void *data, const struct rpc_error *error, const flocks_get_status_response *status)
{
    struct expected *expected = data;
    expected->is_right = error == NULL && status->n_services == 1 &&
                         strcmp(status->services[0]->name, expected->name) == 0;
    --*expected->n_left;
}

static bool begin(struct rpc_client *client, struct expected *expected)
{
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    const char *names[] = {expected->name};
    request.services = names;
    request.n_services = 1;
    struct rpc_error *error = NULL;
    if (flocks_supervisor_get_status_begin(client, NULL, &request, on_status, expected, &error) !=
        NULL)
        return true;
    print_error(error);
    return false;
}

static void turn(struct rpc_client *client)
{
    unsigned wants = rpc_client_wants(client);
    struct pollfd ready = {
        .fd = rpc_client_fd(client),
        .events = (short)(((wants & RPC_WANTS_READ) != 0 ? POLLIN : 0) |
                          ((wants & RPC_WANTS_WRITE) != 0 ? POLLOUT : 0)),
    };
    (void)poll(&ready, 1, 100);
    rpc_client_process(client);
}

static int get_many(struct rpc_client *client)
{
    static struct expected expected[IN_FLIGHT];
    int n_left = IN_FLIGHT;
    rpc_client_attach(client);
    for (int i = 0; i < IN_FLIGHT; i++) {
        expected[i].n_left = &n_left;
        (void)snprintf(expected[i].name, sizeof expected[i].name, "made-up-%03d", i);
        if (!begin(client, &expected[i]))
            return EXIT_FAILURE;
    }
    while (n_left > 0 && (rpc_client_wants(client) & RPC_WANTS_CLOSE) == 0)
        turn(client);
    int n_right = 0;
    for (int i = 0; i < IN_FLIGHT; i++)
        n_right += expected[i].is_right;
    printf("right %d of %d\n", n_right, IN_FLIGHT);
    return EXIT_SUCCESS;
}

static int restart(struct rpc_client *client, const char *name)
{
    flocks_restart_services_request request = FLOCKS_RESTART_SERVICES_REQUEST_INIT;
    const char *names[] = {name, "another"};
    request.services = names;
    request.n_services = 2;
    request.wait = 1;
    const flocks_restart_services_response *answer = NULL;
    struct rpc_error *error = NULL;
    if (flocks_supervisor_restart_services(client, NULL, &request, &answer, &error) != RPC_DONE) {
        print_error(error);
        return EXIT_SUCCESS;
    }
    const flocks_operation *operation = answer->operation;
    printf("operation %s %d %d\n", operation->id, (int)operation->kind, (int)operation->state);
    for (size_t i = 0; i < operation->n_outcomes; i++)
        printf("outcome %s %u %u\n", operation->outcomes[i]->service,
            (unsigned)operation->outcomes[i]->from_generation,
            (unsigned)operation->outcomes[i]->to_generation);
    rpc_message_free((const ProtobufCMessage *)answer);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fputs("usage: c_client SOCKET status|twice|many|restart [NAME]\n", stderr);
        return 2;
    }
    const char *argument = argc > 3 ? argv[3] : NULL;
    struct rpc_error *error = NULL;
    struct rpc_client *client = rpc_client_connect(argv[1], 5000, &error);
    if (client == NULL) {
        print_error(error);
        return EXIT_FAILURE;
    }
    int result = 2;
    if (strcmp(argv[2], "status") == 0)
        result = get_status(client, argument);
    else if (strcmp(argv[2], "twice") == 0)
        result = get_status(client, argument) | get_status(client, "made-up-007");
    else if (strcmp(argv[2], "many") == 0)
        result = get_many(client);
    else if (strcmp(argv[2], "restart") == 0)
        result = restart(client, argument);
    rpc_client_close(client);
    return result;
}

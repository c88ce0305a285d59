/* A program on libflocks, for the real daemon: flocks_client SOCKET COMMAND [ARGUMENT...]. Prints
 * what it saw, one fact a line; test_libflocks.py judges it. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "flocks/calls.h"

enum { IN_FLIGHT = 8 };

static struct flocks_client *client;

static int print_error(struct flocks_error *error)
{
    printf("code %d\nfrom_daemon %d\nmessage %s\n", (int)error->code, error->is_from_daemon,
        error->message);
    if (error->detail != NULL)
        printf("reason %s\nservice %s\nhint %s\noperation %s\n",
            flocks_error_reason_name(flocks_error_reason_from(error->detail->reason)),
            error->detail->service, error->detail->hint, error->detail->operation_id);
    flocks_error_free(error);
    return 0;
}

static int get_status(const char **names, size_t n_names)
{
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    request.services = names;
    request.n_services = n_names;
    const flocks_get_status_response *status = NULL;
    struct flocks_error *error = NULL;
    if (flocks_client_get_status(client, NULL, &request, &status, &error) != RPC_DONE)
        return print_error(error);
    printf("daemon %d %s\n", (int)status->daemon->pid, status->daemon->version);
    for (size_t i = 0; i < status->n_services; i++)
        printf("service %s %d\n", status->services[i]->name, (int)status->services[i]->pid);
    rpc_message_free(&status->base);
    return 0;
}

static int restart(const char **names, size_t n_names)
{
    flocks_restart_services_request request = FLOCKS_RESTART_SERVICES_REQUEST_INIT;
    request.services = names;
    request.n_services = n_names;
    request.wait = true;
    const flocks_restart_services_response *response = NULL;
    struct flocks_error *error = NULL;
    if (flocks_client_restart_services(client, NULL, &request, &response, &error) != RPC_DONE)
        return print_error(error);
    printf("operation %s %d\n", response->operation->id, (int)response->operation->state);
    rpc_message_free(&response->base);
    return 0;
}

static int get_config(void)
{
    flocks_get_config_request request = FLOCKS_GET_CONFIG_REQUEST_INIT;
    const flocks_get_config_response *response = NULL;
    struct flocks_error *error = NULL;
    if (flocks_client_get_config(client, NULL, &request, &response, &error) != RPC_DONE)
        return print_error(error);
    printf("digest %s\norigins %zu\n", response->digest, response->n_origins);
    rpc_message_free(&response->base);
    return 0;
}

static int watch(void)
{
    flocks_watch_events_request request = FLOCKS_WATCH_EVENTS_REQUEST_INIT;
    struct flocks_error *error = NULL;
    struct flocks_stream *stream = flocks_client_watch_events(client, NULL, &request, &error);
    if (stream == NULL)
        return print_error(error);
    const flocks_watch_events_response *event = NULL;
    enum rpc_result result = flocks_client_watch_events_next(stream, &event, &error);
    printf("next %d\n", (int)result);
    if (result == RPC_DONE) {
        if (event->item_case == FLOCKS__V1__WATCH_EVENTS_RESPONSE__ITEM_SNAPSHOT)
            printf("snapshot %zu\n", event->snapshot->n_services);
        printf("token %s\n", event->token);
        rpc_message_free(&event->base);
    }
    flocks_stream_close(stream);
    return result == RPC_ERROR ? print_error(error) : 0;
}

/* Everything that the services write, as it is, until an item ends so. */
static int follow_logs(const char **names, size_t n_names)
{
    static const char last[] = "end\n";
    flocks_read_logs_request request = FLOCKS_READ_LOGS_REQUEST_INIT;
    request.services = names;
    request.n_services = n_names;
    request.follow = true;
    struct flocks_error *error = NULL;
    struct flocks_stream *stream = flocks_client_read_logs(client, NULL, &request, &error);
    if (stream == NULL)
        return print_error(error);
    bool is_over = false;
    enum rpc_result result = RPC_DONE;
    while (!is_over) {
        const flocks_read_logs_response *item = NULL;
        result = flocks_client_read_logs_next(stream, &item, &error);
        if (result != RPC_DONE)
            break;
        size_t len = item->data.len;
        (void)fwrite(item->data.data, 1, len, stdout);
        (void)fflush(stdout);
        is_over = len >= strlen(last) &&
                  memcmp(item->data.data + len - strlen(last), last, strlen(last)) == 0;
        rpc_message_free(&item->base);
    }
    flocks_stream_close(stream);
    return result == RPC_ERROR ? print_error(error) : 0;
}

/* ---- driven ---- */

static unsigned n_answered;
static unsigned n_failed;
static unsigned n_in_flight;
static int daemon_pid;
static unsigned n_daemons;
static bool is_stopping;

static void begin(void);

static void on_status(
    void *data, const struct flocks_error *error, const flocks_get_status_response *status)
{
    (void)data;
    n_in_flight--;
    if (status != NULL) {
        n_answered++;
        if (status->daemon->pid != daemon_pid) {
            daemon_pid = status->daemon->pid;
            n_daemons++;
            printf("daemon %d\n", daemon_pid);
            (void)fflush(stdout);
        }
    }
    if (error != NULL) {
        n_failed++;
        printf("failure %s\n", error->message);
    }
    if (!is_stopping)
        begin();
}

static void begin(void)
{
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    if (flocks_client_get_status_begin(client, NULL, &request, on_status, NULL, NULL) != NULL)
        n_in_flight++;
    else
        n_failed++;
}

/* Asks all the time, until its input ends. */
static int survive(void)
{
    if (flocks_client_drive(client, NULL) != RPC_DONE)
        return 1;
    for (int i = 0; i < IN_FLIGHT; i++)
        begin();
    while (n_in_flight > 0) {
        struct pollfd ready[2] = {{.fd = flocks_client_fd(client), .events = POLLIN},
            {.fd = is_stopping ? -1 : STDIN_FILENO, .events = POLLIN}};
        (void)poll(ready, 2, -1);
        is_stopping = is_stopping || ready[1].revents != 0;
        flocks_client_process(client);
    }
    printf("answered %u\nfailed %u\ndaemons %u\n", n_answered, n_failed, n_daemons);
    return 0;
}

static int run(const char *command, const char **arguments, size_t n)
{
    if (strcmp(command, "status") == 0)
        return get_status(arguments, n);
    if (strcmp(command, "restart") == 0)
        return restart(arguments, n);
    if (strcmp(command, "config") == 0)
        return get_config();
    if (strcmp(command, "watch") == 0)
        return watch();
    if (strcmp(command, "logs") == 0)
        return follow_logs(arguments, n);
    return strcmp(command, "survive") == 0 ? survive() : 2;
}

int main(int argc, char **argv)
{
    const char *names[64];
    size_t n_names = 0;
    if (argc < 3)
        return 2;
    for (int i = 3; i < argc && n_names < 64; i++)
        names[n_names++] = argv[i];
    const struct flocks_client_options options = {.socket = argv[1]};
    client = flocks_client_new(&options, NULL);
    int result = client == NULL ? 1 : run(argv[2], names, n_names);
    flocks_client_free(client);
    return result;
}

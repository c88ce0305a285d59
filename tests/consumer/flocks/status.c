/* Asks the daemon of FLOCKS_SOCKET, once blocking and once from a loop of its own, and one that is
 * not there. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <flocks/calls.h>

static int n_answers;

static bool is_running(void *data)
{
    (void)data;
    return false;
}

static bool shows_sleeper(const flocks_get_status_response *status)
{
    return status != NULL && status->n_services == 1 &&
           strcmp(status->services[0]->name, "sleeper") == 0;
}

static void on_status(
    void *data, const struct flocks_error *error, const flocks_get_status_response *status)
{
    (void)data;
    n_answers += error == NULL && shows_sleeper(status);
}

static bool ask_blocking(void)
{
    struct flocks_client *client = flocks_client_new(NULL, NULL);
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    const flocks_get_status_response *status = NULL;
    struct flocks_error *error = NULL;
    bool is_good = flocks_client_get_status(client, NULL, &request, &status, &error) == RPC_DONE &&
                   shows_sleeper(status);
    if (error != NULL)
        puts(error->message);
    flocks_error_free(error);
    if (status != NULL)
        rpc_message_free(&status->base);
    flocks_client_free(client);
    return is_good;
}

static bool ask_driven(void)
{
    struct flocks_client *client = flocks_client_new(NULL, NULL);
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    if (flocks_client_drive(client, NULL) != RPC_DONE ||
        flocks_client_get_status_begin(client, NULL, &request, on_status, NULL, NULL) == NULL)
        return false;
    struct pollfd ready = {.fd = flocks_client_fd(client), .events = POLLIN};
    for (int i = 0; i < 50 && n_answers == 0; i++) {
        (void)poll(&ready, 1, 1000);
        flocks_client_process(client);
    }
    flocks_client_free(client);
    return n_answers == 1;
}

static bool ask_nobody(void)
{
    const struct flocks_client_options options = {.socket = "/nowhere", .is_running = is_running};
    struct flocks_client *client = flocks_client_new(&options, NULL);
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    const flocks_get_status_response *status = NULL;
    struct flocks_error *error = NULL;
    bool is_good = flocks_client_get_status(client, NULL, &request, &status, &error) == RPC_ERROR &&
                   error->is_not_running;
    flocks_error_free(error);
    flocks_client_free(client);
    return is_good;
}

int main(void)
{
    bool is_good = ask_blocking() && ask_driven() && ask_nobody();
    puts(is_good ? "as promised" : "not as promised");
    return is_good ? 0 : 1;
}

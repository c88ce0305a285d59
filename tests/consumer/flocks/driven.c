/* A program with a loop of its own, which calls nothing but flocks_ functions: it must find the
 * libraries that libflocks stands on, wherever those were installed. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <flocks/calls.h>

enum { PATIENCE_MS = 20 * 1000 };

struct look {
    bool is_over;
    bool has_seen_it;
};

static void take(
    void *data, const struct flocks_error *error, const flocks_get_status_response *status)
{
    struct look *look = data;
    look->is_over = true;
    if (error != NULL) {
        fprintf(stderr, "%s\n", error->message);
        return;
    }
    look->has_seen_it =
        status->n_services == 1 && strcmp(status->services[0]->name, "sleeper") == 0;
}

int main(void)
{
    const flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    struct look look = {.is_over = false};
    struct flocks_client *client = flocks_client_new(NULL, NULL);
    if (client == NULL || flocks_client_drive(client, NULL) != RPC_DONE ||
        flocks_client_get_status_begin(client, NULL, &request, take, &look, NULL) == NULL)
        return 1;
    struct pollfd watched = {.fd = flocks_client_fd(client), .events = POLLIN};
    while (!look.is_over && poll(&watched, 1, PATIENCE_MS) == 1)
        flocks_client_process(client);
    flocks_client_free(client);
    return look.has_seen_it ? 0 : 1;
}

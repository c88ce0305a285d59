/* A device's program: whether every service is healthy, in fixed memory. */
#include <stdio.h>
#include <stdlib.h>

#include "flocks/nano.h"

/* Names of the archive's inside, which a program may use for its own. */
int nano_clock_ms(void);
int rpc_frame_encode(void);
int nano_clock_ms(void)
{
    return 1;
}
int rpc_frame_encode(void)
{
    return 2;
}

static void on_service(void *data, const flocks_service_status *service)
{
    int *n_services = data;
    (*n_services)++;
    printf("%s is %s\n", service->name,
        service->state == flocks_v1_ServiceState_SERVICE_STATE_HEALTHY ? "healthy" : "not healthy");
}

int main(void)
{
    static struct flocks_nano nano;
    static struct flocks_nano_error error;
    static flocks_get_status_response response;
    const flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    const char *path = getenv("FLOCKS_SOCKET");
    int n_services = 0;
    if (path == NULL || nano_clock_ms() + rpc_frame_encode() != 3)
        return 2;
    if (flocks_nano_connect(&nano, path, 0, &error) != RPC_OK ||
        flocks_nano_get_status(&nano, &request, on_service, &n_services, &response, &error) !=
            RPC_OK) {
        printf("error %d: %s\n", (int)error.code, error.message);
        return 1;
    }
    flocks_nano_close(&nano);
    return n_services == 1 ? 0 : 1;
}

#include "server/api/api.h"

#include <assert.h>
#include <stdlib.h>

#include "flocks/v1/flocks.index.h"

#include "crpc/reflection.h"
#include "server/api/health.h"
#include "server/api/hooks.h"
#include "server/api/supervisor_service.h"
#include "server/api/upgrade_service.h"
#include "server/api/waiting.h"

/* Those of flocks.v1, before the others. */
enum { OWN_SERVICES = 2 };

struct api {
    struct waiting_room room;
    struct watching watching;
    struct explaining explaining;
    struct reading reading;
    struct configuring_room configuring;
    struct supervisor_service supervisor;
    struct upgrade_service upgrade;
    struct api_health health;
    struct hooks hooks;
    struct rpc_service services[API_SERVICES];
};

/* Those parts that may fail, each in its turn; what is open is closed again. */
static int open_parts(
    struct api *api, uv_loop_t *loop, struct supervisor *supervisor, struct error *error)
{
    int result = waiting_room_open(&api->room, loop, supervisor, error);

    if (result < 0)
        return result;
    result = explaining_open(&api->explaining, loop, supervisor, error);
    if (result < 0) {
        waiting_room_close(&api->room);
        return result;
    }
    result = reading_open(&api->reading, loop, supervisor, error);
    if (result < 0) {
        explaining_close(&api->explaining);
        waiting_room_close(&api->room);
    }
    return result;
}

static void fill_services(struct api *api, struct supervisor *supervisor)
{
    watching_open(&api->watching, supervisor);
    configuring_open(&api->configuring, supervisor);
    api->supervisor = (struct supervisor_service){.supervisor = supervisor,
        .room = &api->room,
        .watching = &api->watching,
        .explaining = &api->explaining,
        .reading = &api->reading,
        .configuring = &api->configuring};
    api->services[0] = supervisor_service_open(&api->supervisor);
    api->services[1] = upgrade_service_open(&api->upgrade, supervisor, &api->room);
}

/* What every gRPC server has. */
static int add_general_services(struct api *api, struct supervisor *supervisor, struct error *error)
{
    static const struct crpc_index *const indexes[] = {&flocks_index, NULL};
    int result;

    api->services[OWN_SERVICES] = rpc_reflection_service(RPC_REFLECTION_V1, indexes);
    api->services[OWN_SERVICES + 1] = rpc_reflection_service(RPC_REFLECTION_V1ALPHA, indexes);
    result = api_health_open(&api->health, supervisor, api->services, OWN_SERVICES + 2, error);
    if (result == 0)
        api->services[OWN_SERVICES + 2] = api_health_service(&api->health);
    return result;
}

int api_new(uv_loop_t *loop, struct supervisor *supervisor, struct api **out, struct error *error)
{
    struct api *api = calloc(1, sizeof(*api));
    int result;

    if (!api)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the API");
    result = open_parts(api, loop, supervisor, error);
    if (result < 0) {
        free(api);
        return result;
    }
    fill_services(api, supervisor);
    result = add_general_services(api, supervisor, error);
    if (result < 0) {
        api_close(api);
        return result;
    }
    *out = api;
    return 0;
}

const struct rpc_service *api_service(const struct api *api, size_t index)
{
    assert(index < API_SERVICES);
    return &api->services[index];
}

struct rpc_server_hooks api_hooks(struct api *api)
{
    return (struct rpc_server_hooks){
        .data = &api->hooks,
        .refusal_detail = hooks_refusal_detail,
        .admit = hooks_admit,
    };
}

void api_hand_over(struct api *api)
{
    api->hooks.is_replacing = true;
}

void api_close(struct api *api)
{
    if (!api)
        return;
    api_health_close(&api->health);
    watching_close(&api->watching);
    reading_close(&api->reading);
    explaining_close(&api->explaining);
    upgrade_service_close(&api->upgrade);
    configuring_close(&api->configuring);
    waiting_room_close(&api->room);
    free(api);
}

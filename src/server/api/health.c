#include "server/api/health.h"

#include "common/base/log.h"

/* Memory is what it can fail for; who asks is then told NOT_FOUND, and it is tried again with the
 * next change. */
static void set(const struct api_health *health, const char *name, bool is_well)
{
    if (rpc_health_set(health->health, name, is_well) != RPC_OK)
        log_warn("health not kept", "name=%s", name);
}

static void on_service(void *data, const char *name, bool is_healthy)
{
    set(data, name, is_healthy);
}

static void on_gone(void *data, const char *name)
{
    const struct api_health *health = data;

    rpc_health_clear(health->health, name);
}

static void on_whole(void *data, enum supervisor_condition condition)
{
    const struct api_health *health = data;

    if (condition == SUPERVISOR_LEAVING)
        rpc_health_shut(health->health);
    else
        set(health, "", condition == SUPERVISOR_WELL);
}

int api_health_open(struct api_health *health, struct supervisor *supervisor,
    const struct rpc_service *services, size_t n_services, struct error *error)
{
    *health = (struct api_health){
        .supervisor = supervisor,
        .health = rpc_health_new(),
        .follower = {.service = on_service, .gone = on_gone, .whole = on_whole, .data = health},
    };
    if (health->health == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the API");
    for (size_t i = 0; i < n_services; i++)
        set(health, services[i].name, true);
    set(health, api_health_service(health).name, true);
    supervisor_follow_health(supervisor, &health->follower);
    return 0;
}

struct rpc_service api_health_service(const struct api_health *health)
{
    return rpc_health_service(health->health);
}

void api_health_close(struct api_health *health)
{
    supervisor_follow_health(health->supervisor, NULL);
    rpc_health_free(health->health);
    health->health = NULL;
}

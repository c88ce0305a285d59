#include "server/supervise/config_plan.h"

#include <string.h>

#include "common/base/status.h"

struct planner {
    const struct config_plan_request *request;
    struct arena *arena;
    bool is_out_of_memory;
};

/* ---- why ---- */

static void note_path(struct config_plan_impact *impact, const char *path)
{
    if (impact->n_because < CONFIG_PLAN_BECAUSE_MAX)
        impact->because[impact->n_because++] = path;
}

static const char *whole_path(struct planner *planner, const char *name)
{
    const char *path = arena_printf(planner->arena, "services.%s", name);

    planner->is_out_of_memory = planner->is_out_of_memory || path == NULL;
    return path != NULL ? path : "";
}

/* The differences that make the impact; what was too much to be shown is told by the service. */
static void explain(struct planner *planner, struct config_plan_impact *impact,
    const struct config_service_diff *diff)
{
    size_t room = diff->n < CONFIG_PLAN_BECAUSE_MAX ? diff->n : CONFIG_PLAN_BECAUSE_MAX;

    impact->because = arena_calloc(planner->arena, room + 1, sizeof *impact->because);
    if (impact->because == NULL) {
        planner->is_out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < diff->n; i++) {
        if (impact->impact != FLOCKS_CONFIG_IMPACT_RESTART ||
            diff->items[i].effect == CONFIG_EFFECT_RESTART)
            note_path(impact, diff->items[i].path);
    }
    if (impact->n_because == 0 && diff->presence != CONFIG_SAME)
        impact->because[impact->n_because++] = whole_path(planner, impact->name);
}

/* ---- what ---- */

/* A service that the new configuration has not: it need not be ended if nothing of it runs. */
static void plan_removal(struct planner *planner, struct config_plan_impact *impact,
    const struct config_plan_service *service)
{
    const struct config_service_diff gone = {.name = impact->name, .presence = CONFIG_REMOVED};

    impact->impact = service->is_stopped ? FLOCKS_CONFIG_IMPACT_NONE : FLOCKS_CONFIG_IMPACT_STOP;
    explain(planner, impact, &gone);
}

static void plan_addition(
    struct planner *planner, struct config_plan_impact *impact, const flocks_service_config *config)
{
    const struct config_service_diff come = {.name = impact->name, .presence = CONFIG_ADDED};

    impact->impact = config->start ? FLOCKS_CONFIG_IMPACT_START : FLOCKS_CONFIG_IMPACT_NONE;
    explain(planner, impact, &come);
}

/* What runs of it decides, not what the present configuration says. */
static void plan_change(struct planner *planner, struct config_plan_impact *impact,
    const struct config_plan_service *service, const struct config_service_diff *diff,
    const flocks_service_config *config)
{
    struct config_service_diff of_run = *diff;

    if (service->outdated != NULL &&
        config_diff_service(impact->name, service->outdated, config, planner->arena, &of_run) < 0) {
        planner->is_out_of_memory = true;
        return;
    }
    impact->effect = of_run.effect;
    impact->impact = of_run.effect == CONFIG_EFFECT_RESTART && service->is_wanted
                         ? FLOCKS_CONFIG_IMPACT_RESTART
                         : FLOCKS_CONFIG_IMPACT_NONE;
    explain(planner, impact, &of_run);
}

/* A service that is being ended because it was in no configuration, and is in one again. */
static bool is_return(
    const struct config_plan_service *service, const struct config_service_diff *diff)
{
    return diff->presence == CONFIG_ADDED && !service->is_wanted;
}

static void plan_service(struct planner *planner, struct config_plan_impact *impact,
    const struct config_plan_service *service, const struct config_service_diff *diff)
{
    bool is_planned = diff != NULL && diff->presence != CONFIG_REMOVED;
    const flocks_service_config *config =
        is_planned ? config_find_service(planner->request->new_config, impact->name) : NULL;

    impact->is_there = service != NULL;
    impact->is_planned = config != NULL;
    if (service == NULL && config == NULL)
        impact->impact = FLOCKS_CONFIG_IMPACT_NONE;
    else if (config == NULL)
        plan_removal(planner, impact, service);
    else if (service == NULL)
        plan_addition(planner, impact, config);
    else if (is_return(service, diff)) {
        impact->effect = CONFIG_EFFECT_RESTART;
        plan_addition(planner, impact, config);
    } else
        plan_change(planner, impact, service, diff, config);
}

/* ---- the whole ---- */

static void plan_all(struct planner *planner, struct config_plan *out)
{
    const struct config_plan_request *request = planner->request;
    size_t i = 0;
    size_t k = 0;

    while (i < request->n_services || k < request->diff->n_services) {
        const struct config_plan_service *service =
            i < request->n_services ? &request->services[i] : NULL;
        const struct config_service_diff *diff =
            k < request->diff->n_services ? &request->diff->services[k] : NULL;
        struct config_plan_impact *impact = &out->impacts[out->n++];
        int order = 0;

        if (service == NULL || diff == NULL)
            order = service == NULL ? 1 : -1;
        else
            order = strcmp(service->name, diff->name);
        service = order <= 0 ? service : NULL;
        diff = order >= 0 ? diff : NULL;
        i += service != NULL;
        k += diff != NULL;
        impact->diff = diff;
        /* One of them is there. */
        impact->name = diff != NULL ? diff->name : "";
        if (service != NULL)
            impact->name = service->name;
        plan_service(planner, impact, service, diff);
    }
}

/* Both digests, then name and impact of each service. */
static void hash(struct planner *planner, struct config_plan *plan)
{
    const struct config_plan_request *request = planner->request;
    size_t n = 0;
    const char **texts = arena_calloc(planner->arena, 2 + 2 * plan->n, sizeof *texts);

    if (texts == NULL) {
        planner->is_out_of_memory = true;
        return;
    }
    texts[n++] = request->old_digest;
    texts[n++] = request->new_digest;
    for (size_t i = 0; i < plan->n; i++) {
        texts[n++] = plan->impacts[i].name;
        texts[n++] = flocks_config_impact_name(plan->impacts[i].impact);
    }
    config_digest_texts(texts, n, plan->hash);
}

int config_plan_make(
    const struct config_plan_request *request, struct arena *arena, struct config_plan *out)
{
    struct planner planner = {.request = request, .arena = arena};

    *out = (struct config_plan){.n = 0};
    out->impacts = arena_calloc(
        arena, request->n_services + request->diff->n_services + 1, sizeof *out->impacts);
    if (out->impacts == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    plan_all(&planner, out);
    hash(&planner, out);
    return planner.is_out_of_memory ? -STATUS_RESOURCE_EXHAUSTED : 0;
}

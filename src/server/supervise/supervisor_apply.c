/* What becomes of services when the configuration changes. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "server/supervise/supervisor_private.h"

/* ---- becoming the configuration ---- */

/* One apply under way: `made` and `slots` by the plan's impacts. */
struct commit {
    struct supervisor *supervisor;
    struct supervisor_change *change;
    struct service **made; /* new ones; NULL where it was there */
    uint32_t *slots;       /* of the operation's steps, ascending */
    enum flocks_config_impact *impacts;
    size_t n_steps;
};

static struct service_spec *spec_of(
    const struct commit *commit, const struct config_plan_impact *impact)
{
    if (impact->diff == NULL)
        return NULL;
    return &commit->change->specs[impact->diff - commit->change->diff->services];
}

static int make_new_services(struct commit *commit, struct error *error)
{
    const struct config_plan *plan = commit->change->plan;
    int result = 0;

    for (size_t i = 0; i < plan->n && result == 0; i++) {
        const struct config_plan_impact *impact = &plan->impacts[i];

        if (impact->is_planned && !impact->is_there)
            result = supervisor_make_service(
                commit->supervisor, impact->name, spec_of(commit, impact), &commit->made[i], error);
    }
    return result;
}

static void place_new_services(const struct commit *commit)
{
    for (size_t i = 0; i < commit->change->plan->n; i++) {
        if (commit->made[i] != NULL)
            supervisor_place_service(commit->made[i], SERVICE_NO_SLOT);
    }
}

/* As if they had never been: nothing was told to anybody. */
static void take_back_new_services(const struct commit *commit, bool are_placed)
{
    for (size_t i = 0; i < commit->change->plan->n; i++) {
        if (commit->made[i] == NULL)
            continue;
        if (are_placed)
            supervisor_take_out_service(commit->made[i]);
        supervisor_free_service(commit->made[i]);
    }
}

/* ---- the steps ---- */

static void add_step(struct commit *commit, uint32_t slot, enum flocks_config_impact impact)
{
    size_t at = commit->n_steps++;

    while (at > 0 && commit->slots[at - 1] > slot) {
        commit->slots[at] = commit->slots[at - 1];
        commit->impacts[at] = commit->impacts[at - 1];
        at--;
    }
    commit->slots[at] = slot;
    commit->impacts[at] = impact;
}

/* A lease's services are not its owner's alone to lose: none that is touched may be under one. */
static int check_leases(const struct commit *commit, struct error *error)
{
    const struct config_plan *plan = commit->change->plan;
    int result = 0;

    for (size_t i = 0; i < plan->n && result == 0; i++) {
        const struct config_plan_impact *impact = &plan->impacts[i];
        const struct service *service = supervisor_find(commit->supervisor, impact->name);

        if (service != NULL && (impact->impact != FLOCKS_CONFIG_IMPACT_NONE || !impact->is_planned))
            result = leases_refuse(commit->supervisor, &service->slot, 1, error);
    }
    return result;
}

static void collect_steps(struct commit *commit)
{
    const struct config_plan *plan = commit->change->plan;

    for (size_t i = 0; i < plan->n; i++) {
        if (plan->impacts[i].impact != FLOCKS_CONFIG_IMPACT_NONE)
            add_step(commit, supervisor_find(commit->supervisor, plan->impacts[i].name)->slot,
                plan->impacts[i].impact);
    }
}

/* ---- no way back ---- */

static void change_service(const struct commit *commit, const struct config_plan_impact *impact)
{
    struct service *service = supervisor_find(commit->supervisor, impact->name);
    struct service_spec *spec = spec_of(commit, impact);

    if (!impact->is_planned) {
        log_info("service not configured any more", "name=%s", service->name);
        service->is_retiring = true;
        service->config_revision++;
        return;
    }
    service->is_retiring = false;
    if (spec->config != NULL)
        service_change(service, spec, impact->effect == CONFIG_EFFECT_NONE);
    supervisor_status_changed(service);
}

static void open_service(struct service *service)
{
    struct error error = ERROR_INIT;

    log_info("service added", "name=%s slot=%u", service->name, (unsigned)service->slot);
    (void)supervisor_link_service(service);
    supervisor_claim_task_slot(service);
    supervisor_open_service(service);
    if (supervisor_register_output(service, &error) < 0)
        log_error("output not captured", "name=%s error=\"%s\"", service->name, error.text);
    supervisor_status_changed(service);
}

static void carry_out(const struct commit *commit)
{
    struct supervisor *supervisor = commit->supervisor;
    const struct config_plan *plan = commit->change->plan;
    bool has_new = false;

    free(supervisor->packed_config);
    supervisor->packed_config = *commit->change->packed;
    supervisor->packed_config_len = commit->change->packed_len;
    *commit->change->packed = NULL;
    (void)snprintf(
        supervisor->config_digest, sizeof supervisor->config_digest, "%s", commit->change->digest);
    supervisor_page_choose(supervisor, commit->change->config);
    for (size_t i = 0; i < plan->n; i++) {
        has_new = has_new || commit->made[i] != NULL;
        if (commit->made[i] != NULL)
            open_service(commit->made[i]);
        else
            change_service(commit, &plan->impacts[i]);
    }
    supervisor->ports.is_stale = true;
    supervisor->has_changes = true;
    supervisor_daemon_changed(supervisor);
    if (has_new)
        supervisor_services_changed(supervisor);
    if (supervisor->configured != NULL)
        supervisor->configured(supervisor->data);
}

static int begin(struct commit *commit, const struct supervisor_request *request,
    struct operation **out, struct error *error)
{
    struct supervisor_choice choice = {.slots = commit->slots, .impacts = commit->impacts};
    int result = make_new_services(commit, error);

    if (result < 0) {
        take_back_new_services(commit, false);
        return result;
    }
    place_new_services(commit);
    collect_steps(commit);
    choice.n_slots = commit->n_steps;
    result = supervisor_queue_operation(commit->supervisor, request, &choice, out, error);
    if (result < 0)
        take_back_new_services(commit, true);
    return result;
}

static int commit_all(struct commit *commit, const struct supervisor_request *request,
    char out_id[SUPERVISOR_OPERATION_ID_SIZE], struct error *error)
{
    struct operation *operation = NULL;
    int result = check_leases(commit, error);

    if (result == 0)
        result = begin(commit, request, &operation, error);
    if (result < 0)
        return result;
    assert(operation != NULL);
    log_info(
        "configuration changed", "digest=%s operation=%s", commit->change->digest, operation->id);
    memcpy(out_id, operation->id, SUPERVISOR_OPERATION_ID_SIZE);
    carry_out(commit);
    supervisor_run_operation(commit->supervisor, operation);
    return 0;
}

int supervisor_commit_change(struct supervisor *supervisor,
    const struct supervisor_request *request, struct supervisor_change *change,
    char out_id[SUPERVISOR_OPERATION_ID_SIZE], struct error *error)
{
    size_t n = change->plan->n + 1;
    struct commit commit = {.supervisor = supervisor,
        .change = change,
        .made = calloc(n, sizeof(struct service *)),
        .slots = calloc(n, sizeof *commit.slots),
        .impacts = calloc(n, sizeof *commit.impacts)};
    int result;

    if (commit.made == NULL || commit.slots == NULL || commit.impacts == NULL)
        result = error_set_errno(error, ENOMEM, "apply a configuration");
    else
        result = commit_all(&commit, request, out_id, error);
    free(commit.made);
    free(commit.slots);
    free(commit.impacts);
    return result;
}

/* ---- letting go ---- */

static void on_forgotten(void *data, int result, const struct error *error)
{
    if (result < 0 && result != -STATUS_UNAVAILABLE)
        log_error(
            "output not closed", "slot=%u error=\"%s\"", (unsigned)(uintptr_t)data, error->text);
}

/* An exec probe that has been killed is waited for: its slot is not free before. */
static bool may_go(const struct service *service)
{
    return service->is_retiring && service->facts.state == SERVICE_STOPPED &&
           !service->task_alive &&
           operations_active_step(&service->owner->operations, service->slot) == NULL;
}

static void let_go(struct service *service)
{
    struct supervisor *supervisor = service->owner;
    struct error error = ERROR_INIT;

    log_info("service removed", "name=%s slot=%u", service->name, (unsigned)service->slot);
    supervisor_take_out_service(service);
    if (keeper_link_forget(supervisor->link, service->slot, on_forgotten,
            (void *)(uintptr_t)service->slot, &error) < 0)
        log_error("output not closed", "name=%s error=\"%s\"", service->name, error.text);
    supervisor_close_service(service);
    supervisor_services_changed(supervisor);
}

void supervisor_settle_changes(struct supervisor *supervisor)
{
    if (!supervisor->is_reconciled)
        return;
    while (supervisor->has_changes) {
        supervisor->has_changes = false;
        for (uint32_t i = 0; i < supervisor->n_services; i++)
            supervisor_advance(supervisor->services[i]);
    }
    for (uint32_t i = supervisor->n_services; i > 0; i--) {
        if (may_go(supervisor->services[i - 1]))
            let_go(supervisor->services[i - 1]);
    }
}

/* The supervisor as the state message told it. Nothing is decided: what does not fit is left out.
 */
#include <stdio.h>
#include <string.h>

#include "flocks/state/v1/state.names.h"

#include "server/supervise/lease_state.h"
#include "server/supervise/state_watch.h"
#include "server/supervise/supervisor_private.h"
#include "server/supervise/upgrade_state.h"

static state_snapshot *unpack(const struct state_store *store, struct error *error)
{
    const uint8_t *bytes;
    size_t len;
    state_snapshot *snapshot;

    if (state_store_read(store, &bytes, &len) != 0) {
        error_set(error, STATUS_DATA_LOSS, "there is no state to take over");
        return NULL;
    }
    snapshot = (state_snapshot *)protobuf_c_message_unpack(
        &flocks__state__v1__snapshot__descriptor, NULL, len, bytes);
    if (snapshot == NULL)
        error_set(error, STATUS_DATA_LOSS, "the state cannot be read");
    return snapshot;
}

/* ---- services ---- */

static flocks_get_config_response *unpack_config(const state_snapshot *snapshot)
{
    return (flocks_get_config_response *)protobuf_c_message_unpack(
        &flocks__v1__get_config_response__descriptor, NULL, snapshot->config.len,
        snapshot->config.data);
}

/* A service of a configuration, in the slot that it had. */
static int restore_service(struct supervisor *supervisor, const char *name,
    const flocks_service_config *config, uint32_t slot, struct error *error)
{
    struct service_spec spec;
    struct service *service = NULL;
    int result = service_spec_init(&spec, name, config, error);

    if (result == 0)
        result = supervisor_make_service(supervisor, name, &spec, &service, error);
    if (result == 0)
        supervisor_place_service(service, slot);
    return result;
}

/* One that runs with what no configuration says any more. */
static int restore_outdated(
    struct supervisor *supervisor, const state_service *message, struct error *error)
{
    flocks_service_config *config = (flocks_service_config *)protobuf_c_message_unpack(
        &flocks__v1__service_config__descriptor, NULL, message->config.len, message->config.data);
    int result;

    if (config == NULL)
        return error_set(error, STATUS_DATA_LOSS, "service %s cannot be read", message->name);
    result = restore_service(supervisor, message->name, config, message->slot, error);
    protobuf_c_message_free_unpacked(&config->base, NULL);
    return result;
}

/* Those of the state first: they have their slots. */
static int restore_known(struct supervisor *supervisor, const state_snapshot *snapshot,
    const flocks_config *config, struct error *error)
{
    int result = 0;

    for (size_t i = 0; i < snapshot->n_services && result == 0; i++) {
        const state_service *message = snapshot->services[i];
        const flocks_service_config *effective = config_find_service(config, message->name);

        if (supervisor_find(supervisor, message->name) != NULL ||
            supervisor->n_services == SUPERVISOR_SERVICES_MAX)
            continue;
        if (message->config.len > 0)
            result = restore_outdated(supervisor, message, error);
        else if (effective != NULL)
            result = restore_service(supervisor, message->name, effective, message->slot, error);
    }
    return result;
}

static int restore_services(struct supervisor *supervisor, const state_snapshot *snapshot,
    const flocks_config *config, struct error *error)
{
    int result = supervisor_make_tables(supervisor, error);

    supervisor->run_floor = snapshot->run_floor;
    if (result == 0)
        result = restore_known(supervisor, snapshot, config, error);
    for (size_t i = 0; i < config->n_services && result == 0; i++) {
        const flocks_config_services_entry *entry = config->services[i];

        if (entry->value != NULL && supervisor_find(supervisor, entry->key) == NULL)
            result = restore_service(supervisor, entry->key, entry->value, SERVICE_NO_SLOT, error);
    }
    return result;
}

/* What waits for the end of its run. */
static int restore_next(
    struct service *service, const flocks_config *config, bool is_outdated, struct error *error)
{
    const flocks_service_config *effective = config_find_service(config, service->name);

    if (!is_outdated || effective == NULL)
        return 0;
    return service_spec_init(&service->next, service->name, effective, error);
}

static void load_signalled(
    struct signalled_list *list, state_signalled *const *items, size_t n_items)
{
    for (size_t i = 0; i < n_items; i++) {
        struct signalled item = {
            .pid = items[i]->pid, .signal_number = items[i]->signal, .stray = items[i]->stray};

        (void)snprintf(item.executable, sizeof item.executable, "%s", items[i]->executable);
        signalled_add(list, &item);
    }
}

/* A number that this version does not know would index a table. */
static bool is_sane(const state_service *message)
{
    return message->state > 0 && message->state < SERVICE_STATE_END &&
           message->next < SERVICE_NEXT_COUNT && message->cause < SERVICE_CAUSE_COUNT;
}

static void load_facts(struct service_facts *facts, const state_service *message)
{
    facts->state = (enum service_state)message->state;
    facts->reason = message->reason;
    facts->next = (enum service_next)message->next;
    facts->cause = (enum service_cause)message->cause;
    facts->wanted = message->wanted;
    facts->prepared = message->prepared;
    facts->skip_prepare = message->skip_prepare;
    facts->trial = message->trial;
    facts->killing = message->killing;
    facts->leader_gone = message->leader_gone;
    facts->spawning = message->spawning;
    facts->generation = message->generation;
    facts->last_run = message->last_run;
    facts->run = message->run;
    facts->restart_count = message->restart_count;
    facts->burst = message->burst;
    for (size_t i = 0; i < message->n_failures && i < SERVICE_CAUSE_COUNT; i++)
        facts->failures[i] = message->failures[i];
    facts->pid = message->pid;
    facts->start_ticks = message->start_ticks;
    facts->since_at = message->since_at_ms;
    facts->due_at = message->due_at_ms;
    facts->kill_at = message->kill_at_ms;
    facts->spawned_at = message->spawned_at_ms;
    (void)snprintf(facts->message, sizeof facts->message, "%s", message->message);
}

static void load_exits(struct service *service, const state_service *message)
{
    for (size_t i = 0; i < message->n_exits && i < SERVICE_EXITS_MAX; i++) {
        const state_exit *record = message->exits[i];

        service->exits[i] = (struct service_exit){.generation = record->generation,
            .ended_wall_ns = record->ended_wall_ns,
            .lived_ms = record->lived_ms,
            .reason = record->reason,
            .wait_status = record->wait_status,
            .error = record->error};
        service->n_exits = i + 1;
    }
}

static void load_service(struct service *service, const state_service *message)
{
    load_facts(&service->facts, message);
    service->is_retiring = message->retiring;
    if (message->task_slot > 0)
        supervisor_restore_task_slot(service, message->task_slot - 1);
    service->since_wall_ns = message->since_wall_ns;
    service->told_state = service->facts.state;
    if (message->invocation.len == sizeof service->invocation)
        memcpy(service->invocation, message->invocation.data, sizeof service->invocation);
    if (service_facts_has_run(&service->facts)) {
        service->identity.mark = message->mark;
        service_identify(service);
    }
    if (message->listener_lost_at_ms != 0)
        service->listening.lost_at = message->listener_lost_at_ms;
    /* The last one may not have been written. */
    service->last_task = message->last_task + 1;
    load_signalled(&service->signalled, message->signalled, message->n_signalled);
    load_exits(service, message);
    service->news.key = message->told_key;
    if (message->told_state > 0 && message->told_state < SERVICE_STATE_END)
        service->news.state = (enum service_state)message->told_state;
    state_load_watch(service, message);
}

static void load_step(struct operation_step *step, const state_step *message)
{
    step->slot = message->slot;
    (void)snprintf(step->service, sizeof step->service, "%s", message->service);
    step->impact = flocks_config_impact_from((int)message->impact);
    step->state = flocks_operation_state_from((int)message->state);
    step->reason = message->reason;
    (void)snprintf(step->message, sizeof step->message, "%s", message->message);
    step->from_generation = message->from_generation;
    step->to_generation = message->to_generation;
    step->issued = message->issued;
    step->launched = message->launched;
    step->preempted = message->preempted;
    step->was_wanted = message->was_wanted;
    step->issued_at = message->issued_at_ms;
    load_signalled(&step->signalled, message->signalled, message->n_signalled);
}

static bool has_ended(const state_step *step)
{
    enum flocks_operation_state state = flocks_operation_state_from((int)step->state);

    return state != FLOCKS_OPERATION_STATE_QUEUED && state != FLOCKS_OPERATION_STATE_RUNNING;
}

static void load_request_ids(struct operation *operation, const state_operation *message)
{
    for (size_t i = 0; i < message->n_joined_request_ids; i++)
        operation_remember_request(operation, message->joined_request_ids[i]);
}

/* What has not ended belongs to a service; what has may be of one that is gone. */
static bool steps_are_sane(const struct supervisor *supervisor, const state_operation *message)
{
    for (size_t i = 0; i < message->n_steps; i++) {
        if (!has_ended(message->steps[i]) &&
            supervisor_at(supervisor, message->steps[i]->slot) == NULL)
            return false;
    }
    return true;
}

static int load_operation(
    struct supervisor *supervisor, const state_operation *message, struct error *error)
{
    struct operation *operation;

    if (!steps_are_sane(supervisor, message))
        return 0;
    operation = operations_restore(&supervisor->operations, message->n_steps);
    if (operation == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the operations");
    (void)snprintf(operation->id, sizeof operation->id, "%s", message->id);
    (void)snprintf(operation->request_id, sizeof operation->request_id, "%s", message->request_id);
    operation->kind = flocks_operation_kind_from((int)message->kind);
    operation->state = flocks_operation_state_from((int)message->state);
    operation->began_wall_ns = message->began_wall_ns;
    operation->ended_wall_ns = message->ended_wall_ns;
    operation->ended_at = message->ended_at_ms;
    operation->deadline_at = message->deadline_at_ms;
    operation->deadline_wall_ns = message->deadline_wall_ns;
    operation->requester_pid = message->requester_pid;
    operation->requester_uid = message->requester_uid;
    operation->joined = message->joined;
    operation->revision = message->revision;
    operation->told_revision = message->told_revision;
    operation->is_changed = message->told_revision != message->revision;
    load_request_ids(operation, message);
    operation->skip_prepare = message->skip_prepare;
    operation->pauses = message->pauses;
    (void)snprintf(operation->message, sizeof operation->message, "%s", message->message);
    for (size_t i = 0; i < message->n_steps; i++) {
        load_step(&operation->steps[i], message->steps[i]);
        operation_restore_step(&supervisor->operations, &operation->steps[i]);
    }
    return 0;
}

static int load_lease(
    struct supervisor *supervisor, const state_lease *message, struct error *error)
{
    int result = lease_load(&supervisor->leases, message, error);

    if (result == 0)
        CONTAINER_OF(supervisor->leases.all.previous, struct lease, link)->supervisor = supervisor;
    return result;
}

static int load_services(struct supervisor *supervisor, const state_snapshot *snapshot,
    const flocks_config *config, struct error *error)
{
    int result = restore_services(supervisor, snapshot, config, error);

    for (size_t i = 0; i < snapshot->n_services && result == 0; i++) {
        const state_service *message = snapshot->services[i];
        struct service *service = supervisor_find(supervisor, message->name);

        if (service == NULL)
            continue;
        result = restore_next(service, config, message->config.len > 0, error);
        if (result == 0 && is_sane(message))
            load_service(service, message);
    }
    return result == 0 ? supervisor_finish_services(supervisor, false, error) : result;
}

static int load(struct supervisor *supervisor, const state_snapshot *snapshot,
    const flocks_get_config_response *config, struct error *error)
{
    int result = supervisor_keep_config(supervisor, config, error);

    supervisor->exits_done = snapshot->exits_done;
    supervisor->news.kept = snapshot->events_kept;
    supervisor->started_wall_ns = snapshot->started_wall_ns;
    supervisor->is_leaving = snapshot->leaving;
    supervisor->config_changed = snapshot->config_changed;
    supervisor->operations.next = snapshot->next_operation;
    supervisor->operations.instance = snapshot->operation_instance;
    if (result == 0)
        result = load_services(supervisor, snapshot, config->config, error);
    for (size_t i = 0; i < snapshot->n_operations && result == 0; i++)
        result = load_operation(supervisor, snapshot->operations[i], error);
    for (size_t i = 0; i < snapshot->n_leases && result == 0; i++)
        result = load_lease(supervisor, snapshot->leases[i], error);
    for (size_t i = 0; i < snapshot->n_upgrades && result == 0; i++)
        upgrade_load(&supervisor->upgrades, snapshot->upgrades[i]);
    return result;
}

int state_load(struct supervisor *supervisor, struct error *error)
{
    state_snapshot *snapshot = unpack(supervisor->store, error);
    flocks_get_config_response *config;
    int result;

    if (snapshot == NULL)
        return -STATUS_DATA_LOSS;
    config = unpack_config(snapshot);
    if (config == NULL)
        result =
            error_set(error, STATUS_DATA_LOSS, "the configuration in the state cannot be read");
    else
        result = load(supervisor, snapshot, config, error);
    if (config != NULL)
        protobuf_c_message_free_unpacked(&config->base, NULL);
    protobuf_c_message_free_unpacked(&snapshot->base, NULL);
    return result;
}

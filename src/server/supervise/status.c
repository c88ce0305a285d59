#include "server/supervise/status.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/api_revision.h"

/* ---- values ---- */

Google__Protobuf__Timestamp *status_timestamp(struct arena *arena, int64_t wall_ns)
{
    Google__Protobuf__Timestamp *timestamp = arena_alloc(arena, sizeof *timestamp);

    if (timestamp == NULL)
        return NULL;
    *timestamp = (Google__Protobuf__Timestamp)GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    timestamp->seconds = wall_ns / 1000000000;
    timestamp->nanos = (int32_t)(wall_ns % 1000000000);
    return timestamp;
}

Google__Protobuf__Duration *status_duration(struct arena *arena, int64_t ms)
{
    Google__Protobuf__Duration *duration = arena_alloc(arena, sizeof *duration);

    if (duration == NULL)
        return NULL;
    *duration = (Google__Protobuf__Duration)GOOGLE__PROTOBUF__DURATION__INIT;
    duration->seconds = ms / 1000;
    duration->nanos = (int32_t)(ms % 1000) * 1000000;
    return duration;
}

/* A monotonic time in the future as people read clocks. */
static Google__Protobuf__Timestamp *make_future(struct arena *arena, int64_t at)
{
    return status_timestamp(arena, clock_wall_ns() + (at - clock_monotonic_ms()) * 1000000);
}

static int no_memory(struct error *error)
{
    return error_set(
        error, STATUS_RESOURCE_EXHAUSTED, "the answer is larger than one call may use");
}

/* ---- operations ---- */

static flocks_signalled_process **fill_signalled(
    const struct signalled_list *list, struct arena *arena, size_t *out_n)
{
    flocks_signalled_process **items =
        arena_calloc(arena, list->n + 1, sizeof(flocks_signalled_process *));

    *out_n = 0;
    for (size_t i = 0; items != NULL && i < list->n; i++) {
        const char *name = sigabbrev_np(list->items[i].signal_number);
        flocks_signalled_process *item = arena_alloc(arena, sizeof *item);

        if (item == NULL)
            return NULL;
        *item = (flocks_signalled_process)FLOCKS_SIGNALLED_PROCESS_INIT;
        item->pid = list->items[i].pid;
        item->signal = arena_printf(arena, "SIG%s", name != NULL ? name : "?");
        item->executable = arena_strdup(arena, list->items[i].executable);
        item->stray = list->items[i].stray;
        items[(*out_n)++] = item;
    }
    return items;
}

static flocks_service_outcome *fill_outcome(const struct operation_step *step, struct arena *arena)
{
    flocks_service_outcome *outcome = arena_alloc(arena, sizeof *outcome);

    if (outcome == NULL)
        return NULL;
    *outcome = (flocks_service_outcome)FLOCKS_SERVICE_OUTCOME_INIT;
    outcome->service = arena_strdup(arena, step->service);
    outcome->state = step->state;
    outcome->reason = flocks_state_reason_from((int)step->reason);
    outcome->message = arena_strdup(arena, step->message);
    outcome->from_generation = step->from_generation;
    outcome->to_generation = step->to_generation;
    outcome->signalled = fill_signalled(&step->signalled, arena, &outcome->n_signalled);
    return outcome;
}

/* The first service that is still to come to its end, in words. */
static const char *describe_step(
    const struct supervisor *supervisor, const struct operation *operation, struct arena *arena)
{
    if (operation->message[0] != '\0' && !operation_has_ended(operation))
        return arena_printf(arena, "%.127s", operation->message);
    for (size_t i = 0; i < operation->n_steps; i++) {
        const struct operation_step *step = &operation->steps[i];
        const struct service *service = supervisor_at(supervisor, step->slot);

        if (step->state == FLOCKS_OPERATION_STATE_RUNNING ||
            step->state == FLOCKS_OPERATION_STATE_QUEUED)
            return arena_printf(
                arena, "%s: %s", service->name, service_state_text(service->facts.state));
    }
    return "";
}

static void fill_operation_times(
    const struct operation *operation, struct arena *arena, flocks_operation *out)
{
    out->began_at = status_timestamp(arena, operation->began_wall_ns);
    if (operation_has_ended(operation))
        out->ended_at = status_timestamp(arena, operation->ended_wall_ns);
    if (operation->deadline_at != CLOCK_NEVER)
        out->deadline = status_timestamp(arena, operation->deadline_wall_ns);
}

static enum flocks_error_reason error_reason(const struct operation_step *step)
{
    if (step->preempted)
        return FLOCKS_ERROR_REASON_PREEMPTED;
    if (step->state != FLOCKS_OPERATION_STATE_FAILED)
        return FLOCKS_ERROR_REASON_UNSPECIFIED;
    if (step->reason == FLOCKS_STATE_REASON_PORT_HELD)
        return FLOCKS_ERROR_REASON_PORT_HELD;
    if (step->reason == FLOCKS_STATE_REASON_START_TIMEOUT)
        return FLOCKS_ERROR_REASON_START_TIMEOUT;
    if (step->reason == FLOCKS_STATE_REASON_LEASE_HELD)
        return FLOCKS_ERROR_REASON_LEASE_HELD;
    return FLOCKS_ERROR_REASON_SERVICE_FAILED;
}

/* The step that made the operation end as it did. */
static const struct operation_step *deciding_step(const struct operation *operation)
{
    for (size_t i = 0; i < operation->n_steps; i++) {
        if (operation->steps[i].state == operation->state)
            return &operation->steps[i];
    }
    return NULL;
}

static const char *error_hint(
    const struct operation *operation, const struct operation_step *step, struct arena *arena)
{
    if (step->preempted)
        return "somebody asked for something else meanwhile: ask again when that has ended";
    if (operation->state == FLOCKS_OPERATION_STATE_DEADLINE_EXCEEDED)
        return "what it began goes on: `flocks status` shows how";
    if (operation->state == FLOCKS_OPERATION_STATE_FAILED)
        return arena_printf(arena, "`flocks why %s` explains it", step->service);
    return "";
}

static flocks_error_detail *error_of_operation(
    const struct operation *operation, struct arena *arena)
{
    const struct operation_step *step = deciding_step(operation);
    bool is_replacement = operation->kind == FLOCKS_OPERATION_KIND_REPLACE_DAEMON;
    flocks_error_detail *detail;

    if (!operation_has_ended(operation) || operation->state == FLOCKS_OPERATION_STATE_SUCCEEDED ||
        (step == NULL && !is_replacement))
        return NULL;
    detail = arena_alloc(arena, sizeof *detail);
    if (detail == NULL)
        return NULL;
    *detail = (flocks_error_detail)FLOCKS_ERROR_DETAIL_INIT;
    detail->operation_id = arena_strdup(arena, operation->id);
    if (step == NULL) {
        detail->attempted = arena_strdup(arena, operation->message);
        detail->hint = "the services run on; logs/daemon.log says more";
        return detail;
    }
    detail->reason = error_reason(step);
    detail->service = arena_strdup(arena, step->service);
    detail->attempted =
        arena_printf(arena, "%s of %s", operation_kind_text(operation->kind), step->service);
    detail->hint = error_hint(operation, step, arena);
    return detail;
}

flocks_operation *status_of_operation(
    const struct supervisor *supervisor, const struct operation *operation, struct arena *arena)
{
    flocks_operation *out = arena_alloc(arena, sizeof *out);

    if (out == NULL)
        return NULL;
    *out = (flocks_operation)FLOCKS_OPERATION_INIT;
    out->id = arena_strdup(arena, operation->id);
    out->kind = operation->kind;
    out->state = operation->state;
    out->requester_pid = operation->requester_pid;
    out->requester_uid = operation->requester_uid;
    out->joined = operation->joined;
    out->steps_done = (uint32_t)operation->n_ended;
    out->steps_total = (uint32_t)operation->n_steps;
    out->step = describe_step(supervisor, operation, arena);
    fill_operation_times(operation, arena, out);
    out->error = error_of_operation(operation, arena);
    out->outcomes = arena_calloc(arena, operation->n_steps + 1, sizeof(flocks_service_outcome *));
    for (size_t i = 0; out->outcomes != NULL && i < operation->n_steps; i++) {
        out->outcomes[i] = fill_outcome(&operation->steps[i], arena);
        if (out->outcomes[i] == NULL)
            return NULL;
        out->n_outcomes++;
    }
    return out;
}

int supervisor_get_operation(struct supervisor *supervisor, const char *id, struct arena *arena,
    flocks_operation **out, uint32_t *out_revision, struct error *error)
{
    const struct operation *operation = operations_find(&supervisor->operations, id);

    if (operation == NULL) {
        int result = error_set(error, STATUS_NOT_FOUND, "no such operation: %s", id);

        if (error != NULL)
            error->reason = FLOCKS_ERROR_REASON_UNKNOWN_OPERATION;
        return result;
    }
    *out = status_of_operation(supervisor, operation, arena);
    if (*out == NULL || arena_is_exhausted(arena))
        return no_memory(error);
    if (out_revision != NULL)
        *out_revision = operation->revision;
    return 0;
}

/* ---- ends ---- */

static void fill_outcome_of_exit(
    const struct service_exit *exit, flocks_exit_record *record, struct arena *arena)
{
    if (exit->error != 0) {
        record->outcome_case = FLOCKS_EXIT_RECORD_OUTCOME_EXEC_ERROR;
        record->exec_error = arena_strdup(arena, error_errno_name(exit->error));
    } else if (WIFSIGNALED(exit->wait_status)) {
        const char *name = sigabbrev_np(WTERMSIG(exit->wait_status));

        record->outcome_case = FLOCKS_EXIT_RECORD_OUTCOME_SIGNAL;
        record->signal = name != NULL ? arena_printf(arena, "SIG%s", name)
                                      : arena_printf(arena, "SIG%d", WTERMSIG(exit->wait_status));
        record->core_dumped = WCOREDUMP(exit->wait_status);
    } else {
        record->outcome_case = FLOCKS_EXIT_RECORD_OUTCOME_EXIT_CODE;
        record->exit_code = WEXITSTATUS(exit->wait_status);
    }
}

flocks_exit_record *status_of_exit(const struct service_exit *exit, struct arena *arena)
{
    flocks_exit_record *record = arena_alloc(arena, sizeof *record);

    if (record == NULL)
        return NULL;
    *record = (flocks_exit_record)FLOCKS_EXIT_RECORD_INIT;
    record->generation = exit->generation;
    record->ended_at = status_timestamp(arena, exit->ended_wall_ns);
    record->lived = status_duration(arena, exit->lived_ms);
    record->cause = flocks_state_reason_from((int)exit->reason);
    fill_outcome_of_exit(exit, record, arena);
    return record;
}

/* ---- status ---- */

static enum flocks_daemon_state daemon_state(const struct supervisor *supervisor)
{
    if (supervisor->is_leaving || supervisor->is_lost)
        return FLOCKS_DAEMON_STATE_STOPPING;
    return supervisor->is_reconciled ? FLOCKS_DAEMON_STATE_RUNNING : FLOCKS_DAEMON_STATE_STARTING;
}

static void fill_door(
    const struct supervisor_door_texts *door, struct arena *arena, flocks_daemon_status *out)
{
    out->tcp_problem = arena_strdup(arena, door->problem);
    out->tcp_addresses = arena_calloc(arena, SUPERVISOR_DOOR_ADDRESSES_MAX, sizeof(const char *));
    for (size_t i = 0; out->tcp_addresses != NULL && i < door->n_addresses; i++) {
        out->tcp_addresses[i] = arena_strdup(arena, door->addresses[i]);
        if (out->tcp_addresses[i] != NULL)
            out->n_tcp_addresses++;
    }
}

flocks_daemon_status *status_of_daemon(const struct supervisor *supervisor, struct arena *arena)
{
    flocks_daemon_status *daemon = arena_alloc(arena, sizeof *daemon);

    if (daemon == NULL)
        return NULL;
    *daemon = (flocks_daemon_status)FLOCKS_DAEMON_STATUS_INIT;
    daemon->pid = supervisor->pid;
    daemon->keeper_pid = supervisor->keeper_pid;
    daemon->state = daemon_state(supervisor);
    daemon->version = FLOCKS_VERSION;
    daemon->keeper_version = arena_strdup(arena, supervisor->keeper_version);
    daemon->api_revision = FLOCKS_API_REVISION;
    daemon->started_at = status_timestamp(arena, supervisor->started_wall_ns);
    daemon->config_digest = supervisor->config_digest;
    daemon->config_changed = supervisor->config_changed;
    daemon->root = arena_strdup(arena, supervisor->root);
    daemon->takeovers = supervisor->takeovers;
    fill_door(&supervisor->door, arena, daemon);
    return daemon;
}

static const char *last_error(const struct service *service)
{
    if ((service->facts.state == SERVICE_STARTING || service->facts.state == SERVICE_STOPPING) &&
        service->problem[0] != '\0')
        return service->problem;
    return service->facts.message;
}

static bool waits_for_a_time(const struct service_facts *facts)
{
    return (facts->state == SERVICE_BACKOFF || facts->state == SERVICE_FAILED) &&
           facts->due_at != CLOCK_NEVER;
}

/* The pid of the service itself: not of its prepare step, not of a leader that is gone. */
static int32_t shown_pid(const struct service_facts *facts)
{
    return facts->state == SERVICE_PREPARING || facts->leader_gone ? 0 : facts->pid;
}

static const char *log_path(
    const struct supervisor *supervisor, const struct service *service, struct arena *arena)
{
    char path[PATH_MAX];

    supervisor_log_path(supervisor, service, path, sizeof path);
    return arena_strdup(arena, path);
}

flocks_service_status *status_of_service(
    const struct supervisor *supervisor, const struct service *service, struct arena *arena)
{
    const struct service_facts *facts = &service->facts;
    const struct operation_step *step =
        operations_active_step(&supervisor->operations, service->slot);
    flocks_service_status *status = arena_alloc(arena, sizeof *status);
    const struct lease *lease;
    struct keeper_output_loss loss;

    if (status == NULL)
        return NULL;
    *status = (flocks_service_status)FLOCKS_SERVICE_STATUS_INIT;
    keeper_link_output_loss(supervisor->link, service->slot, &loss);
    status->name = service->name;
    status->state = flocks_service_state_from((int)facts->state);
    status->reason = flocks_state_reason_from((int)facts->reason);
    status->pid = shown_pid(facts);
    status->generation = facts->generation;
    status->restart_count = facts->restart_count;
    status->host = service->config->host;
    status->port = service->config->port;
    status->last_error = arena_strdup(arena, last_error(service));
    status->log_path = log_path(supervisor, service, arena);
    status->wanted = facts->wanted;
    status->since = status_timestamp(arena, service->since_wall_ns);
    if (waits_for_a_time(facts))
        status->retry_at = make_future(arena, facts->due_at);
    if (shown_pid(facts) != 0)
        status->invocation_id = arena_strdup(arena, service->identity.invocation);
    status->listener = flocks_listener_state_from((int)service->listening.state);
    status->notified_status = arena_strdup(arena, service->notified.status);
    status->log_bytes_lost = loss.lost_bytes;
    status->listener = (enum flocks_listener_state)service->listening.state;
    lease = leases_holding(&supervisor->leases, service->name);
    if (lease != NULL)
        status->lease_id = arena_strdup(arena, lease->id);
    if (step != NULL)
        status->operation_id = arena_strdup(arena, step->operation->id);
    return status;
}

static int choose_services(const struct supervisor *supervisor, const char *const *names,
    size_t n_names, struct arena *arena, const struct service ***out, size_t *out_n,
    struct error *error)
{
    size_t n = n_names > 0 ? n_names : supervisor->n_services;
    const struct service **services = arena_calloc(arena, n + 1, sizeof(struct service *));

    if (services == NULL)
        return no_memory(error);
    for (size_t i = 0; i < n; i++) {
        services[i] = n_names > 0 ? supervisor_find(supervisor, names[i]) : supervisor->services[i];
        if (services[i] == NULL)
            return supervisor_refuse_unknown(supervisor, names[i], error);
    }
    *out = services;
    *out_n = n;
    return 0;
}

/* Those that hold something. */
flocks_lease **supervisor_fill_leases(
    const struct supervisor *supervisor, struct arena *arena, size_t *out_n)
{
    flocks_lease **leases =
        arena_calloc(arena, leases_count(&supervisor->leases) + 1, sizeof(flocks_lease *));

    *out_n = 0;
    LIST_FOR_EACH(link, &supervisor->leases.all)
    {
        const struct lease *lease = CONTAINER_OF(link, struct lease, link);

        if (leases == NULL || !lease_holds(lease) || lease->facts.phase == LEASE_OPENING)
            continue;
        leases[*out_n] = lease_fill(lease, arena);
        *out_n += leases[*out_n] != NULL ? 1 : 0;
    }
    return leases;
}

int supervisor_get_status(struct supervisor *supervisor, const char *const *names, size_t n_names,
    struct arena *arena, flocks_get_status_response *out, struct error *error)
{
    const struct service **services = NULL;
    size_t n = 0;
    int result;

    supervisor_settle_events(supervisor);
    result = choose_services(supervisor, names, n_names, arena, &services, &n, error);

    if (result < 0)
        return result;
    *out = (flocks_get_status_response)FLOCKS_GET_STATUS_RESPONSE_INIT;
    out->daemon = status_of_daemon(supervisor, arena);
    out->event_token = supervisor_event_token(supervisor, arena);
    out->services = arena_calloc(arena, n + 1, sizeof(flocks_service_status *));
    for (size_t i = 0; out->services != NULL && i < n; i++) {
        out->services[i] = status_of_service(supervisor, services[i], arena);
        if (out->services[i] == NULL)
            break;
        out->n_services++;
    }
    out->leases = supervisor_fill_leases(supervisor, arena, &out->n_leases);
    return arena_is_exhausted(arena) ? no_memory(error) : 0;
}

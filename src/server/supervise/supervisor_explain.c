/* Everything that says why a service is in its state, put together. */
#include <stdio.h>
#include <string.h>

#include "server/supervise/explain.h"
#include "server/supervise/status.h"

static int no_memory(struct error *error)
{
    return error_set(
        error, STATUS_RESOURCE_EXHAUSTED, "the answer is larger than one call may use");
}

static void fill_exits(
    const struct service *service, struct arena *arena, flocks_explain_service_response *out)
{
    out->exits = arena_calloc(arena, service->n_exits + 1, sizeof(flocks_exit_record *));
    for (size_t i = 0; out->exits != NULL && i < service->n_exits; i++) {
        out->exits[i] = status_of_exit(&service->exits[i], arena);
        if (out->exits[i] == NULL)
            return;
        out->n_exits++;
    }
}

static flocks_probe_record *make_probe(
    const struct probe_record *record, enum probe_role role, struct arena *arena)
{
    flocks_probe_record *probe = arena_alloc(arena, sizeof *probe);

    if (probe == NULL)
        return NULL;
    *probe = (flocks_probe_record)FLOCKS_PROBE_RECORD_INIT;
    probe->role = flocks_probe_role_from((int)role + 1);
    probe->at = status_timestamp(arena, record->at_wall_ns);
    probe->took = status_duration(arena, record->took_ms);
    probe->passed = record->passed;
    probe->message = arena_strdup(arena, record->message);
    return probe;
}

static void fill_probes(
    const struct service *service, struct arena *arena, flocks_explain_service_response *out)
{
    out->probes = arena_calloc(
        arena, (size_t)PROBE_ROLE_COUNT * PROBE_HISTORY_MAX + 1, sizeof(flocks_probe_record *));
    for (int role = 0; out->probes != NULL && role < PROBE_ROLE_COUNT; role++) {
        size_t n = 0;
        const struct probe_record *records =
            probe_history_of(&service->history, (enum probe_role)role, &n);

        for (size_t i = 0; i < n; i++) {
            flocks_probe_record *probe = make_probe(&records[i], (enum probe_role)role, arena);

            if (probe == NULL)
                return;
            out->probes[out->n_probes++] = probe;
        }
    }
}

static bool has_holder(const struct service *service)
{
    return service->listening.state == FLOCKS_LISTENER_STATE_FOREIGN;
}

static void fill_holder(
    const struct service *service, struct arena *arena, flocks_explain_service_response *out)
{
    const struct listener_holder *holder = &service->listening.holder;

    if (!has_holder(service))
        return;
    out->holder = arena_alloc(arena, sizeof *out->holder);
    if (out->holder == NULL)
        return;
    *out->holder = (flocks_foreign_process)FLOCKS_FOREIGN_PROCESS_INIT;
    out->holder->pid = holder->pid;
    out->holder->uid = holder->uid;
    out->holder->executable = arena_strdup(arena, holder->executable);
    out->holder->visible = holder->visible;
}

static void fill_waiting_for(
    const struct service *service, struct arena *arena, flocks_explain_service_response *out)
{
    if (service->facts.state != SERVICE_WAITING)
        return;
    out->waiting_for = arena_calloc(arena, service->n_after + 1, sizeof(char *));
    for (size_t i = 0; out->waiting_for != NULL && i < service->n_after; i++) {
        const struct service *other = supervisor_at(service->owner, service->after[i]);

        if (other != NULL && !service_is_ready(other))
            out->waiting_for[out->n_waiting_for++] = arena_strdup(arena, other->name);
    }
}

static void fill_last_operation(
    const struct service *service, struct arena *arena, flocks_explain_service_response *out)
{
    const struct operation *last =
        operations_last_of(&service->owner->operations, service->slot, service->name);

    if (last != NULL)
        out->last_operation = status_of_operation(service->owner, last, arena);
}

/* ---- breaker ---- */

static enum flocks_state_reason reason_of_cause(enum service_cause cause)
{
    static const enum flocks_state_reason reasons[SERVICE_CAUSE_COUNT] = {
        [SERVICE_CAUSE_EXEC] = FLOCKS_STATE_REASON_EXEC_FAILED,
        [SERVICE_CAUSE_PREPARE] = FLOCKS_STATE_REASON_PREPARE_FAILED,
        [SERVICE_CAUSE_EARLY_EXIT] = FLOCKS_STATE_REASON_EXITED,
        [SERVICE_CAUSE_LATE_EXIT] = FLOCKS_STATE_REASON_EXITED,
        [SERVICE_CAUSE_START_TIMEOUT] = FLOCKS_STATE_REASON_START_TIMEOUT,
        [SERVICE_CAUSE_PROBE] = FLOCKS_STATE_REASON_HEALTH_FAILED,
        [SERVICE_CAUSE_LISTENER] = FLOCKS_STATE_REASON_LISTENER_LOST,
        [SERVICE_CAUSE_OOM] = FLOCKS_STATE_REASON_OOM_KILLED};

    return reasons[cause];
}

/* One entry for each cause that has a count. */
static void fill_breaker(
    const struct service *service, struct arena *arena, flocks_explain_service_response *out)
{
    out->breaker = arena_calloc(arena, SERVICE_CAUSE_COUNT, sizeof(flocks_breaker_count *));
    for (int cause = SERVICE_CAUSE_NONE + 1; out->breaker != NULL && cause < SERVICE_CAUSE_COUNT;
         cause++) {
        flocks_breaker_count *count;

        if (service->facts.failures[cause] == 0)
            continue;
        count = arena_alloc(arena, sizeof *count);
        if (count == NULL)
            return;
        *count = (flocks_breaker_count)FLOCKS_BREAKER_COUNT_INIT;
        count->cause = reason_of_cause((enum service_cause)cause);
        count->consecutive = service->facts.failures[cause];
        count->allowed = service->policy.give_up_after;
        out->breaker[out->n_breaker++] = count;
    }
}

static void fill_not_in_force(
    const struct service *service, struct arena *arena, flocks_explain_service_response *out)
{
    const struct cgroup_home *home = &service->owner->cgroups;
    const char **texts;
    char names[64];

    if (service->cgroup_missing == 0)
        return;
    texts = arena_calloc(arena, 1, sizeof *texts);
    cgroup_controllers_text(service->cgroup_missing, names, sizeof names);
    if (texts == NULL)
        return;
    texts[0] = arena_printf(arena, "limits.cgroup: %s (%s)", names,
        home->fd < 0 ? home->why : "not handed down to the daemon's control group");
    if (texts[0] == NULL)
        return;
    out->not_in_force = texts;
    out->n_not_in_force = 1;
}

/* ---- all of it ---- */

static void fill_hint(
    const struct service *service, struct arena *arena, flocks_explain_service_response *out)
{
    char hint[EXPLAIN_HINT_SIZE];
    const struct explain_facts facts = {.state = service->facts.state,
        .reason = service->facts.reason,
        .service = service->name,
        .holder_pid = has_holder(service) ? service->listening.holder.pid : 0,
        .port = service->listening.port != 0 ? service->listening.port : service->config->port,
        .lease_owner = out->lease != NULL ? out->lease->owner : "",
        .waits_for = out->n_waiting_for > 0 ? out->waiting_for[0] : ""};

    explain_hint(&facts, hint);
    out->hint = arena_strdup(arena, hint);
}

bool supervisor_find_log(
    const struct supervisor *supervisor, const char *name, char *out, size_t out_size)
{
    const struct service *service = supervisor_find(supervisor, name);

    if (service == NULL)
        return false;
    supervisor_log_path(supervisor, service, out, out_size);
    return true;
}

int supervisor_explain(struct supervisor *supervisor, const char *name, struct arena *arena,
    flocks_explain_service_response *out, struct error *error)
{
    const struct service *service = supervisor_find(supervisor, name);
    const struct lease *lease;

    if (service == NULL)
        return supervisor_refuse_unknown(supervisor, name, error);
    *out = (flocks_explain_service_response)FLOCKS_EXPLAIN_SERVICE_RESPONSE_INIT;
    out->status = status_of_service(supervisor, service, arena);
    fill_exits(service, arena, out);
    fill_probes(service, arena, out);
    fill_holder(service, arena, out);
    fill_waiting_for(service, arena, out);
    fill_last_operation(service, arena, out);
    fill_breaker(service, arena, out);
    fill_not_in_force(service, arena, out);
    lease = leases_holding(&supervisor->leases, service->name);
    if (lease != NULL)
        out->lease = lease_fill(lease, arena);
    if (arena_is_exhausted(arena))
        return no_memory(error);
    fill_hint(service, arena, out);
    return arena_is_exhausted(arena) ? no_memory(error) : 0;
}

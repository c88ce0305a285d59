#include "fake_supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flocks/v1/config.names.h"
#include "flocks/v1/types.names.h"

/* The only service there is. */
static bool is_known(const char *name)
{
    return strcmp(name, "backend") == 0;
}

static int unknown_service(const char *name, struct error *error)
{
    int result = error_set(error, STATUS_NOT_FOUND, "there is no service %s", name);

    if (error == NULL)
        return result;
    error->reason = FLOCKS_ERROR_REASON_UNKNOWN_SERVICE;
    strncpy(error->subject, name, sizeof(error->subject) - 1);
    error_set_hint(error, "flocks status lists the services");
    return result;
}

static int lease_held(struct error *error)
{
    int result = error_set(error, STATUS_ABORTED, "held");

    error->reason = FLOCKS_ERROR_REASON_LEASE_HELD;
    memcpy(error->lease_id, FAKE_LEASE_ID, sizeof(FAKE_LEASE_ID));
    return result;
}

static bool has_ended(const struct supervisor *supervisor)
{
    return supervisor->state != FLOCKS_OPERATION_STATE_RUNNING;
}

int supervisor_begin(struct supervisor *supervisor, const struct supervisor_request *request,
    char out_id[SUPERVISOR_OPERATION_ID_SIZE], struct error *error)
{
    for (size_t i = 0; i < request->n_services; i++) {
        if (!is_known(request->services[i]))
            return unknown_service(request->services[i], error);
    }
    if (supervisor->refuses_for_lease)
        return lease_held(error);
    supervisor->request = *request;
    if (request->lease_id != NULL)
        strncpy(supervisor->lease_id, request->lease_id, sizeof(supervisor->lease_id) - 1);
    supervisor->begun++;
    memcpy(out_id, FAKE_OPERATION_ID, sizeof(FAKE_OPERATION_ID));
    return 0;
}

int supervisor_get_operation(struct supervisor *supervisor, const char *id, struct arena *arena,
    flocks_operation **out, uint32_t *out_revision, struct error *error)
{
    if (strcmp(id, FAKE_OPERATION_ID) != 0) {
        int result = error_set(error, STATUS_NOT_FOUND, "there is no operation %s", id);

        if (error)
            error->reason = FLOCKS_ERROR_REASON_UNKNOWN_OPERATION;
        return result;
    }
    *out = arena_alloc(arena, sizeof(**out));
    **out = (flocks_operation)FLOCKS_OPERATION_INIT;
    (*out)->id = FAKE_OPERATION_ID;
    (*out)->state = (enum flocks_operation_state)supervisor->state;
    if (out_revision)
        *out_revision = supervisor->revision;
    return 0;
}

int supervisor_wait(struct supervisor *supervisor, const char *id, enum supervisor_wait_for what,
    uint32_t seen_revision, void (*done)(void *data), void *data, struct supervisor_wait **out,
    struct error *error)
{
    (void)id;
    (void)error;
    if (has_ended(supervisor) ||
        (what == SUPERVISOR_WAIT_CHANGE && supervisor->revision > seen_revision))
        return SUPERVISOR_ALREADY;
    supervisor->wait_for = what;
    supervisor->done = done;
    supervisor->data = data;
    *out = (struct supervisor_wait *)(void *)supervisor;
    return 0;
}

void supervisor_wait_cancel(struct supervisor_wait *wait)
{
    struct supervisor *supervisor = (struct supervisor *)(void *)wait;

    if (!wait)
        return;
    supervisor->done = NULL;
    supervisor->waits_cancelled++;
}

void fake_supervisor_change(struct supervisor *supervisor, enum flocks_operation_state state)
{
    void (*done)(void *data) = supervisor->done;

    supervisor->revision++;
    supervisor->state = state;
    if (!done || (supervisor->wait_for == SUPERVISOR_WAIT_END && !has_ended(supervisor)))
        return;
    supervisor->done = NULL;
    done(supervisor->data);
}

int supervisor_get_status(struct supervisor *supervisor, const char *const *names, size_t n_names,
    struct arena *arena, flocks_get_status_response *out, struct error *error)
{
    (void)supervisor;
    for (size_t i = 0; i < n_names; i++) {
        if (!is_known(names[i]))
            return unknown_service(names[i], error);
    }
    out->daemon = arena_alloc(arena, sizeof(*out->daemon));
    *out->daemon = (flocks_daemon_status)FLOCKS_DAEMON_STATUS_INIT;
    out->daemon->pid = 4711;
    return 0;
}

int supervisor_get_config(const struct supervisor *supervisor, struct arena *arena,
    flocks_get_config_response **out, struct error *error)
{
    static flocks_service_config_environment_entry variable =
        FLOCKS_SERVICE_CONFIG_ENVIRONMENT_ENTRY_INIT;
    static flocks_service_config_environment_entry *variables[] = {&variable};
    static flocks_service_config service = FLOCKS_SERVICE_CONFIG_INIT;
    static flocks_config_services_entry entry = FLOCKS_CONFIG_SERVICES_ENTRY_INIT;
    static flocks_config_services_entry *entries[] = {&entry};
    static flocks_config config = FLOCKS_CONFIG_INIT;
    static flocks_get_config_response response = FLOCKS_GET_CONFIG_RESPONSE_INIT;

    (void)supervisor;
    (void)arena;
    (void)error;
    variable.key = "TOKEN";
    variable.value = "open sesame";
    service.n_environment = 1;
    service.environment = variables;
    entry.key = "backend";
    entry.value = &service;
    config.n_services = 1;
    config.services = entries;
    response.config = &config;
    response.digest = "d1";
    *out = &response;
    return 0;
}

int supervisor_cancel_operation(struct supervisor *supervisor, const char *id, struct error *error)
{
    if (strcmp(id, FAKE_OPERATION_ID) != 0) {
        int result = error_set(error, STATUS_NOT_FOUND, "there is no operation %s", id);

        error->reason = FLOCKS_ERROR_REASON_UNKNOWN_OPERATION;
        return result;
    }
    supervisor->cancelled++;
    supervisor->state = FLOCKS_OPERATION_STATE_CANCELLED;
    return 0;
}

/* One watcher: the snapshot is item 1, then come as many events as fake_supervisor_say was called.
 */
struct supervisor_watch {
    struct supervisor *supervisor;
    uint32_t said;
};

int supervisor_watch(struct supervisor *supervisor, const struct supervisor_watching *watching,
    struct supervisor_watch **out, struct error *error)
{
    for (size_t i = 0; i < watching->n_services; i++) {
        if (!is_known(watching->services[i]))
            return unknown_service(watching->services[i], error);
    }
    *out = calloc(1, sizeof(**out));
    (*out)->supervisor = supervisor;
    supervisor->watches++;
    supervisor->wake = watching->wake;
    supervisor->wake_data = watching->data;
    return 0;
}

int supervisor_watch_next(struct supervisor_watch *watch, struct arena *arena,
    flocks_watch_events_response *out, struct error *error)
{
    (void)error;
    if (watch->said > watch->supervisor->items)
        return SUPERVISOR_NOTHING;
    *out = (flocks_watch_events_response)FLOCKS_WATCH_EVENTS_RESPONSE_INIT;
    out->token = arena_printf(arena, "t-%u", (unsigned)watch->said++);
    return 0;
}

void supervisor_watch_close(struct supervisor_watch *watch)
{
    if (!watch)
        return;
    watch->supervisor->watches--;
    free(watch);
}

void fake_supervisor_say(struct supervisor *supervisor)
{
    supervisor->items++;
    supervisor->wake(supervisor->wake_data);
}

void supervisor_follow_health(
    struct supervisor *supervisor, const struct supervisor_health_follower *follower)
{
    supervisor->follower = follower;
    if (follower != NULL)
        follower->whole(follower->data, SUPERVISOR_WELL);
}

bool supervisor_find_log(
    const struct supervisor *supervisor, const char *name, char *out, size_t out_size)
{
    if (!is_known(name) || !supervisor->log_path)
        return false;
    (void)snprintf(out, out_size, "%s", supervisor->log_path);
    return true;
}

int supervisor_explain(struct supervisor *supervisor, const char *name, struct arena *arena,
    flocks_explain_service_response *out, struct error *error)
{
    (void)supervisor;
    if (!is_known(name))
        return unknown_service(name, error);
    *out = (flocks_explain_service_response)FLOCKS_EXPLAIN_SERVICE_RESPONSE_INIT;
    out->hint = arena_strdup(arena, "a hint");
    return 0;
}

int supervisor_begin_lease(struct supervisor *supervisor,
    const struct supervisor_lease_request *request, char out_id[SUPERVISOR_LEASE_ID_SIZE],
    void (*done)(void *data, const struct error *error), void *data,
    struct supervisor_lease_wait **out, struct error *error)
{
    if (supervisor->refuses_for_lease)
        return lease_held(error);
    supervisor->lease_request = *request;
    supervisor->lease_done = done;
    supervisor->lease_data = data;
    memcpy(out_id, FAKE_LEASE_ID, sizeof(FAKE_LEASE_ID));
    *out = (struct supervisor_lease_wait *)(void *)supervisor;
    return 0;
}

void supervisor_lease_wait_cancel(struct supervisor_lease_wait *wait)
{
    struct supervisor *supervisor = (struct supervisor *)(void *)wait;

    if (wait == NULL)
        return;
    supervisor->lease_waits_cancelled++;
    supervisor->lease_done = NULL;
}

int supervisor_renew_lease(struct supervisor *supervisor, const char *id, int64_t ttl_ms,
    int32_t owner_pid, struct error *error)
{
    (void)id;
    (void)owner_pid;
    (void)error;
    supervisor->renewed_ttl_ms = ttl_ms;
    return 0;
}

int supervisor_commit_lease(struct supervisor *supervisor, const struct supervisor_commit *commit,
    char out_operation_id[SUPERVISOR_OPERATION_ID_SIZE], struct error *error)
{
    (void)error;
    supervisor->commit = *commit;
    memcpy(out_operation_id, FAKE_OPERATION_ID, sizeof(FAKE_OPERATION_ID));
    return 0;
}

int supervisor_abort_upgrade(struct supervisor *supervisor, const char *id, const char *reason,
    char out_operation_id[SUPERVISOR_OPERATION_ID_SIZE], struct error *error)
{
    (void)reason;
    (void)error;
    (void)snprintf(supervisor->aborted, sizeof(supervisor->aborted), "%s", id);
    memcpy(out_operation_id, FAKE_OPERATION_ID, sizeof(FAKE_OPERATION_ID));
    return 0;
}

int supervisor_report_upgrade(struct supervisor *supervisor,
    const flocks_upgrade_progress *progress, int32_t pid, bool *out_abort, struct error *error)
{
    (void)pid;
    if (progress == NULL)
        return error_set(error, STATUS_INVALID_ARGUMENT, "no progress");
    *out_abort = supervisor->aborted[0] != '\0';
    return 0;
}

int supervisor_start_update(struct supervisor *supervisor, const struct supervisor_update *update,
    char out_id[SUPERVISOR_UPGRADE_ID_SIZE], void (*done)(void *data, const struct error *error),
    void *data, struct supervisor_update_wait **out, struct error *error)
{
    (void)error;
    memcpy(out_id, FAKE_LEASE_ID, sizeof(FAKE_LEASE_ID));
    if (strcmp(update->request_id, "known") == 0)
        return SUPERVISOR_UPDATE_KNOWN;
    supervisor->update_done = done;
    supervisor->update_data = data;
    *out = (struct supervisor_update_wait *)(void *)supervisor;
    return 0;
}

void supervisor_update_wait_cancel(struct supervisor_update_wait *wait)
{
    if (wait != NULL)
        ((struct supervisor *)(void *)wait)->update_done = NULL;
}

static void fill_progress(struct arena *arena, flocks_upgrade_progress **out)
{
    *out = arena_alloc(arena, sizeof(**out));
    **out = (flocks_upgrade_progress)FLOCKS_UPGRADE_PROGRESS_INIT;
    (*out)->upgrade_id = FAKE_LEASE_ID;
}

int supervisor_get_upgrade(struct supervisor *supervisor, const char *id, struct arena *arena,
    flocks_get_upgrade_response *out, struct error *error)
{
    (void)supervisor;
    (void)id;
    (void)error;
    fill_progress(arena, &out->progress);
    return 0;
}

int supervisor_watch_upgrade(struct supervisor *supervisor,
    const struct supervisor_upgrade_watching *watching, struct supervisor_upgrade_watch **out,
    struct error *error)
{
    if (strcmp(watching->after, "") != 0)
        return error_set(error, STATUS_INVALID_ARGUMENT, "after: no token");
    supervisor->upgrade_watches++;
    supervisor->wake = watching->wake;
    supervisor->wake_data = watching->data;
    *out = (struct supervisor_upgrade_watch *)(void *)supervisor;
    return 0;
}

int supervisor_upgrade_watch_next(struct supervisor_upgrade_watch *watch, struct arena *arena,
    flocks_watch_upgrade_response *out, struct error *error)
{
    struct supervisor *supervisor = (struct supervisor *)(void *)watch;

    (void)error;
    if (supervisor->items == 0)
        return supervisor->is_upgrade_over ? SUPERVISOR_UPGRADE_TOLD : SUPERVISOR_UPGRADE_NOTHING;
    supervisor->items--;
    fill_progress(arena, &out->progress);
    return 0;
}

void supervisor_upgrade_watch_close(struct supervisor_upgrade_watch *watch)
{
    if (watch != NULL)
        ((struct supervisor *)(void *)watch)->upgrade_watches--;
}

int supervisor_replace(struct supervisor *supervisor,
    const struct supervisor_replacement *replacement, char out_id[SUPERVISOR_OPERATION_ID_SIZE],
    struct error *error)
{
    (void)error;
    (void)snprintf(supervisor->replaced, sizeof(supervisor->replaced), "%s|%s|%s",
        replacement->flocksd_path, replacement->keeper_path, replacement->expected_version);
    memcpy(out_id, FAKE_OPERATION_ID, sizeof(FAKE_OPERATION_ID));
    return 0;
}

int supervisor_get_lease(struct supervisor *supervisor, const char *id, struct arena *arena,
    flocks_lease **out, struct error *error)
{
    (void)supervisor;
    (void)id;
    (void)error;
    *out = arena_alloc(arena, sizeof(**out));
    **out = (flocks_lease)FLOCKS_LEASE_INIT;
    (*out)->id = FAKE_LEASE_ID;
    (*out)->phase = FLOCKS_UPGRADE_PHASE_HELD;
    return 0;
}

/* Nobody is ever answered: what becomes of texts is test_supervisor_config's and the integration
 * tests'. */
int supervisor_plan(struct supervisor *supervisor, const struct supervisor_text *text,
    supervisor_planned_fn done, void *data, struct supervisor_job **out, struct error *error)
{
    (void)supervisor;
    (void)text;
    (void)done;
    (void)data;
    (void)out;
    return error_set(error, STATUS_FAILED_PRECONDITION, "no plans here");
}

int supervisor_apply(struct supervisor *supervisor, const struct supervisor_apply_request *request,
    supervisor_applied_fn done, void *data, char out_id[SUPERVISOR_OPERATION_ID_SIZE],
    struct supervisor_job **out, struct error *error)
{
    (void)supervisor;
    (void)request;
    (void)done;
    (void)data;
    out_id[0] = '\0';
    (void)out;
    return error_set(error, STATUS_FAILED_PRECONDITION, "no plans here");
}

void supervisor_job_cancel(struct supervisor_job *job)
{
    (void)job;
}

/* ---- output ---- */

const char *supervisor_logs(const struct supervisor *supervisor)
{
    return supervisor->logs;
}

size_t supervisor_count(const struct supervisor *supervisor)
{
    return supervisor->has_late ? 2 : 1;
}

const char *supervisor_name(const struct supervisor *supervisor, size_t index)
{
    (void)supervisor;
    return index == 0 ? "backend" : "late";
}

uint64_t supervisor_changes(const struct supervisor *supervisor)
{
    return supervisor->changes;
}

int supervisor_find_output(
    const struct supervisor *supervisor, const char *name, uint32_t *out, struct error *error)
{
    bool is_late = supervisor->has_late && strcmp(name, "late") == 0;

    if (!is_late && !is_known(name))
        return unknown_service(name, error);
    *out = is_late ? 1 : 0;
    return 0;
}

void supervisor_get_output(
    const struct supervisor *supervisor, uint32_t output, struct supervisor_output *out)
{
    *out = (struct supervisor_output){.count_id = 9};
    if (output < 2)
        out->written_bytes = supervisor->written[output];
    else if (output == SUPERVISOR_OUTPUT_DAEMON)
        out->written_bytes = supervisor->written[2];
}

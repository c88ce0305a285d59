#include "client/upgrade/client.h"

#include <stdio.h>
#include <string.h>

#include "flocks/calls.h"
#include "flocks/v1/config.info.h"
#include "flocks/v1/supervisor.methods.h"
#include "flocks/v1/upgrade.methods.h"

#include "common/base/utf8.h"
#include "common/inventory/instance_lock.h"
#include "common/schema/message.h"

enum { MS_PER_S = 1000, NS_PER_MS = 1000000 };

/* ---- the connection ---- */

static bool is_running(void *data)
{
    const struct update_client *client = data;
    struct instance instance;
    /* A lock that cannot be looked at says nothing; the socket then will. */
    return instance_look(&client->settings->paths, &instance, NULL) < 0 || instance.lives;
}

static int take_failure(const struct flocks_error *failure, const char *what, struct error *error)
{
    int result =
        error_set(error, (enum status_code)failure->code, "%s: %s", what, failure->message);
    if (error == NULL)
        return result;
    error->system_error = failure->system_error;
    const flocks_error_detail *detail = failure->detail;
    if (detail == NULL)
        return result;
    (void)snprintf(error->subject, sizeof error->subject, "%.*s",
        (int)utf8_cut(detail->service, strlen(detail->service), sizeof error->subject - 1),
        detail->service);
    if (detail->lease != NULL)
        (void)snprintf(error->lease_id, sizeof error->lease_id, "%s", detail->lease->id);
    error->reason = (uint32_t)detail->reason;
    error_set_hint(error, "%s", detail->hint);
    return result;
}

int update_client_open(
    struct update_client *client, const struct update_settings *settings, struct error *error)
{
    const struct paths *paths = &settings->paths;
    bool is_tcp = paths->tcp[0] != '\0';
    *client = (struct update_client){.settings = settings};
    const struct flocks_client_options options = {.socket = is_tcp ? paths->tcp : paths->socket,
        .root = paths->root,
        .is_running = is_tcp ? NULL : is_running,
        .data = client};
    struct flocks_error *failure = NULL;
    int result = 0;
    client->client = flocks_client_new(&options, &failure);
    if (client->client == NULL)
        result = take_failure(failure, "reaching the daemon", error);
    flocks_error_free(failure);
    return result;
}

void update_client_close(struct update_client *client)
{
    flocks_client_free(client->client);
    client->client = NULL;
}

/* 0: *out is the caller's. UPDATE_SERVER_NONE, or negative. */
static int call(struct update_client *self, const struct rpc_method *method, int64_t timeout_ms,
    const ProtobufCMessage *request, const ProtobufCMessage **out, struct error *error)
{
    const struct rpc_options options = {.timeout_ms = timeout_ms};
    struct flocks_error *failure = NULL;
    int result = 0;
    *out = NULL;
    if (flocks_client_call(self->client, method, &options, request, out, &failure) != RPC_DONE)
        result = failure->is_not_running ? UPDATE_SERVER_NONE
                                         : take_failure(failure, method->name, error);
    flocks_error_free(failure);
    return result;
}

static int call_upgrade(struct update_client *self, enum flocks_upgrade_method method,
    const ProtobufCMessage *request, const ProtobufCMessage **out, struct error *error)
{
    return call(self, &flocks_upgrade_methods[method], UPDATE_CALL_MS, request, out, error);
}

static int call_supervisor(struct update_client *self, enum flocks_supervisor_method method,
    const ProtobufCMessage *request, const ProtobufCMessage **out, struct error *error)
{
    return call(self, &flocks_supervisor_methods[method], UPDATE_CALL_MS, request, out, error);
}

static void free_message(const ProtobufCMessage **message)
{
    rpc_message_free(*message);
    *message = NULL;
}

/* ---- values ---- */

static void copy_text(char *out, size_t size, const char *text)
{
    size_t n = utf8_cut(text, strlen(text), size - 1);
    memcpy(out, text, n);
    out[n] = '\0';
}

static Google__Protobuf__Duration duration(int64_t ms)
{
    Google__Protobuf__Duration value = GOOGLE__PROTOBUF__DURATION__INIT;
    value.seconds = ms / MS_PER_S;
    value.nanos = (int32_t)(ms % MS_PER_S) * NS_PER_MS;
    return value;
}

static int copy_lease(const flocks_lease *lease, struct update_lease *out, struct error *error)
{
    if (lease == NULL || lease->id[0] == '\0')
        return error_set(error, STATUS_INTERNAL, "the daemon answered without a lease");
    *out = (struct update_lease){.phase = flocks_upgrade_phase_from((int)lease->phase)};
    copy_text(out->id, sizeof out->id, lease->id);
    copy_text(out->operation_id, sizeof out->operation_id, lease->operation_id);
    copy_text(out->message, sizeof out->message, lease->message);
    return 0;
}

static int copy_operation_id(
    const flocks_operation *operation, char out[UPDATE_ID_SIZE], struct error *error)
{
    if (operation == NULL)
        return error_set(error, STATUS_INTERNAL, "the daemon answered without an operation");
    copy_text(out, UPDATE_ID_SIZE, operation->id);
    return 0;
}

/* ---- what runs ---- */

static int get_config(
    void *self, struct arena *arena, const flocks_config **out, struct error *error)
{
    flocks_get_config_request request = FLOCKS_GET_CONFIG_REQUEST_INIT;
    CLEANUP(free_message) const ProtobufCMessage *answer = NULL;
    int result = call_supervisor(self, FLOCKS_SUPERVISOR_GET_CONFIG, &request.base, &answer, error);
    if (result != 0)
        return result;
    const flocks_config *config = ((const flocks_get_config_response *)answer)->config;
    if (config == NULL)
        return error_set(error, STATUS_INTERNAL, "the daemon answered without a configuration");
    *out = (const flocks_config *)schema_message_copy(&flocks_config_info, &config->base, arena);
    return *out != NULL ? 0
                        : error_set(error, STATUS_RESOURCE_EXHAUSTED,
                              "no memory for the running configuration");
}

static int lives(void *self, bool *out, struct error *error)
{
    const struct update_client *client = self;
    struct instance instance;
    int result = instance_look(&client->settings->paths, &instance, error);
    *out = result == 0 && instance.lives;
    return result;
}

static int hold(void *self, int *out_fd, struct error *error)
{
    const struct update_client *client = self;
    return instance_hold(&client->settings->paths, out_fd, error);
}

/* ---- the lease ---- */

/* What status shows, and by which it is found again where its id was lost. */
static void write_reason(const char *upgrade_id, const char *to, char out[UPDATE_REASON_SIZE])
{
    (void)snprintf(
        out, UPDATE_REASON_SIZE, "upgrade %s%s%s", upgrade_id, to[0] != '\0' ? " to " : "", to);
}

static int begin(
    void *self, const struct update_begin *begin, struct update_lease *out, struct error *error)
{
    flocks_link_undo undo[LINK_SET_MAX];
    flocks_link_undo *undos[LINK_SET_MAX];
    char reason[UPDATE_REASON_SIZE];
    const union {
        const char *const *constant;
        const char **list;
    } services = {.constant = begin->services};
    flocks_begin_upgrade_request request = FLOCKS_BEGIN_UPGRADE_REQUEST_INIT;
    Google__Protobuf__Duration ttl = duration(begin->ttl_ms);
    write_reason(begin->upgrade_id, begin->to, reason);
    for (size_t i = 0; i < begin->links->n_changes; i++) {
        undo[i] = (flocks_link_undo)FLOCKS_LINK_UNDO_INIT;
        undo[i].link = begin->links->changes[i].link;
        undo[i].target = begin->links->changes[i].old_target;
        undos[i] = &undo[i];
    }
    request.owner = begin->owner;
    request.reason = reason;
    request.ttl = &ttl;
    request.n_services = begin->n_services;
    request.services = services.list;
    request.holding_page = begin->holding_page;
    request.n_undo = begin->links->n_changes;
    request.undo = undos;
    request.request_id = begin->upgrade_id;
    CLEANUP(free_message) const ProtobufCMessage *answer = NULL;
    int result = call_upgrade(self, FLOCKS_UPGRADE_BEGIN_UPGRADE, &request.base, &answer, error);
    return result != 0
               ? result
               : copy_lease(((const flocks_begin_upgrade_response *)answer)->lease, out, error);
}

static int renew(void *self, const char *lease_id, struct error *error)
{
    flocks_renew_upgrade_request request = FLOCKS_RENEW_UPGRADE_REQUEST_INIT;
    CLEANUP(free_message) const ProtobufCMessage *answer = NULL;
    request.lease_id = lease_id;
    return call_upgrade(self, FLOCKS_UPGRADE_RENEW_UPGRADE, &request.base, &answer, error);
}

static int get_lease(
    void *self, const char *lease_id, struct update_lease *out, struct error *error)
{
    flocks_get_upgrade_request request = FLOCKS_GET_UPGRADE_REQUEST_INIT;
    CLEANUP(free_message) const ProtobufCMessage *answer = NULL;
    request.upgrade_id = lease_id;
    int result = call_upgrade(self, FLOCKS_UPGRADE_GET_UPGRADE, &request.base, &answer, error);
    if (result != 0)
        return result;
    const flocks_lease *lease = ((const flocks_get_upgrade_response *)answer)->lease;
    if (lease == NULL)
        return error_set(error, STATUS_NOT_FOUND, "the daemon knows no lease %s", lease_id);
    return copy_lease(lease, out, error);
}

static int find_lease(
    void *self, const char *upgrade_id, struct update_lease *out, struct error *error)
{
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    CLEANUP(free_message) const ProtobufCMessage *answer = NULL;
    char reason[UPDATE_REASON_SIZE];
    write_reason(upgrade_id, "", reason);
    size_t len = strlen(reason);
    int result = call_supervisor(self, FLOCKS_SUPERVISOR_GET_STATUS, &request.base, &answer, error);
    if (result != 0)
        return result;
    const flocks_get_status_response *status = (const flocks_get_status_response *)answer;
    for (size_t i = 0; i < status->n_leases; i++) {
        const flocks_lease *lease = status->leases[i];
        if (strncmp(lease->reason, reason, len) == 0 &&
            (lease->reason[len] == '\0' || lease->reason[len] == ' '))
            return copy_lease(lease, out, error);
    }
    return error_set(error, STATUS_NOT_FOUND, "no lease is of upgrade %s", upgrade_id);
}

static int abort_lease(void *self, const char *lease_id, const char *reason, struct error *error)
{
    flocks_abort_upgrade_request request = FLOCKS_ABORT_UPGRADE_REQUEST_INIT;
    CLEANUP(free_message) const ProtobufCMessage *answer = NULL;
    char cut[UPDATE_REASON_SIZE];
    copy_text(cut, sizeof cut, reason);
    request.lease_id = lease_id;
    request.reason = cut;
    return call_upgrade(self, FLOCKS_UPGRADE_ABORT_UPGRADE, &request.base, &answer, error);
}

/* ---- work ---- */

static int stop(
    void *self, const char *lease_id, char out_operation[UPDATE_ID_SIZE], struct error *error)
{
    flocks_stop_services_request request = FLOCKS_STOP_SERVICES_REQUEST_INIT;
    CLEANUP(free_message) const ProtobufCMessage *answer = NULL;
    request.lease_id = lease_id;
    /* Once a lease: a repetition is answered with the same operation. */
    request.request_id = lease_id;
    int result =
        call_supervisor(self, FLOCKS_SUPERVISOR_STOP_SERVICES, &request.base, &answer, error);
    return result != 0
               ? result
               : copy_operation_id(((const flocks_stop_services_response *)answer)->operation,
                     out_operation, error);
}

/* The first service that did not do what it should, else what is said of the whole. */
static void explain(const flocks_operation *operation, struct error *out)
{
    const flocks_error_detail *detail = operation->error;
    const char *text = detail != NULL && detail->attempted[0] != '\0' ? detail->attempted : "";
    const char *service = detail != NULL ? detail->service : "";
    for (size_t i = 0; text[0] == '\0' && i < operation->n_outcomes; i++) {
        if (operation->outcomes[i]->state == FLOCKS_OPERATION_STATE_SUCCEEDED)
            continue;
        text = operation->outcomes[i]->message;
        service = operation->outcomes[i]->service;
    }
    (void)error_set(out, STATUS_FAILED_PRECONDITION, "%s%s%s", service,
        service[0] != '\0' ? ": " : "", text[0] != '\0' ? text : "the operation failed");
    copy_text(out->subject, sizeof out->subject, service);
    if (detail == NULL)
        return;
    out->reason = (uint32_t)detail->reason;
    error_set_hint(out, "%s", detail->hint);
}

static int get_operation(void *self, const char *id, uint32_t revision,
    struct update_operation *out, struct error *error)
{
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    CLEANUP(free_message) const ProtobufCMessage *answer = NULL;
    request.operation_id = id;
    request.wait = true;
    request.seen_revision = revision;
    int result = call(self, &flocks_supervisor_methods[FLOCKS_SUPERVISOR_GET_OPERATION],
        UPDATE_NEWS_MS, &request.base, &answer, error);
    if (result != 0)
        return result;
    const flocks_operation *operation = ((const flocks_get_operation_response *)answer)->operation;
    if (operation == NULL)
        return error_set(error, STATUS_INTERNAL, "the daemon answered without an operation");
    enum flocks_operation_state state = flocks_operation_state_from((int)operation->state);
    *out = (struct update_operation){.has_succeeded = state == FLOCKS_OPERATION_STATE_SUCCEEDED,
        .has_ended =
            state != FLOCKS_OPERATION_STATE_QUEUED && state != FLOCKS_OPERATION_STATE_RUNNING,
        .revision = ((const flocks_get_operation_response *)answer)->revision,
        .failure = ERROR_INIT};
    copy_text(out->step, sizeof out->step, operation->step);
    if (out->has_ended && !out->has_succeeded)
        explain(operation, &out->failure);
    return 0;
}

typedef Flocks__V1__CommitUpgradeRequest__ExpectedVersionsEntry version_entry;

static int fill_versions(const struct update_commit *commit, struct arena *arena,
    flocks_commit_upgrade_request *request, struct error *error)
{
    version_entry **entries = arena_calloc(arena, commit->n_versions + 1, sizeof(void *));
    version_entry *values = arena_calloc(arena, commit->n_versions + 1, sizeof(*values));
    if (entries == NULL || values == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the versions");
    for (size_t i = 0; i < commit->n_versions; i++) {
        values[i] = (version_entry)FLOCKS_COMMIT_UPGRADE_REQUEST_EXPECTED_VERSIONS_ENTRY_INIT;
        values[i].key = commit->versions[i].service;
        values[i].value = commit->versions[i].version;
        entries[i] = &values[i];
    }
    request->n_expected_versions = commit->n_versions;
    request->expected_versions = entries;
    return 0;
}

static int commit(
    void *self, const struct update_commit *commit, struct update_lease *out, struct error *error)
{
    flocks_commit_upgrade_request request = FLOCKS_COMMIT_UPGRADE_REQUEST_INIT;
    Google__Protobuf__Duration start_timeout = duration(commit->start_timeout_ms);
    Google__Protobuf__Duration observe = duration(commit->observe_ms);
    CLEANUP(free_message) const ProtobufCMessage *answer = NULL;
    CLEANUP(arena_deinit) struct arena arena;
    arena_init(&arena, (commit->n_versions + 1) * 2 * (sizeof(version_entry) + sizeof(void *)));
    request.lease_id = commit->lease_id;
    request.start_timeout = &start_timeout;
    request.observe = &observe;
    int result = fill_versions(commit, &arena, &request, error);
    if (result == 0)
        result = call_upgrade(self, FLOCKS_UPGRADE_COMMIT_UPGRADE, &request.base, &answer, error);
    return result != 0
               ? result
               : copy_lease(((const flocks_commit_upgrade_response *)answer)->lease, out, error);
}

static int replace(void *self, const struct update_programs *programs,
    char out_operation[UPDATE_ID_SIZE], struct error *error)
{
    flocks_replace_daemon_request request = FLOCKS_REPLACE_DAEMON_REQUEST_INIT;
    CLEANUP(free_message) const ProtobufCMessage *answer = NULL;
    request.flocksd_path = programs->flocksd;
    request.keeper_path = programs->keeper;
    request.expected_version = programs->version;
    int result = call_upgrade(self, FLOCKS_UPGRADE_REPLACE_DAEMON, &request.base, &answer, error);
    return result != 0
               ? result
               : copy_operation_id(((const flocks_replace_daemon_response *)answer)->operation,
                     out_operation, error);
}

static int get_running(void *self, struct update_running *out, struct error *error)
{
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    CLEANUP(free_message) const ProtobufCMessage *answer = NULL;
    int result = call_supervisor(self, FLOCKS_SUPERVISOR_GET_STATUS, &request.base, &answer, error);
    if (result != 0)
        return result;
    const flocks_daemon_status *daemon = ((const flocks_get_status_response *)answer)->daemon;
    if (daemon == NULL)
        return error_set(error, STATUS_INTERNAL, "the daemon does not tell what it is");
    *out = (struct update_running){.flocksd_pid = daemon->pid, .keeper_pid = daemon->keeper_pid};
    return 0;
}

static const struct update_server_calls calls = {.config = get_config,
    .begin = begin,
    .renew = renew,
    .stop = stop,
    .operation = get_operation,
    .commit = commit,
    .lease = get_lease,
    .find = find_lease,
    .abort = abort_lease,
    .replace = replace,
    .running = get_running,
    .lives = lives,
    .hold = hold};

struct update_server update_client_server(struct update_client *client)
{
    return (struct update_server){.calls = &calls, .self = client};
}

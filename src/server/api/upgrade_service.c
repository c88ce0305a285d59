#include "server/api/upgrade_service.h"

#include <string.h>

#include "flocks/v1/upgrade.server.h"

#include "common/base/clock.h"
#include "server/api/api.h"
#include "server/api/failure.h"
#include "server/api/replacing.h"
#include "server/api/upgrade_progress.h"
#include "server/api/upgrade_start.h"
#include "server/api/waiting.h"
#include "server/supervise/supervisor_leases.h"

enum { MS_PER_S = 1000, NS_PER_MS = 1000 * 1000, NS_PER_S = 1000 * 1000 * 1000 };

/* ---- values ---- */

struct bounds {
    const char *name;
    int64_t min_ms;
    int64_t max_ms;
    int64_t absent_ms;
};

static const struct bounds ttl_bounds = {
    "ttl", SUPERVISOR_LEASE_TTL_MIN_MS, SUPERVISOR_LEASE_TTL_MAX_MS, SUPERVISOR_LEASE_TTL_MS};
/* Absent: as it was. */
static const struct bounds renewal_bounds = {
    "ttl", SUPERVISOR_LEASE_TTL_MIN_MS, SUPERVISOR_LEASE_TTL_MAX_MS, 0};
static const struct bounds start_bounds = {
    "start_timeout", 1, SUPERVISOR_COMMIT_START_MAX_MS, SUPERVISOR_COMMIT_START_MS};
static const struct bounds observe_bounds = {
    "observe", 0, SUPERVISOR_COMMIT_OBSERVE_MAX_MS, SUPERVISOR_COMMIT_OBSERVE_MS};

static int read_duration(const Google__Protobuf__Duration *duration, const struct bounds *bounds,
    int64_t *out_ms, struct error *error)
{
    bool is_sane = !duration ||
                   (duration->seconds >= 0 && duration->nanos >= 0 && duration->nanos < NS_PER_S &&
                       duration->seconds <= bounds->max_ms / MS_PER_S);

    *out_ms = bounds->absent_ms;
    if (duration && is_sane)
        *out_ms = duration->seconds * MS_PER_S + (duration->nanos + NS_PER_MS - 1) / NS_PER_MS;
    if (is_sane && (!duration || (*out_ms >= bounds->min_ms && *out_ms <= bounds->max_ms)))
        return 0;
    return error_set(error, STATUS_INVALID_ARGUMENT, "%s: must be between %lld ms and %lld s",
        bounds->name, (long long)bounds->min_ms, (long long)(bounds->max_ms / MS_PER_S));
}

/* ---- BeginUpgrade ---- */

/* A call whose lease is being written. Lives in the call's memory. */
struct beginning {
    struct list link; /* in the service's beginnings */
    struct upgrade_service *service;
    struct rpc_call *call;
    struct supervisor_lease_wait *wait;
    char id[SUPERVISOR_LEASE_ID_SIZE];
};

static void leave(struct beginning *beginning)
{
    list_remove(&beginning->link);
    supervisor_lease_wait_cancel(beginning->wait);
    beginning->wait = NULL;
}

static void reply_begun(struct upgrade_service *service, struct rpc_call *call, const char *id)
{
    flocks_begin_upgrade_response response = FLOCKS_BEGIN_UPGRADE_RESPONSE_INIT;
    struct error error = ERROR_INIT;
    struct arena arena;

    arena_init(&arena, API_ANSWER_BYTES);
    if (supervisor_get_lease(service->supervisor, id, &arena, &response.lease, &error) < 0)
        api_fail(call, &error, NULL);
    else
        rpc_call_reply_message(call, &response.base);
    arena_deinit(&arena);
}

static void on_begun(void *data, const struct error *error)
{
    struct beginning *beginning = data;
    struct upgrade_service *service = beginning->service;
    struct rpc_call *call = beginning->call;
    char id[SUPERVISOR_LEASE_ID_SIZE];

    beginning->wait = NULL; /* gone by itself */
    leave(beginning);
    memcpy(id, beginning->id, sizeof(id));
    if (error)
        api_fail_for_lease(service->supervisor, call, error, NULL);
    else
        reply_begun(service, call, id);
}

/* The lease is written all the same: with the same request_id it can be asked for, else it
 * expires. */
static void on_begin_cancelled(void *data)
{
    struct beginning *beginning = data;
    struct rpc_call *call = beginning->call;
    struct error error = ERROR_INIT;

    leave(beginning);
    (void)error_set(&error, STATUS_DEADLINE_EXCEEDED, "the lease is still being written");
    error_set_hint(&error, "ask again with the same request_id");
    api_fail(call, &error, NULL);
}

static int fill_begin(const flocks_begin_upgrade_request *request, struct rpc_call *call,
    struct supervisor_link *undo, struct supervisor_lease_request *out, struct error *error)
{
    const struct rpc_peer *peer = rpc_call_peer(call);

    *out = (struct supervisor_lease_request){.owner = request->owner,
        .reason = request->reason,
        .services = request->services,
        .n_services = request->n_services,
        .holding_page = request->holding_page,
        .undo = undo,
        .n_undo = request->n_undo,
        .request_id = request->request_id,
        .owner_pid = peer->pid,
        .owner_uid = peer->uid};
    for (size_t i = 0; i < request->n_undo; i++)
        undo[i] = (struct supervisor_link){
            .link = request->undo[i]->link, .target = request->undo[i]->target};
    return read_duration(request->ttl, &ttl_bounds, &out->ttl_ms, error);
}

static void begin_upgrade(
    void *self, struct flocks_begin_upgrade_call *call, const flocks_begin_upgrade_request *request)
{
    struct upgrade_service *service = self;
    struct rpc_call *base = flocks_begin_upgrade_base(call);
    struct beginning *beginning = rpc_call_alloc(base, sizeof(*beginning));
    struct supervisor_link *undo = rpc_call_alloc(base, (request->n_undo + 1) * sizeof(*undo));
    struct supervisor_lease_request lease;
    struct error error = ERROR_INIT;
    int result;

    if (!beginning || !undo) {
        (void)error_set(&error, STATUS_RESOURCE_EXHAUSTED, "no memory left for this call");
        api_fail(base, &error, NULL);
        return;
    }
    *beginning = (struct beginning){.service = service, .call = base};
    list_init(&beginning->link);
    result = fill_begin(request, base, undo, &lease, &error);
    if (result == 0)
        result = supervisor_begin_lease(service->supervisor, &lease, beginning->id, on_begun,
            beginning, &beginning->wait, &error);
    if (result < 0) {
        api_fail_for_lease(service->supervisor, base, &error, NULL);
        return;
    }
    list_append(&service->beginnings, &beginning->link);
    rpc_call_on_cancel(base, on_begin_cancelled, beginning);
}

/* ---- RenewUpgrade ---- */

static void renew_upgrade(
    void *self, struct flocks_renew_upgrade_call *call, const flocks_renew_upgrade_request *request)
{
    struct upgrade_service *service = self;
    struct rpc_call *base = flocks_renew_upgrade_base(call);
    flocks_renew_upgrade_response response = FLOCKS_RENEW_UPGRADE_RESPONSE_INIT;
    struct error error = ERROR_INIT;
    struct arena arena;
    int64_t ttl_ms;
    int result = read_duration(request->ttl, &renewal_bounds, &ttl_ms, &error);

    if (result == 0)
        result = supervisor_renew_lease(
            service->supervisor, request->lease_id, ttl_ms, rpc_call_peer(base)->pid, &error);
    arena_init(&arena, API_ANSWER_BYTES);
    if (result == 0)
        result = supervisor_get_lease(
            service->supervisor, request->lease_id, &arena, &response.lease, &error);
    if (result < 0)
        api_fail_for_lease(service->supervisor, base, &error, NULL);
    else
        flocks_renew_upgrade_reply(call, &response);
    arena_deinit(&arena);
}

/* ---- CommitUpgrade ---- */

flocks_operation *upgrade_find_operation(
    struct supervisor *supervisor, const char *id, struct arena *arena)
{
    flocks_operation *operation = NULL;

    if (!id[0] || supervisor_get_operation(supervisor, id, arena, &operation, NULL, NULL) < 0)
        return NULL;
    return operation;
}

static void reply_committed(struct supervisor *supervisor, struct rpc_call *call,
    const char *operation_id, const char *lease_id)
{
    flocks_commit_upgrade_response response = FLOCKS_COMMIT_UPGRADE_RESPONSE_INIT;
    struct error error = ERROR_INIT;
    struct arena arena;

    arena_init(&arena, API_ANSWER_BYTES);
    response.operation = upgrade_find_operation(supervisor, operation_id, &arena);
    if (supervisor_get_lease(supervisor, lease_id, &arena, &response.lease, &error) < 0)
        api_fail(call, &error, operation_id);
    else
        rpc_call_reply_message(call, &response.base);
    arena_deinit(&arena);
}

static void answer_commit(struct supervisor *supervisor, struct rpc_call *call, const char *id,
    enum waiting_end end, const void *context)
{
    struct error error = ERROR_INIT;

    if (end == WAITING_READY) {
        reply_committed(supervisor, call, id, context);
        return;
    }
    (void)error_set(&error, STATUS_DEADLINE_EXCEEDED,
        "the call's time is up, the commit goes on as operation %s", id);
    error_set_hint(&error, "GetOperation and GetUpgrade tell how it goes on");
    api_fail(call, &error, id);
}

static int commit(struct upgrade_service *service, struct rpc_call *call,
    const flocks_commit_upgrade_request *request, char out_id[SUPERVISOR_OPERATION_ID_SIZE],
    struct error *error)
{
    const struct rpc_peer *peer = rpc_call_peer(call);
    struct supervisor_version *versions =
        rpc_call_alloc(call, (request->n_expected_versions + 1) * sizeof(*versions));
    struct supervisor_commit commit = {.lease_id = request->lease_id,
        .versions = versions,
        .n_versions = request->n_expected_versions,
        .requester_pid = peer->pid,
        .requester_uid = peer->uid};
    int result;

    if (!versions)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory left for this call");
    for (size_t i = 0; i < request->n_expected_versions; i++)
        versions[i] = (struct supervisor_version){.service = request->expected_versions[i]->key,
            .version = request->expected_versions[i]->value};
    result = read_duration(request->start_timeout, &start_bounds, &commit.start_timeout_ms, error);
    if (result == 0)
        result = read_duration(request->observe, &observe_bounds, &commit.observe_ms, error);
    return result < 0 ? result
                      : supervisor_commit_lease(service->supervisor, &commit, out_id, error);
}

static void commit_upgrade(void *self, struct flocks_commit_upgrade_call *call,
    const flocks_commit_upgrade_request *request)
{
    struct upgrade_service *service = self;
    struct rpc_call *base = flocks_commit_upgrade_base(call);
    char id[SUPERVISOR_OPERATION_ID_SIZE] = "";
    struct error error = ERROR_INIT;

    if (commit(service, base, request, id, &error) < 0) {
        api_fail_for_lease(service->supervisor, base, &error, NULL);
        return;
    }
    if (!request->wait || !id[0]) {
        reply_committed(service->supervisor, base, id, request->lease_id);
        return;
    }
    /* The request lives as long as the call. */
    waiting_begin(service->room, base,
        &(struct waiting_for){.operation_id = id,
            .what = SUPERVISOR_WAIT_END,
            .answer = answer_commit,
            .context = request->lease_id});
}

/* ---- the service ---- */

static const struct flocks_upgrade_handlers handlers = {
    .begin_upgrade = begin_upgrade,
    .renew_upgrade = renew_upgrade,
    .commit_upgrade = commit_upgrade,
    .abort_upgrade = upgrade_progress_abort,
    .start_update = upgrade_start_update,
    .report_upgrade = upgrade_progress_report,
    .get_upgrade = upgrade_progress_get,
    .watch_upgrade = upgrade_progress_watch,
    .replace_daemon = replacing_serve,
};

struct rpc_service upgrade_service_open(
    struct upgrade_service *self, struct supervisor *supervisor, struct waiting_room *room)
{
    self->supervisor = supervisor;
    self->room = room;
    list_init(&self->beginnings);
    list_init(&self->streams);
    list_init(&self->starts);
    return flocks_upgrade_service(&handlers, self);
}

void upgrade_service_close(struct upgrade_service *self)
{
    struct error error = ERROR_INIT;

    (void)error_set(&error, STATUS_UNAVAILABLE, "the daemon is ending");
    error.reason = FLOCKS_ERROR_REASON_SHUTTING_DOWN;
    while (!list_is_empty(&self->beginnings)) {
        struct beginning *beginning = CONTAINER_OF(self->beginnings.next, struct beginning, link);
        struct rpc_call *call = beginning->call;

        leave(beginning);
        api_fail(call, &error, NULL);
    }
    upgrade_progress_close(self, &error);
    upgrade_start_close(self, &error);
}

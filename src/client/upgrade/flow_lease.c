/* The part of an upgrade that others see: lease, stop, switch, commit. */
#include <stdio.h>
#include <string.h>

#include "client/updater/cancel.h"
#include "client/upgrade/flow.h"
#include "client/upgrade/kept.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/inventory/instance_lock.h"

enum {
    MS_PER_S = 1000,
    NS_PER_MS = 1000000,
    /* Between two looks at a commit. */
    LOOK_MS = 50
};

static const struct update_server *server_of(const struct flow *flow)
{
    return flow->request->server;
}

static int64_t duration_ms(const Google__Protobuf__Duration *duration)
{
    return duration == NULL ? 0 : duration->seconds * MS_PER_S + duration->nanos / NS_PER_MS;
}

/* ---- the lease ---- */

/* What an answer to Renew, Stop or Begin means for an upgrade that was begun. */
static int refuse_gone(int result, struct error *error)
{
    if (result != UPDATE_SERVER_NONE)
        return result;
    result =
        error_set(error, STATUS_UNAVAILABLE, "the daemon ended while the upgrade was going on");
    error_set_hint(error, "`flocks start` starts it; see logs/daemon.log");
    return result;
}

static int begin(struct flow *flow, struct error *error)
{
    const struct update_begin begin = {.upgrade_id = flow->journal.id,
        .owner = flow->request->owner,
        .to = flow->journal.to,
        .ttl_ms = UPDATE_LEASE_TTL_MS,
        .services = flow->services.paused,
        .n_services = flow->services.n_paused,
        .holding_page = flow->services.holding_page,
        .links = &flow->journal.links};
    int result = flow_record(flow, UPGRADE_STEP_LEASING, error);
    if (result == 0)
        result = refuse_gone(
            server_of(flow)->calls->begin(server_of(flow)->self, &begin, &flow->lease, error),
            error);
    if (result < 0)
        return error_add_context(error, result, "taking the lease");
    flow->renew_at = clock_add_ms(clock_monotonic_ms(), UPDATE_LEASE_TTL_MS / 3);
    update_reporter_lease(flow->request->reporter, flow->lease.id, flow->lease.phase);
    result = upgrade_journal_set_lease(&flow->journal, flow->lease.id, error);
    return result < 0 ? result : flow_record(flow, UPGRADE_STEP_LEASED, error);
}

static int renew(struct flow *flow, struct error *error)
{
    int result = refuse_gone(
        server_of(flow)->calls->renew(server_of(flow)->self, flow->lease.id, error), error);
    flow->renew_at = clock_add_ms(clock_monotonic_ms(), UPDATE_LEASE_TTL_MS / 3);
    return result < 0 ? error_add_context(error, result, "keeping the lease") : 0;
}

/* ---- stopping ---- */

/* One look at the operation; raised by its end. A server that is busy is asked again. */
static int look_at_stop(
    struct flow *flow, const char *id, struct update_operation *operation, struct error *error)
{
    struct error problem = ERROR_INIT;
    int result = server_of(flow)->calls->operation(
        server_of(flow)->self, id, operation->revision, operation, &problem);
    if (result == -STATUS_DEADLINE_EXCEEDED || result == -STATUS_UNAVAILABLE)
        return 0;
    if (result != 0) {
        if (error != NULL)
            *error = problem;
        return refuse_gone(result, error);
    }
    if (operation->step[0] != '\0' && !operation->has_ended)
        update_reporter_step(flow->request->reporter, FLOCKS_UPGRADE_STEP_STOPPING,
            "Waiting until %.*s has stopped", (int)strcspn(operation->step, ":"), operation->step);
    if (!operation->has_ended || operation->has_succeeded)
        return 0;
    if (error != NULL)
        *error = operation->failure;
    return -(int)operation->failure.code;
}

static int stop(struct flow *flow, struct error *error)
{
    char id[UPDATE_ID_SIZE] = "";
    struct update_operation operation = {.failure = ERROR_INIT};
    update_reporter_step(flow->request->reporter, FLOCKS_UPGRADE_STEP_STOPPING,
        "Stopping %zu service%s", flow->services.n_paused, flow->services.n_paused == 1 ? "" : "s");
    int result = flow_record(flow, UPGRADE_STEP_STOPPING, error);
    if (result == 0)
        result = refuse_gone(
            server_of(flow)->calls->stop(server_of(flow)->self, flow->lease.id, id, error), error);
    while (result == 0 && !operation.has_ended) {
        result = look_at_stop(flow, id, &operation, error);
        if (result == 0)
            result = flow_check(flow, error);
        if (result == 0 && clock_monotonic_ms() >= flow->renew_at)
            result = renew(flow, error);
    }
    return result < 0 ? error_add_context(error, result, "stopping the services") : 0;
}

/* ---- switching ---- */

static int switch_links(struct flow *flow, struct error *error)
{
    update_reporter_step(flow->request->reporter, FLOCKS_UPGRADE_STEP_SWITCHING, "Switching to %s",
        flow->journal.to);
    int result = flow_record(flow, UPGRADE_STEP_SWITCHING, error);
    /* The record may have waited for a disk longer than the lease lasts; what comes now does not.
     */
    if (result == 0 && flow->lease.id[0] != '\0')
        result = renew(flow, error);
    if (result == 0)
        result = link_set_switch(&flow->journal.links, error);
    if (result == 0)
        result = flow_record(flow, UPGRADE_STEP_SWITCHED, error);
    return result < 0 ? error_add_context(error, result, "switching to %s", flow->journal.to) : 0;
}

/* ---- committing ---- */

static void tell_phase(struct flow *flow)
{
    struct update_reporter *reporter = flow->request->reporter;
    const struct update_lease *lease = &flow->lease;
    double observe_s = (double)duration_ms(flow->request->settings->update->observe) / MS_PER_S;
    update_reporter_lease(reporter, lease->id, lease->phase);
    /* With a message it has been watched, and what keeps it from being committed is told. */
    if (lease->phase == FLOCKS_UPGRADE_PHASE_OBSERVING && lease->message[0] != '\0')
        update_reporter_step(reporter, FLOCKS_UPGRADE_STEP_COMMITTING, "%s serves; %s",
            flow->journal.to, lease->message);
    else if (lease->phase == FLOCKS_UPGRADE_PHASE_OBSERVING)
        update_reporter_step(reporter, FLOCKS_UPGRADE_STEP_COMMITTING, "Watching %s for %.3g s",
            flow->journal.to, observe_s);
    else if (lease->phase == FLOCKS_UPGRADE_PHASE_ROLLING_BACK)
        update_reporter_step(reporter, FLOCKS_UPGRADE_STEP_ROLLING_BACK, "%s",
            lease->message[0] != '\0' ? lease->message : "Going back to the old version");
    else if (lease->phase == FLOCKS_UPGRADE_PHASE_COMMITTING)
        update_reporter_step(reporter, FLOCKS_UPGRADE_STEP_COMMITTING, "Starting %s%s%s",
            flow->journal.to, lease->message[0] != '\0' ? ": " : "", lease->message);
}

/* Which service it was, as the commit's operation knows it. */
static void add_culprit(struct flow *flow, const char *commit_id, struct error *error)
{
    struct update_operation operation = {.failure = ERROR_INIT};
    if (commit_id[0] == '\0' || server_of(flow)->calls->operation(server_of(flow)->self, commit_id,
                                    UINT32_MAX, &operation, NULL) != 0)
        return;
    error->reason = operation.failure.reason;
    (void)snprintf(error->subject, sizeof error->subject, "%s", operation.failure.subject);
    if (error->subject[0] != '\0')
        error_set_hint(error, "logs/%s.log tells what %s said; what ran before runs again",
            error->subject, flow->journal.to);
}

/* Why the server went back: the lease's own words. */
static int refuse_rolled_back(
    struct flow *flow, const char *commit_id, bool was_aborted, struct error *error)
{
    const char *words = flow->lease.message;
    if (was_aborted)
        return error_set(error, STATUS_CANCELLED, "the upgrade was aborted");
    /* As an operation that FAILED: exit code 1, nothing that a later try would find otherwise. */
    int result = error_set(error, STATUS_UNKNOWN, "%s was rolled back: %s", flow->journal.to,
        words[0] != '\0' ? words : "it did not become healthy");
    error_set_hint(error, "logs/daemon.log tells more; what ran before runs again");
    if (error != NULL)
        add_culprit(flow, commit_id, error);
    return result;
}

struct committing {
    /* Since when nobody answers; CLOCK_NEVER: somebody does. */
    int64_t silent_at;
    bool was_aborted;
    bool has_ended;
    char operation_id[UPDATE_ID_SIZE];
};

static int ask_for_end(struct flow *flow, struct committing *committing)
{
    struct error problem = ERROR_INIT;
    if (committing->was_aborted || !cancel_is_asked(flow->request->cancel_fd))
        return 0;
    /* One that comes too late is no mistake: it is committed then. */
    if (server_of(flow)->calls->abort(
            server_of(flow)->self, flow->lease.id, "the updater was asked to end", &problem) == 0)
        committing->was_aborted = true;
    return 0;
}

/* Nobody there: for a while that is another flocksd on its way. */
static int bear_silence(struct committing *committing, int result, struct error *error)
{
    int64_t now = clock_monotonic_ms();
    if (committing->silent_at == CLOCK_NEVER)
        committing->silent_at = now;
    if (result != UPDATE_SERVER_NONE && result != -STATUS_UNAVAILABLE &&
        result != -STATUS_DEADLINE_EXCEEDED)
        return result;
    /* One that holds the lock will answer some day, and bounds its work itself. */
    if (result != UPDATE_SERVER_NONE || now - committing->silent_at < UPDATE_PATIENCE_MS)
        return 0;
    return refuse_gone(UPDATE_SERVER_NONE, error);
}

static int look_at_commit(struct flow *flow, struct committing *committing, struct error *error)
{
    struct update_lease lease;
    int result =
        server_of(flow)->calls->lease(server_of(flow)->self, flow->lease.id, &lease, error);
    if (result != 0)
        return bear_silence(committing, result, error);
    committing->silent_at = CLOCK_NEVER;
    flow->lease = lease;
    tell_phase(flow);
    switch (lease.phase) {
    case FLOCKS_UPGRADE_PHASE_COMMITTED:
        committing->has_ended = true;
        return 0;
    case FLOCKS_UPGRADE_PHASE_ROLLED_BACK:
    case FLOCKS_UPGRADE_PHASE_ROLLBACK_FAILED:
        return refuse_rolled_back(flow, committing->operation_id, committing->was_aborted, error);
    case FLOCKS_UPGRADE_PHASE_HELD:
    case FLOCKS_UPGRADE_PHASE_COMMITTING:
    case FLOCKS_UPGRADE_PHASE_OBSERVING:
    case FLOCKS_UPGRADE_PHASE_ROLLING_BACK:
    case FLOCKS_UPGRADE_PHASE_UNSPECIFIED:
        break;
    }
    return 0;
}

static int commit(struct flow *flow, struct error *error)
{
    const flocks_update_config *update = flow->request->settings->update;
    struct committing committing = {.silent_at = CLOCK_NEVER};
    const struct update_commit commit = {.lease_id = flow->lease.id,
        .versions = flow->services.versions,
        .n_versions = flow->services.n_versions,
        .start_timeout_ms = duration_ms(update->start_timeout),
        .observe_ms = duration_ms(update->observe)};
    update_reporter_step(
        flow->request->reporter, FLOCKS_UPGRADE_STEP_COMMITTING, "Starting %s", flow->journal.to);
    int result = flow_record(flow, UPGRADE_STEP_COMMITTING, error);
    struct update_lease lease;
    if (result == 0)
        result = refuse_gone(
            server_of(flow)->calls->commit(server_of(flow)->self, &commit, &lease, error), error);
    if (result < 0)
        return error_add_context(error, result, "committing %s", flow->journal.to);
    (void)snprintf(
        committing.operation_id, sizeof committing.operation_id, "%s", lease.operation_id);
    while (result == 0 && !committing.has_ended) {
        result = ask_for_end(flow, &committing);
        if (result == 0)
            result = look_at_commit(flow, &committing, error);
        if (result == 0 && !committing.has_ended)
            (void)cancel_wait(committing.was_aborted ? -1 : flow->request->cancel_fd, LOOK_MS);
    }
    return result < 0 ? result : flow_record(flow, UPGRADE_STEP_COMMITTED, error);
}

/* ---- whole ---- */

/* Every service goes on: nobody has to be asked, and nothing to be paused. */
static int switch_only(struct flow *flow, struct error *error)
{
    int result = switch_links(flow, error);
    return result < 0 ? result : flow_record(flow, UPGRADE_STEP_COMMITTED, error);
}

int flow_with_server(struct flow *flow, struct error *error)
{
    const struct update_settings *settings = flow->request->settings;
    const flocks_config *config = NULL;
    int result =
        server_of(flow)->calls->config(server_of(flow)->self, &flow->arena, &config, error);
    if (result != 0)
        return result;
    bool *doubted = arena_calloc(&flow->arena, config->n_services + 1, sizeof *doubted);
    if (doubted == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the services");
    update_kept_doubt(settings, config, flow->staged.file, flow->found.is_newer,
        flow->request->cancel_fd, doubted);
    result = update_services_choose(config, settings->update->holding_page, flow->staged.file,
        doubted, flow->found.version, &flow->arena, &flow->services, error);
    if (result < 0)
        return result;
    flow->has_server = true;
    flow_plan(flow, flow->services.n_paused > 0);
    if (flow->services.n_paused == 0)
        return switch_only(flow, error);
    result = begin(flow, error);
    if (result == 0)
        result = flow_check(flow, error);
    if (result == 0)
        result = stop(flow, error);
    if (result == 0)
        result = switch_links(flow, error);
    return result < 0 ? result : commit(flow, error);
}

int flow_without_server(struct flow *flow, struct error *error)
{
    CLEANUP(fd_close) int fd = -1;
    int result = server_of(flow)->calls->hold(server_of(flow)->self, &fd, error);
    if (result != 0)
        return result;
    flow->has_server = false;
    flow_plan(flow, false);
    return switch_only(flow, error);
}

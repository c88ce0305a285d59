#include "client/upgrade/recover.h"

#include <string.h>

#include "flocks/v1/types.names.h"

#include "client/updater/cancel.h"
#include "client/upgrade/adopt.h"
#include "client/upgrade/replace.h"
#include "common/base/clock.h"

enum { MS_PER_S = 1000, NS_PER_MS = 1000000 };

/* One call of update_recover, for its callbacks. */
struct recovery {
    const struct update_recover_request *request;
    struct error *out_replacement;
};

static enum upgrade_server of_phase(enum flocks_upgrade_phase phase)
{
    switch (phase) {
    case FLOCKS_UPGRADE_PHASE_HELD:
        return UPGRADE_SERVER_HELD;
    case FLOCKS_UPGRADE_PHASE_COMMITTED:
        return UPGRADE_SERVER_COMMITTED;
    case FLOCKS_UPGRADE_PHASE_ROLLED_BACK:
        return UPGRADE_SERVER_ROLLED_BACK;
    case FLOCKS_UPGRADE_PHASE_ROLLBACK_FAILED:
        return UPGRADE_SERVER_FAILED;
    case FLOCKS_UPGRADE_PHASE_COMMITTING:
    case FLOCKS_UPGRADE_PHASE_OBSERVING:
    case FLOCKS_UPGRADE_PHASE_ROLLING_BACK:
    case FLOCKS_UPGRADE_PHASE_UNSPECIFIED:
        break;
    }
    return UPGRADE_SERVER_WORKING;
}

/* At LEASING nobody may have written its id down. */
static int find_lease(const struct update_server *server, const struct upgrade_journal *journal,
    struct update_lease *out, struct error *error)
{
    return journal->lease[0] != '\0'
               ? server->calls->lease(server->self, journal->lease, out, error)
               : server->calls->find(server->self, journal->id, out, error);
}

/* A server that does not answer now is waited for; what it refuses, it will go on refusing. */
static bool is_refusal(int result)
{
    return result == -STATUS_PERMISSION_DENIED || result == -STATUS_UNAUTHENTICATED ||
           result == -STATUS_UNIMPLEMENTED || result == -STATUS_INVALID_ARGUMENT;
}

static int look(void *data, const struct upgrade_journal *journal, enum upgrade_server *out,
    struct error *out_why, struct error *error)
{
    const struct update_recover_request *request = ((const struct recovery *)data)->request;
    struct error problem = ERROR_INIT;
    struct update_lease lease;
    int result = find_lease(request->server, journal, &lease, &problem);
    if (is_refusal(result)) {
        if (error != NULL)
            *error = problem;
        return result;
    }
    *out = UPGRADE_SERVER_WORKING;
    if (result == UPDATE_SERVER_NONE)
        *out = UPGRADE_SERVER_NONE;
    else if (result == -STATUS_NOT_FOUND)
        *out = UPGRADE_SERVER_UNKNOWN;
    if (result != 0)
        return 0;
    *out = of_phase(lease.phase);
    if (lease.message[0] != '\0')
        (void)error_set(out_why, STATUS_FAILED_PRECONDITION, "%s", lease.message);
    if (request->reporter != NULL)
        update_reporter_lease(request->reporter, lease.id, lease.phase);
    return 0;
}

static int abort_lease(void *data, const struct upgrade_journal *journal, struct error *error)
{
    const struct update_recover_request *request = ((const struct recovery *)data)->request;
    const struct update_server *server = request->server;
    struct update_lease lease;
    struct error problem = ERROR_INIT;
    int result = find_lease(server, journal, &lease, &problem);
    if (result == 0)
        result = server->calls->abort(server->self, lease.id,
            request->why != NULL ? request->why->text : "the updater ended", &problem);
    /* Whatever became of it is seen by the next look. */
    if (!is_refusal(result))
        return 0;
    if (error != NULL)
        *error = problem;
    return result;
}

static bool wait_a_little(void *data, int ms)
{
    const struct update_recover_request *request = ((const struct recovery *)data)->request;
    return !cancel_wait(request->cancel_fd, ms);
}

static int64_t duration_ms(const Google__Protobuf__Duration *duration)
{
    return duration == NULL ? 0 : duration->seconds * MS_PER_S + duration->nanos / NS_PER_MS;
}

static void replace_programs(
    void *data, const struct upgrade_journal *journal, struct error *out_failure)
{
    const struct recovery *recovery = data;
    const struct update_recover_request *request = recovery->request;
    (void)!update_replace(request->settings, request->server, request->reporter, journal->to,
        recovery->out_replacement);
    *out_failure = *recovery->out_replacement;
}

static const char *reason_name(uint32_t reason)
{
    enum flocks_error_reason known = flocks_error_reason_from(reason);
    return (uint32_t)known == reason ? flocks_error_reason_name(known) : NULL;
}

int update_recover(const struct update_recover_request *request, struct upgrade_settlement *out,
    struct error *out_replacement, struct error *error)
{
    const struct update_settings *settings = request->settings;
    struct recovery recovery = {.request = request, .out_replacement = out_replacement};
    const struct upgrade_settle_server server = {
        .look = look, .abort = abort_lease, .wait = wait_a_little, .data = &recovery};
    const struct upgrade_settle_request settle = {.places = &settings->places,
        .server = &server,
        .keep = settings->update->keep,
        .deadline_at = clock_add_ms(clock_monotonic_ms(),
            duration_ms(settings->update->start_timeout) + duration_ms(settings->update->observe) +
                UPDATE_SETTLE_MORE_MS),
        .on_committed = replace_programs,
        .data = &recovery,
        .why = request->why,
        .source = request->source,
        .reason_name = reason_name};
    *out = (struct upgrade_settlement){.what = UPGRADE_SETTLED_NOTHING};
    *out_replacement = ERROR_INIT;
    if (request->reporter != NULL && request->why != NULL && request->undoes)
        update_reporter_step(
            request->reporter, FLOCKS_UPGRADE_STEP_ROLLING_BACK, "%s", request->why->text);
    int result = request->why == NULL ? update_adopt_continue(settings, error) : 0;
    return result < 0 ? result : upgrade_settle(&settle, out, error);
}

int update_recover_explain(const struct upgrade_settlement *settlement, struct error *error)
{
    const struct upgrade_journal *journal = &settlement->journal;
    int result;
    switch (settlement->what) {
    case UPGRADE_SETTLED_NEEDS_PERSON:
        if (error != NULL)
            *error = settlement->failure;
        return -(int)settlement->failure.code;
    case UPGRADE_SETTLED_NEEDS_SERVER:
        result = error_set(error, STATUS_FAILED_PRECONDITION,
            "the daemon ended while the upgrade to %s was being committed, and only it knows "
            "whether it was",
            journal->to);
        error_set_hint(error, "`flocks start` starts it, and the upgrade is ended then");
        return result;
    case UPGRADE_SETTLED_WAITING:
        result = error_set(error, STATUS_DEADLINE_EXCEEDED,
            "the daemon still works on the upgrade to %s", journal->to);
        error_set_hint(error, "`flocks status` shows how far it is");
        return result;
    case UPGRADE_SETTLED_NOTHING:
    case UPGRADE_SETTLED_DISCARDED:
    case UPGRADE_SETTLED_COMMITTED:
    case UPGRADE_SETTLED_ROLLED_BACK:
        break;
    }
    return 0;
}

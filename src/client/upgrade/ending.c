#include "client/upgrade/ending.h"

#include <stdio.h>

static enum flocks_upgrade_phase phase_of(const struct upgrade_settlement *settlement)
{
    switch (settlement->what) {
    case UPGRADE_SETTLED_COMMITTED:
        return FLOCKS_UPGRADE_PHASE_COMMITTED;
    case UPGRADE_SETTLED_ROLLED_BACK:
        return FLOCKS_UPGRADE_PHASE_ROLLED_BACK;
    case UPGRADE_SETTLED_NEEDS_PERSON:
        return FLOCKS_UPGRADE_PHASE_ROLLBACK_FAILED;
    case UPGRADE_SETTLED_NEEDS_SERVER:
    case UPGRADE_SETTLED_WAITING:
        return FLOCKS_UPGRADE_PHASE_COMMITTING;
    case UPGRADE_SETTLED_NOTHING:
    case UPGRADE_SETTLED_DISCARDED:
        break;
    }
    return FLOCKS_UPGRADE_PHASE_UNSPECIFIED;
}

/* Of an upgrade without a lease that another updater began. */
static const char NOT_STARTED[] = "nothing was started for it";

static void describe_committed(const struct upgrade_settlement *settlement, const char *not_started,
    const struct error *failure, char out[ERROR_TEXT_MAX])
{
    const char *to = settlement->journal.to;
    if (failure->code != STATUS_OK)
        (void)snprintf(out, ERROR_TEXT_MAX,
            "%s %s, but its programs of the supervisor did not take over: %.600s", to,
            not_started == NULL ? "serves" : "is current", failure->text);
    else if (not_started != NULL)
        (void)snprintf(out, ERROR_TEXT_MAX, "%s is current, not verified: %s", to, not_started);
    else
        (void)snprintf(out, ERROR_TEXT_MAX, "%s serves", to);
}

void update_ending_tell(struct update_reporter *reporter,
    const struct upgrade_settlement *settlement, const char *not_started,
    const struct error *failure)
{
    char message[ERROR_TEXT_MAX];
    bool is_committed = settlement->what == UPGRADE_SETTLED_COMMITTED;
    bool not_verified = is_committed && !upgrade_has_lease(&settlement->journal);
    if (is_committed)
        describe_committed(settlement, not_verified ? not_started : NULL, failure, message);
    else
        (void)snprintf(message, sizeof message, "%s", failure->text);
    update_reporter_end(reporter, phase_of(settlement), not_verified, failure, message);
}

/* One that is still going on has no end yet. */
static void tell_found(struct update_reporter *reporter,
    const struct upgrade_settlement *settlement, const struct error *replacement,
    const struct error *problem)
{
    switch (settlement->what) {
    case UPGRADE_SETTLED_NEEDS_SERVER:
    case UPGRADE_SETTLED_WAITING:
        update_reporter_step(reporter, FLOCKS_UPGRADE_STEP_RECOVERING, "%s", problem->text);
        return;
    case UPGRADE_SETTLED_COMMITTED:
        update_ending_tell(reporter, settlement, NOT_STARTED, replacement);
        return;
    case UPGRADE_SETTLED_NOTHING:
    case UPGRADE_SETTLED_DISCARDED:
    case UPGRADE_SETTLED_ROLLED_BACK:
    case UPGRADE_SETTLED_NEEDS_PERSON:
        break;
    }
    update_ending_tell(reporter, settlement, NOT_STARTED, &settlement->failure);
}

static int recover_told(const struct update_recover_request *request,
    const struct upgrade_journal *journal, int fd, struct error *error)
{
    struct update_recover_request inner = *request;
    struct upgrade_settlement settlement;
    struct error replacement = ERROR_INIT;
    const struct update_reporter_request wanted = {.settings = request->settings,
        .id = journal->id,
        .fd = fd,
        .to_server = true,
        .abort_fd = -1};
    inner.reporter = update_reporter_new(&wanted, error);
    if (inner.reporter == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    update_reporter_versions(inner.reporter, journal->from, journal->to, NULL);
    update_reporter_step(inner.reporter, FLOCKS_UPGRADE_STEP_RECOVERING,
        "Ending the unfinished upgrade to %s", journal->to);
    int result = update_recover(&inner, &settlement, &replacement, error);
    if (result == 0)
        result = update_recover_explain(&settlement, error);
    if (result == 0 || settlement.what != UPGRADE_SETTLED_NOTHING)
        tell_found(inner.reporter, &settlement, &replacement, error);
    update_reporter_free(inner.reporter);
    return result;
}

int update_recover_found(const struct update_recover_request *request, int fd, struct error *error)
{
    struct upgrade_journal journal;
    struct upgrade_settlement settlement;
    struct error problem = ERROR_INIT;
    int result = upgrade_journal_read(request->settings->places.journal, &journal, &problem);
    if (result == 0)
        return recover_told(request, &journal, fd, error);
    /* One that cannot be read is put aside there; an adoption may be unfinished all the same. */
    return update_recover(request, &settlement, &problem, error);
}

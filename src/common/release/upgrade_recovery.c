#include "common/release/upgrade_recovery.h"

const char *upgrade_action_name(enum upgrade_action action)
{
    static const char *const names[UPGRADE_ACTION_COUNT] = {
#define UPGRADE_ACTION_NAME(name) [UPGRADE_ACTION_##name] = #name,
        UPGRADE_ACTIONS(UPGRADE_ACTION_NAME)
#undef UPGRADE_ACTION_NAME
    };
    return (unsigned)action < UPGRADE_ACTION_COUNT ? names[action] : "unknown";
}

bool upgrade_has_lease(const struct upgrade_journal *journal)
{
    for (size_t i = 0; i < journal->n_steps; i++) {
        if (journal->steps[i] == UPGRADE_STEP_LEASING)
            return true;
    }
    return false;
}

/* The old targets it is, as far as it is not yet. */
static enum upgrade_action go_back(enum link_set_state links)
{
    switch (links) {
    case LINK_SET_OLD:
        return UPGRADE_ACTION_FINISH_ROLL_BACK;
    case LINK_SET_NEW:
    case LINK_SET_MIXED:
        return UPGRADE_ACTION_RESTORE_LINKS;
    case LINK_SET_FOREIGN:
        break;
    }
    return UPGRADE_ACTION_ASK_PERSON;
}

/* Without a server the switch of all links is the commit. */
static enum upgrade_action without_lease(enum upgrade_step step, enum link_set_state links)
{
    if (step != UPGRADE_STEP_ROLLING_BACK && links == LINK_SET_NEW)
        return UPGRADE_ACTION_FINISH_COMMIT;
    return go_back(links);
}

/* Nobody can say what became of the lease. */
static enum upgrade_action without_word(
    enum upgrade_step step, enum upgrade_server server, enum link_set_state links)
{
    if (step != UPGRADE_STEP_COMMITTING)
        return go_back(links);
    if (server == UPGRADE_SERVER_NONE)
        return UPGRADE_ACTION_START_SERVER;
    /* Links are put back only by a roll-back, so those that are tell; new ones tell nothing. */
    return links == LINK_SET_NEW ? UPGRADE_ACTION_ASK_PERSON : go_back(links);
}

static enum upgrade_action with_lease(
    enum upgrade_step step, enum upgrade_server server, enum link_set_state links)
{
    switch (server) {
    case UPGRADE_SERVER_NONE:
    case UPGRADE_SERVER_UNKNOWN:
        return without_word(step, server, links);
    case UPGRADE_SERVER_HELD:
        return UPGRADE_ACTION_ABORT_LEASE;
    case UPGRADE_SERVER_WORKING:
        return UPGRADE_ACTION_WAIT;
    case UPGRADE_SERVER_COMMITTED:
        if (links == LINK_SET_NEW && upgrade_step_is_legal(step, UPGRADE_STEP_COMMITTED))
            return UPGRADE_ACTION_FINISH_COMMIT;
        return UPGRADE_ACTION_ASK_PERSON;
    case UPGRADE_SERVER_ROLLED_BACK:
        /* An updater that slept through the end of its lease may have switched after it. */
        return go_back(links);
    case UPGRADE_SERVER_FAILED:
    case UPGRADE_SERVER_COUNT:
        break;
    }
    return UPGRADE_ACTION_ASK_PERSON;
}

enum upgrade_action upgrade_recover(
    const struct upgrade_journal *journal, enum upgrade_server server, enum link_set_state links)
{
    enum upgrade_step step = upgrade_journal_step(journal);
    if (step == UPGRADE_STEP_COMMITTED || step == UPGRADE_STEP_ROLLED_BACK)
        return UPGRADE_ACTION_COMPLETE;
    if (step <= UPGRADE_STEP_PREPARED)
        return UPGRADE_ACTION_DISCARD;
    if (upgrade_has_lease(journal))
        return with_lease(step, server, links);
    return without_lease(step, links);
}

/* What is to be done about an unfinished upgrade. Pure: whoever finds the journal looks at the
 * links and asks the server, gives what it found, does the one thing that is answered, and looks
 * again, until the journal is gone.
 *
 * Each thing can be repeated after any end of whoever does it, so recovery needs no journal of its
 * own. It holds the upgrade lock. */
#ifndef FLOCKS_RELEASE_UPGRADE_RECOVERY_H
#define FLOCKS_RELEASE_UPGRADE_RECOVERY_H

#include "common/release/upgrade_journal.h"

/* What the server says of the journal's lease (by its id; at LEASING, where there is none yet, of
 * the one whose request_id is the journal's id). */
enum upgrade_server {
    UPGRADE_SERVER_NONE,    /* no instance runs, and the lock of instances is free */
    UPGRADE_SERVER_UNKNOWN, /* it answers, and knows no such lease */
    UPGRADE_SERVER_HELD,
    UPGRADE_SERVER_WORKING, /* COMMITTING, OBSERVING, ROLLING_BACK; or it does not answer now */
    UPGRADE_SERVER_COMMITTED,
    UPGRADE_SERVER_ROLLED_BACK,
    UPGRADE_SERVER_FAILED, /* ROLLBACK_FAILED */
    UPGRADE_SERVER_COUNT
};

#define UPGRADE_ACTIONS(X)                                                                         \
    /* Nothing that anybody sees was changed: remove <to>.partial, then the journal. */            \
    X(DISCARD)                                                                                     \
    /* AbortUpgrade: the server puts the links back. */                                            \
    X(ABORT_LEASE)                                                                                 \
    /* The server works on it: wait for its word. */                                               \
    X(WAIT)                                                                                        \
    /* Only a server can tell whether it was committed (run/lease.pb): start one. A start goes on, \
     * and leaves the journal. */                                                                  \
    X(START_SERVER)                                                                                \
    /* Record ROLLING_BACK; link_set_restore. Services that run meanwhile have to be restarted. */ \
    X(RESTORE_LINKS)                                                                               \
    /* Record COMMITTED. */                                                                        \
    X(FINISH_COMMIT)                                                                               \
    /* Record ROLLING_BACK, if it is not yet; then ROLLED_BACK. */                                 \
    X(FINISH_ROLL_BACK)                                                                            \
    /* It is over: write the result, retain releases, then remove the journal. */                  \
    X(COMPLETE)                                                                                    \
    /* Nothing is guessed: the links stay as they are, and so does the journal; say why. */        \
    X(ASK_PERSON)

enum upgrade_action {
#define UPGRADE_ACTION_ENTRY(name) UPGRADE_ACTION_##name,
    UPGRADE_ACTIONS(UPGRADE_ACTION_ENTRY)
#undef UPGRADE_ACTION_ENTRY
        UPGRADE_ACTION_COUNT
};

/* "RESTORE_LINKS". Static storage. */
const char *upgrade_action_name(enum upgrade_action action);

/* Whether a lease was asked for: then `server` counts, else it is ignored. */
bool upgrade_has_lease(const struct upgrade_journal *journal);

enum upgrade_action upgrade_recover(
    const struct upgrade_journal *journal, enum upgrade_server server, enum link_set_state links);

#endif

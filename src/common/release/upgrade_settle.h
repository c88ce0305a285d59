/* Ends an unfinished upgrade: does what upgrade_recover (upgrade_recovery.h) says, one thing after
 * the other, until the journal is gone. For whoever finds one: the next flocks-update, `flocks
 * start` before it starts anything, and the updater itself when it cannot go on.
 *
 * The caller holds the upgrade lock. May wait for disks and for the server. */
#ifndef FLOCKS_RELEASE_UPGRADE_SETTLE_H
#define FLOCKS_RELEASE_UPGRADE_SETTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/release/upgrade_journal.h"
#include "common/release/upgrade_paths.h"
#include "common/release/upgrade_recovery.h"

enum {
    /* Between two looks at a server that works. */
    UPGRADE_SETTLE_POLL_MS = 50
};

/* What is asked of a server. Each answers within seconds. */
struct upgrade_settle_server {
    /* What there is to say about the journal's lease. Negative: it ends the settling; "it does not
     * answer" is UPGRADE_SERVER_WORKING. `out_why` (zeroed): why the lease ended, for people. */
    int (*look)(void *data, const struct upgrade_journal *journal, enum upgrade_server *out,
        struct error *out_why, struct error *error);
    /* AbortUpgrade of it. What it became is looked for afterwards. */
    int (*abort)(void *data, const struct upgrade_journal *journal, struct error *error);
    /* At most `ms`; false: somebody wants an end (UPGRADE_SETTLED_WAITING). */
    bool (*wait)(void *data, int ms);
    void *data;
};

struct upgrade_settle_request {
    const struct upgrade_paths *places;
    /* NULL: no instance runs, and the caller holds the instance lock or is about to start one. */
    const struct upgrade_settle_server *server;
    /* Releases kept, the current one included; 0: nothing is removed. */
    size_t keep;
    /* How long a server that works is waited for (monotonic). */
    int64_t deadline_at;
    /* What remains to be done once it is committed, before the journal goes: called again where
     * somebody dies before that. `out_failure` is for the result: what of it could not be done.
     * NULL: nothing. */
    void (*on_committed)(
        void *data, const struct upgrade_journal *journal, struct error *out_failure);
    void *data;
    /* Why the upgrade ends, for the result; NULL: what the server says, or that the updater ended
     * before it was done. */
    const struct error *why;
    /* "". */
    const char *source;
    /* Of flocks.v1.ErrorReason, less the prefix, which this room does not know: "LEASE_HELD"; NULL:
     * no such number. NULL: numbers are written. */
    const char *(*reason_name)(uint32_t reason);
};

enum upgrade_settled {
    /* No upgrade was unfinished. */
    UPGRADE_SETTLED_NOTHING,
    /* Nothing that anybody sees had been changed; the journal is gone. */
    UPGRADE_SETTLED_DISCARDED,
    /* These two: it is over, the result is written, the journal is gone. */
    UPGRADE_SETTLED_COMMITTED,
    UPGRADE_SETTLED_ROLLED_BACK,
    /* These three leave the journal. Only a server can tell: start one, it reads run/lease.pb. */
    UPGRADE_SETTLED_NEEDS_SERVER,
    /* The server still worked at the deadline, or `wait` said so. */
    UPGRADE_SETTLED_WAITING,
    /* A link leads elsewhere, or the server could not roll back: `failure` says what. */
    UPGRADE_SETTLED_NEEDS_PERSON
};

struct upgrade_settlement {
    enum upgrade_settled what;
    /* As it was at its end; not written for NOTHING. */
    struct upgrade_journal journal;
    /* Why it was not committed: of DISCARDED, ROLLED_BACK, NEEDS_PERSON. */
    struct error failure;
    /* What went wrong at the end and does not matter: a release that could not be removed, a result
     * that could not be written. STATUS_OK: nothing. */
    struct error blemish;
};

/* Journals that cannot be read are put aside (upgrade_journal.h) and told as NOTHING with a
 * `blemish`; one of a newer program is -STATUS_UNIMPLEMENTED, and left. Can be repeated after any
 * end. */
NODISCARD int upgrade_settle(const struct upgrade_settle_request *request,
    struct upgrade_settlement *out, struct error *error);

#endif

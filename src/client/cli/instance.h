/* Whether an instance lives in a root, as its lock says; waiting until it is gone; ending one that
 * does not answer.
 *
 * The lock file (held by keeper and flocksd with flock(2), the keeper's pid inside) is the truth: a
 * reply that does not come means nothing. Where somebody has deleted it, the inventory's head tells
 * who they are (pid, start time, boot). Looking takes a shared lock for a moment, which a keeper
 * that starts at this instant sees as busy; whoever starts one tries again while the lock is free
 * (launch.h). */
#ifndef FLOCKS_CLI_INSTANCE_H
#define FLOCKS_CLI_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/error.h"
#include "common/base/paths.h"

enum {
    /* How often the lock is looked at while waiting. */
    INSTANCE_POLL_MS = 10,
    /* After SIGTERM the keeper has services and flocksd end, and kills what does not: longer than
     * its own bounds for that (KEEPER_SHUTDOWN_MS and what follows it). */
    INSTANCE_TERMINATE_MS = 180 * 1000,
    /* A flocksd without a keeper becomes it within this, or is killed. */
    INSTANCE_SERVER_MS = 10 * 1000,
    /* Between the end of a keeper and the next look at who holds the lock. */
    INSTANCE_GONE_MS = 1000
};

/* What to do about a lock or socket that this user may not use. */
#define INSTANCE_OWNER_HINT "run as the owner of the root, or choose another root with --root"

struct instance {
    bool lives;
    pid_t keeper_pid; /* 0: not known (yet) */
};

/* -STATUS_PERMISSION_DENIED when the lock cannot even be looked at. */
NODISCARD int instance_look(const struct paths *paths, struct instance *out, struct error *error);

/* The lock is still held. */
#define INSTANCE_LIVES 1
/* 0: free before `deadline_at` (monotonic ms); INSTANCE_LIVES: not. */
NODISCARD int instance_wait_gone(
    const struct paths *paths, int64_t deadline_at, struct error *error);

/* Takes the lock for *out_fd, so that nobody starts meanwhile. INSTANCE_LIVES: somebody has it. */
NODISCARD int instance_hold(const struct paths *paths, int *out_fd, struct error *error);

/* For one that does not answer: SIGTERM to the keeper (an orderly shutdown, and its own last
 * resort), and after INSTANCE_TERMINATE_MS SIGKILL; where there is no keeper, to flocksd, which
 * becomes it or is killed. Both are known by pid, start time and boot; without an inventory the pid
 * of the lock file is used, only when it names a flocks-keeper of this user that is older than what
 * is written there. 0: the lock is free; what services are left is for leftovers.h. */
NODISCARD int instance_end(const struct paths *paths, struct error *error);

#endif

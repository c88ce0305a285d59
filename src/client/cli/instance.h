/* Waiting until an instance (common/inventory/instance_lock.h) is gone; ending one that does not
 * answer. */
#ifndef FLOCKS_CLI_INSTANCE_H
#define FLOCKS_CLI_INSTANCE_H

#include <stdint.h>

#include "common/base/error.h"
#include "common/base/paths.h"
#include "common/inventory/instance_lock.h"

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

/* 0: free before `deadline_at` (monotonic ms); INSTANCE_LIVES: not. */
NODISCARD int instance_wait_gone(
    const struct paths *paths, int64_t deadline_at, struct error *error);

/* For one that does not answer: SIGTERM to the keeper (an orderly shutdown, and its own last
 * resort), and after INSTANCE_TERMINATE_MS SIGKILL; where there is no keeper, to flocksd, which
 * becomes it or is killed. Both are known by pid, start time and boot; without an inventory the pid
 * of the lock file is used, only when it names a flocks-keeper of this user that is older than what
 * is written there. 0: the lock is free; what services are left is for leftovers.h. */
NODISCARD int instance_end(const struct paths *paths, struct error *error);

#endif

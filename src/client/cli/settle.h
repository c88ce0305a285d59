/* An upgrade that was left unfinished, before anything is started: `flocks start` must not run half
 * of one. */
#ifndef FLOCKS_CLI_SETTLE_H
#define FLOCKS_CLI_SETTLE_H

#include <stdio.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/paths.h"

enum {
    /* An updater that is just switching is waited for. */
    SETTLE_PATIENCE_MS = 10 * 1000,
    SETTLE_POLL_MS = 50
};

/* No daemon runs, and one is about to be started. 0: it may be: nothing was unfinished, or that is
 * ended now, or the daemon itself has to end it, or an updater lives that has not begun to change
 * anything. What was ended is told in `notes` (NULL: nobody). -STATUS_ABORTED (UPGRADE_RUNNING): a
 * living updater still changes things after `patience_ms`; who it is, is said. Others: what is
 * unfinished cannot be ended. */
NODISCARD int settle_before_start(
    const struct paths *paths, int patience_ms, FILE *notes, struct error *error);

#endif

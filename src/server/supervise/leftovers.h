/* Processes that outlived both their keeper and their flocksd: ended before anything is started, so
 * that nothing runs twice. Blocks, bounded; only for a daemon that serves nobody yet. */
#ifndef FLOCKS_SUPERVISE_LEFTOVERS_H
#define FLOCKS_SUPERVISE_LEFTOVERS_H

#include <stddef.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* Stop signal to KILL, for all of them together. */
    LEFTOVERS_GRACE_MS = 3000,
    /* Then they are killed until nothing is left, or this long. */
    LEFTOVERS_KILL_MS = 3000
};

/* What earlier keepers noted under `run` (inventory.h) and still runs, each verified by pid, start
 * time and boot, with all that belongs to it; also what only mark or invocation tell. Logs what it
 * signals. *out_n_signalled: signals sent. -STATUS_FAILED_PRECONDITION: something cannot be ended,
 * and the records stay for the next one; -STATUS_RESOURCE_EXHAUSTED. */
NODISCARD int leftovers_end(const char *run, size_t *out_n_signalled, struct error *error);

#endif

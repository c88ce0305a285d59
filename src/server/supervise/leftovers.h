/* Processes that outlived both their keeper and their flocksd: ended before anything is started, so
 * that nothing runs twice. Blocks, bounded; only for a daemon that serves nobody yet. */
#ifndef FLOCKS_SUPERVISE_LEFTOVERS_H
#define FLOCKS_SUPERVISE_LEFTOVERS_H

enum {
    /* Stop signal to KILL, for all of them together. */
    LEFTOVERS_GRACE_MS = 3000,
    /* Then they are killed until nothing is left, or this long: the service's port tells the rest.
     */
    LEFTOVERS_KILL_MS = 3000
};

/* What earlier keepers noted under `run` (inventory.h) and still runs, each verified by pid, start
 * time and mark, with all that belongs to it. Logs what it ends and what it could not. */
void leftovers_end(const char *run);

#endif

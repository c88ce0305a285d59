/* What the parts of an upgrade tell while they work, for whoever shows or reports it. */
#ifndef FLOCKS_UPGRADE_PROGRESS_H
#define FLOCKS_UPGRADE_PROGRESS_H

#include <stdint.h>

struct update_progress {
    /* flocks.v1.UpgradeStep. */
    int step;
    /* For people: plain text, one line; borrowed for the call. */
    const char *message;
    /* Bytes; total 0: not known, or nothing that has bytes. */
    uint64_t bytes_done;
    uint64_t bytes_total;
};

/* Called from within the work, about ten times a second at most while bytes move. Must not touch
 * what the work is about. */
typedef void (*update_progress_fn)(void *data, const struct update_progress *progress);

#endif

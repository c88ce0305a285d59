/* The upgrade that goes on, if there is one, as long as somebody watches the status: by a stream
 * that is opened when the lock of upgrades is taken. For the eye only; failures are nobody's. */
#ifndef FLOCKS_CLI_PRESENT_UPGRADE_H
#define FLOCKS_CLI_PRESENT_UPGRADE_H

#include <stdbool.h>

#include "flocks/v1/upgrade.names.h"

#include "client/cli/watch.h"
#include "common/base/arena.h"

enum {
    /* Memory of one progress; a larger one is not shown. */
    PRESENT_UPGRADE_ARENA_BYTES = 64 * 1024
};

/* Embedded by value; zeroed: none. */
struct present_upgrade {
    struct flocks_stream *stream;
    bool has_ended; /* the stream */
    struct arena arena;
    const flocks_upgrade_progress *now; /* NULL: none goes on */
};

/* From time to time, not from a hook: begins to listen, or stops. `watch` is to outlive it. */
void present_upgrade_look(struct present_upgrade *upgrade, struct watch *watch);
/* Before the watch is closed. */
void present_upgrade_close(struct present_upgrade *upgrade);

#endif

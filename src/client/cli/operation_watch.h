/* An operation followed by its stream, beside the events of its services. */
#ifndef FLOCKS_CLI_OPERATION_WATCH_H
#define FLOCKS_CLI_OPERATION_WATCH_H

#include "client/cli/operation.h"
#include "client/cli/progress.h"

enum {
    /* Longest time from the end of an operation to the events that led to it. */
    OPERATION_SETTLE_MS = 200
};

/* What operation_follow does, with the streams of a daemon that has them. -STATUS_UNIMPLEMENTED: it
 * has not, nothing was shown. */
NODISCARD int operation_watch(struct daemon *daemon, const char *id, struct progress *progress,
    struct operation_end *out, struct error *error);

#endif

/* Ends an instance: services, flocksd and keeper, however they answer, until nothing of it is left.
 */
#ifndef FLOCKS_CLI_SHUTDOWN_H
#define FLOCKS_CLI_SHUTDOWN_H

#include <stdbool.h>

#include "flocks/v1/supervisor.names.h"

#include "client/cli/cli.h"
#include "client/cli/operation.h"
#include "common/base/error.h"

enum {
    /* A shutdown that takes longer is followed with progress. */
    SHUTDOWN_QUICK_MS = 1000,
    /* A daemon that holds the lock and has not answered Shutdown after this is ended by signals. */
    SHUTDOWN_ANSWER_MS = 10 * 1000,
    /* From the end of the operation to the lock being free: connections, flocksd and keeper end. */
    SHUTDOWN_LEAVE_MS = 30 * 1000
};

/* What happened. Plain value. */
struct shutdown_outcome {
    bool was_running; /* an instance, or what an earlier one left */
    /* The ended operation; NULL when there was none, or the daemon left before it could be asked.
     * Lives in one of the messages below, which shutdown_outcome_free frees. */
    flocks_operation *operation;
    struct operation_end followed;
    const ProtobufCMessage *answer;
};
void shutdown_outcome_free(struct shutdown_outcome *outcome);

/* 0: the instance lock is free and no recorded process is left. Idempotent: 0 as well when nothing
 * ran. -STATUS_INTERNAL names the survivors; -STATUS_DEADLINE_EXCEEDED when --timeout passed first.
 */
NODISCARD int shutdown_instance(
    const struct cli *cli, struct shutdown_outcome *out, struct error *error);

#endif

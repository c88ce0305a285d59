/* How a command ended: one row per outcome gives the exit code and its text, and one table each
 * says which outcome a gRPC code or the state of an operation is. Nothing else in the CLI knows an
 * exit code. */
#ifndef FLOCKS_CLI_OUTCOME_H
#define FLOCKS_CLI_OUTCOME_H

#include <stdbool.h>

#include "common/base/status.h"

/* name, exit code, rank when several failed (lower wins, CLI.md: 7, 6, 2, 5, 4, 1), text */
#define OUTCOMES(X)                                                                                \
    X(DONE, 0, 9, "done, or nothing to do")                                                        \
    X(FAILED, 1, 8, "the work failed, or a wanted service is not healthy")                         \
    X(USAGE, 2, 2, "wrong usage, wrong configuration, or an unknown service")                      \
    X(NOT_RUNNING, 3, 6, "nothing runs in this root")                                              \
    X(DEADLINE, 4, 5, "the deadline passed; the work may go on")                                   \
    X(BUSY, 5, 4, "busy or in conflict with other work")                                           \
    X(NOT_PERMITTED, 6, 1, "this user may not use the root or the socket")                         \
    X(NOT_KNOWN, 7, 0, "the other side does not know what is asked: versions differ")              \
    X(INTERRUPTED, 130, 3, "Ctrl-C while waiting; the work goes on")                               \
    X(TERMINATED, 143, 3, "SIGTERM while waiting; the work goes on")

enum outcome {
#define OUTCOME_ENTRY(name, code, rank, text) OUTCOME_##name,
    OUTCOMES(OUTCOME_ENTRY)
#undef OUTCOME_ENTRY
        OUTCOME_COUNT
};

int outcome_exit_code(enum outcome outcome);
/* What the exit code means, for the help. Static storage. */
const char *outcome_text(enum outcome outcome);

/* Of a failed call or function. UNAVAILABLE is no outcome of its own: it is DEADLINE here, for a
 * caller that has seen the instance lock held; with the lock free the caller says NOT_RUNNING. */
enum outcome outcome_of_status(enum status_code code);
/* `state` is a flocks.v1.OperationState as it came; one that has not ended, or an unknown one, is
 * FAILED. */
enum outcome outcome_of_operation(int state);
/* Of two, the one that decides the exit code. */
enum outcome outcome_worse(enum outcome a, enum outcome b);

#endif

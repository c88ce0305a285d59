/* Handlers of flocks.v1.SupervisorService that count what they are asked and answer when told. */
#ifndef FLOCKS_TESTS_SCRIPTED_SUPERVISOR_H
#define FLOCKS_TESTS_SCRIPTED_SUPERVISOR_H

#include "flocks/v1/supervisor.server.h"

#include "crpc/limits.h"

/* Zeroed at first. */
struct scripted_supervisor {
    int n_requests;
    /* GetOperation is answered when the test says so. */
    struct flocks_get_operation_call *waiting[RPC_CONNECTION_CALLS_MAX + 8];
    size_t n_waiting;
    /* Hooks run; the newest waiting call is ended there if `answers_when_cancelled`. */
    int n_cancelled;
    bool answers_when_cancelled;
    /* Of the last GetStatus. */
    struct rpc_peer peer;
    /* Of the last StopServices. */
    int64_t deadline_at;
};

/* `self` is a struct scripted_supervisor. GetStatus answers event_token "1-2"; with services[0]
 * "#<n>" one of n bytes. StopServices fails with NOT_FOUND. GetOperation waits. */
extern const struct flocks_supervisor_handlers scripted_supervisor_handlers;

/* Answers the newest waiting call. */
void scripted_supervisor_answer(struct scripted_supervisor *supervisor);

#endif

/* What Start, Stop, Restart and Shutdown have in common: begin an operation, and answer with it at
 * once or at its end. */
#ifndef FLOCKS_API_MUTATION_H
#define FLOCKS_API_MUTATION_H

#include <stdbool.h>
#include <stddef.h>

#include "flocks/v1/supervisor.names.h"

#include "crpc/crpc.h"
#include "server/api/waiting.h"

/* Static: how one RPC is carried out and how its own answer looks. */
struct mutation_kind {
    enum flocks_operation_kind kind;
    void (*reply)(struct rpc_call *call, flocks_operation *operation);
};

/* What the request said; borrowed for the call. */
struct mutation {
    const char *const *services;
    size_t n_services;
    bool wait;
    const Google__Protobuf__Duration *timeout; /* NULL: none */
    const char *request_id;
    const char *lease_id;
    bool skip_prepare;
    int32_t keeper_pid; /* of Shutdown; 0: whichever there is */
};

/* Answers the call now or later. The work goes on whatever becomes of the call: near its deadline
 * the answer is DEADLINE_EXCEEDED with the operation's id in the detail. */
void mutation_run(struct waiting_room *room, struct rpc_call *call,
    const struct mutation_kind *kind, const struct mutation *mutation);

/* Answers the call with the operation now or, if it is to wait, at its end. */
void mutation_answer(struct waiting_room *room, struct rpc_call *call,
    const struct mutation_kind *kind, const char *id, bool wait);

/* A duration of a request in milliseconds, rounded up; NULL is 0. INVALID_ARGUMENT: negative,
 * malformed (seconds and nanos of different signs, nanos out of range) or longer than
 * API_OPERATION_TIMEOUT_MAX_S. */
NODISCARD int mutation_timeout_ms(
    const Google__Protobuf__Duration *timeout, int64_t *out, struct error *error);

#endif

/* The API of flocksd: typed handlers of flocks.v1 over the supervisor, and gRPC's health and
 * reflection beside them.
 *
 * It translates: requests into calls of supervisor.h, struct error into ErrorDetail, a supervisor's
 * wait into an answer. It decides nothing about services, and knows no protocol and no connection.
 */
#ifndef FLOCKS_API_API_H
#define FLOCKS_API_API_H

#include <stddef.h>
#include <uv.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "crpc/server.h"

enum {
    /* Memory of one answer while it is put together (2,048 services with full outcomes need a
     * third); beyond: RESOURCE_EXHAUSTED. */
    API_ANSWER_BYTES = 24 * 1024 * 1024,
    /* A waiting call is answered this long before its deadline, so that the answer is still of use;
     * a call with less than four times this left is answered at a quarter of its time before. */
    API_ANSWER_MARGIN_MS = 100,
    /* Longest `timeout` of an operation; beyond: INVALID_ARGUMENT. */
    API_OPERATION_TIMEOUT_MAX_S = 60 * 60,
    /* Supervisor and upgrades; health; reflection, v1 and v1alpha. */
    API_SERVICES = 5
};

struct supervisor;
struct api;

/* Both are borrowed and outlive the api. */
NODISCARD int api_new(
    uv_loop_t *loop, struct supervisor *supervisor, struct api **out, struct error *error);

/* SupervisorService and UpgradeService, grpc.health and grpc.reflection; valid until api_close.
 * `index` is below API_SERVICES. */
const struct rpc_service *api_service(const struct api *api, size_t index);

/* For the server: requests are checked against their rules (request_rules.h) before a handler sees
 * them, and the engine's own errors carry an ErrorDetail. */
struct rpc_server_hooks api_hooks(struct api *api);

/* Another flocksd takes over: what the engine ends from now on because the server ends has the
 * reason REPLACING. */
void api_hand_over(struct api *api);

/* Answers every waiting call with UNAVAILABLE (reason SHUTTING_DOWN). The memory dies later, from
 * the loop. No handler may be called any more. NULL is accepted. */
void api_close(struct api *api);

#endif

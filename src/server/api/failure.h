/* The one place where struct error becomes the typed detail that travels with a failed call. */
#ifndef FLOCKS_API_FAILURE_H
#define FLOCKS_API_FAILURE_H

#include "flocks/v1/types.names.h"

#include "common/base/error.h"
#include "crpc/crpc.h"

/* Ends the call with the error's code and text and an ErrorDetail: reason, service, what was
 * attempted, hint, errno name, and `operation_id` (may be NULL): the work that goes on without this
 * call. */
void api_fail(struct rpc_call *call, const struct error *error, const char *operation_id);

struct supervisor;

/* The same, with the lease that the error is about, as it is now. */
void api_fail_for_lease(struct supervisor *supervisor, struct rpc_call *call,
    const struct error *error, const char *operation_id);

/* The same for a mistake in a text that a person wrote; `position` may be NULL. */
void api_fail_at(
    struct rpc_call *call, const struct error *error, const flocks_source_position *position);

#endif

#include "server/api/failure.h"

#include <stdio.h>
#include <string.h>

#include "flocks/v1/types.names.h"

#include "server/api/api.h"
#include "server/supervise/supervisor_leases.h"

/* Static asserts tie the fixed texts to the schema's promise (max_bytes of ErrorDetail). */
enum { ATTEMPTED_SIZE = 256, HINT_SIZE = 256 };
_Static_assert((int)ERROR_HINT_MAX <= (int)HINT_SIZE, "ErrorDetail.hint holds every hint");

static const char *method_name(const struct rpc_call *call)
{
    const struct rpc_method *method = rpc_call_method(call);

    return method ? method->name : "call";
}

static void fail(struct rpc_call *call, const struct error *error, const char *operation_id,
    flocks_lease *lease, const flocks_source_position *position)
{
    flocks_error_detail detail = FLOCKS_ERROR_DETAIL_INIT;
    flocks_source_position position_copy;
    char attempted[ATTEMPTED_SIZE];
    int written = snprintf(attempted, sizeof(attempted), "%s%s%s", method_name(call),
        error->subject[0] ? " of " : "", error->subject);

    (void)written; /* cut at the schema's bound */
    detail.reason = (enum flocks_error_reason)error->reason;
    detail.service = error->subject;
    detail.attempted = attempted;
    detail.hint = error->hint;
    if (position)
        position_copy = *position;
    if (position)
        detail.position = &position_copy;
    if (operation_id)
        detail.operation_id = operation_id;
    if (error->system_error != 0)
        detail.system_error = error_errno_name(error->system_error);
    detail.lease = lease;
    rpc_call_fail(call, (enum rpc_code)error->code, &detail.base, "%s", error->text);
}

void api_fail(struct rpc_call *call, const struct error *error, const char *operation_id)
{
    fail(call, error, operation_id, NULL, NULL);
}

void api_fail_for_lease(struct supervisor *supervisor, struct rpc_call *call,
    const struct error *error, const char *operation_id)
{
    flocks_lease *lease = NULL;
    struct arena arena;

    arena_init(&arena, API_ANSWER_BYTES);
    /* Forgotten meanwhile, or too large: the error is told without it. */
    if (error->lease_id[0] &&
        supervisor_get_lease(supervisor, error->lease_id, &arena, &lease, NULL) < 0)
        lease = NULL;
    fail(call, error, operation_id, lease, NULL);
    arena_deinit(&arena);
}

void api_fail_at(
    struct rpc_call *call, const struct error *error, const flocks_source_position *position)
{
    fail(call, error, NULL, NULL, position);
}

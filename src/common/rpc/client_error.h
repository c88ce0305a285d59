/* Makes struct rpc_error. Private to the client. */
#ifndef CRPC_CLIENT_ERROR_H
#define CRPC_CLIENT_ERROR_H

#include "common/rpc/session.h"
#include "crpc/crpc.h"

/* All of them answer RPC_ERROR and set *out, if `out` is not NULL. Without memory *out is a static
 * error that says so; rpc_error_free knows it. */
enum rpc_result rpc_error_make(struct rpc_error **out, enum rpc_code code, int system_error,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
enum rpc_result rpc_error_from_status(
    struct rpc_error **out, const struct rpc_status *status, int system_error);
/* Gives `error` to the caller, who may not want it (`out` NULL). Answers RPC_ERROR. */
enum rpc_result rpc_error_hand_over(struct rpc_error *error, struct rpc_error **out);
/* RPC_ERROR with a copy. */
enum rpc_result rpc_error_copy(const struct rpc_error *error, struct rpc_error **out);

#endif

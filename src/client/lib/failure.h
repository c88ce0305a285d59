/* Makes struct flocks_error. Private to the library. */
#ifndef FLOCKS_LIB_FAILURE_H
#define FLOCKS_LIB_FAILURE_H

#include "flocks/client.h"

#include "common/base/attributes.h"

/* All answer RPC_ERROR and set *out, if `out` is not NULL. Without memory *out is a static error
 * that says so. */
enum rpc_result failure_make(struct flocks_error **out, enum rpc_code code, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* As failure_make, of a failed system call: ": " and its description follow the text. */
enum rpc_result failure_of_system(struct flocks_error **out, enum rpc_code code, int error_number,
    const char *format, ...) PRINTF_LIKE(4, 5);
enum rpc_result failure_of(const struct rpc_error *error, struct flocks_error **out);
/* As failure_of, and consumes `error`. */
enum rpc_result failure_from(struct rpc_error *error, struct flocks_error **out);
enum rpc_result failure_not_running(const char *socket, struct flocks_error **out);
enum rpc_result failure_copy(const struct flocks_error *error, struct flocks_error **out);
enum rpc_result failure_hand_over(struct flocks_error *error, struct flocks_error **out);
/* The deadline ended the repeating of `method`; `last` is what the last attempt saw, or NULL. */
enum rpc_result failure_late(
    const struct rpc_method *method, const char *last, struct flocks_error **out);

#endif

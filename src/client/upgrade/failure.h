/* What a failure is to the caller of a program: exit code, and JSON. */
#ifndef FLOCKS_UPGRADE_FAILURE_H
#define FLOCKS_UPGRADE_FAILURE_H

#include "common/base/attributes.h"
#include "common/base/buffer.h"
#include "common/base/error.h"

/* As the command `flocks` ends for the same code (docs/man/flocks.1). */
int update_exit_code(enum status_code code);

/* {"error":{"code":...,"message":...,"details":[...]}} and a newline: google.rpc.Status with a
 * flocks.v1.ErrorDetail. -STATUS_RESOURCE_EXHAUSTED. */
NODISCARD int update_failure_append(const struct error *error, struct buffer *out);

#endif

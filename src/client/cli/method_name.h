/* Methods by what people write: "GetStatus", "SupervisorService.GetStatus",
 * "flocks.v1.SupervisorService/GetStatus". Pure. */
#ifndef FLOCKS_CLI_METHOD_NAME_H
#define FLOCKS_CLI_METHOD_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "crpc/catalog.h"

/* The service may be given in full or by its last parts, and must be where several have a method of
 * that name. -STATUS_INVALID_ARGUMENT: there is none (with the nearest, whatever the case of its
 * letters), or there are several. */
NODISCARD int method_name_find(const struct crpc_catalog *catalog, const char *name,
    const struct rpc_method **out, struct error *error);

/* "Method" of "pkg.Method": what stands behind the last dot. */
const char *method_name_short(const char *full_name);
/* Whether `name[0..len)` is `full_name`, or its end from behind one of its dots. */
bool method_name_is_end(const char *full_name, const char *name, size_t len);

#endif

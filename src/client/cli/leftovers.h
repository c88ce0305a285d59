/* Services that outlived their keeper, as run/inventory names them: found, named, ended. Only while
 * the instance lock is free. */
#ifndef FLOCKS_CLI_LEFTOVERS_H
#define FLOCKS_CLI_LEFTOVERS_H

#include <stddef.h>

#include "client/cli/process.h"
#include "common/base/error.h"
#include "common/base/paths.h"

enum {
    /* SIGTERM to SIGKILL, each. */
    LEFTOVERS_GRACE_MS = 5000,
    LEFTOVERS_NAME_MAX = 64
};

struct leftover {
    char service[LEFTOVERS_NAME_MAX];
    struct process process;
};

/* All that still run, verified by boot, pid and start time. `*out` is the caller's (free). */
NODISCARD int leftovers_find(
    const struct paths *paths, struct leftover **out, size_t *out_n, struct error *error);
/* Ends them, group by group. Answers how many could not be; leftovers_find tells which. */
size_t leftovers_end(const struct leftover *items, size_t n);

#endif

/* Services that outlived their keeper, as run/inventory names them: found, named, ended. Only while
 * the instance lock is free. */
#ifndef FLOCKS_CLI_LEFTOVERS_H
#define FLOCKS_CLI_LEFTOVERS_H

#include <stdbool.h>
#include <stddef.h>

#include "client/cli/process.h"
#include "common/base/error.h"
#include "common/base/paths.h"

enum {
    LEFTOVERS_NAME_MAX = 64,
    /* Longest sentence of flocksd. */
    LEFTOVERS_TEXT_MAX = 1024
};

struct leftover {
    char service[LEFTOVERS_NAME_MAX];
    struct process process;
};

/* All that still run, verified by boot, pid and start time. `*out` is the caller's (free). */
NODISCARD int leftovers_find(
    const struct paths *paths, struct leftover **out, size_t *out_n, struct error *error);
/* True: an instance was killed here, and nobody has cleared up after it. Only while the lock is
 * free.
 */
bool leftovers_are_possible(const struct paths *paths);
/* Has flocksd end them all, with what only mark or invocation tell of, and removes the dead
 * instance's sockets; holds the lock meanwhile. *out_any: something ran. 0 as well when somebody
 * starts at this moment, who does the same. -STATUS_INTERNAL names what cannot be ended.
 */
NODISCARD int leftovers_end(const struct paths *paths, bool *out_any, struct error *error);

#endif

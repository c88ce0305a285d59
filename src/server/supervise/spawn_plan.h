/* What one run of a service is started with: arguments, environment, directory, limits. Reads the
 * environment files; starts nothing. */
#ifndef FLOCKS_SUPERVISE_SPAWN_PLAN_H
#define FLOCKS_SUPERVISE_SPAWN_PLAN_H

#include <stdint.h>

#include "flocks/v1/config.names.h"

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"
#include "server/keeper/link.h"

enum {
    /* Everything of one spawn, environment files included; more: RESOURCE_EXHAUSTED, and the start
       fails. */
    SPAWN_PLAN_BYTES = 4 * 1024 * 1024
};

/* All borrowed; the plan refers to the texts. */
struct spawn_plan_request {
    const char *name;
    const flocks_service_config *config;
    /* argv: the service's own command, its prepare step's or a probe's. */
    const char *const *command;
    size_t n_command;
    const char *root;             /* FLOCKS_ROOT */
    const char *const *inherited; /* "NAME=value", NULL at the end: flocksd's own environment */
    uint32_t slot;
    uint32_t output_slot;
    uint32_t run;
    uint8_t invocation[KEEPER_INVOCATION_BYTES];
    const char *invocation_text; /* the same, hexadecimal: FLOCKS_INVOCATION_ID */
    uint64_t mark;
    bool has_cgroup; /* it begins in this control group */
    int cgroup_fd;
    /* NOTIFY_SOCKET; NULL: it has none. */
    const char *notify_path;
    /* WATCHDOG_USEC and WATCHDOG_PID; 0: neither. */
    int64_t watchdog_ms;
};

/* Later ones win: inherited, environment_files in their order, `environment`, then FLOCKS_ROOT,
 * FLOCKS_SERVICE, FLOCKS_INVOCATION_ID and what sd_notify(3) needs. Arrays lie in the arena.
 * Negative: an environment file is missing (unless its name ends in "?"), unreadable or mistaken.
 */
NODISCARD int spawn_plan_build(const struct spawn_plan_request *request, struct arena *arena,
    struct keeper_spawn *out, struct error *error);

#endif

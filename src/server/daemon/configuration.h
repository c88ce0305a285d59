/* The effective configuration of a fresh start, as the supervisor takes it. A take-over never comes
 * here. */
#ifndef FLOCKS_DAEMON_CONFIGURATION_H
#define FLOCKS_DAEMON_CONFIGURATION_H

#include "flocks/v1/supervisor.names.h"

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/paths.h"
#include "common/config/config.h"
#include "server/daemon/options.h"

/* How the daemon's file is read, now and for plans: borrows both. */
void configuration_request(
    const struct paths *paths, const struct options *options, struct config_request *out);

/* Reads file, environment and options. *out points into the arena (CONFIG_ARENA_BYTES). A mistake
 * is -STATUS_INVALID_ARGUMENT: each one is logged with file, line and column, and the error names
 * the first. */
NODISCARD int configuration_load(const struct config_request *request, struct arena *arena,
    flocks_get_config_response *out, struct error *error);

#endif

/* What there is to be had, asked of flocks-update; changes nothing. */
#ifndef FLOCKS_CLI_UPDATE_CHECK_H
#define FLOCKS_CLI_UPDATE_CHECK_H

#include "flocks/v1/upgrade.names.h"

#include "client/cli/cli.h"
#include "client/cli/update_plan.h"
#include "common/base/arena.h"
#include "common/base/error.h"

enum {
    /* Where --timeout does not say otherwise; each source has its own bound. */
    UPDATE_CHECK_MS = 5 * 60 * 1000,
    /* From the word that ends it to its end; then it is killed: nothing is lost. */
    UPDATE_CHECK_LINGER_MS = 5 * 1000
};

/* What `plan` would do. 0: *out in the arena; or negative, as flocks-update says. Ctrl-C and
 * SIGTERM end the process, and the asking. */
NODISCARD int update_check(const struct cli *cli, const struct update_plan *plan,
    struct arena *arena, const flocks_update_check **out, struct error *error);

#endif

/* An upgrade, or the end of an unfinished one, made by a flocks-update of our own. */
#ifndef FLOCKS_CLI_UPDATE_APPLY_H
#define FLOCKS_CLI_UPDATE_APPLY_H

#include "client/cli/cli.h"
#include "client/cli/update_plan.h"

enum {
    /* From its last word to its end; then nobody waits for it any more. */
    UPDATE_APPLY_LINGER_MS = 10 * 1000,
    /* Lines of it that cannot be understood: so many are told of. */
    UPDATE_APPLY_COMPLAINTS_MAX = 5
};

/* Runs it to its end and tells everything. */
enum outcome update_apply(const struct cli *cli, const struct update_plan *plan);
/* Ends what an updater that was killed has left, one way or the other. */
enum outcome update_recover(const struct cli *cli);

#endif

/* An upgrade that the daemon runs, or that somebody else began: followed by WatchUpgrade, across
 * flocksd's replacement and death. */
#ifndef FLOCKS_CLI_UPDATE_REMOTE_H
#define FLOCKS_CLI_UPDATE_REMOTE_H

#include "client/cli/daemon.h"
#include "client/cli/update_plan.h"
#include "client/cli/update_run.h"

/* Whether this command runs inside a service of this root, and would be stopped with it. */
bool update_remote_is_inside(const struct cli *cli);

/* Has the daemon run it, follows it and tells everything. UPDATE_REMOTE_NO_DAEMON: nobody runs, and
 * nothing was told. */
enum update_remote_result { UPDATE_REMOTE_TOLD, UPDATE_REMOTE_NO_DAEMON };
enum update_remote_result update_remote_apply(
    const struct cli *cli, const struct update_plan *plan, enum outcome *out);

/* AbortUpgrade of an upgrade, or with `lease_id` of a lease. As daemon_call; *out may be NULL. */
NODISCARD int update_remote_abort(struct daemon *daemon, const char *upgrade_id,
    const char *lease_id, const ProtobufCMessage **out, struct error *error);

/* Follows the run's upgrade until it is over or was left: 0. DAEMON_NOT_RUNNING, or negative. */
NODISCARD int update_remote_follow(struct update_run *run, struct error *error);

#endif

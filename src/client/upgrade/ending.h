/* How the end of an upgrade is told, and that of one that another updater left. */
#ifndef FLOCKS_UPGRADE_ENDING_H
#define FLOCKS_UPGRADE_ENDING_H

#include "client/upgrade/recover.h"
#include "client/upgrade/report.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

/* The last word on an upgrade. `failure`: STATUS_OK where there is none; of a committed one what
 * went wrong afterwards. `not_started`: why nothing was started for one that had no lease. */
void update_ending_tell(struct update_reporter *reporter,
    const struct upgrade_settlement *settlement, const char *not_started,
    const struct error *failure);

/* Ends an upgrade that is unfinished, if there is one, and tells its end to the server under its
 * own id, and in lines on `fd` (-1: none). `request->reporter` and `why` are NULL. 0: none is
 * unfinished now. -STATUS_FAILED_PRECONDITION, -STATUS_DEADLINE_EXCEEDED: it still is. The caller
 * holds the upgrade lock. */
NODISCARD int update_recover_found(
    const struct update_recover_request *request, int fd, struct error *error);

#endif

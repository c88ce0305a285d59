/* Handlers of flocks.v1.UpgradeService for what updaters tell, and for who listens. Private to
 * upgrade_service.c. */
#ifndef FLOCKS_API_UPGRADE_PROGRESS_H
#define FLOCKS_API_UPGRADE_PROGRESS_H

#include "flocks/v1/upgrade.server.h"

#include "common/base/arena.h"
#include "common/base/error.h"
#include "server/api/upgrade_service.h"

/* `self` is a struct upgrade_service. */
void upgrade_progress_report(void *self, struct flocks_report_upgrade_call *call,
    const flocks_report_upgrade_request *request);
void upgrade_progress_get(
    void *self, struct flocks_get_upgrade_call *call, const flocks_get_upgrade_request *request);
void upgrade_progress_watch(void *self, struct flocks_watch_upgrade_call *call,
    const flocks_watch_upgrade_request *request);
void upgrade_progress_abort(void *self, struct flocks_abort_upgrade_call *call,
    const flocks_abort_upgrade_request *request);

/* Fails every stream. */
void upgrade_progress_close(struct upgrade_service *service, const struct error *error);

/* upgrade_service.c. NULL: it has been forgotten, and is left out of the answer. */
flocks_operation *upgrade_find_operation(
    struct supervisor *supervisor, const char *id, struct arena *arena);

#endif

/* ReplaceDaemon of UpgradeService. */
#ifndef FLOCKS_API_REPLACING_H
#define FLOCKS_API_REPLACING_H

#include "flocks/v1/upgrade.server.h"

/* Answers with the operation as it begins. INVALID_ARGUMENT: a path is not absolute. `self`:
 * struct upgrade_service. */
void replacing_serve(void *self, struct flocks_replace_daemon_call *call,
    const flocks_replace_daemon_request *request);

#endif

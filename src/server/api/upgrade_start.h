/* The handler of StartUpdate. Private to upgrade_service.c. */
#ifndef FLOCKS_API_UPGRADE_START_H
#define FLOCKS_API_UPGRADE_START_H

#include "flocks/v1/upgrade.server.h"

#include "common/base/error.h"
#include "server/api/upgrade_service.h"

/* `self` is a struct upgrade_service. */
void upgrade_start_update(
    void *self, struct flocks_start_update_call *call, const flocks_start_update_request *request);

/* Fails every call that waits. */
void upgrade_start_close(struct upgrade_service *service, const struct error *error);

#endif

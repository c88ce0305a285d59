/* flocks.v1.UpgradeService: leases here, what updaters tell in upgrade_progress.h. */
#ifndef FLOCKS_API_UPGRADE_SERVICE_H
#define FLOCKS_API_UPGRADE_SERVICE_H

#include "common/base/list.h"
#include "crpc/crpc.h"

struct supervisor;
struct waiting_room;

/* Embedded in struct api. */
struct upgrade_service {
    struct supervisor *supervisor;
    struct waiting_room *room;
    struct list beginnings; /* calls whose lease is being written */
    struct list streams;    /* of WatchUpgrade */
    struct list starts;     /* calls whose flocks-update is being run */
};

/* The service to serve; both pointers are borrowed. */
struct rpc_service upgrade_service_open(
    struct upgrade_service *self, struct supervisor *supervisor, struct waiting_room *room);
/* Answers every waiting call and stream with UNAVAILABLE (reason SHUTTING_DOWN). */
void upgrade_service_close(struct upgrade_service *self);

#endif

/* flocks.v1.SupervisorService over the supervisor. */
#ifndef FLOCKS_API_SUPERVISOR_SERVICE_H
#define FLOCKS_API_SUPERVISOR_SERVICE_H

#include "crpc/crpc.h"
#include "server/api/configuring.h"
#include "server/api/explaining.h"
#include "server/api/reading.h"
#include "server/api/waiting.h"
#include "server/api/watching.h"

/* `self` of every handler. Embedded; the members are borrowed. */
struct supervisor_service {
    struct supervisor *supervisor;
    struct waiting_room *room;
    struct watching *watching;
    struct explaining *explaining;
    struct reading *reading;
    struct configuring_room *configuring;
};

/* The service to serve. RPCs whose issue comes later have no handler: the server answers
 * UNIMPLEMENTED. */
struct rpc_service supervisor_service_open(struct supervisor_service *self);

#endif

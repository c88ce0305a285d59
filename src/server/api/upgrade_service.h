/* flocks.v1.UpgradeService. */
#ifndef FLOCKS_API_UPGRADE_SERVICE_H
#define FLOCKS_API_UPGRADE_SERVICE_H

#include "crpc/crpc.h"

/* The service to serve. No method of it has a handler yet: the server answers UNIMPLEMENTED, with a
 * detail. */
struct rpc_service upgrade_service_open(void);

#endif

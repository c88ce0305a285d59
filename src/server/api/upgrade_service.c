#include "server/api/upgrade_service.h"

#include <stddef.h>

#include "flocks/v1/upgrade.server.h"

/* Every handler is missing until leases arrive: UNIMPLEMENTED with the typed detail. */
static const struct flocks_upgrade_handlers handlers = {.begin_upgrade = NULL};

struct rpc_service upgrade_service_open(void)
{
    return flocks_upgrade_service(&handlers, NULL);
}

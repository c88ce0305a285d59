#include "server/api/upgrade_service.h"

#include <stddef.h>

#include "flocks/v1/upgrade.server.h"

static const struct flocks_upgrade_handlers handlers = {NULL};

struct rpc_service upgrade_service_open(void)
{
    return flocks_upgrade_service(&handlers, NULL);
}

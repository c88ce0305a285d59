#include "server/api/upgrade_service.h"

#include "flocks/v1/upgrade.server.h"

static const struct flocks_upgrade_handlers handlers = {0};

struct rpc_service upgrade_service_open(void)
{
    return flocks_upgrade_service(&handlers, NULL);
}

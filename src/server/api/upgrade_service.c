#include "server/api/upgrade_service.h"

#include "flocks/v1/upgrade.methods.h"

/* A method without an entry is answered by the server itself, with the typed detail (hooks.h). */
static const rpc_invoke_fn invoke[FLOCKS_UPGRADE_METHOD_COUNT] = {NULL};

struct rpc_service upgrade_service_open(void)
{
    return (struct rpc_service){
        .name = FLOCKS_UPGRADE_SERVICE,
        .n_methods = FLOCKS_UPGRADE_METHOD_COUNT,
        .methods = flocks_upgrade_methods,
        .invoke = invoke,
    };
}

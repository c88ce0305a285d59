/* grpc.health.v1 of flocksd: "" is the whole, each service of the configuration goes by its name,
 * each service of the API by its full one. Kept up to date by the supervisor, change by change. */
#ifndef FLOCKS_API_HEALTH_H
#define FLOCKS_API_HEALTH_H

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "crpc/health.h"
#include "server/supervise/supervisor.h"

/* Embedded in struct api; private. */
struct api_health {
    struct supervisor *supervisor;
    struct rpc_health *health;
    struct supervisor_health_follower follower;
};

/* `services` are those of the API, which like this one are well until the end. */
NODISCARD int api_health_open(struct api_health *health, struct supervisor *supervisor,
    const struct rpc_service *services, size_t n_services, struct error *error);
struct rpc_service api_health_service(const struct api_health *health);
/* Ends every Watch with UNAVAILABLE. */
void api_health_close(struct api_health *health);

#endif

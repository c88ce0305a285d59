/* grpc.health.v1, ready to be served: whether services are up, asked once (Check) or watched.
 *
 *     struct rpc_health *health = rpc_health_new();
 *     struct rpc_service service = rpc_health_service(health);
 *     code = rpc_listener_add(listener, &service);
 *     code = rpc_health_set(health, "demo.v1.StoreService", true);
 *
 * A name is whatever clients ask for: the full name of a service that is served, or of anything
 * else that has a health; "" is the server as a whole, which begins as serving. Check of a name
 * that was not set fails with NOT_FOUND; Watch tells it as SERVICE_UNKNOWN, stays open, and tells
 * what becomes of it. A watcher is told the newest state as soon as it has room for it, and each
 * state once: what came and went before it read is not told.
 *
 * One thread, the server's. */
#ifndef CRPC_HEALTH_H
#define CRPC_HEALTH_H

#include <stdbool.h>

#include "crpc/call.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rpc_health;

/* NULL without memory. */
struct rpc_health *rpc_health_new(void);
/* Ends every Watch with UNAVAILABLE. Not from inside a handler or a hook; nobody may be served by
 * it any more. NULL is fine. */
void rpc_health_free(struct rpc_health *health);
/* To be added to any number of servers; `health` outlives them, or their last call. */
struct rpc_service rpc_health_service(struct rpc_health *health);

/* `name` is copied. Finding it costs the logarithm of how many there are, and telling it the
 * watchers of that name only. RPC_OK, also when nothing changes; RPC_INVALID_ARGUMENT: longer than
 * RPC_HEALTH_NAME_MAX; RPC_RESOURCE_EXHAUSTED: no memory for a new name (one that is known can
 * always be set). */
__attribute__((warn_unused_result)) enum rpc_code rpc_health_set(
    struct rpc_health *health, const char *name, bool serving);
/* The name is unknown again. */
void rpc_health_clear(struct rpc_health *health, const char *name);
/* The server is about to end: every name that is set is not serving, whatever is set later. Each
 * Watch is told so and then ended with UNAVAILABLE, so that no client keeps the server waiting. */
void rpc_health_shut(struct rpc_health *health);

#ifdef __cplusplus
}
#endif
#endif

/* PlanConfig and ApplyConfig: calls that wait for a text to be read beside the loop. */
#ifndef FLOCKS_API_CONFIGURING_H
#define FLOCKS_API_CONFIGURING_H

#include "flocks/v1/supervisor.names.h"

#include "common/base/list.h"
#include "crpc/crpc.h"
#include "server/api/mutation.h"

/* Everybody who waits so. Embedded; private. */
struct configuring_room {
    struct supervisor *supervisor;
    struct list calls;
};

void configuring_open(struct configuring_room *room, struct supervisor *supervisor);
/* Fails every waiting call: UNAVAILABLE, reason SHUTTING_DOWN. */
void configuring_close(struct configuring_room *room);

/* Both answer the call later, or never if the caller has gone: then nothing was changed. */
void configuring_plan(struct configuring_room *room, struct rpc_call *call,
    const flocks_plan_config_request *request);
/* `waiting`: where the operation's end is waited for. */
void configuring_apply(struct configuring_room *room, struct waiting_room *waiting,
    struct rpc_call *call, const flocks_apply_config_request *request);

#endif

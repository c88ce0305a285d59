/* Messages made of facts: what GetStatus, events and explanations show of the same thing is made
 * here, once. All memory is the arena's; NULL when that is exhausted. Private to the room. */
#ifndef FLOCKS_SUPERVISE_STATUS_H
#define FLOCKS_SUPERVISE_STATUS_H

#include "flocks/v1/supervisor.names.h"

#include "common/base/arena.h"
#include "server/supervise/supervisor_private.h"

flocks_service_status *status_of_service(
    const struct supervisor *supervisor, const struct service *service, struct arena *arena);
flocks_daemon_status *status_of_daemon(const struct supervisor *supervisor, struct arena *arena);
flocks_operation *status_of_operation(
    const struct supervisor *supervisor, const struct operation *operation, struct arena *arena);
flocks_exit_record *status_of_exit(const struct service_exit *exit, struct arena *arena);
Google__Protobuf__Timestamp *status_timestamp(struct arena *arena, int64_t wall_ns);
Google__Protobuf__Duration *status_duration(struct arena *arena, int64_t ms);

#endif

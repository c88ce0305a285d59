/* Streams of what changes: events, and one operation. Each is pulled by its reader and holds no
 * more than its place. */
#ifndef FLOCKS_API_WATCHING_H
#define FLOCKS_API_WATCHING_H

#include <stdbool.h>

#include "flocks/v1/supervisor.server.h"

#include "common/base/list.h"
#include "server/supervise/supervisor.h"

/* Every stream that is open. Embedded in struct api; private. */
struct watching {
    struct supervisor *supervisor;
    struct list events;
    struct list operations;
};

void watching_open(struct watching *watching, struct supervisor *supervisor);
/* Ends every stream with UNAVAILABLE, reason SHUTTING_DOWN. */
void watching_close(struct watching *watching);

void watching_events(struct watching *watching, struct flocks_watch_events_call *call,
    const flocks_watch_events_request *request);
void watching_operation(struct watching *watching, struct flocks_watch_operation_call *call,
    const flocks_watch_operation_request *request);

#endif

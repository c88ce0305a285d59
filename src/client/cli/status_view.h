/* A GetStatusResponse as a person reads it, and as the exit code judges it. Pure but for the
 * stream. */
#ifndef FLOCKS_CLI_STATUS_VIEW_H
#define FLOCKS_CLI_STATUS_VIEW_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "flocks/v1/supervisor.names.h"
#include "flocks/v1/upgrade.names.h"

#include "client/cli/outcome.h"
#include "common/base/paths.h"

enum {
    /* Longer ones are cut. */
    STATUS_DETAIL_MAX = 480
};

struct status_view {
    const flocks_get_status_response *status;
    /* One that goes on; NULL: none, or not known. */
    const flocks_upgrade_progress *upgrade;
    const struct paths *paths;
    int64_t now_s; /* wall clock, for ages */
    bool color;
    bool without_logs;
};

/* The daemon's line, the table of services, leases, leftovers, and where the logs are. False when
 * something did not fit into memory. */
bool status_view_print(const struct status_view *view, FILE *stream);

/* DONE, or FAILED when one of `names` (none: one that is wanted) is neither HEALTHY nor COMPLETED.
 * A name that the response lacks is FAILED. `done`, which may be NULL: an operation that has ended;
 * a service for which it succeeded, and which another operation is at by now, is well. */
enum outcome status_view_judge(const flocks_get_status_response *status, const char *const *names,
    size_t n_names, const flocks_operation *done);

/* What the state alone does not say: what went wrong, when it is tried again, what it says of
 * itself, whose the listener is, who holds it. "" when there is nothing; as it came, not made safe.
 * `lease` is that of service->lease_id, NULL: not known. */
void status_view_detail(const flocks_service_status *service, const flocks_lease *lease,
    int64_t now_s, char out[STATUS_DETAIL_MAX]);

/* NULL: the response has no such lease, or `id` is "". */
const flocks_lease *status_view_find_lease(
    const flocks_get_status_response *status, const char *id);
/* NULL: no such service in the response. */
const flocks_service_status *status_view_find(
    const flocks_get_status_response *status, const char *name);

#endif

/* What an upgrade tells: one flocks.v1.UpgradeProgress a line on a descriptor, and the same to the
 * server, by ReportUpgrade.
 *
 * Nothing of that holds the work up: a line that its reader does not take is left out (never the
 * last), and the server is told by a thread of its own, which tells only the newest and repeats it
 * every UPDATE_REPORT_BEAT_MS, because the answer may ask for an end. */
#ifndef FLOCKS_UPGRADE_REPORT_H
#define FLOCKS_UPGRADE_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "flocks/v1/types.names.h"
#include "flocks/v1/upgrade.names.h"

#include "client/upgrade/progress.h"
#include "client/upgrade/settings.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    UPDATE_REPORT_BEAT_MS = 2000,
    /* Between two reports, however fast it goes. */
    UPDATE_REPORT_PAUSE_MS = 100,
    /* One report; a server that needs longer is told later. */
    UPDATE_REPORT_CALL_MS = 2000,
    /* How long the last line waits for its reader, and the last report for the server. */
    UPDATE_REPORT_LAST_MS = 5000
};

struct update_reporter;

struct update_reporter_request {
    const struct update_settings *settings;
    /* UpgradeProgress.upgrade_id. */
    const char *id;
    /* For the lines; -1: none. */
    int fd;
    /* Whether the server is told. */
    bool to_server;
    /* An eventfd that is written to when the server asks for an end; -1: none. */
    int abort_fd;
};

/* Borrows the settings until free; copies the rest. NULL: no memory, no thread. */
struct update_reporter *update_reporter_new(
    const struct update_reporter_request *request, struct error *error);
/* Waits for the thread: for UPDATE_REPORT_LAST_MS at most where the end has not been told yet. NULL
 * is fine. */
void update_reporter_free(struct update_reporter *reporter);

/* These belong to all that is told from now on. NULL: as it is. */
void update_reporter_versions(
    struct update_reporter *reporter, const char *from, const char *to, const char *source);
void update_reporter_lease(
    struct update_reporter *reporter, const char *lease_id, enum flocks_upgrade_phase phase);

/* The steps that are going to be told, as a mask of 1 << step: their numbers come from it. */
void update_reporter_plan(struct update_reporter *reporter, uint32_t steps);

void update_reporter_step(struct update_reporter *reporter, enum flocks_upgrade_step step,
    const char *format, ...) PRINTF_LIKE(3, 4);
/* An update_progress_fn: `data` is the reporter. */
void update_reporter_progress(void *data, const struct update_progress *progress);

/* The last one. `failure` NULL or STATUS_OK: none. */
void update_reporter_end(struct update_reporter *reporter, enum flocks_upgrade_phase phase,
    bool not_verified, const struct error *failure, const char *message);

#endif

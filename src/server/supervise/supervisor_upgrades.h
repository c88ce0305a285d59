/* Upgrades of one instance, for whoever serves them (api): what updaters tell, who listens, and the
 * updaters that the server runs itself. Leases are supervisor_leases.h's. All functions are called
 * on the loop's thread and never wait for a disk. */
#ifndef FLOCKS_SUPERVISE_SUPERVISOR_UPGRADES_H
#define FLOCKS_SUPERVISE_SUPERVISOR_UPGRADES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flocks/v1/upgrade.names.h"

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"
#include "server/supervise/supervisor.h"

enum {
    /* Bytes of an upgrade's id with its NUL. */
    SUPERVISOR_UPGRADE_ID_SIZE = 33,
    /* Streams of WatchUpgrade; more are refused with RESOURCE_EXHAUSTED. */
    SUPERVISOR_UPGRADE_WATCHES_MAX = 256
};

struct supervisor;

/* An updater says how far it is. `pid`: who it is, watched from now on; 0: not known. *out_abort: a
 * person asked for the end. INVALID_ARGUMENT: no id of letters and digits, or too large;
 * RESOURCE_EXHAUSTED (LIMIT_REACHED): UPGRADES_MAX are under way. */
NODISCARD int supervisor_report_upgrade(struct supervisor *supervisor,
    const flocks_upgrade_progress *progress, int32_t pid, bool *out_abort, struct error *error);

/* How far an upgrade is: `id` is an upgrade's or a lease's, "" the present one, else the last. The
 * lease is left out where there is none, or it is forgotten. All memory is the arena's. NOT_FOUND
 * (LEASE_ENDED); RESOURCE_EXHAUSTED. */
NODISCARD int supervisor_get_upgrade(struct supervisor *supervisor, const char *id,
    struct arena *arena, flocks_get_upgrade_response *out, struct error *error);

/* Asks for the end of an upgrade: of its lease by roll-back (*out_operation_id, else ""), and of
 * its updater at its next report. Idempotent. NOT_FOUND (LEASE_ENDED): not known. ABORTED
 * (LEASE_ENDED): it is committed. */
NODISCARD int supervisor_abort_upgrade(struct supervisor *supervisor, const char *id,
    const char *reason, char out_operation_id[SUPERVISOR_OPERATION_ID_SIZE], struct error *error);

/* ---- running flocks-update ---- */

/* All borrowed for the call. */
struct supervisor_update {
    const char *version; /* "": the newest */
    const char *source;  /* "": the configured ones */
    const char *region;  /* "": as configured */
    bool force;
    bool roll_back;
    /* "": none. The same as that of one that is remembered: that one is answered. */
    const char *request_id;
    int32_t requester_pid;
};

struct supervisor_update_wait;

/* supervisor_start_update: the request_id is known; no wait was made. */
#define SUPERVISOR_UPDATE_KNOWN 1
/* Runs flocks-update outside every process set. `done` is called once, from the loop, when it runs
 * (NULL) or could not be run (nothing is remembered of it then); *out may be cancelled until then,
 * the run is not affected by that. Refused at once: INVALID_ARGUMENT; FAILED_PRECONDITION
 * (SHUTTING_DOWN); ALREADY_EXISTS (UPGRADE_RUNNING): one is under way; RESOURCE_EXHAUSTED. Told by
 * `done`: ALREADY_EXISTS (UPGRADE_RUNNING): somebody else has the lock of upgrades;
 * FAILED_PRECONDITION: there is no flocks-update; what the system says (SYSTEM). */
NODISCARD int supervisor_start_update(struct supervisor *supervisor,
    const struct supervisor_update *update, char out_id[SUPERVISOR_UPGRADE_ID_SIZE],
    void (*done)(void *data, const struct error *error), void *data,
    struct supervisor_update_wait **out, struct error *error);
/* `done` will not be called. NULL is accepted. */
void supervisor_update_wait_cancel(struct supervisor_update_wait *wait);

/* ---- watching ---- */

struct supervisor_upgrade_watch;

struct supervisor_upgrade_watching {
    const char *id;    /* as in supervisor_get_upgrade; "" goes by `after` first */
    const char *after; /* token of the last answer; "": none */
    /* There may be something new. Called from the loop; asks for nothing and closes nothing. */
    void (*wake)(void *data);
    void *data;
};

/* NOT_FOUND (LEASE_ENDED); INVALID_ARGUMENT: `after` is no token, or of another upgrade than `id`;
 * RESOURCE_EXHAUSTED (LIMIT_REACHED). */
NODISCARD int supervisor_watch_upgrade(struct supervisor *supervisor,
    const struct supervisor_upgrade_watching *watching, struct supervisor_upgrade_watch **out,
    struct error *error);
/* supervisor_upgrade_watch_next: nothing new; `wake` will be called. */
#define SUPERVISOR_UPGRADE_NOTHING 1
/* supervisor_upgrade_watch_next: the end has been told. */
#define SUPERVISOR_UPGRADE_TOLD 2
/* How it is now, if that was not told yet. All memory is the arena's. NOT_FOUND (LEASE_ENDED): it
 * has been forgotten meanwhile; RESOURCE_EXHAUSTED. */
NODISCARD int supervisor_upgrade_watch_next(struct supervisor_upgrade_watch *watch,
    struct arena *arena, flocks_watch_upgrade_response *out, struct error *error);
/* May outlive the supervisor. NULL is accepted. */
void supervisor_upgrade_watch_close(struct supervisor_upgrade_watch *watch);

#endif

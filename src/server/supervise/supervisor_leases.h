/* Upgrade leases of one instance, for whoever serves them (api). The rules are docs/leases.md. All
 * functions are called on the loop's thread and never wait for a disk. */
#ifndef FLOCKS_SUPERVISE_SUPERVISOR_LEASES_H
#define FLOCKS_SUPERVISE_SUPERVISOR_LEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flocks/v1/types.names.h"

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"
#include "server/supervise/supervisor.h"

enum {
    /* Bytes of a lease's id with its NUL. */
    SUPERVISOR_LEASE_ID_SIZE = 33,
    /* Bounds of a TTL and of a commit's times: those of the schema's rules (asserted by a test). */
    SUPERVISOR_LEASE_TTL_MIN_MS = 5 * 1000,
    SUPERVISOR_LEASE_TTL_MAX_MS = 10 * 60 * 1000,
    SUPERVISOR_LEASE_TTL_MS = 30 * 1000,
    SUPERVISOR_COMMIT_START_MS = 3 * 60 * 1000,
    SUPERVISOR_COMMIT_START_MAX_MS = 60 * 60 * 1000,
    SUPERVISOR_COMMIT_OBSERVE_MS = 20 * 1000,
    SUPERVISOR_COMMIT_OBSERVE_MAX_MS = 60 * 60 * 1000
};

struct supervisor;

/* A link and what it points to now. */
struct supervisor_link {
    const char *link;
    const char *target;
};

/* All borrowed for the call. */
struct supervisor_lease_request {
    const char *owner;
    const char *reason;
    int64_t ttl_ms;
    /* None: all. */
    const char *const *services;
    size_t n_services;
    bool holding_page;
    const struct supervisor_link *undo;
    size_t n_undo;
    /* "": none. The same as that of a lease that is not over: that one is answered. */
    const char *request_id;
    /* The caller; 0: not known. Its death shortens the TTL. */
    int32_t owner_pid;
    uint32_t owner_uid;
};

struct supervisor_lease_wait;

/* Takes a lease. `done` is called once, from the loop, when the record is on the disk (NULL: it is
 * held) or could not be written (nothing is held then). *out may be cancelled until `done` runs;
 * the lease is not affected by that. Refused at once: NOT_FOUND (UNKNOWN_SERVICE), ABORTED
 * (LEASE_HELD), ALREADY_EXISTS (UPGRADE_RUNNING), RESOURCE_EXHAUSTED (LIMIT_REACHED),
 * FAILED_PRECONDITION (SHUTTING_DOWN), INVALID_ARGUMENT: a link that is no absolute path. Told by
 * `done`: FAILED_PRECONDITION: a link is not what was said; ABORTED (PREEMPTED): a stop came first;
 * whatever the disk answers. */
NODISCARD int supervisor_begin_lease(struct supervisor *supervisor,
    const struct supervisor_lease_request *request, char out_id[SUPERVISOR_LEASE_ID_SIZE],
    void (*done)(void *data, const struct error *error), void *data,
    struct supervisor_lease_wait **out, struct error *error);
/* `done` will not be called. NULL is accepted. */
void supervisor_lease_wait_cancel(struct supervisor_lease_wait *wait);

/* The holder lives. `ttl_ms` 0: as before. `owner_pid` is watched from now on. From Commit to the
 * end it has no effect. ABORTED (LEASE_ENDED, lease_id if it is remembered): it is over, or being
 * rolled back. */
NODISCARD int supervisor_renew_lease(struct supervisor *supervisor, const char *id, int64_t ttl_ms,
    int32_t owner_pid, struct error *error);

struct supervisor_version {
    const char *service;
    const char *version;
};

struct supervisor_commit {
    const char *lease_id;
    const struct supervisor_version *versions;
    size_t n_versions;
    int64_t start_timeout_ms;
    int64_t observe_ms;
    int32_t requester_pid;
    uint32_t requester_uid;
};

/* From here the server owns the outcome. The operation's id is "" when it has been forgotten. A
 * second commit is answered with the first one's. ABORTED (LEASE_ENDED); NOT_FOUND
 * (UNKNOWN_SERVICE) for a version of a service that is not under the lease; FAILED_PRECONDITION for
 * one of a service that does not say where it tells its version; RESOURCE_EXHAUSTED. */
NODISCARD int supervisor_commit_lease(struct supervisor *supervisor,
    const struct supervisor_commit *commit, char out_operation_id[SUPERVISOR_OPERATION_ID_SIZE],
    struct error *error);

/* Ends it by roll-back, whoever asks; a roll-back that failed is tried again. Idempotent. ABORTED
 * (LEASE_ENDED): it is committed, or forgotten. */
NODISCARD int supervisor_abort_lease(struct supervisor *supervisor, const char *id,
    const char *reason, char out_operation_id[SUPERVISOR_OPERATION_ID_SIZE], struct error *error);

/* "": the present one, else the last. All memory is the arena's. NOT_FOUND; RESOURCE_EXHAUSTED. */
NODISCARD int supervisor_get_lease(struct supervisor *supervisor, const char *id,
    struct arena *arena, flocks_lease **out, struct error *error);

#endif

/* The supervisor of one instance: its services, the operations on them, and their state across
 * flocksd's own death. Everything above it (api, main) needs this header only.
 *
 * It owns policy and must never block: processes are run by the keeper, everything else waits on
 * the loop. All functions are called on the loop's thread. */
#ifndef FLOCKS_SUPERVISE_SUPERVISOR_H
#define FLOCKS_SUPERVISE_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "flocks/v1/supervisor.names.h"

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/paths.h"

enum {
    /* Services of one instance: the keeper's slots less the one of the daemon's own log. */
    SUPERVISOR_SERVICES_MAX = 2047,
    /* Operations remembered, running ones included. The oldest ended one is forgotten first; when
     * all of them run, a new one is refused with RESOURCE_EXHAUSTED. */
    SUPERVISOR_OPERATIONS_MAX = 256,
    /* STOP, SHUTDOWN and ROLL_BACK have this many places more: a flood of other requests must not
       keep anybody from ending services, or a lease. */
    SUPERVISOR_OPERATIONS_RESERVED = 16,
    /* An ended operation is remembered this long. */
    SUPERVISOR_OPERATION_KEPT_MS = 60 * 60 * 1000,
    /* Longest time an operation may run; a request without a timeout gets this one. */
    SUPERVISOR_OPERATION_TIMEOUT_MAX_MS = 60 * 60 * 1000,
    /* Plans and applies under way, of which one is read at a time; more are refused with
       RESOURCE_EXHAUSTED. */
    SUPERVISOR_JOBS_MAX = 16,
    /* Callers waiting for operations; more are refused with RESOURCE_EXHAUSTED. */
    SUPERVISOR_WAITS_MAX = 1024,
    /* Watchers of events; more are refused with RESOURCE_EXHAUSTED. Each holds a place in the ring
       and the names that it asked for. */
    SUPERVISOR_WATCHES_MAX = 1024,
    /* Bytes of an operation id with its NUL. */
    SUPERVISOR_OPERATION_ID_SIZE = 33,
    /* As the schema's max_items of DaemonStatus.tcp_addresses. */
    SUPERVISOR_DOOR_ADDRESSES_MAX = 2
};

struct config_request;
struct keeper_link;
struct supervisor;
struct supervisor_wait;

/* What main knows. Borrowed for the call unless said otherwise. */
struct supervisor_setup {
    uv_loop_t *loop;          /* outlives the supervisor */
    struct keeper_link *link; /* outlives the supervisor; has said Hello; its events become ours */
    const struct paths *paths;
    /* The keeper's memfd; not used after the call. */
    int state_fd;
    /* Datagrams of sd_notify(3), bound at paths->notify; borrowed until supervisor_close. -1: none.
     */
    int notify_fd;
    /* As the keeper said Hello. */
    int32_t keeper_pid;
    const char *keeper_version;
    uint32_t earlier_keepers;
    uint32_t earlier_starts;
    /* The operation whose replacement is under way, or was the last; NULL or "": none. */
    const char *replacement;
    /* Effective configuration with origins and digest. NULL: take over what the state holds, which
     * is legal only if supervisor_has_state(). */
    const flocks_get_config_response *config;
    /* How the daemon's file is read, for plans; outlives the supervisor. NULL: there are none
     * (FAILED_PRECONDITION). */
    const struct config_request *config_request;
    /* A Shutdown, or the keeper's, is done: every process set is empty and the operation has ended
     * (its waiters have been told before). Main then ends the connections and leaves. Called once,
     * from the loop. */
    void (*ended)(void *data);
    /* The keeper is gone. The state has been written; nothing is spawned or signalled any more, and
     * status goes on. Main becomes the next keeper (keeper_link_become), or abandons the services.
     * From the loop. */
    void (*lost)(void *data, const struct error *error);
    /* Another configuration has been applied: what main takes from it may be different. From the
     * loop. */
    void (*configured)(void *data);
    /* The keeper has prepared other images for this operation: main gives its place to the next
     * flocksd, by keeper_link_replace. From the loop. NULL: images are not replaced. */
    void (*replace)(void *data, const char *operation_id);
    void *data;
};

/* True when `state_fd` holds a state that this program can read: then no configuration file is
 * read. */
bool supervisor_has_state(int state_fd);

/* Fresh start or take-over. Answers before the keeper has told its children; status is right from
 * the state meanwhile, and mutations wait for it. INVALID_ARGUMENT: configuration beyond the limits
 * above. INTERNAL, RESOURCE_EXHAUSTED: memory, memfd. */
NODISCARD int supervisor_new(
    const struct supervisor_setup *setup, struct supervisor **out, struct error *error);

/* Closes its handles and forgets the processes (they live on, the keeper has them); `closed` comes
 * from the loop when the memory is gone. No callback but `closed` comes after this. NULL is
 * accepted and then `closed` is not called. */
void supervisor_close(struct supervisor *supervisor, void (*closed)(void *data), void *data);

/* After `lost`, when nobody can be made the keeper: kills what the services are, and calls `ended`.
 */
void supervisor_abandon(struct supervisor *supervisor);

/* ---- operations ---- */

struct supervisor_request {
    /* START, STOP, RESTART or SHUTDOWN. */
    enum flocks_operation_kind kind;
    /* None: all; START then means those whose configuration says `start`. SHUTDOWN ignores them. */
    const char *const *services;
    size_t n_services;
    /* "" or NULL: none. The same value as an earlier request: that operation is answered. */
    const char *request_id;
    /* Longest time for the work; 0: the longest there is. Afterwards the operation is
     * DEADLINE_EXCEEDED, the services go on. */
    int64_t timeout_ms;
    /* START and RESTART: the prepare step is left out, for these services, this time. */
    bool skip_prepare;
    /* "" or NULL: none. STOP by the holder of this lease: the services (none: all under it) end,
     * stay wanted, and the lease goes on. START and RESTART under a lease are refused all the same.
     */
    const char *lease_id;
    /* START by the daemon itself as it begins: with what a lease of before owes, and not a person's
     * decision about a roll-back that failed. */
    bool is_first;
    /* SHUTDOWN of the instance that this keeper's is; 0: of whichever there is. */
    int32_t keeper_pid;
    int32_t requester_pid;
    uint32_t requester_uid;
};

/* Begins an operation, or joins an identical running one, and writes its id. The work goes on
 * whatever the caller does. A STOP or SHUTDOWN ends what others still want of the same services
 * (their outcome is CANCELLED). NOT_FOUND (reason UNKNOWN_SERVICE, subject): nothing is done.
 * FAILED_PRECONDITION (SHUTTING_DOWN): START and RESTART after SHUTDOWN. ABORTED (LEASE_HELD,
 * subject, lease_id): START and RESTART of what is under a lease; a STOP or SHUTDOWN ends the lease
 * instead. ABORTED (LEASE_ENDED): lease_id is over. ABORTED (OTHER_INSTANCE): another keeper.
 * RESOURCE_EXHAUSTED (LIMIT_REACHED). ALREADY_EXISTS: request_id of another kind. */
NODISCARD int supervisor_begin(struct supervisor *supervisor,
    const struct supervisor_request *request, char out_id[SUPERVISOR_OPERATION_ID_SIZE],
    struct error *error);

/* The operation as a message whose memory is the arena's. *out_revision grows with each change of
 * it and may be NULL. NOT_FOUND (UNKNOWN_OPERATION); RESOURCE_EXHAUSTED: the arena's cap. */
NODISCARD int supervisor_get_operation(struct supervisor *supervisor, const char *id,
    struct arena *arena, flocks_operation **out, uint32_t *out_revision, struct error *error);

enum supervisor_wait_for { SUPERVISOR_WAIT_CHANGE, SUPERVISOR_WAIT_END };

/* supervisor_wait: what it would wait for is so already; no wait was made. */
#define SUPERVISOR_ALREADY 1

/* Calls `done` once, from the loop, when the operation's revision passes `seen_revision` (CHANGE)
 * or it has ended (END); the wait is gone then. 0: *out may be cancelled until `done` runs.
 * NOT_FOUND, RESOURCE_EXHAUSTED. */
NODISCARD int supervisor_wait(struct supervisor *supervisor, const char *id,
    enum supervisor_wait_for what, uint32_t seen_revision, void (*done)(void *data), void *data,
    struct supervisor_wait **out, struct error *error);
/* `done` will not be called. NULL is accepted. */
void supervisor_wait_cancel(struct supervisor_wait *wait);

/* Ends an operation early: steps that have not ended are CANCELLED, what is done is not undone. A
 * service that nobody had asked for before and that has not been launched is stopped again, its
 * prepare step ended; a launched one, and one that was wanted before, goes on. One that has ended
 * is left as it is. NOT_FOUND (UNKNOWN_OPERATION). FAILED_PRECONDITION: its kind cannot be
 * cancelled. */
NODISCARD int supervisor_cancel_operation(
    struct supervisor *supervisor, const char *id, struct error *error);

/* ---- our own programs ---- */

struct supervisor_replacement {
    /* Absolute; "": where the one that runs was started from. */
    const char *flocksd_path;
    const char *keeper_path;
    /* What those that are told must say of themselves, or both; "": anything. */
    const char *expected_version;
    int32_t requester_pid;
    uint32_t requester_uid;
};
/* Begins the operation REPLACE_DAEMON: both images are tried out, then flocksd gives its place to
 * the new one, then the keeper executes its own. It ends in the new flocksd, or in the one of
 * before with the reason why it is there again; the services notice nothing. ABORTED (REPLACING):
 * one is under way. FAILED_PRECONDITION (SHUTTING_DOWN). UNIMPLEMENTED. RESOURCE_EXHAUSTED. */
NODISCARD int supervisor_replace(struct supervisor *supervisor,
    const struct supervisor_replacement *replacement, char out_id[SUPERVISOR_OPERATION_ID_SIZE],
    struct error *error);

/* ---- watching ---- */

struct supervisor_watch;

struct supervisor_watching {
    const char *after; /* token of the last item seen; "" or NULL: begin with a snapshot */
    const char *const *services; /* none: all. Borrowed until the watch is closed */
    size_t n_services;
    /* There may be an item. Called from anywhere; asks for nothing and closes nothing. */
    void (*wake)(void *data);
    void *data;
};

/* A place among the events. NOT_FOUND (UNKNOWN_SERVICE); INVALID_ARGUMENT: `after` is no token;
 * RESOURCE_EXHAUSTED (LIMIT_REACHED). */
NODISCARD int supervisor_watch(struct supervisor *supervisor,
    const struct supervisor_watching *watching, struct supervisor_watch **out, struct error *error);
/* supervisor_watch_next: no item; `wake` will be called. */
#define SUPERVISOR_NOTHING 1
/* The next item: a gap, a snapshot or an event. All memory is the arena's.
 * RESOURCE_EXHAUSTED: the arena's cap. */
NODISCARD int supervisor_watch_next(struct supervisor_watch *watch, struct arena *arena,
    flocks_watch_events_response *out, struct error *error);
/* May outlive the supervisor. NULL is accepted. */
void supervisor_watch_close(struct supervisor_watch *watch);

/* ---- health ---- */

enum supervisor_condition {
    SUPERVISOR_WELL,   /* every service that is wanted is HEALTHY or COMPLETED */
    SUPERVISOR_UNWELL, /* one is not, or a fresh start has not begun yet */
    SUPERVISOR_LEAVING /* a shutdown was asked for; for good */
};

/* Functions that are called from the loop, with what has changed since they were called last, and
 * ask for nothing. */
struct supervisor_health_follower {
    /* Whether it is HEALTHY; also of a new service. `name` is borrowed. */
    void (*service)(void *data, const char *name, bool is_healthy);
    /* There is no such service any more. */
    void (*gone)(void *data, const char *name);
    void (*whole)(void *data, enum supervisor_condition condition);
    void *data;
};

/* Tells how everything is, before it returns, and from then on what changes; what changes several
 * times in a turn of the loop is told once, as it ends. `follower` is borrowed until the supervisor
 * is closed or follows another one; NULL: nobody is told. */
void supervisor_follow_health(
    struct supervisor *supervisor, const struct supervisor_health_follower *follower);

/* ---- configuration ---- */

/* A plan or an apply under way. Texts are read beside the loop, one after the other. */
struct supervisor_job;

/* A configuration's text; `len` 0: the file that the daemon reads. Copied. */
struct supervisor_text {
    const uint8_t *bytes;
    size_t len;
    const char *name; /* shown in mistakes; NULL or "": the file's */
};

/* `response` is NULL when `result` is negative, `error` when it is not; both live until it returns.
 */
typedef void (*supervisor_planned_fn)(
    void *data, int result, const flocks_plan_config_response *response, const struct error *error);

/* What a text would change. Calls `done` once, from the loop, unless it is cancelled before: 0 with
 * changes, impacts and hash, or with all mistakes; or RESOURCE_EXHAUSTED, or that the file cannot
 * be read. RESOURCE_EXHAUSTED (LIMIT_REACHED) here: SUPERVISOR_JOBS_MAX are under way. */
NODISCARD int supervisor_plan(struct supervisor *supervisor, const struct supervisor_text *text,
    supervisor_planned_fn done, void *data, struct supervisor_job **out, struct error *error);

struct supervisor_apply_request {
    /* Of a plan of the same text. */
    const char *plan;
    struct supervisor_text text;
    /* These as in struct supervisor_request. */
    const char *request_id;
    int64_t timeout_ms;
    int32_t requester_pid;
    uint32_t requester_uid;
};

/* `position` of the first mistake of the text, or NULL. */
typedef void (*supervisor_applied_fn)(void *data, int result, const char *operation_id,
    const flocks_source_position *position, const struct error *error);

/* Makes a text the configuration, and begins the operation APPLY_CONFIG with a step for each
 * service that is started, ended or started anew: a restart ends what runs with the old values, all
 * others keep their processes. Calls `done` once, from the loop, unless it is cancelled before
 * (nothing has been changed then): 0 with the operation's id, everything being written; ABORTED
 * (STALE_PLAN, LEASE_HELD), INVALID_ARGUMENT (INVALID_CONFIG), FAILED_PRECONDITION (SHUTTING_DOWN),
 * RESOURCE_EXHAUSTED. SUPERVISOR_ALREADY here: the request_id is known, `out_id` is its operation,
 * and `done` is not called. ALREADY_EXISTS: it belongs to another kind. */
NODISCARD int supervisor_apply(struct supervisor *supervisor,
    const struct supervisor_apply_request *request, supervisor_applied_fn done, void *data,
    char out_id[SUPERVISOR_OPERATION_ID_SIZE], struct supervisor_job **out, struct error *error);

/* `done` will not be called. NULL is accepted. */
void supervisor_job_cancel(struct supervisor_job *job);

/* The TCP door of this flocksd, for status and events. */
struct supervisor_door {
    const char *addresses[SUPERVISOR_DOOR_ADDRESSES_MAX];
    size_t n_addresses;
    const char *problem; /* "": none */
};
/* What it is from now on; copied. */
void supervisor_set_door(struct supervisor *supervisor, const struct supervisor_door *door);

/* ---- looking ---- */

/* Services there are. */
size_t supervisor_count(const struct supervisor *supervisor);

/* Status of the daemon and of the named services (none: all, in the order of their names). Never
 * waits. All memory is the arena's. NOT_FOUND (UNKNOWN_SERVICE); RESOURCE_EXHAUSTED: the arena's
 * cap. */
NODISCARD int supervisor_get_status(struct supervisor *supervisor, const char *const *names,
    size_t n_names, struct arena *arena, flocks_get_status_response *out, struct error *error);

/* Path of the service's log. False: there is no such service. */
bool supervisor_find_log(
    const struct supervisor *supervisor, const char *name, char *out, size_t out_size);

/* ---- output ---- */

enum {
    /* Outputs are numbered below this; a service keeps its number as long as it is one. */
    SUPERVISOR_OUTPUTS_MAX = SUPERVISOR_SERVICES_MAX + 1,
    /* The daemon's own. */
    SUPERVISOR_OUTPUT_DAEMON = SUPERVISOR_OUTPUTS_MAX - 1
};

/* What capture has done with an output. */
struct supervisor_output {
    uint64_t written_bytes; /* into the log */
    uint64_t lost_bytes;    /* that the log did not take */
    uint64_t count_id;      /* another number, another count */
};

/* Directory of the logs: <service>.log, and daemon.log. */
const char *supervisor_logs(const struct supervisor *supervisor);
/* Name of a service; `index` is below supervisor_count, in the order of the names. */
const char *supervisor_name(const struct supervisor *supervisor, size_t index);
/* Grows when services came or went. */
uint64_t supervisor_changes(const struct supervisor *supervisor);
/* NOT_FOUND (UNKNOWN_SERVICE). */
NODISCARD int supervisor_find_output(
    const struct supervisor *supervisor, const char *name, uint32_t *out, struct error *error);
/* Read from memory: costs nothing. All zero for an output that never was. */
void supervisor_get_output(
    const struct supervisor *supervisor, uint32_t output, struct supervisor_output *out);

/* Everything that explains why a service is in its state, but the last lines of its output. All
 * memory is the arena's. NOT_FOUND (UNKNOWN_SERVICE); RESOURCE_EXHAUSTED: the arena's cap. */
NODISCARD int supervisor_explain(struct supervisor *supervisor, const char *name,
    struct arena *arena, flocks_explain_service_response *out, struct error *error);

/* The effective configuration with origins and digest, secrets included: mask before it leaves. All
 * memory is the arena's. RESOURCE_EXHAUSTED: the arena's cap. */
NODISCARD int supervisor_get_config(const struct supervisor *supervisor, struct arena *arena,
    flocks_get_config_response **out, struct error *error);

#endif

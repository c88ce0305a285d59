/* Upgrade leases: pauses with an owner, a reason and an end. Values and decisions only: the life of
 * one lease as a pure function (lease_table.h has its cells), who may have one beside which others,
 * and what becomes of a service when it ends. No process, loop, clock, file or message:
 * supervisor_leases.c performs the actions and feeds back what comes of them. */
#ifndef FLOCKS_SUPERVISE_LEASES_H
#define FLOCKS_SUPERVISE_LEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/list.h"
#include "server/supervise/lease_table.h"
#include "server/supervise/service_table.h"

enum {
    /* Leases that hold services at one time; a further Begin is RESOURCE_EXHAUSTED. */
    LEASES_MAX = 8,
    /* Results remembered after the end; the oldest is forgotten first. */
    LEASES_ENDED_MAX = 16,
    /* Bytes of an id (32 hexadecimal digits) with its NUL; so that nobody guesses one. */
    LEASE_ID_SIZE = 33,
    LEASE_OWNER_SIZE = 64,
    LEASE_REASON_SIZE = 256,
    LEASE_MESSAGE_SIZE = 256,
    LEASE_REQUEST_ID_SIZE = 64,
    LEASE_NAME_SIZE = 64,
    /* Links that one lease puts back (the schema's max_items). */
    LEASE_UNDO_MAX = 4,
    /* The owner's process is gone: a hint that leaves this much. */
    LEASE_ORPHAN_MS = 2000,
    /* After a take-over the holder gets at least this long to find the new flocksd. */
    LEASE_TAKEOVER_MS = 5000,
    /* A record that cannot be written, or a version that is not told yet: again after this. */
    LEASE_RETRY_MS = 500
};

/* ---- one lease, as a machine ---- */

struct lease_facts {
    enum lease_phase phase;
    int64_t ttl_ms;
    int64_t start_timeout_ms;
    int64_t observe_ms;
    /* HELD: expiry; COMMITTING: end of the patience; OBSERVING: end of it; SEALING: next try. */
    int64_t due_at;
    /* ROLLBACK_FAILED: a person has decided about every service; nothing is tried again. */
    bool is_settled;
};

struct lease_input {
    enum lease_event event;
    int64_t now;
    int64_t ttl_ms;           /* RENEW; 0: as before */
    int64_t start_timeout_ms; /* COMMIT */
    int64_t observe_ms;       /* COMMIT */
};

enum lease_action {
    /* The operation COMMIT_UPGRADE begins: every wanted service as a new generation. */
    LEASE_ACTION_START,
    /* Write the record that says COMMITTED; answer WRITTEN or REFUSED. */
    LEASE_ACTION_SEAL,
    /* Write the record, put the links back; answer RESTORED or STUCK. The operation ROLL_BACK
     * begins, its steps wait. */
    LEASE_ACTION_UNDO,
    /* The steps of ROLL_BACK may go on; answer STARTED when it has ended. */
    LEASE_ACTION_RESTORE,
    /* Nothing holds the services any more; the record is written when that can be done. */
    LEASE_ACTION_CLOSE
};

struct lease_step {
    struct lease_facts facts;
    enum lease_rule rule; /* ILLEGAL: facts are unchanged */
    bool has_action;
    enum lease_action action;
};

/* Applies one event. ILLEGAL besides the table's empty cells: DUE before its time, and anything
 * that would begin again what is settled. */
struct lease_step lease_machine_apply(
    const struct lease_facts *facts, const struct lease_input *input);
/* The owner's process is gone: less time, never more. */
void lease_facts_orphan(struct lease_facts *facts, int64_t now);
/* After a take-over: work begins anew, and a holder has time to come back. Says what has to be done
 * again (nothing was lost but what was under way). */
struct lease_step lease_machine_resume(const struct lease_facts *facts, int64_t now);

/* ---- its services ---- */

enum lease_verdict { LEASE_PENDING, LEASE_PASSED, LEASE_FAILED };

struct probe;
struct lease;

/* Sorted by name in the lease. */
struct leased_service {
    struct lease *lease;
    char name[LEASE_NAME_SIZE];
    bool wanted;              /* when the lease began, less what a person has stopped since */
    bool released;            /* ROLLBACK_FAILED: a person has decided about it */
    uint32_t from_generation; /* the last one before the lease */
    uint32_t to_generation;   /* HEALTHY and asked, OBSERVING; 0: not yet */
    char *expected_version;   /* owned; NULL: any */
    /* COMMITTING, not kept: the question for the version. */
    struct probe *probe;
    int64_t ask_at;
    bool told;         /* ... and it was the expected one */
    char problem[128]; /* why it has not told */
};

/* What a gate sees of one service. */
struct lease_view {
    enum service_state state;
    uint32_t generation;
    bool issued; /* its step has been told to the service */
};

/* COMMITTING: is it HEALTHY (or COMPLETED) in a new generation? FAILED: it will not become so by
 * itself soon. The version is asked afterwards. */
enum lease_verdict lease_judge_start(
    const struct leased_service *service, const struct lease_view *view);
/* OBSERVING: a generation that ended fails at once; one that serves badly only at the end. */
enum lease_verdict lease_judge_health(
    const struct leased_service *service, const struct lease_view *view, bool is_over);
/* What the roll-back asks of it; SERVICE_EVENT_COUNT: nothing. A generation from before the lease
 * that still runs is left alone. */
enum service_event lease_restore_event(
    const struct leased_service *service, const struct lease_view *view);

/* ---- the lease ---- */

struct lease_undo {
    char *link;
    char *target;
};

/* What a disk has to do for a lease (lease_work.c); one thing at a time for all of them. */
enum lease_work { LEASE_WORK_NONE, LEASE_WORK_OPEN, LEASE_WORK_SEAL, LEASE_WORK_UNDO };

struct lease {
    struct list link; /* in leases.all, oldest first */
    char id[LEASE_ID_SIZE];
    char owner[LEASE_OWNER_SIZE];
    char reason[LEASE_REASON_SIZE];
    char request_id[LEASE_REQUEST_ID_SIZE];
    char operation_id[LEASE_ID_SIZE]; /* of the commit, then of the roll-back */
    char message[LEASE_MESSAGE_SIZE]; /* why it ended, or what went wrong */
    uint32_t error_reason;            /* flocks.v1.ErrorReason of that; 0: none */
    struct lease_facts facts;
    bool holding_page;
    int64_t began_wall_ns;
    int64_t ended_wall_ns;
    int32_t owner_pid;
    uint64_t owner_start_ticks;
    uint32_t owner_uid;
    struct leased_service *services;
    size_t n_services;
    struct lease_undo undo[LEASE_UNDO_MAX];
    size_t n_undo;
    /* Not kept; supervisor_leases.c's. */
    void *supervisor;
    struct list waits;       /* callers whose Begin is not answered yet */
    struct error refusal;    /* DROPPED: what they are told */
    enum lease_work work;    /* asked for and not begun */
    void *watch;             /* of the owner's process (lease_owner.c) */
    bool is_loaded;          /* of a flocksd before, and not gone on with yet */
    bool is_orphan;          /* ... which is gone */
    bool has_operation;      /* operation_id is of the present phase */
    const char *failed_name; /* service that failed the gate, of `services`; NULL: none */
};

struct leases {
    struct list all;
};

void leases_init(struct leases *leases);
/* Nothing may be under way any more. */
void leases_deinit(struct leases *leases);

/* A new lease at the end of the list, OPENING, without services; NULL: memory. */
struct lease *lease_new(struct leases *leases, size_t n_services);
void lease_free(struct lease *lease);
/* Takes copies. False: memory, or too many. */
bool lease_add_undo(struct lease *lease, const char *link, const char *target);
bool lease_expect(struct leased_service *service, const char *version);
void lease_forget_undo(struct lease *lease);
/* By name; when every service has been added and they have been sorted. NULL: not under it. */
struct leased_service *lease_find_service(const struct lease *lease, const char *name);
void lease_sort_services(struct lease *lease);

/* It is not over, or it failed to roll back and a person has not decided about every service. */
bool lease_holds(const struct lease *lease);
bool lease_holds_service(const struct lease *lease, const char *service_name);

/* ROLLBACK_FAILED: a person decides about one of its services, which it holds no more. True: that
 * was the last one. */
bool lease_release(struct lease *lease, struct leased_service *service);

/* NULL: unknown, or forgotten. */
struct lease *leases_find(const struct leases *leases, const char *id);
/* The present one that began first, else the one that ended last; NULL: none. */
struct lease *leases_latest(const struct leases *leases);
/* The lease a service is under (at most one); NULL: none. */
struct lease *leases_holding(const struct leases *leases, const char *service_name);
/* The one that keeps it from being started; NULL: none does. */
struct lease *leases_pausing(const struct leases *leases, const char *service_name);
size_t leases_count(const struct leases *leases);

enum lease_admission {
    LEASE_ADMITTED,
    LEASE_OVERLAPS,         /* one of the services is under `*out_other` */
    LEASE_EXCLUDED_BY_UNDO, /* both put links back: one upgrade at a time */
    LEASE_TOO_MANY
};
/* May `lease` be there beside the others? */
enum lease_admission leases_admit(
    const struct leases *leases, const struct lease *lease, struct lease **out_other);
/* Forgets the oldest of those that are over and hold nothing, beyond LEASES_ENDED_MAX. */
void leases_forget(struct leases *leases);
/* The earliest time at which a lease has something due; CLOCK_NEVER: none. */
int64_t leases_due_at(const struct leases *leases);

#endif

/* What the files that perform leases share. Private to them. */
#ifndef FLOCKS_SUPERVISE_LEASE_PRIVATE_H
#define FLOCKS_SUPERVISE_LEASE_PRIVATE_H

#include "server/supervise/leases.h"
#include "server/supervise/supervisor_leases.h"
#include "server/supervise/supervisor_private.h"

enum {
    /* Memory of one lease as a message: names of every service. */
    LEASE_EVENT_BYTES = 2 * 1024 * 1024
};

/* supervisor_leases.c */
/* Something happened; false: it means nothing in this phase. The lease may be DROPPED afterwards,
 * but is not freed before the turn ends. */
bool lease_feed(struct lease *lease, enum lease_event event);
/* Why, for people and for programs; only the first reason of a failure is kept. */
void lease_explain(struct lease *lease, uint32_t error_reason, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Sets the error; `lease` (may be NULL) is named in it. Returns -code. */
int lease_refuse(struct error *error, enum status_code code, enum flocks_error_reason reason,
    const struct lease *lease, const char *text);
/* ABORTED, LEASE_HELD. */
int lease_refuse_held(
    const struct service *service, const struct lease *lease, struct error *error);
/* What a step of the machine, or of a take-over, asks for. */
void lease_perform(struct lease *lease, enum lease_action action);
/* Its status is another: watchers, the state, the next turn. */
void lease_changed(struct lease *lease);

/* lease_begin.c */
/* An id that nobody guesses; false: the system has no random numbers yet. */
bool lease_make_id(char out[LEASE_ID_SIZE]);
/* Nobody waits for it any more. */
void lease_drop_waits(struct lease *lease);

/* lease_work.c */
/* Begins what a disk has to do next, if it does nothing now. */
void lease_work_run(struct supervisor *supervisor);
/* What is under way finds nobody any more. */
void lease_work_detach(struct supervisor *supervisor);

/* lease_gate.c */
/* COMMITTING and OBSERVING: looks at the services; feeds PASSED, FAILED or DUE. */
void lease_gate_turn(struct lease *lease, int64_t now);
/* No question for a version is under way any more. */
void lease_gate_end(struct lease *lease);

/* lease_operation.c */
/* COMMIT_UPGRADE or ROLL_BACK over all its services. */
NODISCARD int lease_operation_begin(
    struct lease *lease, enum flocks_operation_kind kind, struct error *error);
/* What is left of it ends: the step of `failed_name` FAILED, the others CANCELLED, or all of them
 * FAILED. */
void lease_operation_end(struct lease *lease, bool all_failed);
/* Steps whose turn it is now are issued. */
void lease_operation_advance(struct lease *lease);
/* It has ended, or is forgotten. */
bool lease_operation_is_over(const struct lease *lease);
/* What the machine sees of a service; the service may be NULL. */
struct lease_view lease_operation_view(
    const struct lease *lease, const struct leased_service *leased);

/* lease_owner.c */
void lease_owner_watch(struct lease *lease, int32_t pid);
void lease_owner_forget(struct lease *lease);

#endif

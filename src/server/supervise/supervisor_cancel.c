/* An operation that is to end before its work is done. */
#include "server/supervise/supervisor_private.h"

static int refuse(
    struct error *error, enum flocks_error_reason reason, const char *text, const char *hint)
{
    int result = error_set(error, STATUS_FAILED_PRECONDITION, "%s", text);

    if (error != NULL)
        error->reason = (uint32_t)reason;
    error_set_hint(error, "%s", hint);
    return result;
}

/* What ends services for good, or has promised to put something back, is not left half-way. */
static int check(const struct operation *operation, struct error *error)
{
    switch (operation->kind) {
    case FLOCKS_OPERATION_KIND_SHUTDOWN:
        return refuse(error, FLOCKS_ERROR_REASON_SHUTTING_DOWN, "a shutdown cannot be cancelled",
            "start the daemon again when it has ended");
    case FLOCKS_OPERATION_KIND_COMMIT_UPGRADE:
        return refuse(error, FLOCKS_ERROR_REASON_LEASE_HELD,
            "the commit of an upgrade cannot be cancelled", "AbortUpgrade rolls the upgrade back");
    case FLOCKS_OPERATION_KIND_ROLL_BACK:
        return refuse(error, FLOCKS_ERROR_REASON_LEASE_HELD, "a roll-back cannot be cancelled",
            "stop the service: a stop ends every operation on it");
    case FLOCKS_OPERATION_KIND_REPLACE_DAEMON:
        return refuse(error, FLOCKS_ERROR_REASON_REPLACING,
            "a replacement of the daemon cannot be cancelled",
            "it ends within half a minute, with the new programs or with those of before");
    case FLOCKS_OPERATION_KIND_UNSPECIFIED:
    case FLOCKS_OPERATION_KIND_START:
    case FLOCKS_OPERATION_KIND_STOP:
    case FLOCKS_OPERATION_KIND_RESTART:
    case FLOCKS_OPERATION_KIND_APPLY_CONFIG:
    case FLOCKS_OPERATION_KIND_UPDATE:
        break;
    }
    return 0;
}

/* Nobody had asked for it, and nothing of it has been launched: it was stopped, and shall be. */
static bool is_to_be_undone(const struct service *service, const struct operation_step *step)
{
    enum flocks_operation_kind kind = step->operation->kind;
    bool starts = kind == FLOCKS_OPERATION_KIND_START || kind == FLOCKS_OPERATION_KIND_RESTART;

    return starts && step->issued && !step->was_wanted &&
           service->facts.generation == step->from_generation;
}

static void cancel_step(struct service *service, struct operation_step *step)
{
    bool undo = is_to_be_undone(service, step);

    /* A configuration has been taken: what it asks of services is done, whoever waits. */
    if (!step->issued && step->operation->kind == FLOCKS_OPERATION_KIND_APPLY_CONFIG)
        supervisor_issue(service, step);
    if (supervisor_step_has_ended(step))
        return;
    supervisor_end_step(service, step, FLOCKS_OPERATION_STATE_CANCELLED,
        step->issued && !undo ? "cancelled; what was begun goes on" : "cancelled");
    /* Unless somebody else is next to ask for it. */
    if (undo && operations_active_step(&service->owner->operations, service->slot) == NULL)
        service_ask(service, SERVICE_EVENT_STOP, FLOCKS_STATE_REASON_REQUESTED, false);
}

int supervisor_cancel_operation(struct supervisor *supervisor, const char *id, struct error *error)
{
    struct operation *operation = operations_find(&supervisor->operations, id);
    int result;

    if (operation == NULL)
        return supervisor_refuse_unknown_operation(id, error);
    if (operation_has_ended(operation))
        return 0;
    result = check(operation, error);
    if (result < 0)
        return result;
    for (size_t i = 0; i < operation->n_steps; i++) {
        struct operation_step *step = &operation->steps[i];

        if (!supervisor_step_has_ended(step))
            cancel_step(supervisor_at(supervisor, step->slot), step);
    }
    for (size_t i = 0; i < operation->n_steps; i++) {
        struct service *service = supervisor_at(supervisor, operation->steps[i].slot);

        if (service != NULL)
            supervisor_advance(service);
    }
    supervisor_mark_dirty(supervisor);
    supervisor_save(supervisor);
    return 0;
}

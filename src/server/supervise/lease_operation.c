/* A lease's work on services as operations that people can watch: COMMIT_UPGRADE, ROLL_BACK. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/supervise/lease_private.h"

static struct operation *operation_of(const struct lease *lease)
{
    const struct supervisor *supervisor = lease->supervisor;

    if (!lease->has_operation)
        return NULL;
    return operations_find(&supervisor->operations, lease->operation_id);
}

static int compare_slots(const void *left, const void *right)
{
    const uint32_t *a = left;
    const uint32_t *b = right;

    return *a < *b ? -1 : *a > *b;
}

static size_t choose_slots(const struct lease *lease, uint32_t *out)
{
    const struct supervisor *supervisor = lease->supervisor;
    size_t n = 0;

    for (size_t i = 0; i < lease->n_services; i++) {
        const struct service *service = supervisor_find(supervisor, lease->services[i].name);

        if (service != NULL && !lease->services[i].released)
            out[n++] = service->slot;
    }
    qsort(out, n, sizeof *out, compare_slots);
    return n;
}

int lease_operation_begin(struct lease *lease, enum flocks_operation_kind kind, struct error *error)
{
    struct supervisor *supervisor = lease->supervisor;
    uint32_t *slots = calloc(lease->n_services + 1, sizeof *slots);
    struct operation *operation = NULL;
    const struct supervisor_request request = {
        .kind = kind, .requester_pid = lease->owner_pid, .requester_uid = lease->owner_uid};
    struct supervisor_choice choice = {.slots = slots};
    int result;

    if (slots == NULL)
        return error_set_errno(error, ENOMEM, "begin an operation");
    choice.n_slots = choose_slots(lease, slots);
    result = supervisor_queue_operation(supervisor, &request, &choice, &operation, error);
    free(slots);
    if (result < 0)
        return result;
    assert(operation != NULL);
    /* start_timeout and observe bound a commit, and nothing may cut a roll-back short. */
    operation->deadline_at = CLOCK_NEVER;
    log_info("operation begun", "id=%s kind=%s services=%zu lease=%s", operation->id,
        flocks_operation_kind_name(kind), operation->n_steps, lease->id);
    (void)snprintf(lease->operation_id, sizeof lease->operation_id, "%s", operation->id);
    lease->has_operation = true;
    supervisor_mark_dirty(supervisor);
    return 0;
}

static bool has_ended(const struct operation_step *step)
{
    return step->state != FLOCKS_OPERATION_STATE_QUEUED &&
           step->state != FLOCKS_OPERATION_STATE_RUNNING;
}

static void end_step(const struct lease *lease, struct operation_step *step, bool all_failed)
{
    const struct supervisor *supervisor = lease->supervisor;
    const struct service *service = supervisor_at(supervisor, step->slot);
    bool failed = all_failed || (service != NULL && lease->failed_name != NULL &&
                                    strcmp(service->name, lease->failed_name) == 0);
    const struct step_outcome outcome = {
        .state = failed ? FLOCKS_OPERATION_STATE_FAILED : FLOCKS_OPERATION_STATE_CANCELLED,
        .reason = service != NULL ? service->facts.reason : 0,
        .message = lease->message,
        .to_generation = service != NULL ? service->facts.generation : step->from_generation};

    operation_end_step(step, &outcome, clock_monotonic_ms(), clock_wall_ns());
}

void lease_operation_end(struct lease *lease, bool all_failed)
{
    struct operation *operation = operation_of(lease);

    lease->has_operation = false;
    if (operation == NULL)
        return;
    for (size_t i = 0; i < operation->n_steps; i++) {
        if (!has_ended(&operation->steps[i]))
            end_step(lease, &operation->steps[i], all_failed);
    }
    supervisor_mark_dirty(lease->supervisor);
}

void lease_operation_advance(struct lease *lease)
{
    struct supervisor *supervisor = lease->supervisor;
    struct operation *operation = operation_of(lease);

    for (size_t i = 0; operation != NULL && i < operation->n_steps; i++) {
        struct service *service = supervisor_at(supervisor, operation->steps[i].slot);

        if (service != NULL)
            supervisor_advance(service);
    }
}

bool lease_operation_is_over(const struct lease *lease)
{
    const struct operation *operation = operation_of(lease);

    return operation == NULL || operation_has_ended(operation);
}

struct lease_view lease_operation_view(
    const struct lease *lease, const struct leased_service *leased)
{
    const struct supervisor *supervisor = lease->supervisor;
    const struct service *service = supervisor_find(supervisor, leased->name);
    const struct operation *operation = operation_of(lease);
    const struct operation_step *step;
    struct lease_view view = {.state = SERVICE_STOPPED};

    if (service == NULL)
        return view;
    view.state = service->facts.state;
    view.generation = service->facts.generation;
    step = operation != NULL ? operation_find_step(operation, service->slot) : NULL;
    view.issued = step != NULL && step->issued;
    return view;
}

/* ---- what supervisor_operations.c asks ---- */

static const struct lease *lease_of(
    const struct supervisor *supervisor, const struct operation *operation)
{
    LIST_FOR_EACH(link, &supervisor->leases.all)
    {
        const struct lease *lease = CONTAINER_OF(link, struct lease, link);

        if (lease->has_operation && strcmp(lease->operation_id, operation->id) == 0)
            return lease;
    }
    return NULL;
}

static const struct leased_service *leased_of(
    const struct lease *lease, const struct service *service)
{
    return lease != NULL ? lease_find_service(lease, service->name) : NULL;
}

bool leases_may_issue(const struct service *service, const struct operation_step *step)
{
    const struct lease *lease = lease_of(service->owner, step->operation);

    if (lease == NULL)
        return true;
    return step->operation->kind == FLOCKS_OPERATION_KIND_COMMIT_UPGRADE
               ? lease->facts.phase == LEASE_COMMITTING
               : lease->facts.phase == LEASE_RESTORING;
}

enum service_event leases_event_of(const struct service *service, const struct operation_step *step)
{
    const struct lease *lease = lease_of(service->owner, step->operation);
    const struct leased_service *leased = leased_of(lease, service);
    struct lease_view view;

    if (leased == NULL)
        return SERVICE_EVENT_COUNT;
    if (step->operation->kind == FLOCKS_OPERATION_KIND_COMMIT_UPGRADE)
        return leased->wanted ? SERVICE_EVENT_RESTART : SERVICE_EVENT_COUNT;
    view = lease_operation_view(lease, leased);
    return lease_restore_event(leased, &view);
}

enum flocks_operation_state leases_judge(
    const struct service *service, const struct operation_step *step, bool *out_as_start)
{
    const struct lease *lease = lease_of(service->owner, step->operation);
    const struct leased_service *leased = leased_of(lease, service);

    *out_as_start = false;
    /* Its lease is forgotten: nobody else would end it. */
    if (leased == NULL)
        return FLOCKS_OPERATION_STATE_INTERRUPTED;
    if (step->operation->kind == FLOCKS_OPERATION_KIND_COMMIT_UPGRADE)
        return lease->facts.phase == LEASE_COMMITTED ? FLOCKS_OPERATION_STATE_SUCCEEDED
                                                     : FLOCKS_OPERATION_STATE_UNSPECIFIED;
    if (!leased->wanted || service->facts.state == SERVICE_COMPLETED)
        return FLOCKS_OPERATION_STATE_SUCCEEDED;
    *out_as_start = true;
    return FLOCKS_OPERATION_STATE_UNSPECIFIED;
}

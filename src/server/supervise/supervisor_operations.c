/* Operations meet services: steps are issued when it is their turn and end by what becomes of the
 * service. Waiters are told after the state has been written. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "server/supervise/supervisor_private.h"

struct supervisor_wait {
    struct list link; /* in operation.waits */
    struct supervisor *supervisor;
    enum supervisor_wait_for what;
    uint32_t seen_revision;
    void (*done)(void *data);
    void *data;
};

/* ---- steps ---- */

static bool ends_services(enum flocks_operation_kind kind)
{
    return kind == FLOCKS_OPERATION_KIND_STOP || kind == FLOCKS_OPERATION_KIND_SHUTDOWN;
}

bool supervisor_step_has_ended(const struct operation_step *step)
{
    return step->state != FLOCKS_OPERATION_STATE_QUEUED &&
           step->state != FLOCKS_OPERATION_STATE_RUNNING;
}

static bool is_of_lease(const struct operation *operation)
{
    return operation->kind == FLOCKS_OPERATION_KIND_COMMIT_UPGRADE ||
           operation->kind == FLOCKS_OPERATION_KIND_ROLL_BACK;
}

/* Does the step end a run? */
static bool is_ending(const struct operation_step *step)
{
    return ends_services(step->operation->kind) || step->impact == FLOCKS_CONFIG_IMPACT_STOP ||
           step->impact == FLOCKS_CONFIG_IMPACT_RESTART;
}

/* The run that the step is to end is over: a new configuration has been taken then. */
static bool is_run_over(const struct service *service, const struct operation_step *step)
{
    return supervisor_step_has_ended(step) || (step->impact == FLOCKS_CONFIG_IMPACT_RESTART &&
                                                  step->issued && service->next.config == NULL);
}

/* What waits for a service is stopped before it, if both are to stop. */
static bool may_issue(const struct service *service, const struct operation_step *step)
{
    const struct service *dependent;
    uint32_t at = 0;

    if (is_of_lease(step->operation) && !leases_may_issue(service, step))
        return false;
    while (is_ending(step) && (dependent = supervisor_next_dependent(service, &at)) != NULL) {
        const struct operation_step *other = operation_find_step(step->operation, dependent->slot);

        if (other != NULL && is_ending(other) && !is_run_over(dependent, other))
            return false;
    }
    return true;
}

/* SERVICE_EVENT_COUNT: nothing. */
static enum service_event event_of(const struct service *service, const struct operation_step *step)
{
    enum flocks_operation_kind kind = step->operation->kind;

    if (is_of_lease(step->operation))
        return leases_event_of(service, step);
    if (step->operation->pauses)
        return service_table_rule(service->facts.state, SERVICE_EVENT_PAUSE) == SERVICE_RULE_ILLEGAL
                   ? SERVICE_EVENT_COUNT
                   : SERVICE_EVENT_PAUSE;
    if (ends_services(kind) || step->impact == FLOCKS_CONFIG_IMPACT_STOP)
        return SERVICE_EVENT_STOP;
    return kind == FLOCKS_OPERATION_KIND_RESTART || step->impact == FLOCKS_CONFIG_IMPACT_RESTART
               ? SERVICE_EVENT_RESTART
               : SERVICE_EVENT_START;
}

/* A prepare step of the old configuration is not gone on with. */
static void abandon_preparation(struct service *service, const struct operation_step *step)
{
    const struct service_facts *facts = &service->facts;

    if (step->impact == FLOCKS_CONFIG_IMPACT_RESTART &&
        (facts->state == SERVICE_PREPARING ||
            (facts->state == SERVICE_STOPPING && facts->next == SERVICE_NEXT_PROCEED)))
        service_ask(service, SERVICE_EVENT_STOP, FLOCKS_STATE_REASON_REQUESTED, false);
}

void supervisor_issue(struct service *service, struct operation_step *step)
{
    const struct operation *operation = step->operation;
    enum service_event event = event_of(service, step);
    uint32_t reason = operation->kind == FLOCKS_OPERATION_KIND_SHUTDOWN
                          ? FLOCKS_STATE_REASON_SHUTDOWN
                          : FLOCKS_STATE_REASON_REQUESTED;

    step->issued = true;
    step->state = FLOCKS_OPERATION_STATE_RUNNING;
    step->issued_at = clock_monotonic_ms();
    step->from_generation = service->facts.generation;
    step->was_wanted = service->facts.wanted;
    operation_touch(step->operation);
    abandon_preparation(service, step);
    if (event == SERVICE_EVENT_PAUSE)
        service_observe(
            service, event, FLOCKS_STATE_REASON_LEASE_HELD, "stopped by the holder of its lease");
    else if (event != SERVICE_EVENT_COUNT)
        service_ask(service, event, reason, operation->skip_prepare);
}

static bool is_blocked_for_long(const struct service *service, const struct operation_step *step)
{
    const struct service_facts *facts = &service->facts;

    return (facts->reason == FLOCKS_STATE_REASON_PORT_HELD ||
               facts->reason == FLOCKS_STATE_REASON_DEPENDENCY_FAILED) &&
           clock_monotonic_ms() - step->issued_at >= SUPERVISOR_BLOCKED_PATIENCE_MS;
}

/* UNSPECIFIED: not decided yet. */
static enum flocks_operation_state judge_start(
    const struct service *service, const struct operation_step *step)
{
    switch (service->facts.state) {
    case SERVICE_HEALTHY:
    case SERVICE_COMPLETED:
        return FLOCKS_OPERATION_STATE_SUCCEEDED;
    case SERVICE_WAITING:
        return is_blocked_for_long(service, step) ? FLOCKS_OPERATION_STATE_FAILED
                                                  : FLOCKS_OPERATION_STATE_UNSPECIFIED;
    case SERVICE_DEGRADED:
    case SERVICE_BACKOFF:
    case SERVICE_FAILED:
    case SERVICE_PAUSED:
        return FLOCKS_OPERATION_STATE_FAILED;
    case SERVICE_STOPPED:
        return FLOCKS_OPERATION_STATE_CANCELLED;
    case SERVICE_PREPARING:
    case SERVICE_STARTING:
    case SERVICE_STOPPING:
    case SERVICE_STATE_END:
        return FLOCKS_OPERATION_STATE_UNSPECIFIED;
    }
    return FLOCKS_OPERATION_STATE_UNSPECIFIED;
}

/* A holder's stop: whatever was not wanted, or has done its work, is as it was. */
static enum flocks_operation_state judge_pause(const struct service *service)
{
    enum service_state state = service->facts.state;

    return state == SERVICE_STOPPED || state == SERVICE_PAUSED || state == SERVICE_COMPLETED
               ? FLOCKS_OPERATION_STATE_SUCCEEDED
               : FLOCKS_OPERATION_STATE_UNSPECIFIED;
}

static enum flocks_operation_state judge_lease(
    const struct service *service, const struct operation_step *step)
{
    bool as_start;
    enum flocks_operation_state state = leases_judge(service, step, &as_start);

    return as_start ? judge_start(service, step) : state;
}

static enum flocks_operation_state judge(
    const struct service *service, const struct operation_step *step)
{
    if (is_of_lease(step->operation))
        return judge_lease(service, step);
    if (step->operation->pauses)
        return judge_pause(service);
    /* Its old run is not over. */
    if (service->next.config != NULL && step->impact == FLOCKS_CONFIG_IMPACT_RESTART &&
        service->facts.state != SERVICE_STOPPED)
        return FLOCKS_OPERATION_STATE_UNSPECIFIED;
    if (!ends_services(step->operation->kind) && step->impact != FLOCKS_CONFIG_IMPACT_STOP)
        return judge_start(service, step);
    return service->facts.state == SERVICE_STOPPED ? FLOCKS_OPERATION_STATE_SUCCEEDED
                                                   : FLOCKS_OPERATION_STATE_UNSPECIFIED;
}

static void log_end(const struct operation *operation)
{
    log_info("operation ended", "id=%s kind=%s state=%s", operation->id,
        flocks_operation_kind_name(operation->kind), flocks_operation_state_name(operation->state));
}

/* More time would not have ended it: somebody withstands SIGKILL, or may not be sent it. */
static bool has_survivors(const struct service *service)
{
    return service->facts.state == SERVICE_STOPPING && service->facts.killing &&
           service->problem[0] != '\0';
}

/* More for whoever waits than the machine's own words. */
static const char *message_of(const struct service *service, enum flocks_operation_state state)
{
    if (state == FLOCKS_OPERATION_STATE_SUCCEEDED)
        return "";
    return has_survivors(service) ? service->problem : service->facts.message;
}

void supervisor_end_step(struct service *service, struct operation_step *step,
    enum flocks_operation_state state, const char *message)
{
    struct operation *operation = step->operation;
    const struct step_outcome outcome = {.state = state,
        .reason = service->facts.reason,
        .message = message != NULL ? message : message_of(service, state),
        .to_generation = service->facts.generation};

    /* What was signalled belongs to whoever asked for the end. */
    step->signalled = service->signalled;
    service->signalled = (struct signalled_list){.n = 0};
    supervisor_status_changed(service);
    operation_end_step(step, &outcome, clock_monotonic_ms(), clock_wall_ns());
    if (operation_has_ended(operation))
        log_end(operation);
}

/* False: the active step, if there is one, has to wait. */
static bool advance_once(struct service *service)
{
    struct operation_step *step =
        operations_active_step(&service->owner->operations, service->slot);
    enum flocks_operation_state state;

    if (step == NULL)
        return false;
    if (!step->issued) {
        if (!may_issue(service, step))
            return false;
        supervisor_issue(service, step);
    }
    if (!step->launched && service->facts.generation != step->from_generation) {
        step->launched = true;
        operation_touch(step->operation);
    }
    state = judge(service, step);
    if (state == FLOCKS_OPERATION_STATE_UNSPECIFIED)
        return false;
    supervisor_end_step(service, step, state, NULL);
    return true;
}

void supervisor_advance(struct service *service)
{
    struct supervisor *supervisor = service->owner;
    bool ended = false;

    if (!supervisor->is_reconciled || service->is_advancing || service->depth > 0)
        return;
    service->is_advancing = true;
    while (advance_once(service))
        ended = true;
    service->is_advancing = false;
    if (!ended)
        return;
    supervisor_mark_dirty(supervisor);
    /* Those it waits for may be stopped now. */
    for (size_t i = 0; i < service->n_after; i++)
        supervisor_advance(supervisor_at(supervisor, service->after[i]));
}

static bool is_anything_left(const struct supervisor *supervisor)
{
    for (uint32_t i = 0; i < supervisor->n_services; i++) {
        if (supervisor->services[i]->facts.state != SERVICE_STOPPED)
            return true;
    }
    return false;
}

void supervisor_service_changed(struct service *service, bool state_changed)
{
    struct service *other;
    uint32_t at = 0;
    struct supervisor *supervisor = service->owner;
    struct operation_step *step = operations_active_step(&supervisor->operations, service->slot);

    if (state_changed && step != NULL)
        operation_touch(step->operation);
    leases_service_changed(supervisor);
    supervisor_advance(service);
    if (!state_changed || !supervisor->is_reconciled)
        return;
    while ((other = supervisor_next_dependent(service, &at)) != NULL) {
        if (other->facts.state == SERVICE_WAITING)
            service_recheck(other);
    }
}

/* ---- beginning ---- */

static int refuse(struct error *error, enum status_code code, enum flocks_error_reason reason,
    const char *subject, const char *text)
{
    int result = error_set(error, code, "%s%s%s", text, subject[0] != '\0' ? ": " : "", subject);

    if (error != NULL) {
        error->reason = (uint32_t)reason;
        (void)snprintf(error->subject, sizeof error->subject, "%s", subject);
    }
    return result;
}

int supervisor_refuse_unknown(
    const struct supervisor *supervisor, const char *name, struct error *error)
{
    int result = refuse(
        error, STATUS_NOT_FOUND, FLOCKS_ERROR_REASON_UNKNOWN_SERVICE, name, "no such service");
    char names[ERROR_HINT_MAX] = "";
    size_t length = 0;

    for (uint32_t i = 0; i < supervisor->n_services && length < sizeof names - 80; i++) {
        int added = snprintf(names + length, sizeof names - length, "%s%s",
            i > 0 ? ", " : "the services are ", supervisor->services[i]->name);

        length += added > 0 ? (size_t)added : 0;
    }
    error_set_hint(error, "%s", names);
    return result;
}

static int compare_slots(const void *left, const void *right)
{
    const uint32_t *a = left;
    const uint32_t *b = right;

    return *a < *b ? -1 : *a > *b;
}

/* "All" of a start or a restart is what starts with the daemon, and what runs, or should, besides:
 * `flocks start` judges that as well. */
static bool is_meant_by_all(const struct service *service, const struct supervisor_request *request)
{
    if (request->kind != FLOCKS_OPERATION_KIND_START &&
        request->kind != FLOCKS_OPERATION_KIND_RESTART)
        return true;
    return service->config->start || service->facts.wanted ||
           (request->is_first && service->is_owed);
}

static size_t choose_all(const struct supervisor *supervisor,
    const struct supervisor_request *request, uint32_t *out_slots)
{
    size_t n = 0;

    for (uint32_t i = 0; i < supervisor->n_services; i++) {
        const struct service *service = supervisor->services[i];

        if (service->is_retiring && !ends_services(request->kind))
            continue;
        if (is_meant_by_all(service, request))
            out_slots[n++] = service->slot;
    }
    return n;
}

static int refuse_retiring(const struct service *service, struct error *error)
{
    int result = refuse(error, STATUS_NOT_FOUND, FLOCKS_ERROR_REASON_UNKNOWN_SERVICE, service->name,
        "no configuration has it any more, it is being ended");

    error_set_hint(error, "add it to the configuration again");
    return result;
}

/* Distinct, ascending. */
static int choose_named(const struct supervisor *supervisor,
    const struct supervisor_request *request, uint32_t *out_slots, size_t *out_n,
    struct error *error)
{
    size_t n = 0;

    for (size_t i = 0; i < request->n_services; i++) {
        const struct service *service = supervisor_find(supervisor, request->services[i]);

        if (service == NULL)
            return supervisor_refuse_unknown(supervisor, request->services[i], error);
        if (service->is_retiring && !ends_services(request->kind))
            return refuse_retiring(service, error);
        out_slots[i] = service->slot;
    }
    qsort(out_slots, request->n_services, sizeof *out_slots, compare_slots);
    for (size_t i = 0; i < request->n_services; i++) {
        if (n == 0 || out_slots[n - 1] != out_slots[i])
            out_slots[n++] = out_slots[i];
    }
    *out_n = n;
    return 0;
}

static bool names_lease(const struct supervisor_request *request)
{
    return request->lease_id != NULL && request->lease_id[0] != '\0';
}

static bool is_by_holder(const struct supervisor_request *request)
{
    return request->kind == FLOCKS_OPERATION_KIND_STOP && names_lease(request);
}

/* A start that the daemon makes of itself meets at most a roll-back that failed: its services are
 * PAUSED by their check. */
static int check_leases(const struct supervisor *supervisor,
    const struct supervisor_request *request, const uint32_t *slots, size_t n_slots,
    struct error *error)
{
    if (names_lease(request)) {
        int result = leases_check_live(supervisor, request->lease_id, error);

        if (result < 0)
            return result;
    }
    if (is_by_holder(request))
        return leases_check_stop(supervisor, request->lease_id, slots, n_slots, error);
    if (ends_services(request->kind) || request->is_first)
        return 0;
    return leases_refuse(supervisor, slots, n_slots, error);
}

/* What a person has asked for outweighs a lease, as far as it may. */
static void tell_leases(struct supervisor *supervisor, const struct supervisor_request *request,
    const uint32_t *slots, size_t n_slots)
{
    if (is_by_holder(request))
        return;
    if (ends_services(request->kind))
        leases_stopped(supervisor, slots, n_slots, request->kind == FLOCKS_OPERATION_KIND_SHUTDOWN);
    else if (request->n_services > 0)
        leases_released(supervisor, slots, n_slots);
}

static int choose(const struct supervisor *supervisor, const struct supervisor_request *request,
    uint32_t *out_slots, size_t *out_n, struct error *error)
{
    if (request->n_services > 0 && request->kind != FLOCKS_OPERATION_KIND_SHUTDOWN)
        return choose_named(supervisor, request, out_slots, out_n, error);
    *out_n = is_by_holder(request) ? leases_choose(supervisor, request->lease_id, out_slots)
                                   : choose_all(supervisor, request, out_slots);
    qsort(out_slots, *out_n, sizeof *out_slots, compare_slots);
    return 0;
}

static int check_request(const struct supervisor *supervisor,
    const struct supervisor_request *request, struct error *error)
{
    switch (request->kind) {
    case FLOCKS_OPERATION_KIND_STOP:
        return 0;
    case FLOCKS_OPERATION_KIND_SHUTDOWN:
        if (request->keeper_pid == 0 || request->keeper_pid == supervisor->keeper_pid)
            return 0;
        return refuse(error, STATUS_ABORTED, FLOCKS_ERROR_REASON_OTHER_INSTANCE, "",
            "another instance runs than the one that was to be shut down");
    case FLOCKS_OPERATION_KIND_START:
    case FLOCKS_OPERATION_KIND_RESTART:
        if (!supervisor->is_leaving)
            return 0;
        return refuse(error, STATUS_FAILED_PRECONDITION, FLOCKS_ERROR_REASON_SHUTTING_DOWN, "",
            "the daemon is shutting down");
    case FLOCKS_OPERATION_KIND_UNSPECIFIED:
    case FLOCKS_OPERATION_KIND_APPLY_CONFIG:
    case FLOCKS_OPERATION_KIND_COMMIT_UPGRADE:
    case FLOCKS_OPERATION_KIND_ROLL_BACK:
    case FLOCKS_OPERATION_KIND_UPDATE:
    case FLOCKS_OPERATION_KIND_REPLACE_DAEMON:
        break;
    }
    return error_set(error, STATUS_INVALID_ARGUMENT, "not an operation on services");
}

int supervisor_queue_operation(struct supervisor *supervisor,
    const struct supervisor_request *request, const struct supervisor_choice *choice,
    struct operation **out, struct error *error)
{
    int64_t timeout_ms = request->timeout_ms;
    const char **names = calloc(choice->n_slots + 1, sizeof *names);
    struct operation_request operation = {.kind = request->kind,
        .slots = choice->slots,
        .names = names,
        .impacts = choice->impacts,
        .n_slots = choice->n_slots,
        .request_id = request->request_id != NULL ? request->request_id : "",
        .skip_prepare = request->skip_prepare,
        .pauses = is_by_holder(request),
        .now = clock_monotonic_ms(),
        .wall_ns = clock_wall_ns(),
        .requester_pid = request->requester_pid,
        .requester_uid = request->requester_uid};
    int result;

    if (names == NULL)
        return error_set_errno(error, ENOMEM, "begin an operation");
    for (size_t i = 0; i < choice->n_slots; i++)
        names[i] = supervisor_at(supervisor, choice->slots[i])->name;
    if (timeout_ms <= 0 || timeout_ms > SUPERVISOR_OPERATION_TIMEOUT_MAX_MS)
        timeout_ms = SUPERVISOR_OPERATION_TIMEOUT_MAX_MS;
    operation.timeout_ms = timeout_ms;
    result = operations_begin(&supervisor->operations, &operation, out, error);
    free(names);
    return result;
}

static void log_begin(const struct operation *operation)
{
    log_info("operation begun", "id=%s kind=%s services=%zu pid=%d uid=%u", operation->id,
        flocks_operation_kind_name(operation->kind), operation->n_steps,
        (int)operation->requester_pid, (unsigned)operation->requester_uid);
}

void supervisor_run_operation(struct supervisor *supervisor, struct operation *operation)
{
    log_begin(operation);
    supervisor_mark_dirty(supervisor);
    /* An operation is not forgotten in the turn in which it began: `operation` stays good. */
    for (size_t i = 0; i < operation->n_steps; i++)
        supervisor_advance(supervisor_at(supervisor, operation->steps[i].slot));
    /* Whoever is told the id may ask the next flocksd for it. */
    supervisor_save(supervisor);
}

int supervisor_begin(struct supervisor *supervisor, const struct supervisor_request *request,
    char out_id[SUPERVISOR_OPERATION_ID_SIZE], struct error *error)
{
    uint32_t *slots;
    size_t capacity = request->n_services + supervisor->n_services + 1;
    size_t n_slots = 0;
    struct operation *operation = NULL;
    int result = check_request(supervisor, request, error);

    if (result < 0)
        return result;
    slots = calloc(capacity, sizeof *slots);
    if (slots == NULL)
        return error_set_errno(error, ENOMEM, "begin an operation");
    result = choose(supervisor, request, slots, &n_slots, error);
    if (result == 0)
        result = check_leases(supervisor, request, slots, n_slots, error);
    if (result == 0)
        result = supervisor_queue_operation(supervisor, request,
            &(struct supervisor_choice){.slots = slots, .n_slots = n_slots}, &operation, error);
    if (result >= 0)
        tell_leases(supervisor, request, slots, n_slots);
    free(slots);
    if (result < 0)
        return result;
    assert(operation != NULL);
    memcpy(out_id, operation->id, SUPERVISOR_OPERATION_ID_SIZE);
    supervisor_mark_dirty(supervisor);
    if (result == OPERATIONS_JOINED)
        return 0;
    if (request->kind == FLOCKS_OPERATION_KIND_SHUTDOWN) {
        supervisor->is_leaving = true;
        supervisor_daemon_changed(supervisor);
    }
    supervisor_run_operation(supervisor, operation);
    return 0;
}

/* ---- waiting ---- */

static bool is_satisfied(const struct operation *operation, const struct supervisor_wait *wait)
{
    if (operation_has_ended(operation))
        return true;
    return wait->what == SUPERVISOR_WAIT_CHANGE && operation->told_revision > wait->seen_revision;
}

int supervisor_refuse_unknown_operation(const char *id, struct error *error)
{
    int result = refuse(error, STATUS_NOT_FOUND, FLOCKS_ERROR_REASON_UNKNOWN_OPERATION, "",
        "no such operation, or it ended more than an hour ago");

    (void)error_add_context(error, result, "operation %s", id);
    return result;
}

int supervisor_wait(struct supervisor *supervisor, const char *id, enum supervisor_wait_for what,
    uint32_t seen_revision, void (*done)(void *data), void *data, struct supervisor_wait **out,
    struct error *error)
{
    struct operation *operation = operations_find(&supervisor->operations, id);
    const struct supervisor_wait wanted = {.supervisor = supervisor,
        .what = what,
        .seen_revision = seen_revision,
        .done = done,
        .data = data};
    struct supervisor_wait *wait;

    if (operation == NULL)
        return supervisor_refuse_unknown_operation(id, error);
    if (is_satisfied(operation, &wanted))
        return SUPERVISOR_ALREADY;
    if (supervisor->n_waits >= SUPERVISOR_WAITS_MAX)
        return refuse(error, STATUS_RESOURCE_EXHAUSTED, FLOCKS_ERROR_REASON_LIMIT_REACHED, "",
            "too many callers wait for operations");
    wait = malloc(sizeof *wait);
    if (wait == NULL)
        return error_set_errno(error, ENOMEM, "wait for an operation");
    *wait = wanted;
    list_append(&operation->waits, &wait->link);
    supervisor->n_waits++;
    *out = wait;
    return 0;
}

void supervisor_wait_cancel(struct supervisor_wait *wait)
{
    if (wait == NULL)
        return;
    list_remove(&wait->link);
    wait->supervisor->n_waits--;
    free(wait);
}

void supervisor_drop_waits(struct supervisor *supervisor)
{
    LIST_FOR_EACH(link, &supervisor->operations.all)
    {
        struct operation *operation = CONTAINER_OF(link, struct operation, link);

        LIST_FOR_EACH_SAFE(wait, &operation->waits)
        supervisor_wait_cancel(CONTAINER_OF(wait, struct supervisor_wait, link));
    }
}

/* Any of them may make new waits or cancel others, so each is taken from the list anew. */
static void tell_waiters(const struct supervisor *supervisor, struct operation *operation)
{
    struct list pending;

    list_init(&pending);
    list_move_all(&pending, &operation->waits);
    while (!list_is_empty(&pending)) {
        struct supervisor_wait *wait = CONTAINER_OF(pending.next, struct supervisor_wait, link);
        void (*done)(void *data) = wait->done;
        void *data = wait->data;

        list_remove(&wait->link);
        if (!is_satisfied(operation, wait)) {
            list_append(&operation->waits, &wait->link);
            continue;
        }
        supervisor_wait_cancel(wait);
        /* One of them may have closed the supervisor: the rest are not called. */
        if (!supervisor->is_closing)
            done(data);
    }
}

/* ---- time ---- */

/* The work goes on; only the operation ends. A stop that had not come to its turn is told now. */
static void expire(struct supervisor *supervisor, struct operation *operation)
{
    for (size_t i = 0; i < operation->n_steps; i++) {
        struct operation_step *step = &operation->steps[i];
        struct service *service = supervisor_at(supervisor, step->slot);

        if (supervisor_step_has_ended(step))
            continue;
        if (!step->issued && (ends_services(operation->kind) ||
                                 operation->kind == FLOCKS_OPERATION_KIND_APPLY_CONFIG))
            supervisor_issue(service, step);
        if (!supervisor_step_has_ended(step))
            supervisor_end_step(service, step,
                has_survivors(service) ? FLOCKS_OPERATION_STATE_FAILED
                                       : FLOCKS_OPERATION_STATE_DEADLINE_EXCEEDED,
                NULL);
    }
    for (size_t i = 0; i < operation->n_steps; i++) {
        struct service *service = supervisor_at(supervisor, operation->steps[i].slot);

        /* NULL: its step ended long ago, and so did it. */
        if (service != NULL)
            supervisor_advance(service);
    }
    supervisor_mark_dirty(supervisor);
}

static void on_operations_timer(uv_timer_t *timer)
{
    /* The work is done before the loop sleeps again (on_prepare). */
    (void)timer;
}

static void arm_operations(struct supervisor *supervisor)
{
    int64_t due_at = operations_due_at(&supervisor->operations);
    int64_t now = clock_monotonic_ms();

    if (due_at == CLOCK_NEVER || !supervisor->is_reconciled) {
        (void)uv_timer_stop(&supervisor->operations_timer);
        return;
    }
    (void)uv_timer_start(&supervisor->operations_timer, on_operations_timer,
        due_at > now ? (uint64_t)(due_at - now) : 0, 0);
}

void supervisor_expire_operations(struct supervisor *supervisor)
{
    int64_t now = clock_monotonic_ms();
    struct operation *operation;

    if (!supervisor->is_reconciled)
        return;
    while ((operation = operations_find_overdue(&supervisor->operations, now)) != NULL)
        expire(supervisor, operation);
    operations_forget(&supervisor->operations, now);
    if (operations_due_at(&supervisor->operations) <= now)
        supervisor_mark_dirty(supervisor);
}

void supervisor_tell_waiters(struct supervisor *supervisor)
{
    struct operation *operation;

    while (!supervisor->is_closing &&
           (operation = operations_take_told(&supervisor->operations)) != NULL)
        tell_waiters(supervisor, operation);
    if (supervisor->is_closing)
        return;
    arm_operations(supervisor);
    if (supervisor->is_leaving && supervisor->is_reconciled && !is_anything_left(supervisor) &&
        !leases_are_busy(supervisor))
        supervisor_end(supervisor);
}

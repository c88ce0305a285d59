/* Leases meet services, files and processes: what is asked for is checked, actions are performed,
 * and what comes of them is fed back. Decisions are leases.h's. */
#include "server/supervise/supervisor_leases.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/supervise/lease_private.h"

#define SAME_PHASE(name, number, shown, text)                                                      \
    _Static_assert((int)LEASE_##name > (int)LEASE_ROLLBACK_FAILED ||                               \
                       (int)LEASE_##name == (int)FLOCKS_UPGRADE_PHASE_##shown,                     \
        "one numbering");
LEASE_PHASES(SAME_PHASE)
#undef SAME_PHASE
_Static_assert((int)SUPERVISOR_LEASE_ID_SIZE == (int)LEASE_ID_SIZE, "one size");
_Static_assert((int)SUPERVISOR_OPERATION_ID_SIZE == (int)LEASE_ID_SIZE, "operation_id fits");

/* ---- what happens ---- */

void lease_explain(struct lease *lease, uint32_t error_reason, const char *format, ...)
{
    va_list arguments;

    if (lease_phase_shown(lease->facts.phase) == LEASE_ROLLING_BACK && lease->message[0] != '\0')
        return;
    va_start(arguments, format);
    /* clang-tidy 14 forgets va_start when it looks through a caller.
     * NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    (void)vsnprintf(lease->message, sizeof lease->message, format, arguments);
    va_end(arguments);
    lease->error_reason = error_reason;
}

void lease_changed(struct lease *lease)
{
    struct supervisor *supervisor = lease->supervisor;
    struct arena arena;
    const flocks_lease *message;

    supervisor->is_lease_turn_due = true;
    supervisor_mark_dirty(supervisor);
    upgrades_lease_changed(lease);
    for (size_t i = 0; i < lease->n_services; i++) {
        struct service *service = supervisor_find(supervisor, lease->services[i].name);

        if (service != NULL)
            supervisor_status_changed(service);
    }
    if (lease->facts.phase == LEASE_OPENING || lease->facts.phase == LEASE_DROPPED)
        return;
    arena_init(&arena, LEASE_EVENT_BYTES);
    message = lease_fill(lease, &arena);
    if (message != NULL)
        supervisor_lease_changed(supervisor, message);
    arena_deinit(&arena);
}

/* Services that died while they were held and that nobody starts otherwise. */
static void resume_paused(struct lease *lease)
{
    struct supervisor *supervisor = lease->supervisor;

    for (size_t i = 0; i < lease->n_services && supervisor->is_reconciled; i++) {
        struct service *service = supervisor_find(supervisor, lease->services[i].name);

        if (service != NULL && service->facts.state == SERVICE_PAUSED &&
            leases_pausing(&supervisor->leases, service->name) == NULL)
            service_ask(service, SERVICE_EVENT_START, FLOCKS_STATE_REASON_REQUESTED, false);
    }
}

static void begin_roll_back(struct lease *lease)
{
    const struct supervisor *supervisor = lease->supervisor;
    struct error error = ERROR_INIT;

    lease_gate_end(lease);
    lease_owner_forget(lease);
    lease_operation_end(lease, false);
    lease->failed_name = NULL;
    if (supervisor->is_taking_lost)
        return;
    lease->work = LEASE_WORK_UNDO;
    if (lease_operation_begin(lease, FLOCKS_OPERATION_KIND_ROLL_BACK, &error) < 0)
        log_warn("roll-back without an operation, for now", "lease=%s error=\"%s\"", lease->id,
            error.text);
}

static void close_lease(struct lease *lease)
{
    struct supervisor *supervisor = lease->supervisor;

    lease->ended_wall_ns = clock_wall_ns();
    supervisor->is_record_dirty |= lease->facts.phase != LEASE_DROPPED;
    lease_gate_end(lease);
    lease_owner_forget(lease);
    if (lease->facts.phase == LEASE_ROLLBACK_FAILED) {
        lease_operation_end(lease, true);
        return;
    }
    if (lease->facts.phase == LEASE_COMMITTED)
        lease->message[0] = '\0';
    lease_operation_advance(lease);
    resume_paused(lease);
}

void lease_perform(struct lease *lease, enum lease_action action)
{
    switch (action) {
    case LEASE_ACTION_START:
    case LEASE_ACTION_RESTORE:
        lease_operation_advance(lease);
        return;
    case LEASE_ACTION_SEAL:
        lease->work = LEASE_WORK_SEAL;
        return;
    case LEASE_ACTION_UNDO:
        begin_roll_back(lease);
        return;
    case LEASE_ACTION_CLOSE:
        close_lease(lease);
        return;
    }
}

static void tell_transition(
    const struct lease *lease, enum lease_phase from, enum lease_event event)
{
    log_info("lease changed", "id=%s owner=%s from=%s event=%s to=%s message=\"%s\"", lease->id,
        lease->owner, lease_phase_text(from), lease_event_text(event),
        lease_phase_text(lease->facts.phase), lease->message);
}

static bool feed(struct lease *lease, const struct lease_input *input)
{
    struct supervisor *supervisor = lease->supervisor;
    enum lease_phase from = lease->facts.phase;
    struct lease_step step = lease_machine_apply(&lease->facts, input);

    if (step.rule == LEASE_RULE_ILLEGAL)
        return false;
    lease->facts = step.facts;
    if (step.facts.phase != from)
        tell_transition(lease, from, input->event);
    if (step.has_action)
        lease_perform(lease, step.action);
    if (step.facts.phase == LEASE_HELD && lease->is_orphan && from == LEASE_OPENING)
        lease_facts_orphan(&lease->facts, input->now);
    if (supervisor->is_taking_lost)
        return true;
    lease_changed(lease);
    lease_work_run(supervisor);
    return true;
}

bool lease_feed(struct lease *lease, enum lease_event event)
{
    return feed(lease, &(struct lease_input){.event = event, .now = clock_monotonic_ms()});
}

/* ---- refusals ---- */

int lease_refuse(struct error *error, enum status_code code, enum flocks_error_reason reason,
    const struct lease *lease, const char *text)
{
    int result = error_set(error, code, "%s", text);

    if (error == NULL)
        return result;
    error->reason = (uint32_t)reason;
    if (lease != NULL)
        (void)snprintf(error->lease_id, sizeof error->lease_id, "%s", lease->id);
    return result;
}

/* ABORTED, LEASE_ENDED. NULL: nobody knows it any more. */
static int refuse_ended(const struct lease *lease, const char *id, struct error *error)
{
    char text[ERROR_TEXT_MAX];

    if (lease == NULL)
        (void)snprintf(text, sizeof text, "there is no lease %s", id);
    else
        (void)snprintf(text, sizeof text, "the lease %s is over (%s)%s%s", id,
            lease_phase_text(lease_phase_shown(lease->facts.phase)),
            lease->message[0] != '\0' ? ": " : "", lease->message);
    return lease_refuse(error, STATUS_ABORTED, FLOCKS_ERROR_REASON_LEASE_ENDED, lease, text);
}

int lease_refuse_held(const struct service *service, const struct lease *lease, struct error *error)
{
    char text[ERROR_TEXT_MAX];
    int result;

    (void)snprintf(text, sizeof text, "%s is under the lease of %s (%s)", service->name,
        lease->owner[0] != '\0' ? lease->owner : "somebody",
        lease_phase_text(lease_phase_shown(lease->facts.phase)));
    result = lease_refuse(error, STATUS_ABORTED, FLOCKS_ERROR_REASON_LEASE_HELD, lease, text);
    if (error != NULL)
        (void)snprintf(error->subject, sizeof error->subject, "%s", service->name);
    error_set_hint(error, "wait for its end; a stop of the service ends it, too");
    return result;
}

int leases_refuse(
    const struct supervisor *supervisor, const uint32_t *slots, size_t n_slots, struct error *error)
{
    for (size_t i = 0; i < n_slots; i++) {
        const struct service *service = supervisor_at(supervisor, slots[i]);
        const struct lease *lease =
            service != NULL ? leases_holding(&supervisor->leases, service->name) : NULL;

        if (lease != NULL && lease->facts.phase != LEASE_ROLLBACK_FAILED)
            return lease_refuse_held(service, lease, error);
    }
    return 0;
}

/* ---- renew, commit, abort ---- */

/* Somebody may still do something with it. */
static bool is_alive(const struct lease *lease)
{
    return lease != NULL && !lease_phase_is_final(lease->facts.phase) &&
           lease_phase_shown(lease->facts.phase) != LEASE_ROLLING_BACK;
}

int supervisor_renew_lease(struct supervisor *supervisor, const char *id, int64_t ttl_ms,
    int32_t owner_pid, struct error *error)
{
    struct lease *lease = leases_find(&supervisor->leases, id);

    if (!is_alive(lease))
        return refuse_ended(lease, id, error);
    if (lease->facts.phase != LEASE_HELD)
        return 0;
    (void)feed(
        lease, &(struct lease_input){
                   .event = LEASE_EVENT_RENEW, .now = clock_monotonic_ms(), .ttl_ms = ttl_ms});
    lease_owner_watch(lease, owner_pid);
    return 0;
}

static int check_version(const struct supervisor *supervisor, const struct lease *lease,
    const struct supervisor_version *version, struct error *error)
{
    const struct service *service = supervisor_find(supervisor, version->service);
    const struct leased_service *leased = lease_find_service(lease, version->service);
    int result;

    if (service == NULL)
        return supervisor_refuse_unknown(supervisor, version->service, error);
    if (leased != NULL && service->config->version != NULL &&
        service->config->version->http != NULL)
        return 0;
    result =
        error_set(error, STATUS_FAILED_PRECONDITION, "expected_versions: %s %s", version->service,
            leased == NULL ? "is not under the lease" : "does not say where it tells its version");
    if (error != NULL)
        (void)snprintf(error->subject, sizeof error->subject, "%s", service->name);
    if (leased != NULL)
        error_set_hint(error, "configure it: version: {http: {path: ...}, member: version}");
    return result;
}

static int take_versions(const struct supervisor *supervisor, struct lease *lease,
    const struct supervisor_commit *commit, struct error *error)
{
    int result = 0;

    for (size_t i = 0; i < commit->n_versions && result == 0; i++)
        result = check_version(supervisor, lease, &commit->versions[i], error);
    for (size_t i = 0; i < commit->n_versions && result == 0; i++) {
        if (!lease_expect(lease_find_service(lease, commit->versions[i].service),
                commit->versions[i].version))
            result = error_set_errno(error, ENOMEM, "commit the upgrade");
    }
    return result;
}

int supervisor_commit_lease(struct supervisor *supervisor, const struct supervisor_commit *commit,
    char out_operation_id[SUPERVISOR_OPERATION_ID_SIZE], struct error *error)
{
    struct lease *lease = leases_find(&supervisor->leases, commit->lease_id);
    enum lease_phase phase = lease != NULL ? lease->facts.phase : LEASE_DROPPED;
    int result;

    if (lease == NULL || lease_table_rule(phase, LEASE_EVENT_COMMIT) == LEASE_RULE_ILLEGAL)
        return refuse_ended(lease, commit->lease_id, error);
    if (phase == LEASE_HELD) {
        result = take_versions(supervisor, lease, commit, error);
        if (result == 0)
            result = lease_operation_begin(lease, FLOCKS_OPERATION_KIND_COMMIT_UPGRADE, error);
        if (result < 0)
            return result;
        lease_owner_forget(lease);
        (void)feed(lease, &(struct lease_input){.event = LEASE_EVENT_COMMIT,
                              .now = clock_monotonic_ms(),
                              .start_timeout_ms = commit->start_timeout_ms,
                              .observe_ms = commit->observe_ms});
        supervisor_save(supervisor);
    }
    memcpy(out_operation_id, lease->operation_id, sizeof lease->operation_id);
    return 0;
}

int supervisor_abort_lease(struct supervisor *supervisor, const char *id, const char *reason,
    char out_operation_id[SUPERVISOR_OPERATION_ID_SIZE], struct error *error)
{
    struct lease *lease = leases_find(&supervisor->leases, id);
    bool is_legal = lease != NULL && !lease->facts.is_settled &&
                    lease_table_rule(lease->facts.phase, LEASE_EVENT_ABORT) != LEASE_RULE_ILLEGAL;

    if (!is_legal)
        return refuse_ended(lease, id, error);
    if (lease_phase_shown(lease->facts.phase) != LEASE_ROLLING_BACK &&
        lease->facts.phase != LEASE_ROLLED_BACK)
        lease_explain(lease, 0, "aborted%s%.200s", reason[0] != '\0' ? ": " : "", reason);
    (void)lease_feed(lease, LEASE_EVENT_ABORT);
    supervisor_save(supervisor);
    memcpy(out_operation_id, lease->operation_id, sizeof lease->operation_id);
    return 0;
}

/* ---- people and leases ---- */

int leases_check_live(
    const struct supervisor *supervisor, const char *lease_id, struct error *error)
{
    const struct lease *lease = leases_find(&supervisor->leases, lease_id);

    return is_alive(lease) ? 0 : refuse_ended(lease, lease_id, error);
}

int leases_check_stop(const struct supervisor *supervisor, const char *lease_id,
    const uint32_t *slots, size_t n_slots, struct error *error)
{
    const struct lease *lease = leases_find(&supervisor->leases, lease_id);

    assert(lease != NULL);
    for (size_t i = 0; i < n_slots; i++) {
        const struct service *service = supervisor_at(supervisor, slots[i]);

        if (lease->facts.phase != LEASE_HELD)
            return lease_refuse_held(service, lease, error);
        if (lease_find_service(lease, service->name) == NULL) {
            int result = error_set(error, STATUS_FAILED_PRECONDITION,
                "%s is not under the lease %s", service->name, lease_id);

            if (error != NULL)
                (void)snprintf(error->subject, sizeof error->subject, "%s", service->name);
            return result;
        }
    }
    return 0;
}

size_t leases_choose(const struct supervisor *supervisor, const char *lease_id, uint32_t *out_slots)
{
    const struct lease *lease = leases_find(&supervisor->leases, lease_id);
    size_t n = 0;

    for (size_t i = 0; lease != NULL && i < lease->n_services; i++) {
        const struct service *service = supervisor_find(supervisor, lease->services[i].name);

        if (service != NULL)
            out_slots[n++] = service->slot;
    }
    return n;
}

void leases_stopped(struct supervisor *supervisor, const uint32_t *slots, size_t n_slots, bool all)
{
    for (size_t i = 0; i < n_slots; i++) {
        struct service *service = supervisor_at(supervisor, slots[i]);
        struct lease *lease =
            service != NULL ? leases_holding(&supervisor->leases, service->name) : NULL;

        if (lease == NULL)
            continue;
        lease_find_service(lease, service->name)->wanted = false;
        supervisor->is_record_dirty = true;
    }
    LIST_FOR_EACH_SAFE(link, &supervisor->leases.all)
    {
        struct lease *lease = CONTAINER_OF(link, struct lease, link);
        bool is_meant = all;

        for (size_t i = 0; i < n_slots && !is_meant; i++) {
            const struct service *service = supervisor_at(supervisor, slots[i]);

            is_meant = service != NULL && lease_holds_service(lease, service->name);
        }
        if (!is_meant || !lease_holds(lease))
            continue;
        (void)lease_refuse(&lease->refusal, STATUS_ABORTED, FLOCKS_ERROR_REASON_PREEMPTED, NULL,
            "a stop came first");
        if (lease->facts.phase != LEASE_ROLLBACK_FAILED)
            lease_explain(lease, FLOCKS_ERROR_REASON_PREEMPTED, "%s",
                all ? "the daemon was shut down" : "its services were stopped");
        (void)lease_feed(lease, LEASE_EVENT_STOP);
    }
}

void leases_released(struct supervisor *supervisor, const uint32_t *slots, size_t n_slots)
{
    for (size_t i = 0; i < n_slots; i++) {
        struct service *service = supervisor_at(supervisor, slots[i]);
        struct lease *lease =
            service != NULL ? leases_holding(&supervisor->leases, service->name) : NULL;

        if (lease == NULL || lease->facts.phase != LEASE_ROLLBACK_FAILED)
            continue;
        log_info(
            "paused service released by a person", "name=%s lease=%s", service->name, lease->id);
        /* What the links are is a person's business from now on. */
        lease_forget_undo(lease);
        (void)lease_release(lease, lease_find_service(lease, service->name));
        supervisor->is_record_dirty = true;
        lease_changed(lease);
    }
}

/* What leases do by themselves: in time, after a take-over, and when both processes had died. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/supervise/lease_disk.h"
#include "server/supervise/lease_private.h"
#include "server/supervise/lease_state.h"

/* ---- turns ---- */

static void turn_restoring(struct lease *lease)
{
    struct supervisor *supervisor = lease->supervisor;
    const struct operation *operation;
    struct error error = ERROR_INIT;

    if (!lease->has_operation) {
        if (lease_operation_begin(lease, FLOCKS_OPERATION_KIND_ROLL_BACK, &error) < 0) {
            lease->facts.due_at = clock_add_ms(clock_monotonic_ms(), LEASE_RETRY_MS);
            return;
        }
        lease_operation_advance(lease);
    }
    if (!lease_operation_is_over(lease))
        return;
    operation = operations_find(&supervisor->operations, lease->operation_id);
    if (operation != NULL && operation->state == FLOCKS_OPERATION_STATE_FAILED)
        log_warn("links are back, but not every service is", "lease=%s operation=%s", lease->id,
            operation->id);
    (void)lease_feed(lease, LEASE_EVENT_STARTED);
}

static void turn_lease(struct lease *lease, int64_t now)
{
    switch (lease->facts.phase) {
    case LEASE_HELD:
        if (now < lease->facts.due_at)
            return;
        lease_explain(lease, 0, "%s",
            lease->is_orphan ? "its holder died" : "its holder did not renew it in time");
        (void)lease_feed(lease, LEASE_EVENT_DUE);
        return;
    case LEASE_COMMITTING:
    case LEASE_OBSERVING:
        lease_gate_turn(lease, now);
        return;
    case LEASE_SEALING:
        (void)lease_feed(lease, LEASE_EVENT_DUE);
        return;
    case LEASE_RESTORING:
        turn_restoring(lease);
        return;
    case LEASE_OPENING:
    case LEASE_ROLLING_BACK:
    case LEASE_COMMITTED:
    case LEASE_ROLLED_BACK:
    case LEASE_ROLLBACK_FAILED:
    case LEASE_DROPPED:
    case LEASE_PHASE_END:
        return;
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct supervisor *supervisor = timer->data;

    supervisor->is_lease_turn_due = true;
}

static void arm(struct supervisor *supervisor, int64_t now)
{
    int64_t due_at = leases_due_at(&supervisor->leases);

    if (supervisor->is_record_dirty && supervisor->is_record_failing &&
        supervisor->record_retry_at < due_at)
        due_at = supervisor->record_retry_at;
    if (due_at == CLOCK_NEVER) {
        (void)uv_timer_stop(&supervisor->lease_timer);
        return;
    }
    uv_update_time(supervisor->loop);
    (void)uv_timer_start(
        &supervisor->lease_timer, on_timer, due_at > now ? (uint64_t)(due_at - now) : 0, 0);
}

void leases_turn(struct supervisor *supervisor)
{
    int64_t now;

    if (!supervisor->is_lease_turn_due || !supervisor->is_reconciled)
        return;
    supervisor->is_lease_turn_due = false;
    now = clock_monotonic_ms();
    LIST_FOR_EACH_SAFE(link, &supervisor->leases.all)
    turn_lease(CONTAINER_OF(link, struct lease, link), now);
    leases_forget(&supervisor->leases);
    lease_work_run(supervisor);
    arm(supervisor, now);
}

bool leases_are_busy(const struct supervisor *supervisor)
{
    LIST_FOR_EACH(link, &supervisor->leases.all)
    {
        const struct lease *lease = CONTAINER_OF(link, struct lease, link);

        if (!lease_phase_is_final(lease->facts.phase))
            return true;
    }
    return supervisor->lease_job != NULL ||
           (supervisor->is_record_dirty && !supervisor->is_record_failing);
}

/* ---- the beginning and the end ---- */

static void resume(struct lease *lease, int64_t now)
{
    struct lease_step step = lease_machine_resume(&lease->facts, now);

    lease->is_loaded = false;
    lease->facts = step.facts;
    if (lease->facts.phase == LEASE_HELD)
        lease_owner_watch(lease, lease->owner_pid);
    if (lease->facts.phase == LEASE_HELD && lease->facts.due_at < now + LEASE_TAKEOVER_MS)
        lease->facts.due_at = now + LEASE_TAKEOVER_MS;
    /* Who has asked again meanwhile waits for it. */
    if (lease->facts.phase == LEASE_DROPPED)
        (void)error_set(&lease->refusal, STATUS_UNAVAILABLE,
            "flocksd was replaced before the lease was recorded; ask again");
    if (step.has_action && step.action == LEASE_ACTION_UNDO)
        lease->work = LEASE_WORK_UNDO;
    else if (step.has_action)
        lease_perform(lease, step.action);
}

void leases_resume(struct supervisor *supervisor)
{
    int64_t now = clock_monotonic_ms();

    /* The flocksd before may have been killed while it wrote. */
    supervisor->is_record_dirty |= !list_is_empty(&supervisor->leases.all) ||
                                   !list_is_empty(&supervisor->upgrades.all) ||
                                   lease_disk_has_record(supervisor->run);
    LIST_FOR_EACH_SAFE(link, &supervisor->leases.all)
    {
        struct lease *lease = CONTAINER_OF(link, struct lease, link);

        /* Clients are served before the keeper has answered: some may be our own. */
        if (lease->is_loaded)
            resume(lease, now);
    }
    upgrades_resume(supervisor);
    supervisor->is_lease_turn_due = true;
    lease_work_run(supervisor);
}

void leases_open(struct supervisor *supervisor)
{
    (void)uv_timer_init(supervisor->loop, &supervisor->lease_timer);
    supervisor->lease_timer.data = supervisor;
}

void leases_close(struct supervisor *supervisor)
{
    lease_work_detach(supervisor);
    LIST_FOR_EACH(link, &supervisor->leases.all)
    {
        struct lease *lease = CONTAINER_OF(link, struct lease, link);

        lease_gate_end(lease);
        lease_owner_forget(lease);
        lease_drop_waits(lease);
    }
}

/* ---- run/lease.pb ---- */

/* The state that it was part of is gone: whatever was not committed is undone before anything is
 * started. Nothing is supervised yet, so this may wait for the disk. */
static void undo_lost(struct lease *lease)
{
    struct supervisor *supervisor = lease->supervisor;
    struct error error = ERROR_INIT;
    int result = 0;

    for (size_t i = 0; i < lease->n_undo; i++) {
        struct error one = ERROR_INIT;

        if (lease_disk_restore_link(&lease->undo[i], &one) < 0 && result == 0) {
            result = -(int)one.code;
            error = one;
        }
    }
    for (size_t i = 0; i < lease->n_services; i++) {
        struct service *service = supervisor_find(supervisor, lease->services[i].name);

        if (service == NULL)
            lease->services[i].released = true;
        else if (lease->services[i].wanted)
            service->is_owed = true;
    }
    if (result < 0) {
        (void)snprintf(lease->message, sizeof lease->message, "%.250s", error.text);
        lease->error_reason = FLOCKS_ERROR_REASON_SYSTEM;
        log_error("link not put back", "lease=%s error=\"%s\"", lease->id, error.text);
        (void)lease_feed(lease, LEASE_EVENT_STUCK);
        return;
    }
    (void)lease_feed(lease, LEASE_EVENT_RESTORED);
    (void)lease_feed(lease, LEASE_EVENT_STARTED);
}

static void take_lost(struct supervisor *supervisor)
{
    LIST_FOR_EACH(link, &supervisor->leases.all)
    {
        struct lease *lease = CONTAINER_OF(link, struct lease, link);

        lease->supervisor = supervisor;
        if (lease_phase_is_final(lease->facts.phase) && lease->facts.phase != LEASE_ROLLBACK_FAILED)
            continue;
        lease->message[0] = '\0';
        lease_explain(lease, 0, "the daemon and its keeper died");
        if (lease_feed(lease, LEASE_EVENT_LOST) && lease->facts.phase == LEASE_ROLLING_BACK)
            undo_lost(lease);
    }
}

static int refuse_unreadable(
    const struct supervisor *supervisor, const struct error *why, struct error *error)
{
    char aside[PATH_MAX];
    int result = lease_disk_put_aside(supervisor->run, aside, sizeof aside, error);

    if (result < 0)
        return result;
    result = error_set(error, STATUS_DATA_LOSS,
        "the record of leases cannot be read (%s); it is kept as %s", why->text, aside);
    error_set_hint(error, "see that no upgrade was left half-done, then start again");
    return result;
}

int leases_begin_afresh(struct supervisor *supervisor, struct error *error)
{
    struct error why = ERROR_INIT;
    uint8_t *bytes = NULL;
    size_t len = 0;
    int result = lease_disk_read(supervisor->run, &bytes, &len, error);

    if (result != 0)
        return result == LEASE_DISK_NONE ? 0 : result;
    result = lease_record_unpack(&supervisor->leases, &supervisor->upgrades, bytes, len, &why);
    free(bytes);
    if (result < 0)
        return refuse_unreadable(supervisor, &why, error);
    supervisor->is_taking_lost = true;
    take_lost(supervisor);
    supervisor->is_taking_lost = false;
    return 0;
}

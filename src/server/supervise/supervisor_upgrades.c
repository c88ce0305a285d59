/* What updaters tell meets leases and processes: it is kept, and it is noticed when nobody is left
 * to tell more. */
#include "server/supervise/supervisor_upgrades.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/supervise/lease_private.h"
#include "server/supervise/process_watch.h"
#include "server/supervise/upgrade_private.h"

_Static_assert((int)SUPERVISOR_UPGRADE_ID_SIZE == (int)UPGRADE_ID_SIZE, "one size");
_Static_assert((int)UPGRADE_ID_SIZE == (int)LEASE_ID_SIZE, "either may be looked for");
_Static_assert((int)UPGRADE_REQUEST_ID_SIZE == (int)LEASE_REQUEST_ID_SIZE, "one rule");

void upgrade_changed(struct supervisor *supervisor, bool matters)
{
    supervisor->are_upgrades_news = true;
    if (!matters) {
        supervisor_mark_stale(supervisor, clock_monotonic_ms());
        return;
    }
    supervisor_mark_dirty(supervisor);
    supervisor->is_record_dirty = true;
    supervisor->is_lease_turn_due = true;
}

/* ---- its updater ---- */

void upgrade_forget_reporter(struct upgrade *upgrade)
{
    process_watch_close(upgrade->watch);
    upgrade->watch = NULL;
}

static void on_reporter_gone(void *data)
{
    struct upgrade *upgrade = data;

    upgrade_forget_reporter(upgrade);
    if (upgrade->is_over)
        return;
    upgrade->is_orphan = true;
    log_info("updater is gone", "id=%s pid=%d", upgrade->id, (int)upgrade->reporter_pid);
    upgrade_changed(upgrade->supervisor, true);
    upgrade_care_soon(upgrade->supervisor, 0);
}

/* Who reports is not known: it is alive as long as it reports. */
static void expect_word(struct upgrade *upgrade)
{
    upgrade->silent_at = clock_add_ms(clock_monotonic_ms(), UPGRADE_SILENCE_MS);
    upgrade_care_soon(upgrade->supervisor, UPGRADE_SILENCE_MS);
}

void upgrade_watch_reporter(struct upgrade *upgrade, int32_t pid)
{
    const struct supervisor *supervisor = upgrade->supervisor;
    struct process_watch *watch = NULL;
    int result;

    if (pid <= 0) {
        if (upgrade->watch == NULL)
            expect_word(upgrade);
        return;
    }
    if (upgrade->watch != NULL && pid == upgrade->reporter_pid)
        return;
    upgrade_forget_reporter(upgrade);
    if (pid != upgrade->reporter_pid)
        upgrade->reporter_start_ticks = 0;
    upgrade->reporter_pid = pid;
    upgrade->is_orphan = false;
    result = process_watch_open(
        supervisor->loop, pid, &upgrade->reporter_start_ticks, on_reporter_gone, upgrade, &watch);
    upgrade->watch = watch;
    if (result == PROCESS_WATCH_GONE)
        on_reporter_gone(upgrade);
}

/* ---- what it tells ---- */

/* A report may name the lease, or the lease the upgrade (request_id), whichever is first. */
static void join_lease(const struct supervisor *supervisor, struct upgrade *upgrade)
{
    LIST_FOR_EACH(link, &supervisor->leases.all)
    {
        const struct lease *lease = CONTAINER_OF(link, struct lease, link);

        if (strcmp(lease->request_id, upgrade->id) == 0 ||
            strcmp(lease->id, upgrade->lease_id) == 0) {
            memcpy(upgrade->lease_id, lease->id, sizeof lease->id);
            upgrade->phase = flocks_upgrade_phase_from(lease_phase_shown(lease->facts.phase));
        }
    }
}

void upgrades_lease_changed(struct lease *lease)
{
    struct supervisor *supervisor = lease->supervisor;
    struct upgrade *upgrade = upgrades_find(&supervisor->upgrades, lease->id);

    supervisor->are_upgrades_news = true;
    if (upgrade == NULL)
        upgrade = upgrades_find(&supervisor->upgrades, lease->request_id);
    if (upgrade != NULL)
        join_lease(supervisor, upgrade);
    /* Its updater completes what it began; where it does not, somebody has to. */
    if (lease->n_undo > 0 && lease_phase_is_final(lease->facts.phase))
        upgrade_care_soon(supervisor, UPGRADE_CARE_MS);
}

static int refuse_id(struct error *error)
{
    return error_set(error, STATUS_INVALID_ARGUMENT,
        "progress.upgrade_id: must be 1 to %d letters and digits", (int)UPGRADE_ID_SIZE - 1);
}

int supervisor_report_upgrade(struct supervisor *supervisor,
    const flocks_upgrade_progress *progress, int32_t pid, bool *out_abort, struct error *error)
{
    struct upgrade *upgrade;
    bool matters = false;
    bool is_new;
    int result = 0;

    *out_abort = false;
    if (progress == NULL || !upgrade_id_is_good(progress->upgrade_id))
        return refuse_id(error);
    upgrade = upgrades_find(&supervisor->upgrades, progress->upgrade_id);
    is_new = upgrade == NULL;
    if (is_new)
        result = upgrades_add(
            &supervisor->upgrades, progress->upgrade_id, clock_wall_ns(), &upgrade, error);
    if (result < 0)
        return result;
    upgrade->supervisor = supervisor;
    result = upgrade_report(upgrade, progress, clock_wall_ns(), &matters, error);
    if (result < 0 && is_new)
        upgrade_free(upgrade);
    if (result != 0)
        return result == UPGRADE_LATE ? 0 : result;
    if (matters)
        log_info("upgrade goes on", "id=%s step=%s pid=%d", upgrade->id,
            flocks_upgrade_step_name(upgrade->step), (int)pid);
    join_lease(supervisor, upgrade);
    if (upgrade->is_over)
        upgrade_forget_reporter(upgrade);
    else
        upgrade_watch_reporter(upgrade, pid);
    upgrade_changed(supervisor, matters);
    *out_abort = upgrade->is_abort_asked;
    return 0;
}

/* ---- its end ---- */

static int refuse_committed(const struct upgrade *upgrade, struct error *error)
{
    int result = error_set(error, STATUS_ABORTED, "the upgrade %s is committed", upgrade->id);

    if (error != NULL)
        error->reason = FLOCKS_ERROR_REASON_LEASE_ENDED;
    error_set_hint(error, "flocks update --rollback goes back to the version before");
    return result;
}

int supervisor_abort_upgrade(struct supervisor *supervisor, const char *id, const char *reason,
    char out_operation_id[SUPERVISOR_OPERATION_ID_SIZE], struct error *error)
{
    struct upgrade *upgrade = upgrades_find(&supervisor->upgrades, id);
    const char *lease_id = upgrade != NULL ? upgrade->lease_id : id;
    const struct lease *lease = leases_find(&supervisor->leases, lease_id);

    out_operation_id[0] = '\0';
    if (lease != NULL) {
        int result = supervisor_abort_lease(supervisor, lease->id, reason, out_operation_id, error);

        if (result < 0)
            return result;
    }
    if (upgrade == NULL)
        return lease != NULL
                   ? 0
                   : supervisor_abort_lease(supervisor, id, reason, out_operation_id, error);
    if (upgrade->phase == FLOCKS_UPGRADE_PHASE_COMMITTED)
        return refuse_committed(upgrade, error);
    if (upgrade->is_over || upgrade->is_abort_asked)
        return 0;
    upgrade->is_abort_asked = true;
    (void)snprintf(upgrade->abort_reason, sizeof upgrade->abort_reason, "%s", reason);
    log_info("upgrade is to end", "id=%s reason=\"%s\"", upgrade->id, upgrade->abort_reason);
    upgrade_changed(supervisor, true);
    supervisor_save(supervisor);
    return 0;
}

/* ---- the beginning and the end ---- */

void upgrades_resume(struct supervisor *supervisor)
{
    LIST_FOR_EACH(link, &supervisor->upgrades.all)
    {
        struct upgrade *upgrade = CONTAINER_OF(link, struct upgrade, link);

        upgrade->supervisor = supervisor;
        join_lease(supervisor, upgrade);
        if (!upgrade->is_over && upgrade->watch == NULL)
            upgrade_watch_reporter(upgrade, upgrade->reporter_pid);
    }
    upgrade_care_soon(supervisor, 0);
}

void upgrades_close(struct supervisor *supervisor)
{
    LIST_FOR_EACH(link, &supervisor->upgrades.all)
    upgrade_forget_reporter(CONTAINER_OF(link, struct upgrade, link));
    upgrade_care_end(supervisor);
    upgrade_watches_drop(supervisor);
}

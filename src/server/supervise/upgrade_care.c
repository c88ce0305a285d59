/* Upgrades that nobody is at any more: `flocks-update recover` is run for what one has left on the
 * disk, and where nothing is left the end is said in its place. Started updaters are reaped here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "flocks/v1/upgrade.info.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/schema/json_read.h"
#include "server/supervise/lease_private.h"
#include "server/supervise/process_watch.h"
#include "server/supervise/upgrade_private.h"

enum {
    /* What a result is read into. */
    RESULT_ARENA_BYTES = 1024 * 1024
};

/* ---- children ---- */

struct updater_child {
    struct list link; /* in care.children */
    struct supervisor *supervisor;
    struct process_watch *watch;
    pid_t pid;
};

static void free_child(struct updater_child *child)
{
    list_remove(&child->link);
    process_watch_close(child->watch);
    free(child);
}

static void on_child_ended(void *data)
{
    struct updater_child *child = data;
    struct supervisor *supervisor = child->supervisor;
    int status = 0;

    if (waitpid(child->pid, &status, WNOHANG) == child->pid)
        log_info("flocks-update ended", "pid=%d exit=%d signal=%d", (int)child->pid,
            WIFEXITED(status) ? WEXITSTATUS(status) : -1,
            WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    free_child(child);
    upgrade_care_soon(supervisor, 0);
}

void upgrade_care_child(struct supervisor *supervisor, pid_t pid)
{
    struct updater_child *child = calloc(1, sizeof *child);
    uint64_t start_ticks = 0;

    if (child == NULL)
        return;
    child->supervisor = supervisor;
    child->pid = pid;
    list_append(&supervisor->care.children, &child->link);
    /* It is ours, so its number is nobody else's before it is reaped. */
    if (process_watch_open(
            supervisor->loop, pid, &start_ticks, on_child_ended, child, &child->watch) != 0) {
        log_warn("flocks-update is not waited for", "pid=%d", (int)pid);
        free_child(child);
    }
}

/* ---- who is still at it ---- */

/* Somebody lives who will report, or may. */
static bool has_updater(const struct upgrade *upgrade, int64_t now)
{
    if (upgrade->is_starting || upgrade->watch != NULL)
        return true;
    return !upgrade->is_orphan && now < upgrade->silent_at;
}

static bool any_is_abandoned(const struct supervisor *supervisor, int64_t now)
{
    LIST_FOR_EACH(link, &supervisor->upgrades.all)
    {
        const struct upgrade *upgrade = CONTAINER_OF(link, struct upgrade, link);

        if (!upgrade->is_over && !has_updater(upgrade, now))
            return true;
    }
    return false;
}

/* Its lease goes on: what becomes of it is not known yet. */
static bool has_lease(const struct supervisor *supervisor, const struct upgrade *upgrade)
{
    const struct lease *lease = leases_find(&supervisor->leases, upgrade->lease_id);

    return lease != NULL && !lease_phase_is_final(lease->facts.phase);
}

/* ---- the end, said in its place ---- */

/* It had come so far as to write how it ended. NULL: it had not. */
static flocks_upgrade_progress *read_result(
    const struct upgrade *upgrade, const struct updater_outcome *outcome, struct arena *arena)
{
    ProtobufCMessage *message = NULL;
    flocks_upgrade_progress *progress;

    if (outcome->result == NULL ||
        json_read(outcome->result, outcome->result_len, &flocks_upgrade_progress_info, NULL, arena,
            &message, NULL, NULL) < 0)
        return NULL;
    progress = (flocks_upgrade_progress *)(void *)message;
    return strcmp(progress->upgrade_id, upgrade->id) == 0 ? progress : NULL;
}

static void tell_failure(const struct upgrade *upgrade, struct arena *arena,
    flocks_upgrade_progress *progress, flocks_error_detail *detail)
{
    bool is_back = upgrade->phase != FLOCKS_UPGRADE_PHASE_UNSPECIFIED;

    progress->code = STATUS_ABORTED;
    progress->error = detail;
    progress->message = is_back ? "the updater died; the version before serves again"
                                : "the updater died; nothing was changed";
    if (upgrade->phase == FLOCKS_UPGRADE_PHASE_ROLLBACK_FAILED) {
        progress->code = STATUS_FAILED_PRECONDITION;
        progress->message = "the updater died, and not every link could be put back";
        detail->hint = "flocks why says what is left to do";
    } else {
        detail->hint = "try again; logs/update.log may say why";
    }
    detail->attempted = progress->to_version[0] != '\0'
                            ? arena_printf(arena, "update to %.63s", progress->to_version)
                            : "update";
    if (detail->attempted == NULL)
        detail->attempted = "update";
}

/* From what was told last. */
static flocks_upgrade_progress *make_result(
    const struct upgrade *upgrade, struct arena *arena, flocks_error_detail *detail)
{
    flocks_upgrade_progress *progress = upgrade_last_report(upgrade, arena);

    if (progress == NULL)
        return NULL;
    if (upgrade->phase == FLOCKS_UPGRADE_PHASE_COMMITTED) {
        progress->message = "committed; the updater died before it said so";
        progress->error = NULL;
        progress->code = 0;
    } else {
        tell_failure(upgrade, arena, progress, detail);
    }
    return progress;
}

static void presume_over(struct upgrade *upgrade, const struct updater_outcome *outcome)
{
    flocks_error_detail detail = FLOCKS_ERROR_DETAIL_INIT;
    flocks_upgrade_progress *progress;
    struct error error = ERROR_INIT;
    struct arena arena;
    bool matters;

    arena_init(&arena, RESULT_ARENA_BYTES);
    progress = read_result(upgrade, outcome, &arena);
    if (progress == NULL)
        progress = make_result(upgrade, &arena, &detail);
    if (progress != NULL) {
        progress->upgrade_id = upgrade->id;
        progress->step = FLOCKS_UPGRADE_STEP_DONE;
        if (upgrade_report(upgrade, progress, clock_wall_ns(), &matters, &error) < 0)
            log_error("end of an upgrade not noted", "id=%s error=\"%s\"", upgrade->id, error.text);
        upgrade->is_presumed = upgrade->is_over;
    }
    arena_deinit(&arena);
    if (upgrade->is_over)
        log_info("upgrade is over, its updater did not say so", "id=%s", upgrade->id);
    upgrade_forget_reporter(upgrade);
    upgrade_changed(upgrade->supervisor, true);
}

/* ---- looking ---- */

static void presume_all(struct supervisor *supervisor, const struct updater_outcome *outcome)
{
    int64_t now = clock_monotonic_ms();

    LIST_FOR_EACH(link, &supervisor->upgrades.all)
    {
        struct upgrade *upgrade = CONTAINER_OF(link, struct upgrade, link);

        if (!upgrade->is_over && !has_updater(upgrade, now) && !has_lease(supervisor, upgrade))
            presume_over(upgrade, outcome);
    }
}

/* Later, and later each time. */
static void look_again(struct supervisor *supervisor)
{
    struct upgrade_care *care = &supervisor->care;
    int64_t pause_ms = care->pause_ms > 0 ? care->pause_ms : UPGRADE_CARE_MS;

    care->pause_ms = 2 * pause_ms < UPGRADE_CARE_MAX_MS ? 2 * pause_ms : UPGRADE_CARE_MAX_MS;
    upgrade_care_soon(supervisor, pause_ms);
}

static void on_looked(void *data, const struct updater_job *job)
{
    struct supervisor *supervisor = data;
    const struct updater_outcome *outcome = &job->outcome;

    supervisor->care.job = NULL;
    if (outcome->pid > 0) {
        log_info("flocks-update recovers", "pid=%d", (int)outcome->pid);
        upgrade_care_child(supervisor, outcome->pid);
        look_again(supervisor);
        return;
    }
    if (outcome->error.code != STATUS_OK) {
        /* Once, and not at every try. */
        if (supervisor->care.pause_ms == 0)
            log_error("upgrades not looked after", "error=\"%s\"", outcome->error.text);
        look_again(supervisor);
        return;
    }
    if (outcome->is_held) {
        /* Whoever has it is at it, and tells. */
        if (any_is_abandoned(supervisor, clock_monotonic_ms()))
            look_again(supervisor);
        return;
    }
    supervisor->care.pause_ms = 0;
    presume_all(supervisor, outcome);
    if (any_is_abandoned(supervisor, clock_monotonic_ms()))
        look_again(supervisor);
}

struct updater_job *upgrade_care_job(
    const struct supervisor *supervisor, enum updater_task task, const char *command)
{
    const struct config_request *config = supervisor->config_request;
    struct updater_job *job = updater_job_new(supervisor->root, task);
    bool is_whole = job != NULL && updater_job_add(job, "flocks-update", NULL) &&
                    updater_job_add(job, "--root", supervisor->root) &&
                    updater_job_add(job, "--socket", supervisor->socket);

    if (is_whole && config != NULL && config->file_is_named)
        is_whole = updater_job_add(job, "--config", config->file);
    if (is_whole && updater_job_add(job, command, NULL))
        return job;
    updater_job_free(job);
    return NULL;
}

static void look(struct supervisor *supervisor)
{
    struct updater_job *job = upgrade_care_job(supervisor, UPDATER_RECOVER, "recover");

    if (job == NULL || updater_job_run(job, supervisor->loop, on_looked, supervisor) < 0) {
        updater_job_free(job);
        look_again(supervisor);
        return;
    }
    supervisor->care.job = job;
}

static void arm(struct supervisor *supervisor);

static void on_timer(uv_timer_t *timer)
{
    struct supervisor *supervisor = timer->data;

    if (supervisor->care.job != NULL || !supervisor->is_reconciled || supervisor->is_leaving) {
        /* The end of the look, or of the beginning, is waited for; an end is none of ours. */
        if (!supervisor->is_leaving)
            upgrade_care_soon(supervisor, UPGRADE_CARE_MS);
        return;
    }
    if (clock_monotonic_ms() < supervisor->care.due_at) {
        arm(supervisor);
        return;
    }
    supervisor->care.due_at = CLOCK_NEVER;
    look(supervisor);
}

static void arm(struct supervisor *supervisor)
{
    int64_t now = clock_monotonic_ms();
    int64_t due_at = supervisor->care.due_at;

    uv_update_time(supervisor->loop);
    (void)uv_timer_start(
        &supervisor->care.timer, on_timer, due_at > now ? (uint64_t)(due_at - now) : 0, 0);
}

void upgrade_care_soon(struct supervisor *supervisor, int64_t ms)
{
    int64_t due_at = clock_add_ms(clock_monotonic_ms(), ms);

    /* Before the loop is ours the timer is none. */
    if (supervisor->is_closing || supervisor->care.timer.data == NULL ||
        (due_at >= supervisor->care.due_at && uv_is_active((uv_handle_t *)&supervisor->care.timer)))
        return;
    supervisor->care.due_at = due_at;
    arm(supervisor);
}

void upgrades_open(struct supervisor *supervisor)
{
    (void)uv_timer_init(supervisor->loop, &supervisor->care.timer);
    supervisor->care.timer.data = supervisor;
}

/* Those that run go on; the keeper reaps them. */
void upgrade_care_end(struct supervisor *supervisor)
{
    updater_job_detach(supervisor->care.job);
    supervisor->care.job = NULL;
    upgrade_starts_drop(supervisor);
    LIST_FOR_EACH_SAFE(link, &supervisor->care.children)
    free_child(CONTAINER_OF(link, struct updater_child, link));
}

/* StartUpdate: flocks-update run by the server, so that what asks for it may be stopped by it. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/supervise/lease_private.h"
#include "server/supervise/upgrade_private.h"

/* A run that is being made. Lives until it is, whoever waits for it. */
struct supervisor_update_wait {
    struct list link; /* in supervisor.upgrade_starts */
    struct supervisor *supervisor;
    struct updater_job *job;
    char id[UPGRADE_ID_SIZE];
    void (*done)(void *data, const struct error *error); /* NULL: nobody waits */
    void *data;
};

/* ---- what is asked for ---- */

/* Texts that become arguments and are shown: no lines, no terminal's commands. */
static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    }
    return true;
}

static int check_update(const struct supervisor_update *update, struct error *error)
{
    if (!is_plain(update->version) || !is_plain(update->source) || !is_plain(update->region))
        return error_set(error, STATUS_INVALID_ARGUMENT,
            "version, source and region are texts without control characters");
    if (update->roll_back &&
        (update->version[0] != '\0' || update->source[0] != '\0' || update->force))
        return error_set(
            error, STATUS_INVALID_ARGUMENT, "roll_back: not with version, source or force");
    return 0;
}

static int refuse_running(const char *who, struct error *error)
{
    char text[ERROR_TEXT_MAX];
    int result;

    (void)snprintf(text, sizeof text, "one upgrade at a time: %s", who);
    result =
        lease_refuse(error, STATUS_ALREADY_EXISTS, FLOCKS_ERROR_REASON_UPGRADE_RUNNING, NULL, text);
    error_set_hint(error, "WatchUpgrade shows how far it is, AbortUpgrade ends it");
    return result;
}

/* Whoever runs has the lock, but perhaps not yet. */
static int check_free(const struct supervisor *supervisor, struct error *error)
{
    char who[UPGRADE_ID_SIZE + 32];

    LIST_FOR_EACH(link, &supervisor->upgrades.all)
    {
        const struct upgrade *upgrade = CONTAINER_OF(link, struct upgrade, link);

        if (upgrade->is_over || upgrade->is_orphan)
            continue;
        (void)snprintf(who, sizeof who, "%s is under way", upgrade->id);
        return refuse_running(who, error);
    }
    return 0;
}

static bool add_text(struct updater_job *job, const char *name, const char *value)
{
    return value[0] == '\0' || updater_job_add(job, name, value);
}

static struct updater_job *make_job(
    const struct supervisor *supervisor, const struct supervisor_update *update, const char *id)
{
    struct updater_job *job = upgrade_care_job(supervisor, UPDATER_APPLY, "apply");
    char owner[64];

    (void)snprintf(owner, sizeof owner, "StartUpdate of process %d", (int)update->requester_pid);
    if (job != NULL && updater_job_add(job, "--upgrade-id", id) &&
        updater_job_add(job, "--owner", owner) && add_text(job, "--to", update->version) &&
        add_text(job, "--from", update->source) && add_text(job, "--region", update->region) &&
        (!update->force || updater_job_add(job, "--force", NULL)) &&
        (!update->roll_back || updater_job_add(job, "--rollback", NULL)))
        return job;
    updater_job_free(job);
    return NULL;
}

/* What is shown until the updater speaks. */
static int note_beginning(
    struct upgrade *upgrade, const struct supervisor_update *update, struct error *error)
{
    flocks_upgrade_progress progress = FLOCKS_UPGRADE_PROGRESS_INIT;
    bool matters;

    progress.upgrade_id = upgrade->id;
    progress.step = FLOCKS_UPGRADE_STEP_CHECKING;
    progress.message = "flocks-update is being run";
    progress.to_version = update->version;
    return upgrade_report(upgrade, &progress, upgrade->began_wall_ns, &matters, error);
}

/* ---- the run ---- */

static void end_wait(struct supervisor_update_wait *wait, const struct error *error)
{
    void (*done)(void *data, const struct error *error) = wait->done;
    void *data = wait->data;

    list_remove(&wait->link);
    free(wait);
    if (done != NULL)
        done(data, error);
}

static void on_started(void *data, const struct updater_job *job)
{
    struct supervisor_update_wait *wait = data;
    struct supervisor *supervisor = wait->supervisor;
    struct upgrade *upgrade = upgrades_find(&supervisor->upgrades, wait->id);
    const struct updater_outcome *outcome = &job->outcome;
    struct error error = outcome->error;
    char who[UPGRADE_LOCK_WHO_MAX + 64];

    if (outcome->pid > 0) {
        log_info("flocks-update runs", "id=%s pid=%d", wait->id, (int)outcome->pid);
        upgrade_care_child(supervisor, outcome->pid);
        if (upgrade != NULL) {
            upgrade->is_starting = false;
            /* It may have spoken before we heard that it runs. */
            if (upgrade->watch == NULL && !upgrade->is_over)
                upgrade_watch_reporter(upgrade, (int32_t)outcome->pid);
            upgrade_changed(supervisor, true);
        }
        end_wait(wait, NULL);
        return;
    }
    if (outcome->is_held) {
        (void)snprintf(who, sizeof who, "%s (pid %d) has the lock",
            outcome->holder.who[0] != '\0' ? outcome->holder.who : "somebody",
            (int)outcome->holder.pid);
        (void)refuse_running(who, &error);
    }
    if (upgrade != NULL) {
        upgrade_forget_reporter(upgrade);
        upgrade_free(upgrade);
    }
    upgrade_changed(supervisor, true);
    end_wait(wait, &error);
}

static int run(struct supervisor *supervisor, const struct supervisor_update *update,
    struct upgrade *upgrade, struct supervisor_update_wait **out, struct error *error)
{
    struct supervisor_update_wait *wait = calloc(1, sizeof *wait);
    struct updater_job *job = make_job(supervisor, update, upgrade->id);

    if (wait == NULL || job == NULL ||
        updater_job_run(job, supervisor->loop, on_started, wait) < 0) {
        free(wait);
        updater_job_free(job);
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory to run flocks-update");
    }
    list_append(&supervisor->upgrade_starts, &wait->link);
    wait->supervisor = supervisor;
    wait->job = job;
    memcpy(wait->id, upgrade->id, sizeof upgrade->id);
    upgrade->is_starting = true;
    *out = wait;
    return 0;
}

static int add_upgrade(struct supervisor *supervisor, const struct supervisor_update *update,
    struct upgrade **out, struct error *error)
{
    char id[LEASE_ID_SIZE];
    int result;

    if (!lease_make_id(id))
        return error_set(error, STATUS_UNAVAILABLE, "the system has no random numbers yet");
    result = upgrades_add(&supervisor->upgrades, id, clock_wall_ns(), out, error);
    if (result < 0)
        return result;
    (*out)->supervisor = supervisor;
    (void)snprintf((*out)->request_id, sizeof(*out)->request_id, "%s", update->request_id);
    result = note_beginning(*out, update, error);
    if (result < 0)
        upgrade_free(*out);
    return result;
}

int supervisor_start_update(struct supervisor *supervisor, const struct supervisor_update *update,
    char out_id[SUPERVISOR_UPGRADE_ID_SIZE], void (*done)(void *data, const struct error *error),
    void *data, struct supervisor_update_wait **out, struct error *error)
{
    struct upgrade *upgrade = upgrades_find_request(&supervisor->upgrades, update->request_id);
    int result;

    if (upgrade != NULL) {
        memcpy(out_id, upgrade->id, sizeof upgrade->id);
        return SUPERVISOR_UPDATE_KNOWN;
    }
    if (supervisor->is_leaving)
        return lease_refuse(error, STATUS_FAILED_PRECONDITION, FLOCKS_ERROR_REASON_SHUTTING_DOWN,
            NULL, "the daemon is shutting down");
    result = check_update(update, error);
    if (result == 0)
        result = check_free(supervisor, error);
    if (result == 0)
        result = add_upgrade(supervisor, update, &upgrade, error);
    if (result < 0)
        return result;
    assert(upgrade != NULL);
    /* Whoever asks the next flocksd with the same request_id must not get another one. */
    upgrade->is_starting = true;
    upgrade_changed(supervisor, true);
    supervisor_save(supervisor);
    result = run(supervisor, update, upgrade, out, error);
    if (result < 0) {
        upgrade_free(upgrade);
        return result;
    }
    memcpy(out_id, upgrade->id, sizeof upgrade->id);
    (*out)->done = done;
    (*out)->data = data;
    return 0;
}

void supervisor_update_wait_cancel(struct supervisor_update_wait *wait)
{
    if (wait != NULL)
        wait->done = NULL;
}

void upgrade_starts_drop(struct supervisor *supervisor)
{
    LIST_FOR_EACH_SAFE(link, &supervisor->upgrade_starts)
    {
        struct supervisor_update_wait *wait =
            CONTAINER_OF(link, struct supervisor_update_wait, link);

        updater_job_detach(wait->job);
        list_remove(&wait->link);
        free(wait);
    }
}

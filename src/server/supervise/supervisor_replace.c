/* Our own programs: the images of flocksd and keeper are opened beside the loop, tried out by the
 * keeper, and main gives its place to the next flocksd, which tells how it ended. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/supervise/supervisor_private.h"

enum { FLOCKSD, KEEPER, IMAGES };

static const char *const image_names[IMAGES] = {"flocksd", "flocks-keeper"};

/* Opening may wait for a disk. */
struct replacement_job {
    uv_work_t work;
    struct supervisor *supervisor; /* NULL: it is gone */
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    char expected[IMAGES][64]; /* versions; "": any */
    char paths[IMAGES][PATH_MAX];
    int fds[IMAGES];
    int failures[IMAGES];
    int32_t pids[IMAGES]; /* whose image it is, if nothing lies at its path any more; 0: nobody's */
};

static void job_free(struct replacement_job **job)
{
    if (*job == NULL)
        return;
    for (size_t i = 0; i < IMAGES; i++)
        fd_close(&(*job)->fds[i]);
    free(*job);
}

/* ---- the end ---- */

static void end(struct supervisor *supervisor, const char *id, enum flocks_operation_state state,
    const char *message)
{
    struct operation *operation = operations_find(&supervisor->operations, id);

    if (operation == NULL || operation_has_ended(operation))
        return;
    log_info("daemon replaced", "id=%s state=%s message=\"%s\"", id,
        flocks_operation_state_name(state), message);
    operation_end(operation, state, message, clock_monotonic_ms(), clock_wall_ns());
    supervisor_mark_dirty(supervisor);
}

void supervisor_replaced(void *data, const struct keeper_replaced *replaced)
{
    struct supervisor *supervisor = data;
    bool is_done = replaced->failure[0] == '\0';

    (void)snprintf(supervisor->keeper_version, sizeof supervisor->keeper_version, "%s",
        replaced->keeper_version);
    supervisor_daemon_changed(supervisor);
    end(supervisor, replaced->operation_id,
        is_done ? FLOCKS_OPERATION_STATE_SUCCEEDED : FLOCKS_OPERATION_STATE_FAILED,
        replaced->failure);
}

void supervisor_resume_replacement(struct supervisor *supervisor)
{
    const struct operation *operation =
        operations_find_running(&supervisor->operations, FLOCKS_OPERATION_KIND_REPLACE_DAEMON);
    char message[OPERATION_MESSAGE_SIZE];

    if (operation == NULL || strcmp(operation->id, supervisor->replacement) == 0)
        return;
    (void)snprintf(message, sizeof message,
        "the keeper was killed meanwhile; flocksd %s and flocks-keeper %s run", FLOCKS_VERSION,
        supervisor->keeper_version);
    end(supervisor, operation->id, FLOCKS_OPERATION_STATE_INTERRUPTED, message);
}

/* ---- the way ---- */

static void on_prepared(void *data, int result, const struct error *error)
{
    struct supervisor *supervisor = data;
    struct operation *operation =
        operations_find_running(&supervisor->operations, FLOCKS_OPERATION_KIND_REPLACE_DAEMON);

    if (supervisor->is_closing || operation == NULL)
        return;
    if (result < 0) {
        end(supervisor, operation->id, FLOCKS_OPERATION_STATE_FAILED, error->text);
    } else if (supervisor->is_leaving) {
        end(supervisor, operation->id, FLOCKS_OPERATION_STATE_CANCELLED,
            "the daemon is shutting down");
    } else {
        operation_say(operation, "the new flocksd takes over");
        supervisor_mark_dirty(supervisor);
        supervisor_save(supervisor);
        supervisor->replace(supervisor->data, operation->id);
    }
}

static int prepare(struct replacement_job *job, struct error *error)
{
    const struct keeper_images images = {
        .operation_id = job->id,
        .flocksd_path = job->paths[FLOCKSD],
        .keeper_path = job->paths[KEEPER],
        .flocksd_fd = job->fds[FLOCKSD],
        .keeper_fd = job->fds[KEEPER],
        .expected_version = job->expected[FLOCKSD],
        .expected_keeper_version = job->expected[KEEPER],
    };

    for (size_t i = 0; i < IMAGES; i++) {
        if (job->failures[i] != 0)
            return error_set_errno(
                error, job->failures[i], "open %s at %.160s", image_names[i], job->paths[i]);
    }
    return keeper_link_prepare(job->supervisor->link, &images, on_prepared, job->supervisor, error);
}

static void open_running(struct replacement_job *job, size_t i)
{
    char path[32];

    (void)snprintf(path, sizeof path, "/proc/%d/exe", (int)job->pids[i]);
    job->fds[i] = open(path, O_PATH | O_CLOEXEC);
    job->failures[i] = job->fds[i] < 0 ? errno : 0;
}

/* Any thread. */
static void open_images(uv_work_t *work)
{
    struct replacement_job *job = CONTAINER_OF(work, struct replacement_job, work);

    for (size_t i = 0; i < IMAGES; i++) {
        job->fds[i] = open(job->paths[i], O_PATH | O_CLOEXEC);
        job->failures[i] = job->fds[i] < 0 ? errno : 0;
        if (job->failures[i] == ENOENT && job->pids[i] != 0)
            open_running(job, i);
    }
}

static void on_opened(uv_work_t *work, int status)
{
    CLEANUP(job_free)
    struct replacement_job *job = CONTAINER_OF(work, struct replacement_job, work);
    struct supervisor *supervisor = job->supervisor;
    char message[ERROR_TEXT_MAX + ERROR_HINT_MAX + 3];
    struct error error = ERROR_INIT;
    int result;

    if (supervisor == NULL)
        return;
    supervisor->replacement_job = NULL;
    result =
        status == 0 ? prepare(job, &error) : error_set_errno(&error, -status, "open the images");
    if (result == 0)
        return;
    (void)snprintf(
        message, sizeof message, "%s%s%s", error.text, error.hint[0] ? ": " : "", error.hint);
    end(supervisor, job->id, FLOCKS_OPERATION_STATE_FAILED, message);
}

void supervisor_drop_replacement(struct supervisor *supervisor)
{
    if (supervisor->replacement_job != NULL)
        supervisor->replacement_job->supervisor = NULL;
    supervisor->replacement_job = NULL;
}

/* Where a process's image lies, or lay. */
static void find_image(int32_t pid, char out[PATH_MAX])
{
    static const char deleted[] = " (deleted)";
    char link[32];
    ssize_t len;
    size_t end_at;

    (void)snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    len = readlink(link, out, PATH_MAX - 1);
    end_at = len > 0 ? (size_t)len : 0;
    out[end_at] = '\0';
    if (end_at >= sizeof deleted && strcmp(out + end_at - (sizeof deleted - 1), deleted) == 0)
        out[end_at - (sizeof deleted - 1)] = '\0';
}

static int refuse(
    struct error *error, enum status_code code, enum flocks_error_reason reason, const char *text)
{
    int result = error_set(error, code, "%s", text);

    if (error != NULL)
        error->reason = (uint32_t)reason;
    return result;
}

static int check(const struct supervisor *supervisor, struct error *error)
{
    int result;

    if (supervisor->replace == NULL)
        return refuse(error, STATUS_UNIMPLEMENTED, FLOCKS_ERROR_REASON_NOT_IMPLEMENTED,
            "this daemon does not replace its programs");
    if (supervisor->is_leaving)
        return refuse(error, STATUS_FAILED_PRECONDITION, FLOCKS_ERROR_REASON_SHUTTING_DOWN,
            "the daemon is shutting down");
    if (operations_find_running(&supervisor->operations, FLOCKS_OPERATION_KIND_REPLACE_DAEMON) ==
        NULL)
        return 0;
    result = refuse(error, STATUS_ABORTED, FLOCKS_ERROR_REASON_REPLACING,
        "a replacement of the daemon is under way");
    error_set_hint(error, "ask again when it has ended: within half a minute");
    return result;
}

static struct replacement_job *job_new(
    struct supervisor *supervisor, const struct supervisor_replacement *replacement)
{
    struct replacement_job *job = calloc(1, sizeof *job);
    const char *const paths[IMAGES] = {replacement->flocksd_path, replacement->keeper_path};
    const int32_t pids[IMAGES] = {supervisor->pid, supervisor->keeper_pid};

    if (job == NULL)
        return NULL;
    job->supervisor = supervisor;
    for (size_t i = 0; i < IMAGES; i++) {
        bool is_told = paths[i][0] != '\0' || paths[IMAGES - 1 - i][0] == '\0';

        job->fds[i] = -1;
        job->pids[i] = paths[i][0] == '\0' ? pids[i] : 0;
        /* One that was not spoken of may be of another version. */
        (void)snprintf(job->expected[i], sizeof job->expected[i], "%s",
            is_told ? replacement->expected_version : "");
        if (paths[i][0] != '\0')
            (void)snprintf(job->paths[i], sizeof job->paths[i], "%s", paths[i]);
        else
            find_image(pids[i], job->paths[i]);
    }
    return job;
}

int supervisor_replace(struct supervisor *supervisor,
    const struct supervisor_replacement *replacement, char out_id[SUPERVISOR_OPERATION_ID_SIZE],
    struct error *error)
{
    const struct supervisor_request request = {.kind = FLOCKS_OPERATION_KIND_REPLACE_DAEMON,
        .requester_pid = replacement->requester_pid,
        .requester_uid = replacement->requester_uid};
    const uint32_t no_slots[1] = {0};
    struct operation *operation = NULL;
    CLEANUP(job_free) struct replacement_job *job = NULL;
    int result = check(supervisor, error);

    if (result < 0)
        return result;
    job = job_new(supervisor, replacement);
    if (job == NULL)
        return error_set_errno(error, ENOMEM, "replace the daemon");
    result = supervisor_queue_operation(
        supervisor, &request, &(struct supervisor_choice){.slots = no_slots}, &operation, error);
    if (result < 0)
        return result;
    /* The keeper bounds each of its steps. */
    operation->deadline_at = CLOCK_NEVER;
    operation_say(operation, "the new programs are tried out");
    memcpy(out_id, operation->id, SUPERVISOR_OPERATION_ID_SIZE);
    memcpy(job->id, operation->id, sizeof job->id);
    supervisor_run_operation(supervisor, operation);
    /* Cannot fail: there is something to be done. */
    (void)uv_queue_work(supervisor->loop, &job->work, open_images, on_opened);
    supervisor->replacement_job = job;
    job = NULL;
    return 0;
}

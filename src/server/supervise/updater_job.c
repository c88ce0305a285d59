#include "server/supervise/updater_job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flocks/v1/types.names.h"

#include "common/base/fd.h"
#include "common/base/paths.h"

enum { LOG_MODE = 0600, FIRST_UNWANTED = 3 };

/* Speaks to flocksd, or says which service a process belongs to. */
static const char *const private_names[] = {"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID",
    "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC", "FLOCKS_SERVICE", "FLOCKS_INVOCATION_ID"};

/* ---- the job ---- */

void updater_job_free(struct updater_job *job)
{
    if (job == NULL)
        return;
    for (size_t i = 0; i < job->n_arguments; i++)
        free(job->arguments[i]);
    free(job->outcome.result);
    free(job);
}

struct updater_job *updater_job_new(const char *root, enum updater_task task)
{
    struct updater_job *job = calloc(1, sizeof *job);

    if (job == NULL)
        return NULL;
    job->task = task;
    job->work.data = job;
    job->outcome.error = ERROR_INIT;
    if (upgrade_paths_resolve(root, &job->places, NULL) == 0)
        return job;
    free(job);
    return NULL;
}

static bool add(struct updater_job *job, const char *text)
{
    if (job->n_arguments + 1 >= UPDATER_ARGUMENTS_MAX)
        return false;
    job->arguments[job->n_arguments] = strdup(text);
    return job->arguments[job->n_arguments] != NULL && ++job->n_arguments > 0;
}

bool updater_job_add(struct updater_job *job, const char *name, const char *value)
{
    return add(job, name) && (value == NULL || add(job, value));
}

void updater_job_detach(struct updater_job *job)
{
    if (job != NULL)
        job->done = NULL;
}

/* ---- in the thread ---- */

static bool is_private(const char *item)
{
    for (size_t i = 0; i < ARRAY_LENGTH(private_names); i++) {
        size_t len = strlen(private_names[i]);

        if (strncmp(item, private_names[i], len) == 0 && item[len] == '=')
            return true;
    }
    return false;
}

/* Ours without what is private; the texts are ours. Nobody changes the environment of flocksd. */
static char **make_environment(void)
{
    size_t n = 0;
    size_t kept = 0;
    char **out;

    while (environ[n] != NULL)
        n++;
    out = calloc(n + 1, sizeof *out);
    for (size_t i = 0; out != NULL && i < n; i++) {
        if (!is_private(environ[i]))
            out[kept++] = environ[i];
    }
    return out;
}

/* posix_spawn(3) and its kind answer with an error number. */
static int fill_actions(posix_spawn_file_actions_t *actions, const char *log)
{
    int code = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

    /* What it has to say goes through ReportUpgrade, and its last words into its log. */
    if (code == 0)
        code = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (code == 0)
        code = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, log,
            O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, LOG_MODE);
    return code == 0 ? posix_spawn_file_actions_addclosefrom_np(actions, FIRST_UNWANTED) : code;
}

static int fill_attributes(posix_spawnattr_t *attributes)
{
    sigset_t every;
    sigset_t none;
    int code;

    (void)sigfillset(&every);
    (void)sigdelset(&every, SIGKILL);
    (void)sigdelset(&every, SIGSTOP);
    (void)sigemptyset(&none);
    code = posix_spawnattr_setflags(
        attributes, (short)(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK));
    if (code == 0)
        code = posix_spawnattr_setsigdefault(attributes, &every);
    return code == 0 ? posix_spawnattr_setsigmask(attributes, &none) : code;
}

static int spawn_with(struct updater_job *job, const char *program, char **environment)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int code = posix_spawn_file_actions_init(&actions);

    if (code != 0)
        return code;
    code = posix_spawnattr_init(&attributes);
    if (code == 0) {
        code = fill_attributes(&attributes);
        if (code == 0)
            code = fill_actions(&actions, job->places.log);
        if (code == 0)
            code = posix_spawn(
                &job->outcome.pid, program, &actions, &attributes, job->arguments, environment);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return code;
}

static void spawn(struct updater_job *job)
{
    struct error *error = &job->outcome.error;
    char program[PATH_MAX];
    char **environment;
    int code;

    if (paths_find_program("flocks-update", program, error) < 0) {
        error->code = STATUS_FAILED_PRECONDITION;
        error_set_hint(error, "install flocks-update beside flocksd");
        return;
    }
    environment = make_environment();
    code = environment != NULL ? spawn_with(job, program, environment) : ENOMEM;
    free(environment);
    if (code == 0)
        return;
    job->outcome.pid = 0;
    (void)error_set_errno(error, code, "run %s", program);
    error->reason = FLOCKS_ERROR_REASON_SYSTEM;
    /* Which one it is says more than that it was not found, or may not be run. */
    if (error->code != STATUS_RESOURCE_EXHAUSTED)
        error->code = STATUS_FAILED_PRECONDITION;
}

static int look(struct updater_job *job)
{
    struct updater_outcome *outcome = &job->outcome;
    int result = upgrade_lock_look(job->places.lock, &outcome->holder, &outcome->error);

    if (result < 0)
        return result;
    outcome->is_held = result == UPGRADE_LOCK_HELD;
    outcome->has_journal = access(job->places.journal, F_OK) == 0;
    if (job->task != UPDATER_APPLY && fd_read_file(job->places.result, UPDATER_RESULT_MAX,
                                          &outcome->result, &outcome->result_len, NULL) < 0)
        outcome->result = NULL;
    return 0;
}

static void work(uv_work_t *request)
{
    struct updater_job *job = request->data;
    bool is_wanted = job->task == UPDATER_APPLY;

    if (look(job) < 0)
        return;
    if (job->task == UPDATER_RECOVER)
        is_wanted = job->outcome.has_journal;
    if (is_wanted && !job->outcome.is_held)
        spawn(job);
}

/* ---- on the loop ---- */

static void after_work(uv_work_t *request, int status)
{
    struct updater_job *job = request->data;

    (void)status;
    if (job->done != NULL)
        job->done(job->data, job);
    updater_job_free(job);
}

int updater_job_run(struct updater_job *job, uv_loop_t *loop,
    void (*done)(void *data, const struct updater_job *job), void *data)
{
    job->done = done;
    job->data = data;
    return uv_queue_work(loop, &job->work, work, after_work) == 0 ? 0 : -STATUS_INTERNAL;
}

/* What the server does about upgrades beside its loop: it looks at the lock, the journal and the
 * last result, and runs flocks-update where that is to be done. One thread of the pool at a time;
 * private to the room.
 *
 * flocks-update runs detached: none of our descriptors, none of the variables that speak to
 * services, no mark; a session of its own it makes itself, at once, as it does whoever runs it. It
 * is our child, so that its end is known while we live; when we do not, the keeper reaps it as it
 * does every orphan. */
#ifndef FLOCKS_SUPERVISE_UPDATER_JOB_H
#define FLOCKS_SUPERVISE_UPDATER_JOB_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/release/upgrade_lock.h"
#include "common/release/upgrade_paths.h"

enum {
    /* Arguments of flocks-update, its name and the NULL at the end included. */
    UPDATER_ARGUMENTS_MAX = 24,
    /* A larger upgrade-result.json is not read. */
    UPDATER_RESULT_MAX = 64 * 1024
};

enum updater_task {
    UPDATER_LOOK,    /* lock, journal, result */
    UPDATER_RECOVER, /* the same, and a run when there is a journal that nobody is at */
    UPDATER_APPLY    /* a run when nobody is at an upgrade */
};

/* Filled by the thread. */
struct updater_outcome {
    bool is_held; /* the upgrade lock; `holder` says by whom */
    struct upgrade_lock_holder holder;
    bool has_journal;
    char *result; /* upgrade-result.json (LOOK and RECOVER); NULL: none; the job's */
    size_t result_len;
    pid_t pid; /* of the run; 0: there is none */
    /* Why there is none, or what could not be looked at; STATUS_OK: nothing. */
    struct error error;
};

struct updater_job {
    uv_work_t work;
    enum updater_task task;
    struct upgrade_paths places;
    /* Owned texts, ending in NULL. */
    char *arguments[UPDATER_ARGUMENTS_MAX];
    size_t n_arguments;
    struct updater_outcome outcome;
    /* From the loop, once; the job is freed afterwards. NULL: nobody wants to know any more. */
    void (*done)(void *data, const struct updater_job *job);
    void *data;
};

/* NULL: no memory, or the root's path is too long. */
struct updater_job *updater_job_new(const char *root, enum updater_task task);
/* "NAME" and "VALUE", or the first only (value NULL). False: no memory, or too many. */
NODISCARD bool updater_job_add(struct updater_job *job, const char *name, const char *value);
/* Takes the job when it answers 0: `done` follows. */
NODISCARD int updater_job_run(struct updater_job *job, uv_loop_t *loop,
    void (*done)(void *data, const struct updater_job *job), void *data);
/* For one that was not run. NULL is accepted. */
void updater_job_free(struct updater_job *job);
/* `done` will not be called. What the thread has begun it ends. NULL is accepted. */
void updater_job_detach(struct updater_job *job);

#endif

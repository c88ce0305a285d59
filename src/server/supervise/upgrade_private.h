/* What the files that perform upgrades share. Private to them. */
#ifndef FLOCKS_SUPERVISE_UPGRADE_PRIVATE_H
#define FLOCKS_SUPERVISE_UPGRADE_PRIVATE_H

#include "server/supervise/supervisor_private.h"
#include "server/supervise/supervisor_upgrades.h"
#include "server/supervise/updater_job.h"
#include "server/supervise/upgrades.h"

/* supervisor_upgrades.c */
/* Something that people are told is another: watchers, the state; `matters`: the record on the
 * disk, too. */
void upgrade_changed(struct supervisor *supervisor, bool matters);
/* Its updater from now on. */
void upgrade_watch_reporter(struct upgrade *upgrade, int32_t pid);
void upgrade_forget_reporter(struct upgrade *upgrade);

/* upgrade_care.c */
enum {
    /* What a lease left is looked after when its updater had so long to do it. */
    UPGRADE_CARE_MS = 2 * 1000,
    /* A run that ended nothing is repeated after UPGRADE_CARE_MS, and then after twice as long each
     * time, up to this. */
    UPGRADE_CARE_MAX_MS = 10 * 60 * 1000,
    /* An upgrade of which no process is known: so long for a word of it. */
    UPGRADE_SILENCE_MS = 10 * 1000
};
/* Something may be unfinished: it is looked for in `ms`, or sooner. */
void upgrade_care_soon(struct supervisor *supervisor, int64_t ms);
/* A child of ours, to be reaped when it has ended. */
void upgrade_care_child(struct supervisor *supervisor, pid_t pid);
/* Nothing of it calls anybody any more. */
void upgrade_care_end(struct supervisor *supervisor);
/* What every run of flocks-update begins with. NULL: no memory. */
struct updater_job *upgrade_care_job(
    const struct supervisor *supervisor, enum updater_task task, const char *command);

/* upgrade_view.c */
/* What was told last, or nothing; the arena's. NULL: no memory. */
flocks_upgrade_progress *upgrade_last_report(const struct upgrade *upgrade, struct arena *arena);

/* upgrade_start.c */
/* Whoever waits for a run of flocks-update is told nothing any more. */
void upgrade_starts_drop(struct supervisor *supervisor);

#endif

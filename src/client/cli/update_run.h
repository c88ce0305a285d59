/* One upgrade as this command follows it, whoever does the work: what comes is shown, Ctrl-C is
 * understood, the end is told once. */
#ifndef FLOCKS_CLI_UPDATE_RUN_H
#define FLOCKS_CLI_UPDATE_RUN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "flocks/v1/upgrade.names.h"

#include "client/cli/cli.h"
#include "client/cli/operation.h"
#include "client/cli/update_show.h"
#include "common/base/arena.h"

/* Embedded by value; between update_run_begin and update_run_finish. */
struct update_run {
    const struct cli *cli;
    char upgrade_id[OPERATION_REQUEST_ID_SIZE];
    struct update_show show;
    sigset_t mask; /* signals that are let in while waiting */
    int64_t deadline_at;
    struct arena arena;                 /* of `end` */
    const flocks_upgrade_progress *end; /* NULL: it goes on */
    bool has_failed;                    /* it said so, without a progress that is the end */
    struct error failure;               /* then */
    bool only_watches;                  /* Ctrl-C leaves at once; to be set by those that do */
    bool asked_to_abort;
    enum outcome left; /* DONE: it was not left */
};

/* `upgrade_id` NULL: a new one. From here on SIGINT and SIGTERM are only counted. */
void update_run_begin(struct update_run *run, const struct cli *cli, const char *upgrade_id);
void update_run_take(struct update_run *run, const flocks_upgrade_progress *progress);
/* It failed before it could begin. */
void update_run_fail(struct update_run *run, const struct error *failure);
/* Whether it has said how it went. */
bool update_run_is_over(const struct update_run *run);
/* When to wake up at the latest. */
int64_t update_run_due_at(const struct update_run *run);

enum update_wish {
    UPDATE_GO_ON,
    UPDATE_ABORT, /* told once: the upgrade is to be undone */
    UPDATE_LEAVE  /* it goes on by itself, and nobody waits for it */
};
/* After every wait: time passes on the display, and what the person, or --timeout, wants. */
enum update_wish update_run_look(struct update_run *run);

/* Tells how it ended, or that it goes on; `error` where it is known to have failed and never said
 * so, else NULL. */
enum outcome update_run_finish(struct update_run *run, const struct error *error);
/* Tells nothing; instead of update_run_finish. `end` is gone with it. */
void update_run_close(struct update_run *run);

#endif

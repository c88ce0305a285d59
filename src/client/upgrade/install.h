/* The install steps of a release, one after the other, in its directory while it is not yet
 * published and the old version serves. */
#ifndef FLOCKS_UPGRADE_INSTALL_H
#define FLOCKS_UPGRADE_INSTALL_H

#include "flocks/v1/release.names.h"

#include "client/upgrade/progress.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* Of one try's output; what comes after that is left out of the log. */
    INSTALL_LOG_BYTES_MAX = 4 * 1024 * 1024,
    /* Before the next try of a step; then so much longer each time. */
    INSTALL_RETRY_MS = 1000,
    /* Variables of the environment of a step, and bytes of all of them; more are refused. */
    INSTALL_VARIABLES_MAX = 4096,
    INSTALL_ENVIRONMENT_BYTES_MAX = 2 * 1024 * 1024
};

struct install_request {
    /* releases/<name>.partial, absolute. */
    const char *directory;
    const flocks_release *file;
    /* "NAME=VALUE", NULL at the end: in every step's environment, over this process's own and under
     * what the step says. */
    const char *const *environment;
    /* Their output goes there, with a line before each try; -1: nowhere. */
    int log_fd;
    /* Where that is, for messages. */
    const char *log_path;
    int cancel_fd;
    update_progress_fn on_progress;
    void *data;
};

/* Runs them. 0: all have ended with exit status 0. -STATUS_FAILED_PRECONDITION: one did not, in any
 * of its tries: the text has its name, how it ended and the last line that it said;
 * -STATUS_DEADLINE_EXCEEDED: its time was over; -STATUS_NOT_FOUND: there is no such program;
 * -STATUS_CANCELLED. No process of a step is left, whatever the result, unless the text says so. */
NODISCARD int install_run(const struct install_request *request, struct error *error);

#endif

/* One command, and the end of everything that it has started: a process of its own stands over it,
 * to which all of its orphans fall (PR_SET_CHILD_SUBREAPER), and which ends them when the command
 * ends, when its time is over, when it is told to, and when whoever started it dies. It inherits
 * what its starter has open: an upgrade's lock is held until nothing of the command is left. */
#ifndef FLOCKS_UPGRADE_WARDEN_H
#define FLOCKS_UPGRADE_WARDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* For killed processes to disappear. One that does not (it hangs in the kernel, or is
       another's) is given up, and the outcome says so. */
    WARDEN_KILL_MS = 10 * 1000
};

struct warden_request {
    /* Absolute paths. */
    const char *program;
    const char *directory;
    /* NULL at the end, both. */
    char *const *arguments;
    char *const *environment;
    int64_t timeout_ms;
    /* Ends it when it becomes readable; -1: none. */
    int cancel_fd;
    /* What it writes to standard output and error, as it comes; may be NULL. */
    void (*on_output)(void *data, const char *bytes, size_t len);
    void *data;
};

enum warden_end {
    WARDEN_EXITED,
    WARDEN_SIGNALED,
    WARDEN_TIMED_OUT,
    WARDEN_CANCELLED,
    /* It did not begin: an errno value. */
    WARDEN_NOT_STARTED
};

struct warden_outcome {
    enum warden_end end;
    /* Exit status, signal, or errno. */
    int number;
    /* Processes that the command had left when it ended, and that were killed. */
    unsigned n_left;
    /* Some could not be killed. */
    bool is_haunted;
};

/* Runs it to its end: in a session of its own, with nothing as input, and the signals as a new
 * program expects them. Blocks for timeout_ms and WARDEN_KILL_MS at most. Negative: the processes
 * could not be made. */
NODISCARD int warden_run(
    const struct warden_request *request, struct warden_outcome *out, struct error *error);

#endif

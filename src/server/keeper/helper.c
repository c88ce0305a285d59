#include "server/keeper/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/log.h"
#include "server/keeper/spawn.h"

enum { FIRST_EXTRA = 3, EXIT_CODE_FAILED = 127 };

static int place_descriptors(const struct helper_plan *plan)
{
    int sources[HELPER_DESCRIPTORS_MAX];
    int first_free = FIRST_EXTRA + (int)plan->n_descriptors;
    for (size_t i = 0; i < plan->n_descriptors; i++) {
        sources[i] = fcntl(plan->descriptors[i], F_DUPFD_CLOEXEC, first_free);
        if (sources[i] < 0)
            return -1;
    }
    int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (input < 0 || dup2(plan->output_fd, STDOUT_FILENO) < 0 ||
        dup2(plan->output_fd, STDERR_FILENO) < 0 || dup2(input, STDIN_FILENO) < 0)
        return -1;
    for (size_t i = 0; i < plan->n_descriptors; i++)
        if (dup2(sources[i], FIRST_EXTRA + (int)i) < 0)
            return -1;
    return close_range((unsigned)first_free, ~0U, 0);
}

pid_t helper_start(const struct helper_plan *plan)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    spawn_reset_signals();
    (void)setsid();
    if (place_descriptors(plan) == 0)
        (void)execv(plan->path, plan->arguments);
    log_error("helper cannot be executed", "path=%s errno=%d", plan->path, errno);
    _exit(EXIT_CODE_FAILED);
}

/* Records come from common/inventory, which has compared them with the running processes. */
#include "client/cli/leftovers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/instance.h"
#include "common/base/fd.h"
#include "common/inventory/inventory.h"

/* Takes those whose process is still the recorded one. */
static int read_processes(const struct inventory_record *records, size_t n, struct leftover *out,
    size_t *out_n, struct error *error)
{
    for (size_t i = 0; i < n; i++) {
        struct leftover *item = &out[*out_n];
        int result = process_read(records[i].pid, &item->process, error);
        if (result < 0)
            return result;
        if (result == PROCESS_GONE || item->process.start_ticks != records[i].start_ticks)
            continue;
        (void)snprintf(item->service, sizeof(item->service), "%s", records[i].name);
        ++*out_n;
    }
    return 0;
}

int leftovers_find(
    const struct paths *paths, struct leftover **out, size_t *out_n, struct error *error)
{
    struct inventory_record *records = calloc(INVENTORY_RECORDS, sizeof(*records));
    size_t n = 0;
    *out = NULL;
    *out_n = 0;
    if (!records)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the inventory");
    int result = inventory_read(paths->run, INVENTORY_ALL, records, INVENTORY_RECORDS, &n, error);
    if (n > INVENTORY_RECORDS)
        n = INVENTORY_RECORDS;
    if (result == 0 && n > 0) {
        *out = calloc(n, sizeof(**out));
        result = *out ? read_processes(records, n, *out, out_n, error)
                      : error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for leftovers");
    }
    free(records);
    return result;
}

bool leftovers_are_possible(const struct paths *paths)
{
    return inventory_is_left(paths->run);
}

/* ---- ending them ---- */

enum { EXIT_NOTHING = 0, EXIT_ENDED = 3, EXIT_EXEC_FAILED = 127 };

/* What it logs belongs to the daemon's log; what it says to the person comes back to us. */
static void run_flocksd(const struct paths *paths, const char *program, int answer_fd)
{
    char log[PATH_MAX + 16];
    (void)snprintf(log, sizeof(log), "%s/daemon.log", paths->logs);
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log_fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (null_fd >= 0 && dup2(null_fd, STDIN_FILENO) >= 0 && dup2(answer_fd, STDOUT_FILENO) >= 0 &&
        dup2(log_fd < 0 ? null_fd : log_fd, STDERR_FILENO) >= 0)
        execl(program, "flocksd", "--root", paths->root, "--end-leftovers", (char *)NULL);
    _exit(EXIT_EXEC_FAILED);
}

/* flocksd bounds its own work. Answers its exit code, or negative. */
static int have_flocksd_end_them(
    const struct paths *paths, char text[LEFTOVERS_TEXT_MAX], struct error *error)
{
    char program[PATH_MAX];
    int ends[2];
    int status = 0;
    int result = paths_find_program("flocksd", program, error);
    if (result < 0)
        return result;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set_errno(error, errno, "make a pipe for flocksd");
    pid_t pid = fork();
    if (pid == 0)
        run_flocksd(paths, program, ends[1]);
    fd_close(&ends[1]);
    CLEANUP(fd_close) int answer_fd = ends[0];
    if (pid < 0)
        return error_set_errno(error, errno, "fork for flocksd");
    ssize_t length = read(answer_fd, text, LEFTOVERS_TEXT_MAX - 1);
    text[length > 0 ? length : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_set_errno(error, errno, "wait for flocksd");
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_EXEC_FAILED;
}

int leftovers_end(const struct paths *paths, bool *out_any, struct error *error)
{
    char text[LEFTOVERS_TEXT_MAX] = "";
    CLEANUP(fd_close) int lock_fd = -1;
    *out_any = false;
    int result = instance_hold(paths, &lock_fd, error);
    if (result != 0)
        return result < 0 ? result : 0;
    int exit_code = have_flocksd_end_them(paths, text, error);
    if (exit_code < 0)
        return exit_code;
    *out_any = exit_code == EXIT_ENDED;
    if (exit_code != EXIT_NOTHING && exit_code != EXIT_ENDED)
        return error_set(error, STATUS_INTERNAL, "%s",
            text[0] ? text : "flocksd could not clear up after an instance that was killed");
    paths_unlink_sockets(paths);
    return 0;
}

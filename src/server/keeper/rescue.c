/* Pipes that flocksd did not hold yet when its keeper was killed: it had begun a moment before. The
 * dead keeper's capture has both of an output, its service has one; found by inode, because a
 * service may have put a pipe of its own in the place of ours. Before the loop, so this may
 * allocate.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/keeper/state.h"

static void close_directory(DIR **directory)
{
    if (*directory != NULL)
        (void)closedir(*directory);
}

/* The pipe of this inode among the descriptors of a process, opened anew; -1: it has none. */
static int find_pipe(pid_t pid, uint64_t inode, int flags)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    CLEANUP(close_directory) DIR *directory = opendir(path);
    const struct dirent *found;
    if (directory == NULL || inode == 0)
        return -1;
    /* A stream of our own. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    while ((found = readdir(directory)) != NULL) {
        struct stat status;
        if (fstatat(dirfd(directory), found->d_name, &status, 0) != 0 ||
            !S_ISFIFO(status.st_mode) || status.st_ino != inode)
            continue;
        return openat(dirfd(directory), found->d_name, flags | O_CLOEXEC);
    }
    return -1;
}

/* Its pipe may be that of another slot: a probe writes where its service does. */
static int find_in_children(const struct keeper *keeper, uint64_t inode)
{
    int fd = -1;
    for (size_t place = 0; fd < 0 && place < KEEPER_CHILDREN; place++)
        if (keeper->children.pids[place] > 0)
            fd = find_pipe(keeper->children.pids[place], inode, O_RDWR);
    return fd;
}

static void rescue(struct keeper *keeper, uint32_t slot, pid_t captor)
{
    const struct keeper_pipes *pipes = &keeper->outputs.shared->pipes[slot];
    CLEANUP(fd_close) int pipe_fd = captor > 0 ? find_pipe(captor, pipes->pipe_inode, O_RDWR) : -1;
    CLEANUP(fd_close)
    int private_fd = captor > 0 ? find_pipe(captor, pipes->private_inode, O_RDWR | O_NONBLOCK) : -1;
    if (pipe_fd < 0)
        pipe_fd = find_in_children(keeper, pipes->pipe_inode);
    /* Nobody has it: nobody writes to it either. */
    if (pipe_fd < 0)
        return;
    if (private_fd < 0)
        private_fd = outputs_make_private(&keeper->outputs);
    bool is_rescued =
        private_fd >= 0 && outputs_adopt(&keeper->outputs, slot, pipe_fd, private_fd) == 0;
    if (is_rescued) {
        (void)fd_take(&pipe_fd);
        (void)fd_take(&private_fd);
    }
    log_warn("output of a killed keeper", "slot=%u found=%d", slot, is_rescued);
}

void rescue_outputs(struct keeper *keeper, pid_t captor)
{
    for (uint32_t slot = 0; slot < KEEPER_SLOTS; slot++)
        if (keeper->outputs.shared->pipes[slot].pipe_inode != 0 &&
            outputs_pipe(&keeper->outputs, slot) < 0)
            rescue(keeper, slot, captor);
}

/* flock(2) on run/flocksd.lock, and the inventory for whom that tells too little. */
#include "common/inventory/instance_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/inventory/inventory.h"

enum { PID_TEXT_MAX = 32 };

int instance_lock_open(const struct paths *paths, int *out_fd, struct error *error)
{
    *out_fd = open(paths->lock, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (*out_fd >= 0)
        return 0;
    if (errno == ENOENT || errno == ENOTDIR)
        return INSTANCE_LOCK_NONE;
    int result = error_set_errno(error, errno, "open lock file %s", paths->lock);
    if (result == -STATUS_PERMISSION_DENIED)
        error_set_hint(error, INSTANCE_OWNER_HINT);
    return result;
}

pid_t instance_lock_pid(int fd)
{
    char text[PID_TEXT_MAX] = "";
    if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
        return 0;
    long pid = strtol(text, NULL, 10);
    return pid > 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

static int look_at(int fd, const struct paths *paths, struct instance *out, struct error *error)
{
    if (flock(fd, LOCK_SH | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK)
        return error_set_errno(error, errno, "look at lock %s", paths->lock);
    out->lives = true;
    out->keeper_pid = instance_lock_pid(fd);
    return 0;
}

/* The lock file may have been deleted under an instance that lives: then the inventory knows. */
static void look_at_owners(const struct paths *paths, struct instance *out)
{
    int32_t pids[INVENTORY_OWNERS];
    uint64_t ticks[INVENTORY_OWNERS];
    inventory_read_owners(paths->run, pids, ticks);
    out->lives = pids[INVENTORY_KEEPER] != 0 || pids[INVENTORY_SERVER] != 0;
    out->keeper_pid = pids[INVENTORY_KEEPER];
}

int instance_look(const struct paths *paths, struct instance *out, struct error *error)
{
    CLEANUP(fd_close) int fd = -1;
    *out = (struct instance){.lives = false};
    int result = instance_lock_open(paths, &fd, error);
    if (result == 0)
        result = look_at(fd, paths, out, error);
    if (result < 0)
        return result;
    if (!out->lives)
        look_at_owners(paths, out);
    return 0;
}

int instance_hold(const struct paths *paths, int *out_fd, struct error *error)
{
    CLEANUP(fd_close) int fd = open(paths->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set_errno(error, errno, "open lock file %s", paths->lock);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? INSTANCE_LIVES
                                    : error_set_errno(error, errno, "lock %s", paths->lock);
    *out_fd = fd_take(&fd);
    return 0;
}

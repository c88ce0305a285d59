/* By the lock, and the inventory for whom that tells too little. */
#include "client/cli/instance.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/process.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/inventory/inventory.h"

enum {
    /* A file's time and a process's start are taken from clocks of different steps. */
    CLOCK_SLACK_S = 2
};

int instance_wait_gone(const struct paths *paths, int64_t deadline_at, struct error *error)
{
    for (;;) {
        struct instance instance;
        int result = instance_look(paths, &instance, error);
        if (result < 0 || !instance.lives)
            return result;
        if (clock_monotonic_ms() >= deadline_at)
            return INSTANCE_LIVES;
        poll(NULL, 0, INSTANCE_POLL_MS);
    }
}

static bool is_keeper(const struct process *process, int64_t written_at_s)
{
    const char *slash = strrchr(process->executable, '/');
    const char *name = slash ? slash + 1 : process->executable;
    int64_t started_at_s = process_started_at_s(process);
    return strncmp(name, "flocks-keeper", strlen("flocks-keeper")) == 0 &&
           process->uid == geteuid() && started_at_s >= 0 &&
           started_at_s <= written_at_s + CLOCK_SLACK_S;
}

/* By the lock file alone: 0: read and verified; PROCESS_GONE; or negative. */
static int read_locker(const struct paths *paths, struct process *out, struct error *error)
{
    CLEANUP(fd_close) int fd = -1;
    struct stat file;
    int result = instance_lock_open(paths, &fd, error);
    if (result != 0)
        return result < 0 ? result : PROCESS_GONE;
    if (fstat(fd, &file) < 0)
        return error_set_errno(error, errno, "look at lock %s", paths->lock);
    result = process_read(instance_lock_pid(fd), out, error);
    if (result == 0 && !is_keeper(out, (int64_t)file.st_mtim.tv_sec))
        return error_set(error, STATUS_FAILED_PRECONDITION,
            "lock %s is held, but the process it names (%d, %s) is no keeper of this user",
            paths->lock, (int)out->pid, out->executable);
    return result;
}

/* Whom to end: the keeper, or without one the flocksd that is about to be it, or hangs. 0,
 * PROCESS_GONE or negative. */
static int read_owner(const struct paths *paths, struct process *out,
    enum inventory_owner *out_what, struct error *error)
{
    int32_t pids[INVENTORY_OWNERS];
    uint64_t ticks[INVENTORY_OWNERS];
    inventory_read_owners(paths->run, pids, ticks);
    *out_what = pids[INVENTORY_KEEPER] != 0 ? INVENTORY_KEEPER : INVENTORY_SERVER;
    if (pids[*out_what] == 0) {
        *out_what = INVENTORY_KEEPER;
        return read_locker(paths, out, error);
    }
    int result = process_read(pids[*out_what], out, error);
    return result == 0 && out->start_ticks != ticks[*out_what] ? PROCESS_GONE : result;
}

/* One whose keeper has gone becomes the keeper as soon as it can, and goes on with the shutdown;
 * one that does not is killed. */
static int end_server(const struct paths *paths, const struct process *server, struct error *error)
{
    int64_t end_at = clock_add_ms(clock_monotonic_ms(), INSTANCE_SERVER_MS);
    int result = process_ask(server, error);
    while (result == 0 && clock_monotonic_ms() < end_at) {
        struct process owner;
        enum inventory_owner what = INVENTORY_SERVER;
        result = read_owner(paths, &owner, &what, error);
        if (result != 0 || what == INVENTORY_KEEPER)
            return result < 0 ? result : 0;
        poll(NULL, 0, INSTANCE_POLL_MS);
    }
    return result == 0 ? process_end(server, false, 0, error) : result;
}

static int end_owner(const struct paths *paths, struct error *error)
{
    struct process owner;
    enum inventory_owner what = INVENTORY_KEEPER;
    int result = read_owner(paths, &owner, &what, error);
    if (result == 0 && what == INVENTORY_SERVER)
        result = end_server(paths, &owner, error);
    else if (result == 0)
        result = process_end(&owner, false, INSTANCE_TERMINATE_MS, error);
    return result < 0 ? error_add_context(error, result, "end an instance that does not answer")
                      : 0;
}

int instance_end(const struct paths *paths, struct error *error)
{
    int64_t end_at = clock_add_ms(clock_monotonic_ms(), INSTANCE_TERMINATE_MS);
    for (;;) {
        int result = end_owner(paths, error);
        if (result < 0)
            return result;
        result =
            instance_wait_gone(paths, clock_add_ms(clock_monotonic_ms(), INSTANCE_GONE_MS), error);
        if (result != INSTANCE_LIVES)
            return result;
        /* A keeper that was killed has an heir. */
        if (clock_monotonic_ms() >= end_at)
            return error_set(error, STATUS_DEADLINE_EXCEEDED,
                "the keeper has ended, but somebody still holds lock %s", paths->lock);
    }
}

/* Every process that ends: helpers, children, and strays, for which we are the subreaper. */
#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/base/clock.h"
#include "server/keeper/state.h"

enum {
    /* Processes reaped in one turn of the loop: a storm of dying strays must not starve the link.
     */
    REAP_MAX = 512
};

static void reap_child(struct keeper *keeper, size_t place, int wait_status)
{
    spawning_settle(keeper, place);
    /* The record of one that ran stays until the place is used again: what it started may outlive
     * it, flocksd and us. */
    if (keeper->children.table[place].state == CHILD_FAILED)
        inventory_clear(keeper->inventory, place);
    else
        inventory_note_exit(keeper->inventory, place, wait_status);
    children_exited(&keeper->children, place, wait_status, clock_boottime_ns());
}

static bool is_known(const struct keeper *keeper, pid_t pid)
{
    return pid == keeper->server.pid || pid == keeper->captor.pid ||
           pid == keeper->replacement.checks[REPLACEMENT_FLOCKSD].pid ||
           pid == keeper->replacement.checks[REPLACEMENT_KEEPER].pid ||
           children_find_pid(&keeper->children, pid) < KEEPER_CHILDREN;
}

/* Limits that no mark can be below: see process_mark_choose(). */
static const uint64_t lowest_mark = UINT64_C(1) << 59;

static bool count_mark(struct keeper_shared *shared, rlim_t mark)
{
    if (mark == RLIM_INFINITY || mark < lowest_mark)
        return false;
    atomic_fetch_add(&shared->strays_marked[keeper_stray_place(mark)], 1);
    return true;
}

/* A dead process that has not been reaped still has its limits. */
static void count_stray(struct keeper_shared *shared, pid_t pid)
{
    struct rlimit mark;
    bool is_counted = false;
    atomic_fetch_add(&shared->strays, 1);
    if (prlimit(pid, RLIMIT_RTTIME, NULL, &mark) == 0) {
        is_counted = count_mark(shared, mark.rlim_cur);
        /* Inside somebody else's mark the hard limit is that one's. */
        if (mark.rlim_max != mark.rlim_cur)
            is_counted = count_mark(shared, mark.rlim_max) || is_counted;
    }
    if (!is_counted)
        atomic_fetch_add(&shared->strays_unmarked, 1);
}

static void reap_one(struct keeper *keeper, pid_t pid, int wait_status)
{
    if (pid == keeper->server.pid) {
        server_exited(keeper, wait_status);
        return;
    }
    if (pid == keeper->captor.pid) {
        captor_exited(keeper, wait_status);
        return;
    }
    if (replacement_reaped(keeper, pid, wait_status))
        return;
    size_t place = children_find_pid(&keeper->children, pid);
    if (place < KEEPER_CHILDREN) {
        reap_child(keeper, place, wait_status);
        return;
    }
    children_stray_exited(&keeper->children, pid, wait_status, clock_boottime_ns());
}

bool reap_all(struct keeper *keeper)
{
    int n_reaped = 0;
    for (; n_reaped < REAP_MAX; n_reaped++) {
        siginfo_t ended = {.si_pid = 0};
        int wait_status = 0;
        /* Counted while it can still be seen as a zombie: whoever looks at /proc must not miss
         * both. */
        if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0)
            break;
        if (!is_known(keeper, ended.si_pid))
            count_stray(keeper->outputs.shared, ended.si_pid);
        if (waitpid(ended.si_pid, &wait_status, WNOHANG) != ended.si_pid)
            break;
        reap_one(keeper, ended.si_pid, wait_status);
    }
    link_tell_events(keeper);
    return n_reaped == REAP_MAX;
}

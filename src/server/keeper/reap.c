/* Every process that ends: helpers, children, and strays, for which we are the subreaper. */
#include <errno.h>
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
    children_exited(&keeper->children, place, wait_status, clock_boottime_ns());
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
    size_t place = children_find_pid(&keeper->children, pid);
    if (place < KEEPER_CHILDREN) {
        reap_child(keeper, place, wait_status);
        return;
    }
    atomic_fetch_add(&keeper->outputs.shared->strays, 1);
    children_stray_exited(&keeper->children, pid, wait_status, clock_boottime_ns());
}

bool reap_all(struct keeper *keeper)
{
    int n_reaped = 0;
    for (; n_reaped < REAP_MAX; n_reaped++) {
        int wait_status = 0;
        pid_t pid = waitpid(-1, &wait_status, WNOHANG);
        if (pid <= 0)
            break;
        reap_one(keeper, pid, wait_status);
    }
    link_tell_events(keeper);
    return n_reaped == REAP_MAX;
}

/* Whoever holds a lease, as a process: its death is a hint that nobody will renew. Never more than
 * a hint: the lease belongs to its id, not to a process or a connection. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/supervise/lease_private.h"
#include "server/supervise/process_watch.h"

void lease_owner_forget(struct lease *lease)
{
    process_watch_close(lease->watch);
    lease->watch = NULL;
}

static void orphan(struct lease *lease)
{
    lease_owner_forget(lease);
    lease->is_orphan = true;
    log_info("holder of a lease is gone", "id=%s pid=%d", lease->id, (int)lease->owner_pid);
    lease_facts_orphan(&lease->facts, clock_monotonic_ms());
    lease_changed(lease);
}

static void on_ended(void *data)
{
    orphan(data);
}

void lease_owner_watch(struct lease *lease, int32_t pid)
{
    const struct supervisor *supervisor = lease->supervisor;
    struct process_watch *watch = NULL;
    int result;

    if (pid <= 0 || (lease->watch != NULL && pid == lease->owner_pid))
        return;
    lease_owner_forget(lease);
    lease->is_orphan = false;
    /* After a take-over the number may have become another's. */
    if (pid != lease->owner_pid)
        lease->owner_start_ticks = 0;
    lease->owner_pid = pid;
    result = process_watch_open(
        supervisor->loop, pid, &lease->owner_start_ticks, on_ended, lease, &watch);
    lease->watch = watch;
    if (result == PROCESS_WATCH_GONE)
        orphan(lease);
}

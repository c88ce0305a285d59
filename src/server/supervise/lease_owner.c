/* Whoever holds a lease, as a process: its death is a hint that nobody will renew. Never more than
 * a hint: the lease belongs to its id, not to a process or a connection. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/supervise/lease_private.h"
#include "server/supervise/proc_file.h"

struct watch {
    uv_poll_t poll;
    int fd; /* of the process */
    struct lease *lease;
};

static void on_closed(uv_handle_t *handle)
{
    struct watch *watch = handle->data;

    fd_close(&watch->fd);
    free(watch);
}

void lease_owner_forget(struct lease *lease)
{
    struct watch *watch = lease->watch;

    if (watch == NULL)
        return;
    lease->watch = NULL;
    watch->lease = NULL;
    uv_close((uv_handle_t *)&watch->poll, on_closed);
}

static void orphan(struct lease *lease)
{
    lease_owner_forget(lease);
    lease->is_orphan = true;
    log_info("holder of a lease is gone", "id=%s pid=%d", lease->id, (int)lease->owner_pid);
    lease_facts_orphan(&lease->facts, clock_monotonic_ms());
    lease_changed(lease);
}

/* A pidfd becomes readable when its process ends (pidfd_open(2)). */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;

    (void)status;
    (void)events;
    if (watch->lease != NULL)
        orphan(watch->lease);
}

static int open_watch(struct lease *lease, int fd)
{
    struct supervisor *supervisor = lease->supervisor;
    struct watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    if (uv_poll_init(supervisor->loop, &watch->poll, fd) != 0) {
        free(watch);
        return -STATUS_INTERNAL;
    }
    watch->poll.data = watch;
    watch->fd = fd;
    watch->lease = lease;
    lease->watch = watch;
    /* The process is of no interest to a loop that wants to end. */
    uv_unref((uv_handle_t *)&watch->poll);
    if (uv_poll_start(&watch->poll, UV_READABLE, on_poll) != 0)
        lease_owner_forget(lease);
    return 0;
}

void lease_owner_watch(struct lease *lease, int32_t pid)
{
    struct proc_stat stat;
    bool is_known = pid == lease->owner_pid && lease->owner_start_ticks != 0;
    int fd;

    if (pid <= 0 || (lease->watch != NULL && pid == lease->owner_pid))
        return;
    lease_owner_forget(lease);
    lease->is_orphan = false;
    fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0U);
    /* After a take-over: the number may have become another's. */
    if (fd < 0 || proc_stat_read((pid_t)pid, &stat) != 0 ||
        (is_known && stat.start_ticks != lease->owner_start_ticks)) {
        fd_close(&fd);
        lease->owner_pid = pid;
        orphan(lease);
        return;
    }
    lease->owner_pid = pid;
    lease->owner_start_ticks = stat.start_ticks;
    if (open_watch(lease, fd) < 0)
        fd_close(&fd);
}

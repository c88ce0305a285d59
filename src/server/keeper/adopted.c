/* Children of the keeper before us. We are not their parent: a pidfd tells that one has ended, and
 * is what it is signalled through. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/keeper/state.h"

/* linux/pidfd.h of 6.15, which Debian 12 does not have: the struct's first version, and what we ask
 * for in it. */
struct pidfd_exit_info {
    uint64_t mask;
    uint64_t cgroup_id;
    uint32_t ids[11];
    int32_t exit_code;
};
#define PIDFD_GET_EXIT_INFO _IOWR(0xFF, 11, struct pidfd_exit_info)
#define PIDFD_EXIT_INFO_KNOWN (UINT64_C(1) << 3)
_Static_assert(sizeof(struct pidfd_exit_info) == 64, "PIDFD_INFO_SIZE_VER0");

/* linux/pidfd.h of 6.9: the signal goes to the process group of the pidfd's process. */
enum { PIDFD_SIGNAL_GROUP = 1 << 2 };

/* ---- adopting ---- */

/* A pidfd of exactly this process, or -1: it has ended, and its number may be another's. */
static int open_process(const struct inventory_record *record)
{
    uint64_t ticks = 0;
    CLEANUP(fd_close) int fd = (int)syscall(SYS_pidfd_open, record->pid, 0);
    if (fd < 0 || !inventory_start_ticks(record->pid, &ticks) || ticks != record->start_ticks)
        return -1;
    return fd_take(&fd);
}

static void adopt(struct keeper *keeper, size_t place, const struct inventory_record *record,
    enum inventory_progress progress)
{
    struct child child = {
        .state = CHILD_RUNNING,
        .slot = record->slot,
        .generation = record->generation,
        .pid = record->pid,
        .start_ticks = record->start_ticks,
        .rttime_mark = record->rttime_mark,
    };
    memcpy(child.invocation, record->invocation, sizeof child.invocation);
    if (progress == INVENTORY_ACKNOWLEDGED) {
        child.state = CHILD_ENDED;
    } else if (progress == INVENTORY_RUNS) {
        int fd = open_process(record);
        child.adopted_fd = fd > 0 ? fd : 0;
    }
    children_adopt(&keeper->children, place, &child);
    if (child.adopted_fd > 0)
        keeper_watch(keeper, EPOLL_CTL_ADD, child.adopted_fd, EPOLLIN, EVENT_ADOPTED, place);
}

static void tell_ended(struct keeper *keeper, size_t place, int wait_status)
{
    inventory_note_exit(keeper->inventory, place, wait_status);
    children_exited(&keeper->children, place, wait_status, clock_boottime_ns());
}

void adopted_take_all(struct keeper *keeper)
{
    struct inventory_record record;
    enum inventory_progress progress;
    int wait_status;
    size_t n = 0;
    for (size_t place = 0; place < KEEPER_CHILDREN; place++) {
        if (!inventory_get(keeper->inventory, place, &record, &progress, &wait_status) ||
            record.slot >= KEEPER_SLOT_DAEMON)
            continue;
        adopt(keeper, place, &record, progress);
        n += keeper->children.table[place].adopted_fd > 0;
    }
    children_adopted(&keeper->children, atomic_load(&keeper->outputs.shared->memory.last_sequence));
    for (size_t place = 0; place < KEEPER_CHILDREN; place++) {
        const struct child *child = &keeper->children.table[place];
        if (child->state != CHILD_RUNNING || child->adopted_fd > 0)
            continue;
        if (!inventory_get(keeper->inventory, place, &record, &progress, &wait_status) ||
            progress == INVENTORY_RUNS)
            wait_status = KEEPER_STATUS_UNKNOWN;
        tell_ended(keeper, place, wait_status);
    }
    inventory_walked(keeper->inventory);
    log_info("children taken over", "count=%zu", n);
}

/* ---- watching ---- */

/* False: not known (yet). */
static bool read_status(int fd, int *out)
{
    struct pidfd_exit_info info = {.mask = PIDFD_EXIT_INFO_KNOWN};
    if (ioctl(fd, PIDFD_GET_EXIT_INFO, &info) != 0 || (info.mask & PIDFD_EXIT_INFO_KNOWN) == 0)
        return false;
    *out = info.exit_code;
    return true;
}

/* A zombie can be read, until its parent has reaped it; then newer kernels remember for whoever
 * holds a pidfd. */
static bool find_status(const struct child *child, int *out)
{
    return inventory_exit_status(child->pid, child->start_ticks, out) ||
           read_status(child->adopted_fd, out);
}

static void end(struct keeper *keeper, size_t place, int wait_status)
{
    struct child *child = &keeper->children.table[place];
    if (child->status_by != 0)
        keeper->n_dying--;
    child->status_by = 0;
    fd_close(&child->adopted_fd);
    child->adopted_fd = 0;
    tell_ended(keeper, place, wait_status);
    link_tell_events(keeper);
}

void adopted_turn(struct keeper *keeper, size_t place)
{
    struct child *child = &keeper->children.table[place];
    int wait_status = KEEPER_STATUS_UNKNOWN;
    if (child->adopted_fd <= 0)
        return;
    struct pollfd look = {.fd = child->adopted_fd, .events = POLLIN};
    if (poll(&look, 1, 0) <= 0)
        return;
    bool is_known = find_status(child, &wait_status);
    if (is_known || (look.revents & (POLLHUP | POLLERR)) != 0) {
        end(keeper, place, wait_status);
        return;
    }
    /* Between the two: with no events asked for, EPOLLHUP tells that it has been reaped. */
    if (child->status_by != 0)
        return;
    child->status_by = clock_monotonic_ms() + KEEPER_STATUS_MS;
    keeper->n_dying++;
    keeper->dying_at = keeper->n_dying == 1 ? child->status_by : keeper->dying_at;
    keeper_watch(keeper, EPOLL_CTL_MOD, child->adopted_fd, 0, EVENT_ADOPTED, place);
}

void adopted_give_up(struct keeper *keeper, int64_t now)
{
    int64_t next = 0;
    for (size_t place = 0; keeper->n_dying > 0 && place < KEEPER_CHILDREN; place++) {
        const struct child *child = &keeper->children.table[place];
        int wait_status = KEEPER_STATUS_UNKNOWN;
        if (child->status_by == 0)
            continue;
        if (child->status_by <= now) {
            (void)find_status(child, &wait_status);
            end(keeper, place, wait_status);
        } else if (next == 0 || child->status_by < next) {
            next = child->status_by;
        }
    }
    keeper->dying_at = next;
}

/* ---- signals ---- */

static bool has_ended(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};
    return poll(&look, 1, 0) != 0;
}

int adopted_signal(const struct child *child, int number, bool to_group)
{
    unsigned flags = to_group ? PIDFD_SIGNAL_GROUP : 0;
    if (syscall(SYS_pidfd_send_signal, child->adopted_fd, number, NULL, flags) == 0)
        return 0;
    if (errno != EINVAL || !to_group)
        return errno;
    /* An older kernel: while the leader has not been reaped its number is the group's. */
    if (has_ended(child->adopted_fd))
        return ESRCH;
    return kill(-child->pid, number) == 0 ? 0 : errno;
}

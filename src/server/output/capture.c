#include "server/output/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/output/log_file.h"
#include "server/output/text_pool.h"

_Static_assert((int)TEXT_POOL_TEXTS >= (int)CAPTURE_ENTRIES, "a path for every entry");

enum { EVENTS_PER_WAIT = 64, CONTROL_EVENT = CAPTURE_ENTRIES };

struct entry {
    bool is_open;
    /* The file was locked by another, or reading failed: not polled until the retry. */
    bool is_busy;
    uint32_t slot;
    uint32_t keep;
    uint64_t max_size;
    int source_fd;
    int private_fd;
    /* Bytes in the private pipe. */
    size_t pending;
    struct log_file file;
};

/* One process, one instance. */
struct capture {
    int epoll_fd;
    int control_fd;
    int null_fd;
    size_t n_open;
    size_t n_busy;
    struct capture_counters *counters;
    struct entry entries[CAPTURE_ENTRIES];
    struct text_pool paths;
};

static struct capture capture;

/* ---- one output ---- */

static void entry_poll(const struct entry *entry, int operation)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(entry - capture.entries)};
    if (epoll_ctl(capture.epoll_fd, operation, entry->source_fd, &event) != 0)
        log_error("capture cannot watch an output", "slot=%u errno=%d", entry->slot, errno);
}

static void entry_close(struct entry *entry)
{
    struct capture_report report = {.entry = (uint32_t)(entry - capture.entries)};
    fd_close(&entry->source_fd);
    fd_close(&entry->private_fd);
    log_file_close(&entry->file);
    text_pool_remove(&capture.paths, report.entry);
    if (entry->is_busy)
        capture.n_busy--;
    *entry = (struct entry){0};
    capture.n_open--;
    /* Lost only if the keeper is gone, or 200 reports behind: then it keeps two descriptors too
     * many. */
    (void)send(capture.control_fd, &report, sizeof report, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The file does not take them, and the service must not wait for it. */
static void entry_discard(struct entry *entry, struct capture_counters *counters)
{
    while (entry->pending > 0) {
        ssize_t moved = splice(
            entry->private_fd, NULL, capture.null_fd, NULL, entry->pending, SPLICE_F_NONBLOCK);
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            break;
        entry->pending -= (size_t)moved;
        atomic_fetch_add(&counters->lost_bytes, (uint64_t)moved);
    }
    entry->pending = 0;
}

/* Second stage. False: the file is locked by another process. */
static bool entry_write(struct entry *entry)
{
    struct capture_counters *counters = &capture.counters[entry->slot];
    struct log_file_target target = {
        .path = text_pool_get(&capture.paths, (size_t)(entry - capture.entries)),
        .max_size = entry->max_size,
        .keep = entry->keep,
    };
    struct log_file_outcome outcome;
    int result =
        log_file_append(&entry->file, &target, entry->private_fd, entry->pending, &outcome);
    if (result == LOG_FILE_BUSY)
        return false;
    entry->pending -= outcome.written;
    atomic_fetch_add(&counters->written_bytes, outcome.written);
    atomic_fetch_add(&counters->rotations, outcome.rotations);
    atomic_store(&counters->system_error, outcome.system_error);
    if (result == LOG_FILE_REFUSED)
        entry_discard(entry, counters);
    return true;
}

enum fill { FILL_NONE, FILL_SOME, FILL_FAILED, FILL_END };

/* First stage. A failure is no end: the keeper holds the other end for the service's next
 * processes. */
static enum fill entry_fill(struct entry *entry)
{
    ssize_t moved;
    do
        moved = splice(entry->source_fd, NULL, entry->private_fd, NULL, CAPTURE_BATCH_BYTES,
            SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (moved < 0 && errno == EINTR);
    if (moved > 0) {
        entry->pending = (size_t)moved;
        return FILL_SOME;
    }
    if (moved == 0)
        return FILL_END;
    if (errno == EAGAIN)
        return FILL_NONE;
    atomic_store(&capture.counters[entry->slot].system_error, errno);
    return FILL_FAILED;
}

static void entry_set_busy(struct entry *entry, bool busy)
{
    if (entry->is_busy == busy)
        return;
    entry->is_busy = busy;
    if (busy)
        capture.n_busy++;
    else
        capture.n_busy--;
    entry_poll(entry, busy ? EPOLL_CTL_DEL : EPOLL_CTL_ADD);
}

/* One batch. */
static void entry_pump(struct entry *entry)
{
    enum fill fill = entry->pending == 0 ? entry_fill(entry) : FILL_NONE;
    bool is_written = entry->pending == 0 || entry_write(entry);
    entry_set_busy(entry, fill == FILL_FAILED || !is_written);
    if (fill == FILL_END)
        entry_close(entry);
}

static void retry_busy(void)
{
    for (size_t i = 0; i < CAPTURE_ENTRIES && capture.n_busy > 0; i++)
        if (capture.entries[i].is_open && capture.entries[i].is_busy)
            entry_pump(&capture.entries[i]);
}

/* ---- orders ---- */

static void order_change(struct entry *entry, const struct capture_order *order)
{
    entry->max_size = order->max_size;
    entry->keep = order->keep;
    log_file_close(&entry->file);
    if (!text_pool_set(&capture.paths, order->entry, order->path))
        log_error("capture has no room for a path", "slot=%u", order->slot);
}

static void order_open(const struct capture_order *order, int fds[2])
{
    struct entry *entry = &capture.entries[order->entry];
    int pending = 0;
    if (ioctl(fds[1], FIONREAD, &pending) != 0)
        pending = 0;
    *entry = (struct entry){
        .is_open = true,
        .slot = order->slot,
        .source_fd = fd_take(&fds[0]),
        .private_fd = fd_take(&fds[1]),
        .pending = (size_t)pending,
        .file = LOG_FILE_INIT,
    };
    capture.n_open++;
    order_change(entry, order);
    entry_poll(entry, EPOLL_CTL_ADD);
    if (entry->pending > 0)
        entry_pump(entry);
}

static void order_apply(struct capture_order *order, int fds[2])
{
    if (order->entry >= CAPTURE_ENTRIES || order->slot >= CAPTURE_SLOTS)
        return;
    order->path[sizeof order->path - 1] = '\0';
    bool is_open = capture.entries[order->entry].is_open;
    if (order->kind == CAPTURE_OPEN && !is_open && fds[1] >= 0)
        order_open(order, fds);
    else if (order->kind == CAPTURE_CHANGE && is_open)
        order_change(&capture.entries[order->entry], order);
}

/* Our complaints go to an output too, which has no end while we hold it open. */
static void end_orders(void)
{
    fd_close(&capture.control_fd);
    if (dup2(capture.null_fd, STDOUT_FILENO) < 0 || dup2(capture.null_fd, STDERR_FILENO) < 0)
        log_error("capture keeps its own log open", "errno=%d", errno);
}

/* One order with its descriptors; false: no more for now, or the keeper has closed its end. */
static bool order_receive(struct capture_order *order, int fds[2])
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = order, .iov_len = sizeof *order};
    struct msghdr message = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes};
    ssize_t length;
    do
        length = recvmsg(capture.control_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    if (length < 0 && errno == EAGAIN)
        return false;
    if (length < (ssize_t)offsetof(struct capture_order, path)) {
        end_orders();
        return false;
    }
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    if (rights != NULL && rights->cmsg_len == CMSG_LEN(2 * sizeof(int)))
        memcpy(fds, CMSG_DATA(rights), 2 * sizeof(int));
    return true;
}

static void receive_orders(void)
{
    static struct capture_order order;
    int fds[2] = {-1, -1};
    while (capture.control_fd >= 0 && order_receive(&order, fds)) {
        order_apply(&order, fds);
        fd_close(&fds[0]);
        fd_close(&fds[1]);
    }
}

/* ---- the process ---- */

static int set_up(int control_fd, int counters_fd)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXFSZ};
    for (size_t i = 0; i < ARRAY_LENGTH(ignored); i++)
        if (sigaction(ignored[i], &(struct sigaction){.sa_handler = SIG_IGN}, NULL) != 0)
            return errno;
    void *counters = mmap(NULL, CAPTURE_SLOTS * sizeof(struct capture_counters),
        PROT_READ | PROT_WRITE, MAP_SHARED, counters_fd, 0);
    if (counters == MAP_FAILED)
        return errno;
    capture.counters = counters;
    capture.control_fd = control_fd;
    capture.null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    capture.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = CONTROL_EVENT};
    if (capture.null_fd < 0 || capture.epoll_fd < 0 ||
        epoll_ctl(capture.epoll_fd, EPOLL_CTL_ADD, control_fd, &event) != 0)
        return errno;
    return 0;
}

static void turn(void)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    int timeout = capture.n_busy > 0 ? CAPTURE_RETRY_MS : -1;
    int n_events = epoll_wait(capture.epoll_fd, events, EVENTS_PER_WAIT, timeout);
    for (int i = 0; i < n_events; i++) {
        uint32_t which = events[i].data.u32;
        if (which == CONTROL_EVENT)
            receive_orders();
        else if (capture.entries[which].is_open && !capture.entries[which].is_busy)
            entry_pump(&capture.entries[which]);
    }
    if (capture.n_busy > 0)
        retry_busy();
}

int capture_run(int control_fd, int counters_fd)
{
    int failure = set_up(control_fd, counters_fd);
    if (failure != 0) {
        log_error("capture cannot start", "errno=%d", failure);
        return 1;
    }
    while (capture.control_fd >= 0 || capture.n_open > 0)
        turn();
    return 0;
}

/* The socket that services speak to (sd_notify). The keeper holds it, so that messages wait while
 * flocksd is replaced. Who has sent one is asked of the kernel (SCM_CREDENTIALS) and of /proc, and
 * must belong to the present run of a service that is configured with `notify`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base/log.h"
#include "server/supervise/proc_file.h"
#include "server/supervise/service.h"
#include "server/supervise/supervisor_private.h"

enum {
    /* Datagrams heard in one turn of the loop; others have their turn before the next ones. */
    NOTIFY_PER_TURN = 32,
    /* ... and after a turn that was full, nothing is heard for so long: who floods waits in the
       socket, and takes at most a quarter of a processor. */
    NOTIFY_PAUSE_MS = 2,
    /* Descriptors received with one datagram, to be closed; the kernel drops the others. */
    NOTIFY_DESCRIPTORS_MAX = 4,
    /* Parents between a sender and its service's leader. */
    NOTIFY_ANCESTORS_MAX = 32,
    /* Refused datagrams are told of at most this often, with their number. */
    NOTIFY_COMPLAINT_MS = 10 * 1000
};

struct hearing {
    struct supervisor *supervisor; /* NULL: it is gone */
    int fd;                        /* borrowed */
    uv_poll_t poll;
    uv_timer_t pause;
    unsigned n_handles;
    uint64_t n_refused; /* since they were last told of */
    int64_t told_at;
};

/* ---- who has sent it ---- */

static bool is_heard(const struct service *service)
{
    return service->config->notify && service_facts_has_run(&service->facts) &&
           service->facts.state != SERVICE_PREPARING;
}

static struct service *find_by_mark(const struct supervisor *supervisor, pid_t pid)
{
    uint64_t soft;
    uint64_t hard;

    if (proc_rttime_read(pid, &soft, &hard) != 0)
        return NULL;
    for (uint32_t i = 0; i < supervisor->n_services; i++) {
        struct service *service = supervisor->services[i];
        uint64_t mark = service->identity.mark;

        if (mark != 0 && (mark == soft || mark == hard) && is_heard(service))
            return service;
    }
    return NULL;
}

/* One that is the leader, or in its session or group: these numbers are not given away while a
 * member lives, and one that is older than the leader is of an earlier owner of the number. */
static struct service *find_by_numbers(
    const struct supervisor *supervisor, pid_t pid, const struct proc_stat *stat)
{
    for (uint32_t i = 0; i < supervisor->n_services; i++) {
        struct service *service = supervisor->services[i];
        const struct process_id *leader = &service->identity.leader;

        if (leader->pid == 0 || stat->start_ticks < leader->start_ticks || !is_heard(service))
            continue;
        if (pid == leader->pid && stat->start_ticks == leader->start_ticks)
            return service;
        if (pid != leader->pid && (stat->session == leader->pid || stat->group == leader->pid))
            return service;
    }
    return NULL;
}

static struct service *find_sender(const struct supervisor *supervisor, pid_t pid)
{
    struct service *service = find_by_mark(supervisor, pid);
    uint64_t child_ticks = UINT64_MAX;

    for (unsigned i = 0; service == NULL && i <= NOTIFY_ANCESTORS_MAX && pid > 1; i++) {
        struct proc_stat stat;

        /* A parent younger than its child is a recycled pid. */
        if (proc_stat_read(pid, &stat) != 0 || stat.start_ticks > child_ticks)
            return NULL;
        service = find_by_numbers(supervisor, pid, &stat);
        child_ticks = stat.start_ticks;
        pid = stat.parent;
    }
    return service;
}

/* ---- what comes with it ---- */

static void on_descriptor_closed(uv_fs_t *request)
{
    uv_fs_req_cleanup(request);
    free(request);
}

/* Closing may wait (a lingering socket, a file system): not on the loop. Whoever waits for the
 * other end (sd_notify_barrier) goes on then. */
static void close_descriptor(struct hearing *hearing, int fd)
{
    uv_fs_t *request = malloc(sizeof *request);

    if (request == NULL ||
        uv_fs_close(hearing->supervisor->loop, request, fd, on_descriptor_closed) != 0) {
        free(request);
        (void)close(fd);
    }
}

/* Pid of the sender, 0: unknown. */
static pid_t take_control(struct hearing *hearing, struct msghdr *header)
{
    pid_t pid = 0;

    for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item != NULL;
         item = CMSG_NXTHDR(header, item)) {
        size_t len = item->cmsg_len - CMSG_LEN(0);

        if (item->cmsg_level != SOL_SOCKET)
            continue;
        if (item->cmsg_type == SCM_CREDENTIALS && len >= sizeof(struct ucred)) {
            struct ucred credentials;

            memcpy(&credentials, CMSG_DATA(item), sizeof credentials);
            pid = credentials.pid;
        } else if (item->cmsg_type == SCM_RIGHTS) {
            for (size_t at = 0; at + sizeof(int) <= len; at += sizeof(int)) {
                int fd;

                memcpy(&fd, CMSG_DATA(item) + at, sizeof fd);
                close_descriptor(hearing, fd);
            }
        }
    }
    return pid;
}

/* ---- hearing ---- */

/* A sender that has gone before it was heard cannot be told from any other: both are counted. */
static void refuse(struct hearing *hearing, pid_t pid, const char *why, int64_t now)
{
    hearing->n_refused++;
    if (now - hearing->told_at < NOTIFY_COMPLAINT_MS)
        return;
    log_warn("notification ignored", "pid=%d why=\"%s\" count=%llu", (int)pid, why,
        (unsigned long long)hearing->n_refused);
    hearing->told_at = now;
    hearing->n_refused = 0;
}

/* The keeper alone says who the leader is. */
static void tell_main_pid(const struct service *service)
{
    if (!service->notified.main_pid_told)
        log_warn("MAINPID refused", "name=%s pid=%d", service->name, (int)service->facts.pid);
}

/* True: it must not be lost. */
static bool hear(struct hearing *hearing, pid_t pid, const char *text, size_t len)
{
    int64_t now = clock_monotonic_ms();
    struct notify_message message;
    struct service *service;

    if (notify_parse(text, len, &message) != 0) {
        refuse(hearing, pid, "no text, or too long", now);
        return false;
    }
    service = pid > 0 ? find_sender(hearing->supervisor, pid) : NULL;
    if (service == NULL) {
        refuse(hearing, pid, "its sender is gone, or no process of a service with notify", now);
        return false;
    }
    if (message.main_pid) {
        tell_main_pid(service);
        service->notified.main_pid_told = true;
    }
    return service_watch_notified(service, &message, now);
}

struct datagram {
    /* Two bytes more than is allowed: a NUL at its end, and what tells a longer one. */
    char text[NOTIFY_DATAGRAM_MAX + 2];
    size_t len;
    pid_t pid;
};

/* The first that waits; MSG_PEEK leaves it there. False: there is none. */
static bool receive(struct hearing *hearing, int flags, struct datagram *out)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct ucred)) +
                   CMSG_SPACE(NOTIFY_DESCRIPTORS_MAX * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = out->text, .iov_len = sizeof out->text};
    struct msghdr header = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes};
    ssize_t len = recvmsg(hearing->fd, &header, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (len < 0)
        return false;
    out->len = (size_t)len;
    out->pid = take_control(hearing, &header);
    return true;
}

static bool is_open(const struct hearing *hearing)
{
    return hearing->supervisor != NULL && !hearing->supervisor->is_closing;
}

enum heard { HEARD_NOTHING, HEARD_SOMETHING, HEARD_ONCE };

/* Taken out of the socket only when it can be forgotten: who dies in between hears it again. */
static enum heard hear_one(struct hearing *hearing)
{
    struct datagram datagram;
    bool is_said_once;

    if (!is_open(hearing) || !receive(hearing, MSG_PEEK, &datagram))
        return HEARD_NOTHING;
    is_said_once = hear(hearing, datagram.pid, datagram.text, datagram.len);
    if (!is_open(hearing))
        return HEARD_NOTHING;
    if (is_said_once)
        supervisor_save(hearing->supervisor);
    (void)receive(hearing, 0, &datagram);
    return is_said_once ? HEARD_ONCE : HEARD_SOMETHING;
}

/* True: there may be more. One that had to be written is the last of its turn. */
static bool hear_some(struct hearing *hearing, bool *out_is_full)
{
    enum heard heard = HEARD_SOMETHING;
    unsigned n = 0;

    while (n < NOTIFY_PER_TURN && heard == HEARD_SOMETHING) {
        heard = hear_one(hearing);
        n++;
    }
    *out_is_full = heard == HEARD_SOMETHING;
    return heard != HEARD_NOTHING;
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct hearing *hearing = timer->data;

    (void)uv_poll_start(&hearing->poll, UV_READABLE, on_readable);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct hearing *hearing = poll->data;
    bool is_full = false;

    (void)events;
    if (status < 0) {
        log_error("services are heard no more", "error=\"%s\"", uv_strerror(status));
        (void)uv_poll_stop(poll);
    } else if (hear_some(hearing, &is_full) && is_full && is_open(hearing)) {
        (void)uv_poll_stop(poll);
        (void)uv_timer_start(&hearing->pause, on_pause_over, NOTIFY_PAUSE_MS, 0);
    }
}

bool supervisor_hear(struct supervisor *supervisor)
{
    bool is_full;

    return supervisor->hearing != NULL && hear_some(supervisor->hearing, &is_full);
}

void supervisor_hear_begin(struct supervisor *supervisor)
{
    struct hearing *hearing;

    if (supervisor->notify_fd < 0 || supervisor->hearing != NULL)
        return;
    hearing = calloc(1, sizeof *hearing);
    if (hearing == NULL || uv_poll_init(supervisor->loop, &hearing->poll, supervisor->notify_fd)) {
        log_error("services are not heard", "fd=%d", supervisor->notify_fd);
        free(hearing);
        return;
    }
    hearing->supervisor = supervisor;
    hearing->fd = supervisor->notify_fd;
    hearing->told_at = clock_monotonic_ms() - NOTIFY_COMPLAINT_MS;
    hearing->poll.data = hearing;
    (void)uv_timer_init(supervisor->loop, &hearing->pause);
    hearing->pause.data = hearing;
    hearing->n_handles = 2;
    supervisor->hearing = hearing;
    (void)uv_poll_start(&hearing->poll, UV_READABLE, on_readable);
}

static void on_closed(uv_handle_t *handle)
{
    struct hearing *hearing = handle->data;

    if (--hearing->n_handles == 0)
        free(hearing);
}

void supervisor_hear_end(struct supervisor *supervisor)
{
    struct hearing *hearing = supervisor->hearing;

    if (hearing == NULL)
        return;
    supervisor->hearing = NULL;
    hearing->supervisor = NULL;
    uv_close((uv_handle_t *)&hearing->poll, on_closed);
    uv_close((uv_handle_t *)&hearing->pause, on_closed);
}

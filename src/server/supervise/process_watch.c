#include "server/supervise/process_watch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/status.h"
#include "server/supervise/proc_file.h"

struct process_watch {
    uv_poll_t poll;
    int fd; /* of the process */
    void (*ended)(void *data);
    void *data;
};

static void on_closed(uv_handle_t *handle)
{
    struct process_watch *watch = handle->data;

    fd_close(&watch->fd);
    free(watch);
}

void process_watch_close(struct process_watch *watch)
{
    if (watch == NULL)
        return;
    watch->ended = NULL;
    if (!uv_is_closing((uv_handle_t *)&watch->poll))
        uv_close((uv_handle_t *)&watch->poll, on_closed);
}

/* A pidfd becomes readable when its process ends (pidfd_open(2)). */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct process_watch *watch = poll->data;
    void (*ended)(void *data) = watch->ended;

    (void)status;
    (void)events;
    (void)uv_poll_stop(poll);
    watch->ended = NULL;
    if (ended != NULL)
        ended(watch->data);
}

/* PROCESS_WATCH_GONE also when the number has become another's. */
static int open_process(int32_t pid, uint64_t *start_ticks, int *out_fd)
{
    struct proc_stat stat;
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0U);

    if (fd < 0)
        return errno == ESRCH || errno == EINVAL ? PROCESS_WATCH_GONE : -STATUS_RESOURCE_EXHAUSTED;
    if (proc_stat_read((pid_t)pid, &stat) != 0 ||
        (*start_ticks != 0 && stat.start_ticks != *start_ticks)) {
        fd_close(&fd);
        return PROCESS_WATCH_GONE;
    }
    *start_ticks = stat.start_ticks;
    *out_fd = fd;
    return 0;
}

int process_watch_open(uv_loop_t *loop, int32_t pid, uint64_t *start_ticks,
    void (*ended)(void *data), void *data, struct process_watch **out)
{
    struct process_watch *watch;
    int fd = -1;
    int result = open_process(pid, start_ticks, &fd);

    if (result != 0)
        return result;
    watch = calloc(1, sizeof *watch);
    if (watch == NULL || uv_poll_init(loop, &watch->poll, fd) != 0) {
        free(watch);
        fd_close(&fd);
        return -STATUS_RESOURCE_EXHAUSTED;
    }
    *watch = (struct process_watch){.poll = watch->poll, .fd = fd, .ended = ended, .data = data};
    watch->poll.data = watch;
    /* The process is of no interest to a loop that wants to end. */
    uv_unref((uv_handle_t *)&watch->poll);
    if (uv_poll_start(&watch->poll, UV_READABLE, on_poll) != 0) {
        process_watch_close(watch);
        return -STATUS_INTERNAL;
    }
    *out = watch;
    return 0;
}

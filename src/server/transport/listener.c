#include "server/transport/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/transport/descriptors.h"
#include "server/transport/limits.h"

struct listener {
    uv_poll_t poll;
    /* Runs while accepting rests. */
    uv_timer_t rest;
    int open_handles;
    int fd;
    /* Given up for a moment when there is no other descriptor to accept with. */
    int reserve_fd;
    bool is_closing;
    /* Accepting has failed, and nobody was let in since: the log has been told. */
    bool is_failing;
    const struct listener_events *events;
    void *data;
};

static int accept_one(const struct listener *listener)
{
    return accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* Without this the socket would stay readable and the loop would spin on it. 0, or what accept()
 * says even now. */
static int turn_one_away(struct listener *listener)
{
    int accept_error;
    int fd;

    fd_close(&listener->reserve_fd);
    fd = accept_one(listener);
    accept_error = fd < 0 ? errno : 0;
    if (fd >= 0)
        listener->events->turned_away(listener->data);
    fd_close(&fd);
    listener->reserve_fd = descriptors_reserve();
    return accept_error;
}

static void on_rested(uv_timer_t *timer);

/* The newcomer waits in the kernel, and the loop would be told of it again and again. */
static void rest(struct listener *listener, int accept_error)
{
    if (!listener->is_failing)
        log_warn("connections are not accepted", "error=%s", error_errno_name(accept_error));
    listener->is_failing = true;
    (void)uv_poll_stop(&listener->poll);
    uv_update_time(listener->rest.loop);
    /* Fails only for a closing timer. */
    (void)uv_timer_start(&listener->rest, on_rested, TRANSPORT_REST_MS, 0);
}

/* True: worth trying again at once. */
static bool recover(struct listener *listener, int accept_error)
{
    if (accept_error == EMFILE || accept_error == ENFILE)
        accept_error = listener->events->make_room(listener->data) ? 0 : turn_one_away(listener);
    switch (accept_error) {
    case 0:
    case EINTR:
    case ECONNABORTED:
        return true;
    case EAGAIN:
        return false;
    default:
        rest(listener, accept_error);
        return false;
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = poll->data;

    (void)events;
    if (status < 0) {
        log_error("listening socket failed", "error=%s", error_errno_name(-status));
        return;
    }
    for (int i = 0; i < TRANSPORT_ACCEPTS_PER_TURN && !listener->is_closing; i++) {
        int fd = accept_one(listener);

        if (fd < 0) {
            if (!recover(listener, errno))
                return;
            continue;
        }
        listener->is_failing = false;
        listener->events->accepted(listener->data, fd);
    }
}

static void on_rested(uv_timer_t *timer)
{
    struct listener *listener = timer->data;
    int result = uv_poll_start(&listener->poll, UV_READABLE, on_readable);

    if (result != 0)
        rest(listener, -result);
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;

    if (--listener->open_handles == 0)
        free(listener);
}

int listener_open(uv_loop_t *loop, int fd, const struct listener_events *events, void *data,
    struct listener **out, struct error *error)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    int result;

    if (!listener)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the listener");
    result = uv_poll_init(loop, &listener->poll, fd);
    if (result != 0) {
        free(listener);
        return error_set_errno(error, -result, "watch the listening socket");
    }
    listener->poll.data = listener;
    /* Cannot fail in libuv 1.44. */
    (void)uv_timer_init(loop, &listener->rest);
    listener->rest.data = listener;
    listener->open_handles = 2;
    listener->fd = fd;
    listener->reserve_fd = descriptors_reserve();
    listener->events = events;
    listener->data = data;
    result = uv_poll_start(&listener->poll, UV_READABLE, on_readable);
    if (result != 0) {
        listener_close(listener);
        return error_set_errno(error, -result, "watch the listening socket");
    }
    *out = listener;
    return 0;
}

void listener_close(struct listener *listener)
{
    if (!listener)
        return;
    listener->is_closing = true;
    fd_close(&listener->reserve_fd);
    uv_close((uv_handle_t *)&listener->poll, on_closed);
    uv_close((uv_handle_t *)&listener->rest, on_closed);
}

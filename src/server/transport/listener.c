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
    int fd;
    /* Given up for a moment when there is no other descriptor to accept with. */
    int reserve_fd;
    bool is_closing;
    const struct listener_events *events;
    void *data;
};

static int accept_one(const struct listener *listener)
{
    return accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* Without this the socket would stay readable and the loop would spin on it. */
static bool turn_one_away(struct listener *listener)
{
    int fd;

    fd_close(&listener->reserve_fd);
    fd = accept_one(listener);
    if (fd >= 0)
        listener->events->turned_away(listener->data);
    fd_close(&fd);
    listener->reserve_fd = descriptors_reserve();
    return listener->reserve_fd >= 0;
}

/* True: worth trying again at once. */
static bool recover(struct listener *listener, int accept_error)
{
    switch (accept_error) {
    case EINTR:
    case ECONNABORTED:
        return true;
    case EMFILE:
    case ENFILE:
        return listener->events->make_room(listener->data) || turn_one_away(listener);
    case EAGAIN:
        return false;
    default:
        log_warn("connection not accepted", "error=%s", error_errno_name(accept_error));
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

        if (fd >= 0)
            listener->events->accepted(listener->data, fd);
        else if (!recover(listener, errno))
            return;
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;

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
}

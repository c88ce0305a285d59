/* The listening socket on the loop. Accepts always: when descriptors run out it asks for room, and
 * when there is none it turns the newcomer away, so that the next one is looked at. What else fails
 * is tried again after TRANSPORT_REST_MS. */
#ifndef FLOCKS_TRANSPORT_LISTENER_H
#define FLOCKS_TRANSPORT_LISTENER_H

#include <stdbool.h>
#include <uv.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

struct listener;

struct listener_events {
    /* A new socket, non-blocking, close-on-exec, consumed. */
    void (*accepted)(void *data, int fd);
    /* accept() had no descriptor: close a connection. False: none can go. */
    bool (*make_room)(void *data);
    /* A newcomer was turned away for want of descriptors. */
    void (*turned_away)(void *data);
};

/* `fd` stays the caller's; `events` and `data` outlive the listener. */
NODISCARD int listener_open(uv_loop_t *loop, int fd, const struct listener_events *events,
    void *data, struct listener **out, struct error *error);
/* No event comes any more; the memory dies from the loop. NULL is accepted. */
void listener_close(struct listener *listener);

#endif

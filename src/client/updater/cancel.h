/* Whether the work should end: a descriptor that becomes readable (an eventfd, a signalfd, the read
 * end of a pipe) and that is never read here, so that everything that looks at it sees the same. */
#ifndef FLOCKS_UPDATER_CANCEL_H
#define FLOCKS_UPDATER_CANCEL_H

#include <poll.h>
#include <stdbool.h>

/* Waits for at most `timeout_ms` (0: only looks). With -1 as `fd` it waits and answers false. */
static inline bool cancel_wait(int fd, int timeout_ms)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    return poll(&wanted, 1, timeout_ms) > 0;
}

static inline bool cancel_is_asked(int fd)
{
    return fd >= 0 && cancel_wait(fd, 0);
}

#endif

#include "faults.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

struct faults faults;

ssize_t __real_recv(int fd, void *bytes, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t len, int flags);
ssize_t __wrap___recv_chk(int fd, void *bytes, size_t len, size_t room, int flags);
ssize_t __real_send(int fd, const void *bytes, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);

static bool fails(enum fault_call call)
{
    if (++faults.n_calls[call] != faults.fail_at[call])
        return false;
    errno = faults.error_number;
    return true;
}

static size_t shortened(size_t len)
{
    return faults.longest > 0 && len > faults.longest ? faults.longest : len;
}

/* Empty frames of stream 99 and a type that nobody knows. */
static ssize_t receive_nonsense(void *bytes, size_t len)
{
    static const unsigned char FRAME[10] = {0, 0, 0, 0, 0, 0, 0, 99, 0x77, 0};
    size_t n = len / sizeof FRAME * sizeof FRAME;
    for (size_t i = 0; i < n; i += sizeof FRAME)
        memcpy((unsigned char *)bytes + i, FRAME, sizeof FRAME);
    return (ssize_t)n;
}

ssize_t __wrap_recv(int fd, void *bytes, size_t len, int flags)
{
    if (fails(FAULT_RECV))
        return -1;
    if (faults.is_endless)
        return receive_nonsense(bytes, len);
    ssize_t n = __real_recv(fd, bytes, shortened(len), flags);
    if (n > 0)
        faults.n_received += (size_t)n;
    return n;
}

/* What _FORTIFY_SOURCE makes of recv. */
ssize_t __wrap___recv_chk(int fd, void *bytes, size_t len, size_t room, int flags)
{
    (void)room;
    return __wrap_recv(fd, bytes, len, flags);
}

static bool is_full(void)
{
    return faults.full_after > 0 && faults.n_sent >= faults.full_after &&
           faults.n_received < faults.full_until_received;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags)
{
    if (fails(FAULT_SEND))
        return -1;
    if (is_full()) {
        errno = EAGAIN;
        return -1;
    }
    if (faults.full_after > faults.n_sent && len > faults.full_after - faults.n_sent)
        len = faults.full_after - faults.n_sent;
    ssize_t n = __real_send(fd, bytes, shortened(len), flags);
    if (n > 0)
        faults.n_sent += (size_t)n;
    return n;
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    if (fails(FAULT_POLL))
        return -1;
    /* A full socket is not writable. */
    if (is_full())
        fds->events = (short)(fds->events & ~POLLOUT);
    return __real_poll(fds, n, timeout_ms);
}

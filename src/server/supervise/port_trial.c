#include "server/supervise/port_trial.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "common/base/fd.h"

static void make_wildcard(union endpoint_address *address)
{
    if (address->any.sa_family == AF_INET6)
        address->v6.sin6_addr = in6addr_any;
    else
        address->v4.sin_addr.s_addr = htonl(INADDR_ANY);
}

/* An IPv6 socket takes IPv6 only: whether the service means both families is not known. */
static enum port_trial try_bind(const union endpoint_address *address, bool shares)
{
    CLEANUP(fd_close)
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return PORT_TRIAL_UNKNOWN;
    if (shares && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0)
        return PORT_TRIAL_UNKNOWN;
    if (address->any.sa_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
        return PORT_TRIAL_UNKNOWN;
    if (bind(fd, &address->any, endpoint_address_length(address)) == 0)
        return PORT_TRIAL_FREE;
    return errno == EADDRINUSE ? PORT_TRIAL_TAKEN : PORT_TRIAL_UNKNOWN;
}

enum port_trial port_trial_bind(const struct endpoint *endpoint, bool shares)
{
    enum port_trial worst = PORT_TRIAL_UNKNOWN;

    for (size_t i = 0; i < endpoint->count; i++) {
        union endpoint_address address = endpoint->addresses[i];
        enum port_trial trial;

        if (endpoint->is_wildcard)
            make_wildcard(&address);
        trial = try_bind(&address, shares);
        if (trial == PORT_TRIAL_TAKEN)
            return trial;
        if (trial == PORT_TRIAL_FREE)
            worst = trial;
    }
    return worst;
}

enum port_trial port_trial_connect(const union endpoint_address *address)
{
    CLEANUP(fd_close)
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    int failed = 0;
    socklen_t length = sizeof failed;

    if (fd < 0)
        return PORT_TRIAL_UNKNOWN;
    if (connect(fd, &address->any, endpoint_address_length(address)) == 0)
        return PORT_TRIAL_TAKEN;
    if (errno == ECONNREFUSED)
        return PORT_TRIAL_FREE;
    /* On the loopback interface the handshake is over when connect returns. */
    if (errno != EINPROGRESS || poll(&writable, 1, 0) != 1 ||
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &length) < 0)
        return PORT_TRIAL_UNKNOWN;
    if (failed == 0)
        return PORT_TRIAL_TAKEN;
    return failed == ECONNREFUSED ? PORT_TRIAL_FREE : PORT_TRIAL_UNKNOWN;
}

#include "server/transport/loopback.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/base/fd.h"
#include "server/transport/limits.h"

union address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

const char *loopback_host(enum loopback which)
{
    return which == LOOPBACK_IPV6 ? "::1" : "127.0.0.1";
}

void loopback_text(enum loopback which, uint16_t port, char out[LOOPBACK_TEXT_MAX])
{
    int len = snprintf(out, LOOPBACK_TEXT_MAX, which == LOOPBACK_IPV6 ? "[%s]:%u" : "%s:%u",
        loopback_host(which), (unsigned)port);

    (void)len; /* the longest fits */
}

static socklen_t address_of(enum loopback which, uint16_t port, union address *out)
{
    *out = (union address){.ipv6 = {.sin6_family = AF_INET6}};
    if (which == LOOPBACK_IPV6) {
        out->ipv6.sin6_addr = in6addr_loopback;
        out->ipv6.sin6_port = htons(port);
        return sizeof(out->ipv6);
    }
    out->ipv4 = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return sizeof(out->ipv4);
}

/* Connections of a flocksd that was killed linger; without this the next one could not bind. Not
 * SO_REUSEPORT, with which somebody else could share the port. */
static int set_options(int fd, enum loopback which)
{
    const int on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
        return -1;
    return which == LOOPBACK_IPV6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) : 0;
}

int loopback_listen(enum loopback which, uint16_t port, int *out_fd, struct error *error)
{
    union address address;
    socklen_t len = address_of(which, port, &address);
    char text[LOOPBACK_TEXT_MAX];
    CLEANUP(fd_close)
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    loopback_text(which, port, text);
    if (fd < 0 && errno == EAFNOSUPPORT)
        return LOOPBACK_ABSENT;
    if (fd < 0 || set_options(fd, which) != 0)
        return error_set_errno(error, errno, "make a socket for %s", text);
    if (bind(fd, &address.any, len) != 0 || listen(fd, TRANSPORT_TCP_BACKLOG) != 0) {
        if (errno == EADDRINUSE)
            return LOOPBACK_TAKEN;
        if (errno == EADDRNOTAVAIL)
            return LOOPBACK_ABSENT;
        return error_set_errno(error, errno, "listen on %s", text);
    }
    *out_fd = fd_take(&fd);
    return 0;
}

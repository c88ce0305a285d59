/* Serves bench.v1.EchoService on a unix socket until it is killed; says "ready" first.
 *
 *   bench-echo-server epoll PATH      the engine in a loop of its own, as a stranger would write it
 *   bench-echo-server flocksd PATH    in the transport that flocksd has (libuv, peers, bounds) */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "echo_shells.h"

static int listen_on(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, SOMAXCONN) != 0)
        return -1;
    return fd;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 3) {
        (void)fprintf(stderr, "usage: %s epoll|flocksd PATH\n", arguments[0]);
        return 2;
    }
    int fd = listen_on(arguments[2]);
    if (fd < 0) {
        perror(arguments[2]);
        return 1;
    }
    (void)printf("ready\n");
    (void)fflush(stdout);
    if (strcmp(arguments[1], "epoll") == 0)
        return echo_serve_epoll(fd);
    return echo_serve_flocksd(fd, arguments[2]);
}

/* The process behind the socket is taken from the kernel (SO_PEERCRED) and held by a pidfd, so "it
 * has stopped" means that it has ended, not that it does not answer. */
#include "client/cli/legacy_control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/cli/process.h"
#include "common/base/clock.h"
#include "common/base/fd.h"

static const char stop_request[] = "POST /stop HTTP/1.1\r\n"
                                   "Host: localhost\r\n"
                                   "Content-Type: application/json\r\n"
                                   "Content-Length: 2\r\n"
                                   "Connection: close\r\n"
                                   "\r\n"
                                   "{}";

/* 1: connected; 0: nobody listens. */
static int connect_old(const char *path, int *out_fd, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return 0;
    memcpy(address.sun_path, path, strlen(path) + 1);
    CLEANUP(fd_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = LEGACY_CONTROL_ANSWER_MS / 1000};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
        return error_set_errno(error, errno, "make a socket");
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
        *out_fd = fd_take(&fd);
        return 1;
    }
    if (errno == ECONNREFUSED || errno == ENOENT)
        return 0;
    return error_set_errno(error, errno, "connect to the old supervisor at %s", path);
}

/* Who listens there: 0, PROCESS_GONE, or negative. */
static int read_peer(int fd, struct process *out, struct error *error)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return error_set_errno(error, errno, "ask who the old supervisor is");
    int result = process_read(peer.pid, out, error);
    if (result == 0 && peer.uid != geteuid())
        return error_set(error, STATUS_PERMISSION_DENIED,
            "the old supervisor of this root (pid %d) belongs to user %u", (int)peer.pid, peer.uid);
    return result;
}

/* True when it has said something; what, does not matter, its end is waited for. */
static bool ask_to_stop(int fd)
{
    char answer[256];
    size_t len = sizeof(stop_request) - 1;
    return send(fd, stop_request, len, MSG_NOSIGNAL) == (ssize_t)len &&
           recv(fd, answer, sizeof(answer), 0) > 0;
}

static int stop_peer(int fd, FILE *notes, struct error *error)
{
    struct process peer = {.pid = 0};
    CLEANUP(fd_close) int pidfd = -1;
    int result = read_peer(fd, &peer, error);
    if (result == 0)
        result = process_open(&peer, &pidfd, error);
    if (result != 0)
        return result < 0 ? result : 0;
    if (notes)
        fprintf(notes, "stopping the supervisor of an earlier flocks, pid %d\n", (int)peer.pid);
    if (ask_to_stop(fd) &&
        process_wait(pidfd, clock_add_ms(clock_monotonic_ms(), LEGACY_CONTROL_STOP_MS)))
        return 0;
    return error_add_context(error, process_end(&peer, false, PROCESS_KILL_MS, error),
        "end the old supervisor, which did not stop when asked");
}

int legacy_control_stop(const struct paths *paths, FILE *notes, struct error *error)
{
    char path[PATH_MAX + 32];
    struct stat file;
    (void)snprintf(path, sizeof(path), "%s/service-daemon.sock", paths->run);
    if (lstat(path, &file) < 0 || !S_ISSOCK(file.st_mode))
        return 0;
    CLEANUP(fd_close) int fd = -1;
    int result = connect_old(path, &fd, error);
    if (result > 0)
        result = stop_peer(fd, notes, error);
    if (result < 0)
        return result;
    if (unlink(path) < 0 && errno != ENOENT)
        return error_set_errno(error, errno, "remove old socket %s", path);
    return 0;
}

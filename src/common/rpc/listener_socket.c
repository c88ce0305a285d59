/* The path of a listener's socket: made with its permissions, taken over from the dead, never from
 * the living. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/rpc/client_error.h"
#include "common/rpc/listener_parts.h"

_Static_assert(RPC_LISTENER_PATH_MAX == sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1,
    "a path and its NUL fill a socket address");

/* What is being made. */
struct making {
    const char *path;
    struct sockaddr_un address;
    mode_t mode;
    struct rpc_error **error;
};

static enum rpc_result fail(const struct making *making, const char *attempt)
{
    return listener_fail(making->error, errno, attempt, making->path);
}

static enum rpc_result fail_in_use(const struct making *making, const char *what)
{
    return rpc_error_make(
        making->error, RPC_ALREADY_EXISTS, EADDRINUSE, "%s %s", making->path, what);
}

/* ---- one at a time ---- */

static int open_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char directory[RPC_LISTENER_PATH_MAX + 1] = ".";
    if (slash != NULL) {
        size_t len = slash == path ? 1 : (size_t)(slash - path);
        memcpy(directory, path, len);
        directory[len] = '\0';
    }
    return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void wait_a_little(void)
{
    enum { STEP_MS = 10 };
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
    (void)nanosleep(&step, NULL);
}

/* Two processes that find the same dead socket must not both remove it, the second one's being the
 * first one's new one: whoever makes a socket holds a lock on its directory meanwhile. The lock
 * goes with the descriptor. */
static enum rpc_result lock_directory(const struct making *making, int *out_fd)
{
    CLEANUP(fd_close) int fd = open_directory_of(making->path);
    if (fd < 0)
        return fail(making, "opening the directory of");
    int64_t give_up_at = clock_add_ms(clock_monotonic_ms(), RPC_LISTENER_BIND_MS);
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fail(making, "locking the directory of");
        if (clock_monotonic_ms() >= give_up_at)
            return rpc_error_make(making->error, RPC_UNAVAILABLE, EWOULDBLOCK,
                "the directory of %s is locked by another process", making->path);
        wait_a_little();
    }
    *out_fd = fd_take(&fd);
    return RPC_DONE;
}

/* ---- what is there already ---- */

/* RPC_DONE: a socket without a listener. RPC_ERROR: it must stay. */
static enum rpc_result ask_for_death(const struct making *making)
{
    CLEANUP(fd_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(making, "asking who listens on");
    if (connect(fd, (const struct sockaddr *)&making->address, sizeof making->address) == 0 ||
        errno == EAGAIN)
        return fail_in_use(making, "is in use: a process listens on it");
    if (errno == ECONNREFUSED || errno == ENOENT)
        return RPC_DONE;
    if (errno == EPROTOTYPE)
        return fail_in_use(making, "is in use: it is a socket of another kind");
    return fail(making, "asking who listens on");
}

static enum rpc_result remove_dead(const struct making *making)
{
    struct stat status;
    if (lstat(making->path, &status) != 0)
        return errno == ENOENT ? RPC_DONE : fail(making, "looking at");
    if (!S_ISSOCK(status.st_mode))
        return fail_in_use(making, "exists and is no socket");
    if (ask_for_death(making) != RPC_DONE)
        return RPC_ERROR;
    if (unlink(making->path) != 0 && errno != ENOENT)
        return fail(making, "removing the unused socket");
    return RPC_DONE;
}

/* ---- making ---- */

static enum rpc_result bind_anew(const struct making *making, int fd)
{
    const struct sockaddr *address = (const struct sockaddr *)&making->address;
    if (bind(fd, address, sizeof making->address) == 0)
        return RPC_DONE;
    if (errno != EADDRINUSE)
        return fail(making, "making the socket");
    if (remove_dead(making) != RPC_DONE)
        return RPC_ERROR;
    if (bind(fd, address, sizeof making->address) != 0)
        return fail(making, "making the socket");
    return RPC_DONE;
}

static enum rpc_result remember(
    const struct making *making, const char *path, struct listener_path *out)
{
    struct stat status;
    if (lstat(making->path, &status) != 0)
        return fail(making, "looking at");
    out->text = strdup(path);
    if (out->text == NULL)
        return rpc_error_make(making->error, RPC_RESOURCE_EXHAUSTED, 0, "no memory for a path");
    out->device = status.st_dev;
    out->inode = status.st_ino;
    return RPC_DONE;
}

/* The bound socket gets its permissions and its listener. */
static enum rpc_result open_for_clients(
    const struct making *making, int fd, struct listener_path *out_path)
{
    /* Before chmod, so that whatever fails afterwards can be undone. */
    if (remember(making, making->path, out_path) != RPC_DONE) {
        (void)unlink(making->path);
        return RPC_ERROR;
    }
    /* bind() was left what the umask allows of the mode; this adds the rest. */
    enum rpc_result result = RPC_DONE;
    if (chmod(making->path, making->mode) != 0)
        result = fail(making, "setting the permissions of");
    else if (listen(fd, RPC_LISTENER_BACKLOG) != 0)
        result = fail(making, "listening on");
    if (result != RPC_DONE)
        listener_path_remove(out_path);
    return result;
}

static enum rpc_result make(
    const struct making *making, struct listener_path *out_path, int *out_fd)
{
    CLEANUP(fd_close) int lock_fd = -1;
    CLEANUP(fd_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(making, "opening a socket for");
    /* Linux gives a socket's file the mode of the socket itself, less the umask (unix_bind): nobody
     * whom `mode` excludes gets in between bind and chmod. */
    if (fchmod(fd, making->mode) != 0)
        return fail(making, "setting the permissions of");
    if (lock_directory(making, &lock_fd) != RPC_DONE || bind_anew(making, fd) != RPC_DONE ||
        open_for_clients(making, fd, out_path) != RPC_DONE)
        return RPC_ERROR;
    *out_fd = fd_take(&fd);
    return RPC_DONE;
}

enum rpc_result listener_path_bind(struct listener_path *out_path, const char *path, mode_t mode,
    int *out_fd, struct rpc_error **error)
{
    struct making making = {.path = path, .mode = mode, .error = error};
    size_t len = strlen(path);
    if (len == 0)
        return rpc_error_make(error, RPC_INVALID_ARGUMENT, 0, "the path of a socket is empty");
    if (len > RPC_LISTENER_PATH_MAX)
        return rpc_error_make(error, RPC_INVALID_ARGUMENT, ENAMETOOLONG,
            "the path of a socket has %zu bytes, and at most %d fit its address: %s", len,
            RPC_LISTENER_PATH_MAX, path);
    making.address.sun_family = AF_UNIX;
    memcpy(making.address.sun_path, path, len + 1);
    return make(&making, out_path, out_fd);
}

void listener_path_remove(struct listener_path *path)
{
    struct stat status;
    if (path->text == NULL)
        return;
    if (lstat(path->text, &status) == 0 && status.st_dev == path->device &&
        status.st_ino == path->inode)
        (void)unlink(path->text);
    free(path->text);
    path->text = NULL;
}

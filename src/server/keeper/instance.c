#include "server/keeper/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/inventory/inventory.h"

enum {
    WORD_LINE_MAX = 2048,
    /* The lock of one that ends is free a moment before its socket: then the start fails, because
     * somebody else serves it. */
    HEIR_MS = 2 * 1000,
    HEIR_LOOK_MS = 20
};

int instance_sign(const struct paths *paths, int lock_fd, struct error *error)
{
    char text[16];
    int length = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(lock_fd, 0) != 0 || pwrite(lock_fd, text, (size_t)length, 0) != length)
        return error_set_errno(error, errno, "write %s", paths->lock);
    return 0;
}

/* Whether the path still leads to what the descriptor is. */
static bool is_at(const char *path, int fd)
{
    struct stat named;
    struct stat held;
    return lstat(path, &named) == 0 && fstat(fd, &held) == 0 && named.st_dev == held.st_dev &&
           named.st_ino == held.st_ino;
}

static bool is_owned(const struct paths *paths)
{
    int32_t pids[INVENTORY_OWNERS];
    uint64_t ticks[INVENTORY_OWNERS];
    inventory_read_owners(paths->run, pids, ticks);
    return (pids[INVENTORY_KEEPER] != 0 && pids[INVENTORY_KEEPER] != getpid()) ||
           pids[INVENTORY_SERVER] != 0;
}

int instance_lock(const struct paths *paths, int *out_lock_fd, struct error *error)
{
    CLEANUP(fd_close) int fd = open(paths->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set_errno(error, errno, "open %s", paths->lock);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return INSTANCE_BUSY;
        return error_set_errno(error, errno, "lock %s", paths->lock);
    }
    /* Deleted while we took it, or the instance that lives has lost its own. */
    if (!is_at(paths->lock, fd) || is_owned(paths))
        return INSTANCE_BUSY;
    int result = instance_sign(paths, fd, error);
    if (result == 0)
        *out_lock_fd = fd_take(&fd);
    return result;
}

static int socket_address(const char *path, struct sockaddr_un *out, struct error *error)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof out->sun_path)
        return error_set(error, STATUS_INVALID_ARGUMENT, "socket path is longer than %zu bytes: %s",
            sizeof out->sun_path - 1, path);
    memcpy(out->sun_path, path, length + 1);
    return 0;
}

static bool is_served(const struct sockaddr_un *address)
{
    CLEANUP(fd_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 &&
           (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN);
}

/* The lock is ours, so whoever still serves is about to end. */
/* The lock is ours, so whoever still serves is about to end. */
static bool is_served_for_long(const struct sockaddr_un *address, int64_t patience_ms)
{
    int64_t end_at = clock_monotonic_ms() + patience_ms;
    while (is_served(address)) {
        if (clock_monotonic_ms() >= end_at)
            return true;
        (void)poll(NULL, 0, HEIR_LOOK_MS);
    }
    return false;
}

/* Removes a socket that nobody answers. */
static int remove_dead_socket(const struct paths *paths, const struct sockaddr_un *address,
    int64_t patience_ms, struct error *error)
{
    struct stat status;
    if (lstat(paths->socket, &status) != 0)
        return errno == ENOENT ? 0 : error_set_errno(error, errno, "look at %s", paths->socket);
    if (!S_ISSOCK(status.st_mode))
        return error_set(
            error, STATUS_ALREADY_EXISTS, "%s is in the socket's place", paths->socket);
    if (is_served_for_long(address, patience_ms))
        return error_set(error, STATUS_ALREADY_EXISTS, "another process serves %s", paths->socket);
    if (unlink(paths->socket) != 0 && errno != ENOENT)
        return error_set_errno(error, errno, "remove %s", paths->socket);
    return 0;
}

static int remake_lock(const struct paths *paths, int *out_fd, struct error *error)
{
    CLEANUP(fd_close) int fd = open(paths->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set_errno(error, errno, "open %s", paths->lock);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return error_set_errno(error, errno, "lock %s", paths->lock);
    int result = instance_sign(paths, fd, error);
    if (result == 0)
        *out_fd = fd_take(&fd);
    return result;
}

static void link_path(const struct paths *paths, char out[PATH_MAX + 16])
{
    (void)snprintf(out, PATH_MAX + 16, "%s/flocksd.sock", paths->run);
}

/* <run>/flocksd.sock names the socket also where its real path had to be a short one. */
static int make_link(const struct paths *paths, struct error *error)
{
    char path[PATH_MAX + 16];
    link_path(paths, path);
    if (!paths->socket_is_fallback)
        return 0;
    (void)unlink(path);
    if (symlink(paths->socket, path) != 0)
        return error_set_errno(error, errno, "link %s to %s", path, paths->socket);
    return 0;
}

/* fstat of a socket tells nothing of its name, so that is noted when it is given. */
static int note_name(const char *path, struct instance_name *out, struct error *error)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return error_set_errno(error, errno, "look at %s", path);
    *out = (struct instance_name){.device = status.st_dev, .inode = status.st_ino};
    return 0;
}

static bool leads_here(const char *path, const struct instance_name *name)
{
    struct stat status;
    return lstat(path, &status) == 0 && status.st_dev == name->device &&
           status.st_ino == name->inode;
}

/* A socket that only its owner may connect to. */
static int bind_socket(int type, const char *path, int *out_fd, struct error *error)
{
    struct sockaddr_un address;
    int result = socket_address(path, &address, error);
    if (result != 0)
        return result;
    CLEANUP(fd_close) int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set_errno(error, errno, "create a socket");
    mode_t old_mask = umask(0177);
    int bound = bind(fd, (const struct sockaddr *)&address, sizeof address);
    int bind_error = errno;
    (void)umask(old_mask);
    if (bound != 0)
        return error_set_errno(error, bind_error, "bind %s", path);
    *out_fd = fd_take(&fd);
    return 0;
}

static int listen_at(const struct paths *paths, int64_t patience_ms, int *out_fd,
    struct instance_name *out_name, struct error *error)
{
    CLEANUP(fd_close) int fd = -1;
    struct sockaddr_un address;
    int result = socket_address(paths->socket, &address, error);
    if (result == 0)
        result = remove_dead_socket(paths, &address, patience_ms, error);
    if (result == 0)
        result = bind_socket(SOCK_STREAM, paths->socket, &fd, error);
    if (result == 0)
        result = note_name(paths->socket, out_name, error);
    if (result == 0 && listen(fd, SOMAXCONN) != 0)
        result = error_set_errno(error, errno, "listen at %s", paths->socket);
    if (result == 0)
        result = make_link(paths, error);
    if (result == 0)
        *out_fd = fd_take(&fd);
    return result;
}

int instance_listen(const struct paths *paths, int *out_listener_fd, struct instance_name *out_name,
    struct error *error)
{
    return listen_at(paths, HEIR_MS, out_listener_fd, out_name, error);
}

int instance_bind_notify(const struct paths *paths, int *out_notify_fd,
    struct instance_name *out_name, struct error *error)
{
    CLEANUP(fd_close) int fd = -1;
    /* The lock is ours, so is the name. */
    if (unlink(paths->notify) != 0 && errno != ENOENT)
        return error_set_errno(error, errno, "remove %s", paths->notify);
    int result = bind_socket(SOCK_DGRAM, paths->notify, &fd, error);
    if (result == 0 && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)) != 0)
        result = error_set_errno(error, errno, "ask for credentials at %s", paths->notify);
    if (result == 0)
        result = note_name(paths->notify, out_name, error);
    if (result == 0)
        *out_notify_fd = fd_take(&fd);
    return result;
}

static void replace_fd(int *fd, int *with)
{
    fd_close(fd);
    *fd = fd_take(with);
}

int instance_restore(const struct paths *paths, struct instance_files *files, struct error *error)
{
    int fd = -1;
    int result = paths_prepare(paths, &(bool){false}, error);
    if (result == 0 && !is_at(paths->lock, files->lock_fd)) {
        result = remake_lock(paths, &fd, error);
        if (result == 0)
            replace_fd(&files->lock_fd, &fd);
    }
    if (result == 0 && !leads_here(paths->socket, &files->listener_name)) {
        result = listen_at(paths, 0, &fd, &files->listener_name, error);
        if (result == 0)
            replace_fd(&files->listener_fd, &fd);
    }
    if (result == 0 && !leads_here(paths->notify, &files->notify_name)) {
        result = instance_bind_notify(paths, &fd, &files->notify_name, error);
        if (result == 0)
            replace_fd(&files->notify_fd, &fd);
    }
    return result;
}

void instance_tell(int *fd, const char *word, const char *text)
{
    if (*fd < 0)
        return;
    char line[WORD_LINE_MAX];
    int length = snprintf(line, sizeof line - 1, "%s%s%s", word, text[0] != '\0' ? " " : "", text);
    size_t used = length < 0 ? 0 : (size_t)length;
    if (used > sizeof line - 2)
        used = sizeof line - 2;
    /* One line, whatever the text holds. */
    for (size_t i = 0; i < used; i++)
        if (line[i] == '\n')
            line[i] = ' ';
    line[used] = '\n';
    /* Whoever started us may be gone by now. */
    ssize_t written = write(*fd, line, used + 1);
    (void)written;
    fd_close(fd);
}

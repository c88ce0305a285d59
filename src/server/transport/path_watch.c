/* dnotify, not inotify: when a process that has an inotify descriptor is killed, the kernel waits
 * for a grace period (up to 15 ms measured) before anybody hears of its death, and a take-over
 * begins that much later. */
#include "server/transport/path_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/fd.h"

struct path_watch {
    uv_signal_t event;
    int directory_fd;
    char path[PATH_MAX];
    /* What the path led to at the beginning. */
    dev_t device;
    ino_t inode;
    bool is_told;
    void (*lost)(void *data);
    void *data;
};

/* The path as a name in its directory, not what a link leads to: the fallback's link is ours too.
 */
static bool still_leads_here(const struct path_watch *watch)
{
    struct stat now;

    return lstat(watch->path, &now) == 0 && now.st_dev == watch->device &&
           now.st_ino == watch->inode;
}

static void look(struct path_watch *watch)
{
    if (watch->is_told || still_leads_here(watch))
        return;
    watch->is_told = true;
    watch->lost(watch->data);
}

static void on_event(uv_signal_t *event, int signal_number)
{
    (void)signal_number;
    look(event->data);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* "/run/x" for "/run/x/socket"; the path is absolute. */
static void directory_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash && slash != path ? (size_t)(slash - path) : 1;

    memcpy(out, path, len);
    out[len] = '\0';
}

static int watch_directory(struct path_watch *watch, struct error *error)
{
    const int events = (int)(DN_CREATE | DN_DELETE | DN_RENAME | DN_MULTISHOT);
    char directory[PATH_MAX];
    int result;

    directory_of(watch->path, directory);
    /* The signal's handler comes first: unhandled, it would end us. */
    result = uv_signal_start(&watch->event, on_event, SIGIO);
    if (result != 0)
        return error_set_errno(error, -result, "watch the directory of %s", watch->path);
    uv_unref((uv_handle_t *)&watch->event);
    watch->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (watch->directory_fd < 0)
        return error_set_errno(error, errno, "watch the directory of %s", watch->path);
    /* A kernel without dnotify tells nothing: only the notice is lost. */
    if (fcntl(watch->directory_fd, F_NOTIFY, events) != 0 && errno != EINVAL)
        return error_set_errno(error, errno, "watch the directory of %s", watch->path);
    return 0;
}

static int prepare(struct path_watch *watch, const char *path, struct error *error)
{
    size_t size = strlen(path) + 1;
    struct stat now;

    if (path[0] != '/' || size > sizeof(watch->path))
        return error_set(error, STATUS_INVALID_ARGUMENT, "no path for a socket: %s", path);
    memcpy(watch->path, path, size);
    if (lstat(path, &now) == 0) {
        watch->device = now.st_dev;
        watch->inode = now.st_ino;
    }
    return watch_directory(watch, error);
}

int path_watch_open(uv_loop_t *loop, const char *path, void (*lost)(void *data), void *data,
    struct path_watch **out, struct error *error)
{
    struct path_watch *watch = calloc(1, sizeof(*watch));
    int result;

    if (!watch)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory to watch %s", path);
    watch->lost = lost;
    watch->data = data;
    watch->directory_fd = -1;
    result = uv_signal_init(loop, &watch->event);
    if (result != 0) {
        free(watch);
        return error_set_errno(error, -result, "watch %s", path);
    }
    watch->event.data = watch;
    result = prepare(watch, path, error);
    if (result < 0) {
        path_watch_close(watch);
        return result;
    }
    *out = watch;
    look(watch);
    return 0;
}

void path_watch_close(struct path_watch *watch)
{
    if (!watch)
        return;
    watch->is_told = true;
    fd_close(&watch->directory_fd);
    uv_close((uv_handle_t *)&watch->event, on_closed);
}

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

struct watched_path {
    int directory_fd;
    char path[PATH_MAX];
    /* What the path led to at the beginning. */
    dev_t device;
    ino_t inode;
};

struct path_watch {
    uv_signal_t event;
    bool is_told;
    void (*lost)(void *data, const char *path);
    void *data;
    size_t n_paths;
    struct watched_path paths[];
};

/* The path as a name in its directory, not what a link leads to: the fallback's link is ours too.
 */
static bool still_leads_here(const struct watched_path *watched)
{
    struct stat now;

    return lstat(watched->path, &now) == 0 && now.st_dev == watched->device &&
           now.st_ino == watched->inode;
}

static void look(struct path_watch *watch)
{
    for (size_t i = 0; i < watch->n_paths && !watch->is_told; i++) {
        if (still_leads_here(&watch->paths[i]))
            continue;
        watch->is_told = true;
        watch->lost(watch->data, watch->paths[i].path);
    }
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

static int watch_directory(struct watched_path *watched, struct error *error)
{
    const int events = (int)(DN_CREATE | DN_DELETE | DN_RENAME | DN_MULTISHOT);
    char directory[PATH_MAX];

    directory_of(watched->path, directory);
    watched->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* Gone with what was in it: the look at the end of opening tells. */
    if (watched->directory_fd < 0 && errno == ENOENT)
        return 0;
    if (watched->directory_fd < 0)
        return error_set_errno(error, errno, "watch the directory of %s", watched->path);
    /* A kernel without dnotify tells nothing: only the notice is lost. */
    if (fcntl(watched->directory_fd, F_NOTIFY, events) != 0 && errno != EINVAL)
        return error_set_errno(error, errno, "watch the directory of %s", watched->path);
    return 0;
}

static int prepare(struct watched_path *watched, const char *path, struct error *error)
{
    size_t size = strlen(path) + 1;
    struct stat now;

    if (path[0] != '/' || size > sizeof(watched->path))
        return error_set(error, STATUS_INVALID_ARGUMENT, "no path to watch: %s", path);
    memcpy(watched->path, path, size);
    if (lstat(path, &now) == 0) {
        watched->device = now.st_dev;
        watched->inode = now.st_ino;
    }
    return watch_directory(watched, error);
}

static int prepare_all(struct path_watch *watch, const char *const *paths, struct error *error)
{
    /* The signal's handler comes first: unhandled, it would end us. */
    int result = uv_signal_start(&watch->event, on_event, SIGIO);

    if (result != 0)
        return error_set_errno(error, -result, "watch %s", paths[0]);
    uv_unref((uv_handle_t *)&watch->event);
    result = 0;
    for (size_t i = 0; i < watch->n_paths && result == 0; i++)
        result = prepare(&watch->paths[i], paths[i], error);
    return result;
}

int path_watch_open(uv_loop_t *loop, const char *const *paths, size_t n_paths,
    void (*lost)(void *data, const char *path), void *data, struct path_watch **out,
    struct error *error)
{
    struct path_watch *watch = calloc(1, sizeof(*watch) + n_paths * sizeof(watch->paths[0]));
    int result;

    if (!watch)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory to watch %s", paths[0]);
    watch->lost = lost;
    watch->data = data;
    watch->n_paths = n_paths;
    for (size_t i = 0; i < n_paths; i++)
        watch->paths[i].directory_fd = -1;
    result = uv_signal_init(loop, &watch->event);
    if (result != 0) {
        free(watch);
        return error_set_errno(error, -result, "watch %s", paths[0]);
    }
    watch->event.data = watch;
    result = prepare_all(watch, paths, error);
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
    for (size_t i = 0; i < watch->n_paths; i++)
        fd_close(&watch->paths[i].directory_fd);
    uv_close((uv_handle_t *)&watch->event, on_closed);
}

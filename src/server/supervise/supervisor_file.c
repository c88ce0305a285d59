/* The file that the daemon reads: does it still say what runs? Its directory is watched, the file
 * itself is looked at and read beside the loop.
 *
 * dnotify, not inotify: see transport/path_watch.c. Its signal does not say which directory is
 * meant, so a look begins with the file's identity and mostly ends there. What no directory tells
 * (a link whose target changes, a network's file system) is seen by the next plan of the file. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/supervise/supervisor_private.h"

enum {
    /* From the first notice to the look: who saves a file touches it several times. */
    FILE_LOOK_DELAY_MS = 100
};

void supervisor_file_identify(const char *path, struct file_identity *out)
{
    struct stat now;

    *out = (struct file_identity){.exists = false};
    if (stat(path, &now) != 0)
        return;
    out->exists = true;
    out->device = (uint64_t)now.st_dev;
    out->inode = (uint64_t)now.st_ino;
    out->size = (int64_t)now.st_size;
    out->modified_ns = (int64_t)now.st_mtim.tv_sec * 1000000000 + now.st_mtim.tv_nsec;
    out->changed_ns = (int64_t)now.st_ctim.tv_sec * 1000000000 + now.st_ctim.tv_nsec;
}

void supervisor_file_compare(struct supervisor *supervisor)
{
    bool is_changed = strcmp(supervisor->file.digest, supervisor->config_digest) != 0;

    if (!supervisor->file.is_known || is_changed == supervisor->config_changed)
        return;
    supervisor->config_changed = is_changed;
    log_info(is_changed ? "the configuration file is not what runs"
                        : "the configuration file is what runs again",
        "file=%s", supervisor->config_request->file);
    supervisor_mark_dirty(supervisor);
    supervisor_daemon_changed(supervisor);
}

void supervisor_file_read(struct supervisor *supervisor, const char *digest)
{
    supervisor->file.is_known = true;
    (void)snprintf(supervisor->file.digest, sizeof supervisor->file.digest, "%s", digest);
    supervisor_file_compare(supervisor);
}

/* ---- notices ---- */

/* One notice at a time, asked for anew before each look: who writes into the directory without end
 * wakes us once in FILE_LOOK_DELAY_MS, and what comes meanwhile is seen by that look. */
static int ask_for_notice(const struct supervisor *supervisor)
{
    const int events = (int)(DN_CREATE | DN_DELETE | DN_RENAME | DN_MODIFY);

    return fcntl(supervisor->file.directory_fd, F_NOTIFY, events) != 0 ? errno : 0;
}

static void on_look_due(uv_timer_t *timer)
{
    struct supervisor *supervisor = timer->data;

    if (supervisor->file.directory_fd >= 0)
        (void)ask_for_notice(supervisor);
    supervisor_look_at_file(supervisor);
}

static void look_soon(struct supervisor *supervisor)
{
    uv_timer_t *timer = &supervisor->file.timer;

    /* Fails only for a closing timer. */
    if (!uv_is_active((const uv_handle_t *)timer))
        (void)uv_timer_start(timer, on_look_due, FILE_LOOK_DELAY_MS, 0);
}

static void on_notice(uv_signal_t *notice, int signal_number)
{
    (void)signal_number;
    look_soon(notice->data);
}

static int watch_directory(struct supervisor *supervisor)
{
    const char *file = supervisor->config_request->file;
    const char *slash = strrchr(file, '/');
    char directory[PATH_MAX];
    int result;

    (void)snprintf(directory, sizeof directory, "%.*s",
        slash != NULL && slash != file ? (int)(slash - file) : 1, file);
    /* The signal's handler comes first: unhandled, it would end us. */
    result = uv_signal_start(&supervisor->file.notice, on_notice, SIGIO);
    if (result != 0)
        return -result;
    supervisor->file.directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return supervisor->file.directory_fd < 0 ? errno : ask_for_notice(supervisor);
}

void supervisor_file_open(struct supervisor *supervisor)
{
    int error_number;

    (void)uv_signal_init(supervisor->loop, &supervisor->file.notice);
    (void)uv_timer_init(supervisor->loop, &supervisor->file.timer);
    supervisor->file.notice.data = supervisor;
    supervisor->file.timer.data = supervisor;
    supervisor->n_handles += 2;
    supervisor->file.directory_fd = -1;
    if (supervisor->config_request == NULL)
        return;
    error_number = watch_directory(supervisor);
    if (error_number != 0)
        log_info("changes of the configuration file are not noticed", "file=%s error=%s",
            supervisor->config_request->file, error_errno_name(error_number));
    uv_unref((uv_handle_t *)&supervisor->file.notice);
    /* It has just been read, unless this is a take-over. */
    if (supervisor->is_fresh)
        supervisor_file_read(supervisor, supervisor->config_digest);
    else
        look_soon(supervisor);
}

static void on_closed(uv_handle_t *handle)
{
    supervisor_handle_closed(handle->data);
}

void supervisor_file_close(struct supervisor *supervisor)
{
    fd_close(&supervisor->file.directory_fd);
    uv_close((uv_handle_t *)&supervisor->file.notice, on_closed);
    uv_close((uv_handle_t *)&supervisor->file.timer, on_closed);
}

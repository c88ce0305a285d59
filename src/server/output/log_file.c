#include "server/output/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "server/output/rotation.h"

enum {
    /* A file that is replaced under us more often than this within one batch is refused with
       ESTALE. */
    REOPEN_MAX = 8
};

static int open_regular(const char *path)
{
    /* Non-blocking, so that a FIFO in the file's place cannot stop us; on a regular file it means
     * nothing. */
    int fd = open(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        return fd;
    fd_close(&fd);
    errno = EINVAL;
    return -1;
}

static int set_lock(int fd, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &lock);
}

/* Under the lock: is the open file still what the path names? */
static bool is_current(int fd, const char *path, off_t *out_size)
{
    struct stat open_file;
    struct stat named_file;
    if (fstat(fd, &open_file) != 0 || stat(path, &named_file) != 0)
        return false;
    *out_size = open_file.st_size;
    return open_file.st_ino == named_file.st_ino && open_file.st_dev == named_file.st_dev;
}

/* Opens, locks and rotates until the file named by the path is ours to append to at *out_size. */
static int acquire(struct log_file *file, const struct log_file_target *target, off_t *out_size,
    struct log_file_outcome *out)
{
    for (int attempt = 0; attempt < REOPEN_MAX; attempt++) {
        if (file->fd < 0)
            file->fd = open_regular(target->path);
        if (file->fd < 0) {
            out->system_error = errno;
            return LOG_FILE_REFUSED;
        }
        if (set_lock(file->fd, F_WRLCK) != 0)
            return LOG_FILE_BUSY;
        if (!is_current(file->fd, target->path, out_size)) {
            log_file_close(file);
            continue;
        }
        if (target->max_size == 0 || (uint64_t)*out_size < target->max_size)
            return 0;
        int failure = rotation_run(target->path, target->keep);
        if (failure != 0) {
            /* Better one file too large than a byte lost. */
            out->system_error = failure;
            return 0;
        }
        out->rotations++;
        log_file_close(file);
    }
    out->system_error = ESTALE;
    return LOG_FILE_REFUSED;
}

int log_file_append(struct log_file *file, const struct log_file_target *target, int pipe_fd,
    size_t len, struct log_file_outcome *out)
{
    *out = (struct log_file_outcome){0};
    off_t offset = 0;
    int result = acquire(file, target, &offset, out);
    if (result != 0)
        return result;
    while (out->written < len) {
        ssize_t moved = splice(pipe_fd, NULL, file->fd, &offset, len - out->written,
            SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0) {
            out->system_error = moved < 0 ? errno : EIO;
            result = LOG_FILE_REFUSED;
            break;
        }
        out->written += (size_t)moved;
    }
    (void)set_lock(file->fd, F_UNLCK);
    return result;
}

void log_file_close(struct log_file *file)
{
    fd_close(&file->fd);
}

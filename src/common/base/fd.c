/* Descriptor helpers: each restarts after EINTR and says which file it was about. */
#include "common/base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void fd_close(int *fd)
{
    if (*fd < 0)
        return;
    int saved = errno;
    /* Linux has released the number even when close
     * fails; a second try could hit somebody else's. */
    (void)close(*fd);
    *fd = -1;
    errno = saved;
}

int fd_take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

int fd_set_cloexec(int fd, bool on, struct error *error)
{
    int flags = fcntl(fd, F_GETFD);
    if (flags >= 0)
        flags = fcntl(fd, F_SETFD, on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC);
    if (flags < 0)
        return error_set_errno(error, errno, "setting close-on-exec of descriptor %d", fd);
    return 0;
}

int fd_set_nonblocking(int fd, bool on, struct error *error)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0)
        flags = fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
    if (flags < 0)
        return error_set_errno(error, errno, "setting non-blocking mode of descriptor %d", fd);
    return 0;
}

int fd_write_all(int fd, const void *bytes, size_t len, struct error *error)
{
    const uint8_t *next = bytes;
    while (len > 0) {
        ssize_t n = write(fd, next, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(error, errno, "writing to descriptor %d", fd);
        next += n;
        len -= (size_t)n;
    }
    return 0;
}

/* ---- whole files ---- */

/* Bytes being collected; one is always kept free for the NUL. */
struct content {
    char *bytes;
    size_t len;
    size_t capacity;
};

static void free_content(struct content *content)
{
    free(content->bytes);
}

static int open_regular(const char *path, int *out_fd, size_t *out_size, struct error *error)
{
    /* O_NONBLOCK: opening a FIFO must not wait for its
     * writer; it means nothing for regular files. */
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_set_errno(error, errno, "opening %s", path);
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_set_errno(error, errno, "reading the attributes of %s", path);
    if (!S_ISREG(status.st_mode))
        return error_set(error, STATUS_INVALID_ARGUMENT, "%s is not a regular file", path);
    *out_size = status.st_size < 0 ? 0 : (size_t)status.st_size;
    *out_fd = fd_take(&fd);
    return 0;
}

static int make_room(struct content *content, size_t capacity)
{
    char *bytes = realloc(content->bytes, capacity);
    if (bytes == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    content->bytes = bytes;
    content->capacity = capacity;
    return 0;
}

/* One read. 0 at the end of the file, 1 when there may be more. */
static int read_more(int fd, const char *path, struct content *content, struct error *error)
{
    if (content->len + 1 >= content->capacity && make_room(content, content->capacity * 2) != 0)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory to read %s", path);
    ssize_t n = read(fd, content->bytes + content->len, content->capacity - content->len - 1);
    if (n < 0 && errno == EINTR)
        return 1;
    if (n < 0)
        return error_set_errno(error, errno, "reading %s", path);
    content->len += (size_t)n;
    return n > 0;
}

int fd_read_file(
    const char *path, size_t max_bytes, char **out, size_t *out_len, struct error *error)
{
    CLEANUP(fd_close) int fd = -1;
    CLEANUP(free_content) struct content content = {.bytes = NULL};
    size_t size = 0;
    int result = open_regular(path, &fd, &size, error);
    if (result != 0)
        return result;
    /* Files of /proc say that they are empty, and a file
     * may grow meanwhile: the size is only a hint. */
    if (size <= max_bytes && make_room(&content, size + 4096) != 0)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory to read %s", path);
    int more = size <= max_bytes;
    while (more > 0 && content.len <= max_bytes)
        more = read_more(fd, path, &content, error);
    if (more < 0)
        return more;
    if (size > max_bytes || content.len > max_bytes)
        return error_set(
            error, STATUS_RESOURCE_EXHAUSTED, "%s is larger than %zu bytes", path, max_bytes);
    content.bytes[content.len] = '\0';
    *out = content.bytes;
    *out_len = content.len;
    content.bytes = NULL;
    return 0;
}

/* ---- replacing ---- */

/* Of mkostemp. */
#define TEMPORARY_ENDING ".XXXXXX"
/* Names that are looked at for temporary files: a directory of ours has few. */
enum { SWEEP_NAMES_MAX = 4096 };

static void directory_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        (void)snprintf(out, PATH_MAX, ".");
    else if (slash == path)
        (void)snprintf(out, PATH_MAX, "/");
    else
        (void)snprintf(out, PATH_MAX, "%.*s", (int)(slash - path), path);
}

int fd_sync_parent(const char *path, struct error *error)
{
    char directory[PATH_MAX];
    directory_of(path, directory);
    CLEANUP(fd_close) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, "opening directory %s", directory);
    if (fsync(fd) != 0)
        return error_set_errno(error, errno, "syncing directory %s", directory);
    return 0;
}

static int fill_temporary(
    int fd, const char *temporary, const void *bytes, size_t len, mode_t mode, struct error *error)
{
    if (fchmod(fd, mode) != 0)
        return error_set_errno(error, errno, "setting the mode of %s", temporary);
    int result = fd_write_all(fd, bytes, len, error);
    if (result != 0)
        return error_add_context(error, result, "writing %s", temporary);
    if (fsync(fd) != 0)
        return error_set_errno(error, errno, "syncing %s", temporary);
    return 0;
}

int fd_replace_file(
    const char *path, const void *bytes, size_t len, mode_t mode, struct error *error)
{
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s" TEMPORARY_ENDING, path) >= (int)sizeof temporary)
        return error_set_errno(error, ENAMETOOLONG, "replacing %s", path);
    CLEANUP(fd_close) int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, "creating a temporary file beside %s", path);
    int result = fill_temporary(fd, temporary, bytes, len, mode, error);
    if (result == 0 && rename(temporary, path) != 0)
        result = error_set_errno(error, errno, "renaming %s to %s", temporary, path);
    if (result != 0) {
        (void)unlink(temporary);
        return result;
    }
    return fd_sync_parent(path, error);
}

static bool is_temporary(const char *found, const char *name)
{
    size_t len = strlen(name);
    return strncmp(found, name, len) == 0 && found[len] == '.' &&
           strlen(found + len) == sizeof TEMPORARY_ENDING - 1;
}

void fd_sweep_temporaries(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    directory_of(path, directory);
    DIR *stream = opendir(directory);
    if (stream == NULL)
        return;
    for (int i = 0; i < SWEEP_NAMES_MAX; i++) {
        /* readdir is safe for a stream that nobody else uses. */
        const struct dirent *found = readdir(stream); /* NOLINT(concurrency-mt-unsafe) */
        if (found == NULL)
            break;
        if (is_temporary(found->d_name, name))
            (void)unlinkat(dirfd(stream), found->d_name, 0);
    }
    (void)closedir(stream);
}

/* The descriptor held open keeps the inode from being used again, so device and inode number say
 * for certain whether a name still means the file that is being read. */
#include "client/cli/log_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"

enum {
    /* Times a search through the names is begun again because a rotation came in between. */
    SEARCH_ATTEMPTS = 16,
    NOT_FOUND = -1
};

struct log_reader {
    char path[PATH_MAX];
    int fd; /* -1: no file yet */
    off_t offset;
    char chunk[LOG_READER_CHUNK];
};

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Name of the file rotated `index` times; 0 is the live one. False when it does not fit. */
static bool rotated_name(const struct log_reader *reader, int index, char out[PATH_MAX])
{
    int len = index == 0 ? snprintf(out, PATH_MAX, "%s", reader->path)
                         : snprintf(out, PATH_MAX, "%s.%d", reader->path, index);
    return len > 0 && len < PATH_MAX;
}

static bool stat_rotated(const struct log_reader *reader, int index, struct stat *out)
{
    char name[PATH_MAX];
    return rotated_name(reader, index, name) && stat(name, out) == 0;
}

/* Which of the names is `file` now; NOT_FOUND when it has none. The live name may be missing for
 * the moment that a rotation takes; the first other gap ends the search. */
static int index_of(const struct log_reader *reader, const struct stat *file)
{
    struct stat found;
    for (int index = 0; index <= LOG_READER_ROTATED_MAX; index++) {
        bool exists = stat_rotated(reader, index, &found);
        if (exists && is_same_file(&found, file))
            return index;
        if (!exists && index > 0)
            break;
    }
    return NOT_FOUND;
}

/* 1: opened; 0: there is none. */
static int open_rotated(
    const struct log_reader *reader, int index, int *out_fd, struct error *error)
{
    char name[PATH_MAX];
    if (!rotated_name(reader, index, name))
        return 0;
    *out_fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*out_fd >= 0)
        return 1;
    if (errno == ENOENT)
        return 0;
    return error_set_errno(error, errno, "open log file %s", name);
}

/* Opens the neighbour of `file`: `step` -1 the next newer, +1 the next older. The names may shift
 * at any time, so the place of `file` is checked again afterwards. 1: opened; 0: there is none. */
static int open_neighbour(const struct log_reader *reader, const struct stat *file, int step,
    int *out_fd, struct error *error)
{
    for (int attempt = 0; attempt < SEARCH_ATTEMPTS; attempt++) {
        int index = index_of(reader, file);
        if (index == NOT_FOUND || index + step < 0)
            return 0;
        CLEANUP(fd_close) int fd = -1;
        int result = open_rotated(reader, index + step, &fd, error);
        if (result <= 0)
            return result;
        if (index_of(reader, file) != index)
            continue;
        *out_fd = fd_take(&fd);
        return 1;
    }
    return 0;
}

/* For a file that has lost all its names: it was deleted, or rotated away. What is newer than it
 * was written to later. 1: the oldest of those opened; 0: there is none. */
static int open_after_lost(
    const struct log_reader *reader, const struct stat *file, int *out_fd, struct error *error)
{
    int oldest_newer = NOT_FOUND;
    struct stat found;
    for (int index = 0; index <= LOG_READER_ROTATED_MAX; index++) {
        if (!stat_rotated(reader, index, &found)) {
            if (index > 0)
                break;
            continue;
        }
        bool is_newer = found.st_mtim.tv_sec > file->st_mtim.tv_sec ||
                        (found.st_mtim.tv_sec == file->st_mtim.tv_sec &&
                            found.st_mtim.tv_nsec > file->st_mtim.tv_nsec);
        if (index == 0 || is_newer)
            oldest_newer = index;
        else
            break;
    }
    return oldest_newer == NOT_FOUND ? 0 : open_rotated(reader, oldest_newer, out_fd, error);
}

static int read_at(const struct log_reader *reader, int fd, off_t offset, char *bytes, size_t len,
    size_t *out_len, struct error *error)
{
    ssize_t n = 0;
    do
        n = pread(fd, bytes, len, offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_set_errno(error, errno, "read log file %s", reader->path);
    *out_len = (size_t)n;
    return 0;
}

/* Goes back over newlines before `end`. `*wanted` counts down; 0 at the end means that
 * `*out_offset` is the place behind the last one counted. */
static int seek_back(struct log_reader *reader, int fd, off_t end, size_t *wanted,
    off_t *out_offset, struct error *error)
{
    *out_offset = 0;
    while (end > 0) {
        off_t begin = end > LOG_READER_CHUNK ? end - LOG_READER_CHUNK : 0;
        size_t len = 0;
        int result = read_at(reader, fd, begin, reader->chunk, (size_t)(end - begin), &len, error);
        if (result < 0)
            return result;
        for (size_t i = len; i > 0; i--) {
            if (reader->chunk[i - 1] != '\n' || --*wanted > 0)
                continue;
            *out_offset = begin + (off_t)i;
            return 0;
        }
        end = begin;
    }
    return 0;
}

/* Moves the reader, which stands on the live file, back over `tail_lines` lines. */
static int seek_tail(struct log_reader *reader, size_t tail_lines, struct error *error)
{
    struct stat file;
    if (fstat(reader->fd, &file) < 0)
        return error_set_errno(error, errno, "look at log file %s", reader->path);
    reader->offset = file.st_size;
    if (tail_lines == 0)
        return 0;
    /* The newline that ends the last line does not begin one. */
    off_t end = file.st_size > 0 ? file.st_size - 1 : 0;
    size_t wanted = tail_lines;
    for (int i = 0; i <= LOG_READER_ROTATED_MAX; i++) {
        int result = seek_back(reader, reader->fd, end, &wanted, &reader->offset, error);
        if (result < 0 || wanted == 0)
            return result;
        int older = -1;
        result = open_neighbour(reader, &file, 1, &older, error);
        if (result <= 0)
            return result;
        fd_close(&reader->fd);
        reader->fd = older;
        if (fstat(older, &file) < 0)
            return error_set_errno(error, errno, "look at log file %s", reader->path);
        end = file.st_size;
    }
    return 0;
}

int log_reader_new(
    const char *path, size_t tail_lines, struct log_reader **out, struct error *error)
{
    struct log_reader *reader = malloc(sizeof(*reader));
    if (!reader)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory to read %s", path);
    reader->fd = -1;
    reader->offset = 0;
    int len = snprintf(reader->path, sizeof(reader->path), "%s", path);
    int result = 0;
    if (len < 0 || (size_t)len >= sizeof(reader->path))
        result = error_set(error, STATUS_INVALID_ARGUMENT, "the log's path is too long");
    else
        result = open_rotated(reader, 0, &reader->fd, error);
    if (result > 0)
        result = seek_tail(reader, tail_lines, error);
    if (result < 0) {
        log_reader_free(reader);
        return result;
    }
    *out = reader;
    return 0;
}

void log_reader_free(struct log_reader *reader)
{
    if (!reader)
        return;
    fd_close(&reader->fd);
    free(reader);
}

/* At the end of the file: 1 when a newer one is open in `*out_fd`, 0 when the file is still the
 * live one. */
static int open_next(
    const struct log_reader *reader, const struct stat *file, int *out_fd, struct error *error)
{
    int index = index_of(reader, file);
    if (index == 0)
        return 0;
    return index == NOT_FOUND ? open_after_lost(reader, file, out_fd, error)
                              : open_neighbour(reader, file, -1, out_fd, error);
}

/* 0: bytes were read; LOG_READER_IDLE: none are left. */
static int read_on(
    struct log_reader *reader, const char **out_bytes, size_t *out_len, struct error *error)
{
    int result = read_at(
        reader, reader->fd, reader->offset, reader->chunk, sizeof(reader->chunk), out_len, error);
    if (result < 0)
        return result;
    if (*out_len == 0)
        return LOG_READER_IDLE;
    reader->offset += (off_t)*out_len;
    *out_bytes = reader->chunk;
    return 0;
}

int log_reader_next(
    struct log_reader *reader, const char **out_bytes, size_t *out_len, struct error *error)
{
    if (reader->fd < 0) {
        int opened = open_rotated(reader, 0, &reader->fd, error);
        if (opened <= 0)
            return opened < 0 ? opened : LOG_READER_IDLE;
        reader->offset = 0;
    }
    for (;;) {
        int result = read_on(reader, out_bytes, out_len, error);
        if (result <= 0)
            return result;
        struct stat file;
        if (fstat(reader->fd, &file) < 0)
            return error_set_errno(error, errno, "look at log file %s", reader->path);
        if (file.st_size < reader->offset) {
            reader->offset = 0;
            return LOG_READER_TRUNCATED;
        }
        CLEANUP(fd_close) int next = -1;
        result = open_next(reader, &file, &next, error);
        if (result <= 0)
            return result < 0 ? result : LOG_READER_IDLE;
        /* A newer file exists, so nobody writes to this one any more; what came since the read
         * above is last. */
        result = read_on(reader, out_bytes, out_len, error);
        if (result <= 0)
            return result;
        fd_close(&reader->fd);
        reader->fd = fd_take(&next);
        reader->offset = 0;
    }
}

#include "common/logs/log_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"

enum {
    /* Times a search through the names is begun again because a rotation came in between. */
    SEARCH_ATTEMPTS = 16,
    /* Missing names in a row behind which there is no file: one may be a gap. */
    MISSING_MAX = 2,
    NANOSECONDS = 1000000000,
    NOWHERE = -1
};

/* ---- one name ---- */

/* Name of the file rotated `index` times; 0 is the live one. False when it does not fit. */
static bool name_of(const char *path, int index, char out[PATH_MAX])
{
    int len = index == 0 ? snprintf(out, PATH_MAX, "%s", path)
                         : snprintf(out, PATH_MAX, "%s.%d", path, index);

    return len > 0 && len < PATH_MAX;
}

static int64_t nanoseconds(struct statx_timestamp at)
{
    return at.tv_sec * NANOSECONDS + at.tv_nsec;
}

static uint64_t mix(uint64_t number, const void *bytes, size_t len)
{
    const uint8_t *byte = bytes;

    for (size_t i = 0; i < len; i++)
        number = (number ^ byte[i]) * 1099511628211U; /* FNV-1a */
    return number;
}

/* Without handles (a file system that has none, a filter of system calls) by inode alone. */
static uint64_t number_of(int fd, uint64_t inode)
{
    union {
        struct file_handle handle;
        char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } file = {.handle = {.handle_bytes = MAX_HANDLE_SZ}};
    int mount = 0;
    uint64_t number = mix(14695981039346656037U, &inode, sizeof inode);

    if (name_to_handle_at(fd, "", &file.handle, &mount, AT_EMPTY_PATH) == 0)
        number = mix(number, file.handle.f_handle, file.handle.handle_bytes);
    return number != 0 ? number : 1;
}

/* False: it is no regular file. */
static bool get_facts(int fd, struct log_file_facts *out)
{
    const unsigned wanted = STATX_TYPE | STATX_INO | STATX_SIZE | STATX_MTIME | STATX_BTIME;
    struct statx found;

    if (statx(fd, "", AT_EMPTY_PATH, wanted, &found) != 0 || !S_ISREG(found.stx_mode))
        return false;
    *out = (struct log_file_facts){.id = {.number = number_of(fd, found.stx_ino)},
        .size = found.stx_size,
        .written_at_ns = nanoseconds(found.stx_mtime)};
    if ((found.stx_mask & STATX_BTIME) != 0)
        out->id.born_at_ns = nanoseconds(found.stx_btime);
    return true;
}

static bool look(const char *path, int index, struct log_file_facts *out)
{
    char name[PATH_MAX];
    CLEANUP(fd_close) int fd = -1;

    if (index > LOG_FILES_ROTATED_MAX || !name_of(path, index, name))
        return false;
    fd = open(name, O_PATH | O_CLOEXEC);
    return fd >= 0 && get_facts(fd, out);
}

static bool is_there(const char *path, int index)
{
    struct log_file_facts facts;

    return look(path, index, &facts);
}

static int open_at(
    const char *path, int index, int *out_fd, struct log_file_facts *out, struct error *error)
{
    char name[PATH_MAX];
    CLEANUP(fd_close) int fd = -1;

    if (index > LOG_FILES_ROTATED_MAX || !name_of(path, index, name))
        return LOG_FILES_NONE;
    /* Not blocked by a pipe that somebody has put there. */
    fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return LOG_FILES_NONE;
    if (fd < 0)
        return error_set_errno(error, errno, "open log file %s", name);
    if (!get_facts(fd, out))
        return LOG_FILES_NONE;
    *out_fd = fd_take(&fd);
    return 0;
}

/* ---- by what it is ---- */

bool log_file_id_is_same(struct log_file_id left, struct log_file_id right)
{
    return left.number == right.number && left.born_at_ns == right.born_at_ns;
}

static bool is_at(const char *path, int index, struct log_file_id id)
{
    struct log_file_facts facts;

    return look(path, index, &facts) && log_file_id_is_same(facts.id, id);
}

static int find(const char *path, struct log_file_id id)
{
    int n_missing = 0;

    for (int index = 0; index <= LOG_FILES_ROTATED_MAX && n_missing < MISSING_MAX; index++) {
        struct log_file_facts facts;

        if (!look(path, index, &facts))
            n_missing++;
        else if (log_file_id_is_same(facts.id, id))
            return index;
        else
            n_missing = 0;
    }
    return NOWHERE;
}

/* The first name after `index`, going by `step`, that a file has, past one gap at most; NOWHERE. */
static int next_name(const char *path, int index, int step)
{
    for (int n = 1; n <= MISSING_MAX; n++) {
        int next = index + n * step;

        if (next < 0)
            return NOWHERE;
        if (is_there(path, next))
            return next;
    }
    return NOWHERE;
}

int log_files_open(const char *path, struct log_file_id id, int *out_fd, struct log_file_facts *out,
    struct error *error)
{
    for (int attempt = 0; attempt < SEARCH_ATTEMPTS; attempt++) {
        CLEANUP(fd_close) int fd = -1;
        /* The live one is tried before it is looked for: nearly always it is that. */
        int index = attempt == 0 ? 0 : find(path, id);
        int result;

        if (index == NOWHERE)
            return LOG_FILES_LOST;
        result = open_at(path, index, &fd, out, error);
        if (result < 0)
            return result;
        if (result != 0 || !log_file_id_is_same(out->id, id))
            continue;
        *out_fd = fd_take(&fd);
        return 0;
    }
    return LOG_FILES_LOST;
}

int log_files_open_newest(
    const char *path, int *out_fd, struct log_file_facts *out, struct error *error)
{
    int result = open_at(path, 0, out_fd, out, error);

    /* It may be between two names. */
    if (result == LOG_FILES_NONE)
        result = open_at(path, 1, out_fd, out, error);
    return result == LOG_FILES_NONE ? open_at(path, 0, out_fd, out, error) : result;
}

static int oldest(const char *path)
{
    int index = is_there(path, 0) ? 0 : NOWHERE;
    int next = 0;

    while ((next = next_name(path, next, 1)) != NOWHERE)
        index = next;
    return index;
}

int log_files_open_oldest(
    const char *path, int *out_fd, struct log_file_facts *out, struct error *error)
{
    for (int attempt = 0; attempt < SEARCH_ATTEMPTS; attempt++) {
        CLEANUP(fd_close) int fd = -1;
        int index = oldest(path);
        int result = index == NOWHERE ? LOG_FILES_NONE : open_at(path, index, &fd, out, error);

        if (result < 0 || index == NOWHERE)
            return result;
        if (result != 0 || next_name(path, index, 1) != NOWHERE)
            continue;
        *out_fd = fd_take(&fd);
        return 0;
    }
    return LOG_FILES_NONE;
}

/* The neighbour is only that if, after it was opened, the file still has its name and the gap
 * between them, if there is one, is still one. */
static int open_neighbour(const char *path, struct log_file_id id, int step, int *out_fd,
    struct log_file_facts *out, struct error *error)
{
    for (int attempt = 0; attempt < SEARCH_ATTEMPTS; attempt++) {
        CLEANUP(fd_close) int fd = -1;
        int index = find(path, id);
        int next = index == NOWHERE ? NOWHERE : next_name(path, index, step);
        int result;

        if (index == NOWHERE)
            return LOG_FILES_LOST;
        result = next == NOWHERE ? LOG_FILES_NONE : open_at(path, next, &fd, out, error);
        if (result < 0)
            return result;
        if (!is_at(path, index, id) || next_name(path, index, step) != next)
            continue;
        if (result == 0)
            *out_fd = fd_take(&fd);
        return result;
    }
    return LOG_FILES_NONE;
}

int log_files_open_newer(const char *path, struct log_file_id id, int *out_fd,
    struct log_file_facts *out, struct error *error)
{
    return open_neighbour(path, id, -1, out_fd, out, error);
}

int log_files_open_older(const char *path, struct log_file_id id, int *out_fd,
    struct log_file_facts *out, struct error *error)
{
    return open_neighbour(path, id, 1, out_fd, out, error);
}

static int survivor(const char *path, struct log_file_id id)
{
    struct log_file_facts facts;
    int index = look(path, 0, &facts) ? 0 : NOWHERE;
    int next = 0;

    while (id.born_at_ns != 0 && (next = next_name(path, next, 1)) != NOWHERE &&
           look(path, next, &facts) && facts.id.born_at_ns >= id.born_at_ns)
        index = next;
    return index;
}

int log_files_open_survivor(const char *path, struct log_file_id id, int *out_fd,
    struct log_file_facts *out, struct error *error)
{
    for (int attempt = 0; attempt < SEARCH_ATTEMPTS; attempt++) {
        CLEANUP(fd_close) int fd = -1;
        int index = survivor(path, id);
        int result = index == NOWHERE ? LOG_FILES_NONE : open_at(path, index, &fd, out, error);

        if (result < 0 || index == NOWHERE)
            return result;
        if (result != 0 || survivor(path, id) != index)
            continue;
        *out_fd = fd_take(&fd);
        return 0;
    }
    return LOG_FILES_NONE;
}

static uint64_t size_up_to(const char *path, int index)
{
    uint64_t sum = 0;

    for (; index >= 0; index--) {
        struct log_file_facts facts;

        if (look(path, index, &facts))
            sum += facts.size;
    }
    return sum;
}

int log_files_size_from(const char *path, struct log_file_id id, uint64_t *out)
{
    for (int attempt = 0; attempt < SEARCH_ATTEMPTS; attempt++) {
        int index = find(path, id);

        if (index == NOWHERE)
            return LOG_FILES_LOST;
        *out = size_up_to(path, index);
        if (is_at(path, index, id))
            return 0;
    }
    return LOG_FILES_LOST;
}

#include "common/logs/log_seek.h"

#include "common/base/fd.h"

int log_seek_begin(struct log_seek *seek, const char *path, uint64_t lines, struct error *error)
{
    CLEANUP(fd_close) int fd = -1;
    struct log_file_facts facts;
    int result = log_files_open_newest(path, &fd, &facts, error);

    *seek = (struct log_seek){.place = LOG_PLACE_FIRST, .lines_left = lines, .is_at_end = true};
    if (result != 0)
        return result < 0 ? result : LOG_SEEK_DONE;
    result = log_place_in(fd, facts.id, facts.size, &seek->place, error);
    if (result < 0)
        return result;
    return lines == 0 ? LOG_SEEK_DONE : 0;
}

/* Newlines from the back; the one that ends the log does not begin a line. True: *out_at is the
 * byte behind the last one wanted. */
static bool count_back(struct log_seek *seek, const char *bytes, size_t len, size_t *out_at)
{
    if (len > 0 && seek->is_at_end)
        len--;
    seek->is_at_end = false;
    for (size_t i = len; i > 0; i--) {
        if (bytes[i - 1] != '\n' || --seek->lines_left > 0)
            continue;
        *out_at = i;
        return true;
    }
    return false;
}

static int step_back(struct log_seek *seek, int fd, struct log_view *scratch, struct error *error)
{
    uint64_t end = seek->place.offset;
    uint64_t begin = end > LOG_VIEW_BYTES ? end - LOG_VIEW_BYTES : 0;
    size_t len = 0;
    size_t at = 0;
    int result = log_place_pread(fd, begin, scratch->memory, (size_t)(end - begin), &len, error);

    if (result < 0)
        return result;
    result = count_back(seek, scratch->memory, len, &at) ? LOG_SEEK_DONE : 0;
    if (log_place_in(fd, seek->place.file, begin + at, &seek->place, error) < 0)
        return -STATUS_INTERNAL;
    return result;
}

static int to_older(struct log_seek *seek, const char *path, struct error *error)
{
    CLEANUP(fd_close) int fd = -1;
    struct log_file_facts facts;
    int result = log_files_open_older(path, seek->place.file, &fd, &facts, error);

    if (result != 0)
        return result < 0 ? result : LOG_SEEK_DONE;
    return log_place_in(fd, facts.id, facts.size, &seek->place, error);
}

int log_seek_step(
    struct log_seek *seek, const char *path, struct log_view *scratch, struct error *error)
{
    CLEANUP(fd_close) int fd = -1;
    struct log_file_facts facts;
    int result;

    if (seek->place.offset == 0)
        return to_older(seek, path, error);
    result = log_files_open(path, seek->place.file, &fd, &facts, error);
    if (result > 0) /* Rotated away meanwhile: what is left is the tail. */
        return LOG_SEEK_DONE;
    return result < 0 ? result : step_back(seek, fd, scratch, error);
}

int log_seek_bytes(const char *path, uint64_t bytes, struct log_place *out, struct error *error)
{
    CLEANUP(fd_close) int fd = -1;
    struct log_file_facts facts;
    int result = log_files_open_newest(path, &fd, &facts, error);

    *out = LOG_PLACE_FIRST;
    while (result == 0 && bytes > facts.size) {
        bytes -= facts.size;
        fd_close(&fd);
        result = log_files_open_older(path, facts.id, &fd, &facts, error);
    }
    if (result != 0)
        return result < 0 ? result : 0;
    return log_place_in(fd, facts.id, facts.size - bytes, out, error);
}

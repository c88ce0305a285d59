#include "server/output/log_tail.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/utf8.h"

static const char replacement[] = "\xEF\xBF\xBD";

/* One line without its end. */
static void copy_line(const uint8_t *bytes, size_t len, char out[LOG_TAIL_LINE_BYTES_MAX + 1])
{
    size_t length = 0;

    if (len > 0 && bytes[len - 1] == '\r')
        len--;
    while (len > 0) {
        size_t step = utf8_character_length(bytes, len);
        bool is_character = step > 0 && bytes[0] != '\0';
        size_t n = is_character ? step : sizeof replacement - 1;

        if (length + n > LOG_TAIL_LINE_BYTES_MAX)
            break;
        memcpy(out + length, is_character ? (const char *)bytes : replacement, n);
        length += n;
        step = is_character ? step : 1;
        bytes += step;
        len -= step;
    }
    out[length] = '\0';
}

/* Where the line begins that ends at `end`. */
static size_t line_start(const uint8_t *bytes, size_t end)
{
    while (end > 0 && bytes[end - 1] != '\n')
        end--;
    return end;
}

void log_tail_cut(const uint8_t *bytes, size_t len, bool begins_whole, struct log_tail *out)
{
    size_t starts[LOG_TAIL_LINES_MAX];
    size_t ends[LOG_TAIL_LINES_MAX];
    size_t end = len > 0 && bytes[len - 1] == '\n' ? len - 1 : len;
    size_t n = 0;
    bool has_more = len > 0;

    while (has_more && n < LOG_TAIL_LINES_MAX) {
        size_t start = line_start(bytes, end);

        has_more = start > 0;
        if (!has_more && !begins_whole && n > 0)
            break;
        starts[n] = start;
        ends[n++] = end;
        end = has_more ? start - 1 : 0;
    }
    out->n_lines = n;
    for (size_t i = 0; i < n; i++) {
        size_t from = n - 1 - i;

        copy_line(bytes + starts[from], ends[from] - starts[from], out->lines[i]);
    }
}

/* ---- files ---- */

struct piece {
    size_t len;
    bool is_whole; /* it is all of the file */
};

static struct piece read_end(const char *path, uint8_t *out)
{
    /* Not blocked by a pipe that somebody has put there. */
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct piece piece = {.len = 0};
    struct stat status;
    off_t from;

    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return piece;
    from = status.st_size > LOG_TAIL_READ_BYTES ? status.st_size - LOG_TAIL_READ_BYTES : 0;
    piece.is_whole = from == 0;
    while (piece.len < LOG_TAIL_READ_BYTES) {
        ssize_t n =
            pread(fd, out + piece.len, LOG_TAIL_READ_BYTES - piece.len, from + (off_t)piece.len);

        if (n <= 0)
            break;
        piece.len += (size_t)n;
    }
    return piece;
}

void log_tail_read(const char *path, struct log_tail *out)
{
    uint8_t *bytes = malloc((size_t)2 * LOG_TAIL_READ_BYTES);
    char rotated[PATH_MAX];
    struct piece newest;
    struct piece before = {.is_whole = true};

    out->n_lines = 0;
    if (bytes == NULL)
        return;
    newest = read_end(path, bytes + LOG_TAIL_READ_BYTES);
    log_tail_cut(bytes + LOG_TAIL_READ_BYTES, newest.len, newest.is_whole, out);
    if (newest.is_whole && out->n_lines < LOG_TAIL_LINES_MAX &&
        snprintf(rotated, sizeof rotated, "%s.1", path) < (int)sizeof rotated) {
        before = read_end(rotated, bytes);
        /* A line may have been cut in two by the rotation. */
        memmove(bytes + before.len, bytes + LOG_TAIL_READ_BYTES, newest.len);
        if (before.len > 0)
            log_tail_cut(bytes, before.len + newest.len, before.is_whole, out);
    }
    free(bytes);
}

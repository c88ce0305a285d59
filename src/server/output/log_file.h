/* One log file that bytes of a pipe are appended to.
 *
 * The file's size is the only record of what has been written: it is read before each batch, under
 * an OFD lock, so whoever is killed at any instant neither loses nor repeats a byte, and two
 * writers do not overwrite each other. Never O_APPEND: splice(2) refuses it with EINVAL. */
#ifndef FLOCKS_OUTPUT_LOG_FILE_H
#define FLOCKS_OUTPUT_LOG_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"

/* Plain value; `fd` is -1 while the file is closed. */
struct log_file {
    int fd;
};

#define LOG_FILE_INIT                                                                              \
    (struct log_file)                                                                              \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

struct log_file_target {
    const char *path;
    /* Rotated before a batch when the file has reached this; 0: never. */
    uint64_t max_size;
    uint32_t keep;
};

struct log_file_outcome {
    size_t written;
    uint32_t rotations;
    /* Why not all was written, or why the file could not be rotated; 0: neither. */
    int system_error;
};

enum log_file_condition {
    /* Another process holds the file's lock: try again soon. Nothing was written. */
    LOG_FILE_BUSY = 1,
    /* The file does not take the bytes (full, too large, not writable): outcome.system_error. Some
       may have been written. */
    LOG_FILE_REFUSED = 2
};

/* Appends `len` bytes that are in the pipe `pipe_fd`. Opens the file when it is closed, and anew
 * when `path` is no longer the file that was open (unlinked, moved away). Creates it with mode
 * 0600; anything but a regular file is refused. */
NODISCARD int log_file_append(struct log_file *file, const struct log_file_target *target,
    int pipe_fd, size_t len, struct log_file_outcome *out);

void log_file_close(struct log_file *file);

#endif

/* A place in a log: between two bytes of one file, whatever the file is called meanwhile. A plain
 * value: it may be written down, and found again by another process. */
#ifndef FLOCKS_LOGS_LOG_PLACE_H
#define FLOCKS_LOGS_LOG_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/logs/log_files.h"

enum {
    /* The last bytes before a place by which it is known again: a file may have been cut and
     * written to past it. */
    LOG_PLACE_CHECK_BYTES = 64
};

/* `file.number` 0: before everything that the log has or will have. */
struct log_place {
    struct log_file_id file;
    uint64_t offset;
    uint32_t check; /* of up to LOG_PLACE_CHECK_BYTES before `offset` */
};

/* Before everything. */
#define LOG_PLACE_FIRST                                                                            \
    (struct log_place)                                                                             \
    {                                                                                              \
        .offset = 0                                                                                \
    }

/* The check of these bytes, which stand before a place: the last ones of them count. Pure. */
uint32_t log_place_check(const char *bytes, size_t len);
/* How many bytes before the place its check is made of. */
size_t log_place_check_length(uint64_t offset);

/* The place at `offset` of an open file. */
NODISCARD int log_place_in(
    int fd, struct log_file_id file, uint64_t offset, struct log_place *out, struct error *error);

/* Bytes of the log behind the place. 0, or LOG_FILES_LOST: its file is gone, or shorter. */
NODISCARD int log_place_distance(const char *path, const struct log_place *place, uint64_t *out);

/* pread(2) until `len` bytes or the end of the file. */
NODISCARD int log_place_pread(
    int fd, uint64_t offset, char *bytes, size_t len, size_t *out_len, struct error *error);

#endif

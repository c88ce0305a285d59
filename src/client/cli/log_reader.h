/* One service's log file read from its end onwards: across rotation by rename (x.log, x.log.1,
 * x.log.2 ...), truncation, deletion and re-creation, without a byte lost or repeated.
 *
 * Never waits: the caller decides when to look again. Never creates or changes a file. */
#ifndef FLOCKS_CLI_LOG_READER_H
#define FLOCKS_CLI_LOG_READER_H

#include <stddef.h>

#include "common/base/error.h"
#include "common/logs/log_view.h"

enum {
    /* Bytes given at once. */
    LOG_READER_CHUNK = LOG_VIEW_BYTES
};

/* Positive results of log_reader_next. */
enum log_reader_result {
    /* Nothing now; the file may not even exist yet. */
    LOG_READER_IDLE = 1,
    /* The file was cut by somebody else; reading goes on from its new beginning. */
    LOG_READER_TRUNCATED = 2,
    /* The file was deleted or rotated away before it was read; reading goes on with the oldest that
       is left. */
    LOG_READER_LOST = 3
};

struct log_reader;

/* Stands before the last `tail_lines` lines of `path` and of the files it was rotated into. A
 * missing file is no error. Fails for what open(2) and read(2) say otherwise, and when memory is
 * short. */
NODISCARD int log_reader_new(
    const char *path, size_t tail_lines, struct log_reader **out, struct error *error);
void log_reader_free(struct log_reader *reader);

/* 0: `*out_len` bytes (never 0) at `*out_bytes`, valid until the next call. Positive: as above. */
NODISCARD int log_reader_next(
    struct log_reader *reader, const char **out_bytes, size_t *out_len, struct error *error);

#endif

/* The last lines of a log, for people. Blocks on the disk: never on a loop. */
#ifndef FLOCKS_OUTPUT_LOG_TAIL_H
#define FLOCKS_OUTPUT_LOG_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* Lines, and bytes of each without its NUL (max_items and max_bytes of
       ExplainServiceResponse.output_tail); a longer line is cut. */
    LOG_TAIL_LINES_MAX = 50,
    LOG_TAIL_LINE_BYTES_MAX = 1023,
    /* Read from the end of each file: that many lines of that length, and what is cut off them. */
    LOG_TAIL_READ_BYTES = 128 * 1024
};

struct log_tail {
    size_t n_lines;
    char lines[LOG_TAIL_LINES_MAX][LOG_TAIL_LINE_BYTES_MAX + 1];
};

/* The last lines of bytes in the order they were written, as UTF-8 without NUL: what is no
 * character becomes U+FFFD, a last line without its end counts. `begins_whole`: the first byte
 * begins a line; else it is left out, unless there is no other. */
void log_tail_cut(const uint8_t *bytes, size_t len, bool begins_whole, struct log_tail *out);

/* Of the file, and of the one rotated before (path.1) where the file has fewer. What cannot be
 * read, or is no regular file, has no lines. */
void log_tail_read(const char *path, struct log_tail *out);

#endif

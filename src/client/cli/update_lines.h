/* Bytes of a pipe into lines, bounded: what is too long is left out and counted. Pure. */
#ifndef FLOCKS_CLI_UPDATE_LINES_H
#define FLOCKS_CLI_UPDATE_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"

enum {
    /* A longer line is left out. An UpdateCheck with everything that it may hold fits. */
    UPDATE_LINE_MAX = 1024 * 1024
};

/* Embedded by value. */
struct update_lines {
    struct buffer rest; /* of a line whose end has not come */
    bool is_skipping;
    size_t n_dropped;
};

void update_lines_init(struct update_lines *lines);
void update_lines_deinit(struct update_lines *lines);

/* One whole line, without its newline, not terminated; empty ones are not told. */
typedef void (*update_line_fn)(void *data, const char *line, size_t len);
/* Takes `bytes`, calls back for each line that is complete by then. A line without its newline is
 * never told: its writer died in the middle of it. Memory that is short drops a line, too. */
void update_lines_feed(
    struct update_lines *lines, const char *bytes, size_t len, update_line_fn on_line, void *data);

#endif

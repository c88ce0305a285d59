/* Output of one or several services on its way to standard output: bytes unchanged, or whole lines
 * with the service's name before each, or as JSON. Pure: text in, text out. */
#ifndef FLOCKS_CLI_LOG_MERGE_H
#define FLOCKS_CLI_LOG_MERGE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/attributes.h"
#include "common/base/buffer.h"

enum {
    /* A longer line is given in pieces, so that one service without newlines cannot hold memory. */
    LOG_MERGE_LINE_MAX = 64 * 1024
};

enum log_format {
    LOG_FORMAT_VERBATIM, /* bytes as they are; for one service */
    LOG_FORMAT_PREFIXED, /* "[backend] line" */
    LOG_FORMAT_JSON      /* one ReadLogsResponse a line */
};

/* The unfinished line of one service. Embedded by value. */
struct log_lines {
    const char *service; /* borrowed */
    enum log_format format;
    struct buffer rest;
};

void log_lines_init(struct log_lines *lines, const char *service, enum log_format format);
void log_lines_deinit(struct log_lines *lines);

/* Appends to `out` what `len` bytes complete; keeps the rest. 0, or -STATUS_RESOURCE_EXHAUSTED. */
NODISCARD int log_lines_add(
    struct log_lines *lines, const char *bytes, size_t len, struct buffer *out);
/* Appends the unfinished line, ended by a newline where the format is not verbatim. */
NODISCARD int log_lines_flush(struct log_lines *lines, struct buffer *out);

#endif

/* One line per event: time, level, constant message, key=value pairs, peers' bytes escaped.
 *
 * Pure modules do not log. A line is one write(2) to a descriptor that
 * must be non-blocking where a loop runs: a line that does not fit is
 * counted and told with the next that does. errno is preserved. */
#ifndef FLOCKS_BASE_LOG_H
#define FLOCKS_BASE_LOG_H

#include <stdint.h>

#include "common/base/attributes.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

enum {
    /* Below PIPE_BUF, so that lines of several processes never mix. */
    LOG_LINE_MAX = 4000
};

/* Borrowed descriptor; `program` is static text. Before this, lines go to descriptor 2 at INFO. */
void log_open(int fd, const char *program, enum log_level level);
/* "debug", "info", "warn" or "error", any case; -STATUS_INVALID_ARGUMENT otherwise. */
NODISCARD int log_level_from_text(const char *text, enum log_level *out);

/* `message` is a constant sentence; `format` gives "key=value key=value". Control characters,
 * quotes and bytes that are not UTF-8 in the formatted part are written as \xNN. */
void log_line(enum log_level level, const char *message, const char *format, ...) PRINTF_LIKE(3, 4);

#define log_debug(message, ...) log_line(LOG_LEVEL_DEBUG, message, __VA_ARGS__)
#define log_info(message, ...) log_line(LOG_LEVEL_INFO, message, __VA_ARGS__)
#define log_warn(message, ...) log_line(LOG_LEVEL_WARN, message, __VA_ARGS__)
#define log_error(message, ...) log_line(LOG_LEVEL_ERROR, message, __VA_ARGS__)

/* Lines that could not be written so far. */
uint64_t log_lines_lost(void);

#endif

#include "client/cli/update_lines.h"

#include <string.h>

void update_lines_init(struct update_lines *lines)
{
    *lines = (struct update_lines){.n_dropped = 0};
    buffer_init(&lines->rest, UPDATE_LINE_MAX);
}

void update_lines_deinit(struct update_lines *lines)
{
    buffer_deinit(&lines->rest);
}

static void drop(struct update_lines *lines)
{
    buffer_consume(&lines->rest, buffer_length(&lines->rest));
    lines->n_dropped += !lines->is_skipping;
    lines->is_skipping = true;
}

static void keep(struct update_lines *lines, const char *bytes, size_t len)
{
    if (!lines->is_skipping && buffer_append(&lines->rest, bytes, len) < 0)
        drop(lines);
}

/* The newline of the present line has come. */
static void end_line(struct update_lines *lines, update_line_fn on_line, void *data)
{
    size_t len = buffer_length(&lines->rest);
    if (!lines->is_skipping && len > 0)
        on_line(data, (const char *)buffer_data(&lines->rest), len);
    buffer_consume(&lines->rest, len);
    lines->is_skipping = false;
}

void update_lines_feed(
    struct update_lines *lines, const char *bytes, size_t len, update_line_fn on_line, void *data)
{
    while (len > 0) {
        const char *newline = memchr(bytes, '\n', len);
        size_t n = newline ? (size_t)(newline - bytes) : len;
        keep(lines, bytes, n);
        if (!newline)
            return;
        end_line(lines, on_line, data);
        bytes += n + 1;
        len -= n + 1;
    }
}

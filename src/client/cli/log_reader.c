#include "client/cli/log_reader.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/logs/log_seek.h"

struct log_reader {
    char path[PATH_MAX];
    struct log_place place;
    struct log_view view;
};

static int seek_tail(struct log_reader *reader, size_t tail_lines, struct error *error)
{
    struct log_seek seek;
    int result = log_seek_begin(&seek, reader->path, tail_lines, error);

    while (result == 0)
        result = log_seek_step(&seek, reader->path, &reader->view, error);
    reader->place = seek.place;
    return result < 0 ? result : 0;
}

int log_reader_new(
    const char *path, size_t tail_lines, struct log_reader **out, struct error *error)
{
    struct log_reader *reader = malloc(sizeof(*reader));
    int result = 0;
    int len;

    if (!reader)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory to read %s", path);
    len = snprintf(reader->path, sizeof(reader->path), "%s", path);
    if (len < 0 || (size_t)len >= sizeof(reader->path))
        result = error_set(error, STATUS_INVALID_ARGUMENT, "the log's path is too long");
    else
        result = seek_tail(reader, tail_lines, error);
    if (result < 0) {
        log_reader_free(reader);
        return result;
    }
    *out = reader;
    return 0;
}

void log_reader_free(struct log_reader *reader)
{
    free(reader);
}

int log_reader_next(
    struct log_reader *reader, const char **out_bytes, size_t *out_len, struct error *error)
{
    struct log_view *view = &reader->view;
    int result;

    do
        result = log_view_read(view, reader->path, &reader->place, error);
    while (result == 0 && view->len == 0 && !view->is_end);
    if (result < 0)
        return result;
    if (result != 0) {
        reader->place = view->restart;
        return result == LOG_VIEW_TRUNCATED ? LOG_READER_TRUNCATED : LOG_READER_LOST;
    }
    if (view->len == 0)
        return LOG_READER_IDLE;
    reader->place = log_view_place(view, &reader->place, view->len);
    *out_bytes = view->bytes;
    *out_len = view->len;
    return 0;
}

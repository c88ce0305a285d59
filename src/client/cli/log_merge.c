/* Lines are found here only; everything else passes bytes on. */
#include "client/cli/log_merge.h"

#include <string.h>

#include "flocks/v1/supervisor.info.h"
#include "flocks/v1/supervisor.names.h"

#include "common/schema/json_write.h"

void log_lines_init(struct log_lines *lines, const char *service, enum log_format format)
{
    lines->service = service;
    lines->format = format;
    buffer_init(&lines->rest, LOG_MERGE_LINE_MAX);
}

void log_lines_deinit(struct log_lines *lines)
{
    buffer_deinit(&lines->rest);
}

static int give_json(
    const struct log_lines *lines, const char *line, size_t len, struct buffer *out)
{
    /* protobuf-c's bytes are not const although nobody changes them. */
    const union {
        const char *constant;
        uint8_t *bytes;
    } data = {.constant = line};
    flocks_read_logs_response item = FLOCKS_READ_LOGS_RESPONSE_INIT;
    item.service = lines->service;
    item.data = (ProtobufCBinaryData){.len = len, .data = data.bytes};
    int result = json_write(&flocks_read_logs_response_info, &item.base, NULL, out);
    return result == 0 ? buffer_append_text(out, "\n") : result;
}

/* `len` bytes, the newline among them if there is one. */
static int give_line(
    const struct log_lines *lines, const char *line, size_t len, struct buffer *out)
{
    if (lines->format == LOG_FORMAT_JSON)
        return give_json(lines, line, len, out);
    int result = buffer_printf(out, "[%s] ", lines->service);
    if (result == 0)
        result = buffer_append(out, line, len);
    if (result == 0 && line[len - 1] != '\n')
        result = buffer_append_text(out, "\n");
    return result;
}

int log_lines_flush(struct log_lines *lines, struct buffer *out)
{
    size_t len = buffer_length(&lines->rest);
    if (len == 0)
        return 0;
    int result = give_line(lines, (const char *)buffer_data(&lines->rest), len, out);
    buffer_consume(&lines->rest, len);
    return result;
}

/* A line, or as much of one as fits; `is_whole` when it ends with a newline. */
static int add_part(
    struct log_lines *lines, const char *part, size_t len, bool is_whole, struct buffer *out)
{
    if (is_whole && buffer_length(&lines->rest) == 0)
        return give_line(lines, part, len, out);
    int result = 0;
    if (buffer_length(&lines->rest) + len > LOG_MERGE_LINE_MAX)
        result = log_lines_flush(lines, out);
    if (result == 0)
        result = buffer_append(&lines->rest, part, len);
    return result == 0 && is_whole ? log_lines_flush(lines, out) : result;
}

int log_lines_add(struct log_lines *lines, const char *bytes, size_t len, struct buffer *out)
{
    if (lines->format == LOG_FORMAT_VERBATIM)
        return buffer_append(out, bytes, len);
    int result = 0;
    while (result == 0 && len > 0) {
        const char *newline = memchr(bytes, '\n', len);
        size_t part = newline ? (size_t)(newline - bytes) + 1 : len;
        if (part > LOG_MERGE_LINE_MAX)
            part = LOG_MERGE_LINE_MAX;
        bool is_whole = bytes[part - 1] == '\n';
        result = add_part(lines, bytes, part, is_whole, out);
        bytes += part;
        len -= part;
    }
    return result;
}

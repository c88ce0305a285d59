#include "client/cli/json_argument.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fd.h"

/* From `fd` to its end. */
static int read_all(struct json_argument *argument, int fd, struct error *error)
{
    char chunk[16 * 1024];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(error, errno, "read %s", argument->name);
        if (n == 0)
            return 0;
        if (buffer_append(&argument->bytes, chunk, (size_t)n) < 0)
            return error_set(error, STATUS_INVALID_ARGUMENT, "%s is longer than %d bytes",
                argument->name, JSON_READ_MAX_BYTES);
    }
}

static int read_file(struct json_argument *argument, struct error *error)
{
    CLEANUP(fd_close) int fd = open(argument->name, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        return read_all(argument, fd, error);
    int result = error_set_errno(error, errno, "open %s", argument->name);
    /* What was asked for is wrong, not the root's permissions. */
    if (error)
        error->code = STATUS_INVALID_ARGUMENT;
    return result < 0 ? -STATUS_INVALID_ARGUMENT : result;
}

int json_argument_read(struct json_argument *argument, const char *operand, struct error *error)
{
    buffer_init(&argument->bytes, JSON_READ_MAX_BYTES);
    argument->name = "argument";
    if (operand && strcmp(operand, "-") == 0) {
        argument->name = "standard input";
        return read_all(argument, STDIN_FILENO, error);
    }
    if (operand && operand[0] == '@') {
        argument->name = operand + 1;
        return read_file(argument, error);
    }
    if (buffer_append_text(&argument->bytes, operand ? operand : "{}") == 0)
        return 0;
    return error_set(error, STATUS_INVALID_ARGUMENT, "the argument is too long");
}

void json_argument_deinit(struct json_argument *argument)
{
    buffer_deinit(&argument->bytes);
}

int json_argument_parse(const struct json_argument *argument, const struct crpc_message_info *info,
    struct arena *arena, ProtobufCMessage **out, struct json_mistake *mistake, struct error *error)
{
    size_t len = buffer_length(&argument->bytes);
    const char *text = len > 0 ? (const char *)buffer_data(&argument->bytes) : "";
    int result = json_read(text, len, info, NULL, arena, out, mistake, error);
    if (result < 0 && mistake->line > 0)
        return error_add_context(
            error, result, "%s:%u:%u", argument->name, mistake->line, mistake->column);
    return result;
}

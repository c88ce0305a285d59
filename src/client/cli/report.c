/* The failure object is google.rpc.Status in proto3 JSON, its details flocks.v1.ErrorDetail
 * (docs/protocol.md). */
#include "client/cli/report.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "flocks/v1/types.info.h"
#include "flocks/v1/types.names.h"

#include "client/cli/terminal.h"
#include "common/base/fd.h"
#include "common/config/config.h"
#include "common/schema/json_write.h"

enum report_written report_write(const void *bytes, size_t len)
{
    struct error error = ERROR_INIT;
    if (fd_write_all(STDOUT_FILENO, bytes, len, &error) == 0)
        return REPORT_WRITTEN;
    if (error.system_error == EPIPE)
        return REPORT_READER_GONE;
    fprintf(stderr, "flocks: standard output: %s\n", error.text);
    return REPORT_WRITE_FAILED;
}

bool report_flush(void)
{
    if (fflush(stdout) == 0 || errno == EPIPE)
        return true;
    fprintf(stderr, "flocks: standard output cannot be written (%s)\n", error_errno_name(errno));
    return false;
}

/* A reader that has gone away is no failure. */
static bool write_out(const struct buffer *buffer)
{
    return report_write(buffer_data(buffer), buffer_length(buffer)) != REPORT_WRITE_FAILED;
}

/* {"@type": ..., <members of the detail>} */
static int append_detail(const flocks_error_detail *detail, struct buffer *out)
{
    struct buffer members;
    buffer_init(&members, REPORT_JSON_MAX_BYTES);
    int result = json_write(&flocks_error_detail_info, &detail->base, NULL, &members);
    if (result == 0)
        result =
            buffer_append_text(out, "{\"@type\":\"type.googleapis.com/flocks.v1.ErrorDetail\",");
    /* Its own opening brace is replaced; a detail always has members. */
    if (result == 0)
        result = buffer_append(out, buffer_data(&members) + 1, buffer_length(&members) - 1);
    buffer_deinit(&members);
    return result;
}

static int append_status(enum status_code code, const char *message, struct buffer *out)
{
    int result = buffer_printf(out, "{\"error\":{\"code\":%d,\"message\":", (int)code);
    if (result == 0)
        result = json_write_text(message, strlen(message), out);
    return result == 0 ? buffer_append_text(out, ",\"details\":[") : result;
}

flocks_error_detail report_detail(const struct error *error)
{
    flocks_error_detail detail = FLOCKS_ERROR_DETAIL_INIT;
    detail.reason = flocks_error_reason_from(error->reason);
    detail.service = error->subject;
    detail.hint = error->hint;
    if (error->system_error != 0)
        detail.system_error = error_errno_name(error->system_error);
    return detail;
}

int report_append_error(
    const struct error *error, const flocks_error_detail *detail, struct buffer *out)
{
    flocks_error_detail own = report_detail(error);
    int result = append_status(error->code, error->text, out);
    if (result == 0)
        result = append_detail(detail ? detail : &own, out);
    return result == 0 ? buffer_append_text(out, "]}}\n") : result;
}

enum outcome report_failure(
    const struct cli *cli, const struct error *error, const flocks_error_detail *detail)
{
    enum outcome outcome = outcome_of_status(error->code);
    if (!cli->json) {
        fputs("flocks: ", stderr);
        terminal_print_escaped(stderr, error->text);
        if (error->hint[0])
            fputs("\n  hint: ", stderr);
        terminal_print_escaped(stderr, error->hint);
        fputc('\n', stderr);
        return outcome;
    }
    struct buffer text;
    buffer_init(&text, REPORT_JSON_MAX_BYTES);
    if (report_append_error(error, detail, &text) < 0 || !write_out(&text))
        outcome = OUTCOME_FAILED;
    buffer_deinit(&text);
    return outcome;
}

enum outcome report_error(const struct cli *cli, const struct error *error)
{
    return report_failure(cli, error, NULL);
}

enum outcome report_not_running(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    error_set(&error, STATUS_UNAVAILABLE, "nothing runs in %s", cli->paths.root);
    error_set_hint(&error, "`flocks start` starts it");
    (void)report_error(cli, &error);
    return OUTCOME_NOT_RUNNING;
}

static int append_mistake(const struct mistake *mistake, struct buffer *out)
{
    flocks_source_position position = FLOCKS_SOURCE_POSITION_INIT;
    position.file = mistake->file;
    position.line = mistake->line;
    position.column = mistake->column;
    position.path = mistake->path;
    flocks_error_detail detail = FLOCKS_ERROR_DETAIL_INIT;
    detail.reason = FLOCKS_ERROR_REASON_INVALID_CONFIG;
    detail.attempted = mistake->message;
    detail.hint = mistake->hint;
    detail.position = &position;
    return append_detail(&detail, out);
}

static int append_mistakes(const struct mistakes *mistakes, struct buffer *out)
{
    char summary[128];
    (void)snprintf(summary, sizeof(summary), "the configuration has %zu mistake%s",
        mistakes->n + mistakes->n_dropped, mistakes->n == 1 ? "" : "s");
    int result = append_status(STATUS_INVALID_ARGUMENT, summary, out);
    for (size_t i = 0; result == 0 && i < mistakes->n; i++) {
        if (i > 0)
            result = buffer_append_text(out, ",");
        if (result == 0)
            result = append_mistake(&mistakes->items[i], out);
    }
    return result == 0 ? buffer_append_text(out, "]}}\n") : result;
}

enum outcome report_mistakes(const struct cli *cli, const struct mistakes *mistakes)
{
    if (!cli->json) {
        config_mistakes_print(stderr, mistakes);
        return OUTCOME_USAGE;
    }
    struct buffer text;
    buffer_init(&text, REPORT_JSON_MAX_BYTES);
    enum outcome outcome = OUTCOME_USAGE;
    if (append_mistakes(mistakes, &text) < 0 || !write_out(&text))
        outcome = OUTCOME_FAILED;
    buffer_deinit(&text);
    return outcome;
}

static enum outcome write_message(const struct crpc_message_info *info,
    const ProtobufCMessage *message, const struct json_write_options *options, enum outcome outcome)
{
    struct buffer text;
    buffer_init(&text, REPORT_JSON_MAX_BYTES);
    int result = json_write(info, message, options, &text);
    if (result == 0)
        result = buffer_append_text(&text, "\n");
    if (result == 0 && !write_out(&text))
        outcome = OUTCOME_FAILED;
    buffer_deinit(&text);
    if (result == 0)
        return outcome;
    struct error error = ERROR_INIT;
    error_set(&error, STATUS_RESOURCE_EXHAUSTED, "no memory to write the answer");
    static const struct cli plain;
    return report_error(&plain, &error);
}

enum outcome report_message(const struct cli *cli, const struct crpc_message_info *info,
    const ProtobufCMessage *message, enum outcome outcome)
{
    (void)cli;
    return write_message(info, message, NULL, outcome);
}

enum outcome report_message_indented(const struct cli *cli, const struct crpc_message_info *info,
    const ProtobufCMessage *message, enum outcome outcome)
{
    static const struct json_write_options indented = {.indent = true};
    (void)cli;
    return write_message(info, message, &indented, outcome);
}

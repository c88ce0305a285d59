/* How a command tells its outcome: words on standard error, or one JSON object on standard output.
 */
#ifndef FLOCKS_CLI_REPORT_H
#define FLOCKS_CLI_REPORT_H

#include <protobuf-c/protobuf-c.h>

#include "flocks/v1/types.names.h"

#include "client/cli/cli.h"
#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/schema/mistake.h"
#include "crpc/info.h"

enum {
    /* Longest JSON text written at once: the largest answer of a server, escaped. */
    REPORT_JSON_MAX_BYTES = 64 * 1024 * 1024
};

enum report_written { REPORT_WRITTEN, REPORT_READER_GONE, REPORT_WRITE_FAILED };
/* Straight to standard output, past stdio. A failure has been told on standard error. */
enum report_written report_write(const void *bytes, size_t len);

/* What stdio still holds for standard output. A reader that has gone away is no failure; another
 * one is told, and the answer is false. */
bool report_flush(void);

/* "flocks: <text>" and its hint, or {"error": ...}. Answers what the error's code means. */
enum outcome report_error(const struct cli *cli, const struct error *error);
/* The same with the server's own typed detail in the JSON; NULL: made from the error. */
enum outcome report_failure(
    const struct cli *cli, const struct error *error, const flocks_error_detail *detail);
/* The typed detail that says what `error` says, and borrows its texts. */
flocks_error_detail report_detail(const struct error *error);
/* The JSON of a failure, with its newline; `detail` as in report_failure. */
NODISCARD int report_append_error(
    const struct error *error, const flocks_error_detail *detail, struct buffer *out);
/* Of a command that needs a daemon, where none runs. Answers NOT_RUNNING. */
enum outcome report_not_running(const struct cli *cli);
/* Every mistake with file, line, column and remedy. Answers USAGE. */
enum outcome report_mistakes(const struct cli *cli, const struct mistakes *mistakes);
/* The response as JSON on standard output, with a newline. Answers `outcome`, or FAILED when it
 * cannot be written. */
enum outcome report_message(const struct cli *cli, const struct crpc_message_info *info,
    const ProtobufCMessage *message, enum outcome outcome);
/* The same for a person at a terminal: one member a line. */
enum outcome report_message_indented(const struct cli *cli, const struct crpc_message_info *info,
    const ProtobufCMessage *message, enum outcome outcome);

#endif

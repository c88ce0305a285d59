/* `flocks call`: any method of the generated tables, JSON in and out. Nothing here knows one of
 * them. */
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/daemon.h"
#include "client/cli/interrupt.h"
#include "client/cli/json_argument.h"
#include "client/cli/method_name.h"
#include "client/cli/report.h"
#include "client/cli/terminal.h"
#include "client/cli/watch.h"
#include "common/base/clock.h"
#include "daemon.catalog.h"

enum {
    /* What the largest text that is read may become. */
    REQUEST_ARENA_BYTES = 64 * 1024 * 1024
};

/* One line for a program, for a person one member a line. */
static enum outcome print(
    const struct cli *cli, const struct rpc_method *method, const ProtobufCMessage *message)
{
    if (cli->quiet && !cli->json)
        return OUTCOME_DONE;
    return cli->json || !terminal_is_reader()
               ? report_message(cli, method->response, message, OUTCOME_DONE)
               : report_message_indented(cli, method->response, message, OUTCOME_DONE);
}

/* ---- one answer ---- */

static enum outcome call_once(
    const struct cli *cli, const struct rpc_method *method, const ProtobufCMessage *request)
{
    struct error error = ERROR_INIT;
    struct daemon daemon;
    const ProtobufCMessage *response = NULL;
    enum outcome outcome = OUTCOME_DONE;
    int result =
        daemon_open(&daemon, cli, method->mutates ? DAEMON_WORK_MS : DAEMON_ANSWER_MS, &error);
    if (result == 0)
        result = daemon_call_method(&daemon, method, request, &response, &error);
    if (result == 0)
        outcome = print(cli, method, response);
    else
        outcome =
            result == DAEMON_NOT_RUNNING ? report_not_running(cli) : daemon_report(&daemon, &error);
    rpc_message_free(response);
    daemon_close(&daemon);
    return outcome;
}

/* ---- a stream of answers ---- */

struct show {
    const struct cli *cli;
    const struct rpc_method *method;
    enum outcome outcome;
    bool has_ended;
};

static enum rpc_take take_message(
    const void *typed, void *data, struct flocks_stream *stream, const ProtobufCMessage *message)
{
    (void)typed;
    (void)stream;
    struct show *show = data;
    if (show->outcome == OUTCOME_DONE)
        show->outcome = print(show->cli, show->method, message);
    return RPC_TAKE_DONE;
}

static void take_end(
    const void *typed, void *data, struct flocks_stream *stream, const struct flocks_error *failure)
{
    (void)typed;
    (void)stream;
    struct show *show = data;
    show->has_ended = true;
    if (show->outcome == OUTCOME_DONE)
        show->outcome = daemon_report_end(show->cli, failure);
}

static enum outcome follow(struct watch *watch, struct show *show, const ProtobufCMessage *request)
{
    static const struct flocks_stream_hooks hooks = {.message = take_message, .ended = take_end};
    struct flocks_error *failure = NULL;
    const struct rpc_options options = {.timeout_ms = cli_timeout_ms(show->cli, 0)};
    struct flocks_stream *stream = flocks_client_watch(
        watch->client, show->method, &options, request, &hooks, NULL, show, &failure);
    if (!stream)
        show->outcome = daemon_report_end(show->cli, failure);
    flocks_error_free(failure);
    bool goes_on = stream != NULL;
    while (goes_on && !show->has_ended && show->outcome == OUTCOME_DONE)
        goes_on = watch_wait(watch, CLOCK_NEVER) != WATCH_READER_GONE;
    flocks_stream_close(stream);
    return show->outcome;
}

static enum outcome call_stream(
    const struct cli *cli, const struct rpc_method *method, const ProtobufCMessage *request)
{
    struct error error = ERROR_INIT;
    struct watch watch;
    struct show show = {.cli = cli, .method = method};
    if (watch_open(&watch, cli, &error) < 0)
        return report_error(cli, &error);
    watch.needs_reader = true;
    enum outcome outcome = follow(&watch, &show, request);
    watch_close(&watch);
    return outcome;
}

/* ---- what was asked for ---- */

static enum outcome refuse_text(const struct cli *cli, const struct json_argument *argument,
    const struct json_mistake *mistake, const struct error *error)
{
    flocks_source_position position = FLOCKS_SOURCE_POSITION_INIT;
    flocks_error_detail detail = report_detail(error);
    position.file = argument->name;
    position.line = mistake->line;
    position.column = mistake->column;
    position.path = mistake->path;
    if (mistake->line > 0)
        detail.position = &position;
    return report_failure(cli, error, &detail);
}

static enum outcome call_with(const struct cli *cli, const struct rpc_method *method,
    const struct json_argument *argument, struct arena *arena)
{
    struct error error = ERROR_INIT;
    struct json_mistake mistake;
    ProtobufCMessage *request = NULL;
    if (json_argument_parse(argument, method->request, arena, &request, &mistake, &error) < 0)
        return refuse_text(cli, argument, &mistake, &error);
    if (method->mutates)
        interrupt_exit_with("\nflocks: interrupted; what was asked for goes on\n", "");
    return method->kind == RPC_UNARY ? call_once(cli, method, request)
                                     : call_stream(cli, method, request);
}

/* libflocks sends one request a call, as all methods of flocks.v1 take. NULL: refused. */
static const struct rpc_method *choose_method(const struct options *options, struct error *error)
{
    const struct rpc_method *method = NULL;
    if (options->n_operands == 0) {
        error_set(error, STATUS_INVALID_ARGUMENT, "call wants a method");
        error_set_hint(error, "`flocks describe` lists them");
        return NULL;
    }
    if (options->n_operands > 2) {
        error_set(error, STATUS_INVALID_ARGUMENT, "call takes a method and one JSON text");
        error_set_hint(error, "quote the text: '{\"services\":[]}'");
        return NULL;
    }
    if (method_name_find(&daemon_catalog, options->operands[0], &method, error) < 0)
        return NULL;
    if (method->kind == RPC_UNARY || method->kind == RPC_SERVER_STREAM)
        return method;
    error_set(error, STATUS_UNIMPLEMENTED,
        "%s takes a stream of requests, and this command sends one", method->name);
    return NULL;
}

static enum outcome run_call(const struct cli *cli)
{
    const struct options *options = &cli->options;
    struct error error = ERROR_INIT;
    const struct rpc_method *method = choose_method(options, &error);
    if (!method)
        return report_error(cli, &error);
    struct json_argument argument;
    struct arena arena;
    arena_init(&arena, REQUEST_ARENA_BYTES);
    const char *operand = options->n_operands == 2 ? options->operands[1] : NULL;
    enum outcome outcome = json_argument_read(&argument, operand, &error) < 0
                               ? report_error(cli, &error)
                               : call_with(cli, method, &argument, &arena);
    json_argument_deinit(&argument);
    arena_deinit(&arena);
    return outcome;
}

static const enum option_id call_options[] = {OPTION_END};

const struct command command_call = {
    .name = "call",
    .summary = "make any call of the API, JSON in and out",
    .operands = "METHOD [JSON]",
    .details = "Calls METHOD (GetStatus, or in full flocks.v1.SupervisorService/GetStatus) with a "
               "request in JSON:\n"
               "the text itself, `-` for standard input, or @FILE; none is {}. The answer is JSON, "
               "one line each,\n"
               "indented on a terminal; a stream of them goes on until it ends or Ctrl-C. Without "
               "--timeout a call\n"
               "that changes something may take 15m, another one 5s, a stream any time. `flocks "
               "describe METHOD`\n"
               "tells what it takes.",
    .options = call_options,
    .operand = OPERAND_CALL,
    .run = run_call,
};

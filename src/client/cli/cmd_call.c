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
    bool has_told; /* since the stream was begun */
    bool has_ended;
    bool is_cut_off; /* it has ended, and is to be begun again */
};

/* Whether a stream that is begun again has still all to tell: what is, and each change from then
 * on. The library goes on by itself behind the last message of those that take a token. */
static bool tells_what_is(const struct rpc_method *method)
{
    return method->idempotent &&
           !protobuf_c_message_descriptor_get_field_by_name(method->request->descriptor, "after");
}

static enum rpc_take take_message(
    const void *typed, void *data, struct flocks_stream *stream, const ProtobufCMessage *message)
{
    (void)typed;
    (void)stream;
    struct show *show = data;
    show->has_told = true;
    if (show->outcome == OUTCOME_DONE)
        show->outcome = print(show->cli, show->method, message);
    return RPC_TAKE_DONE;
}

/* Its flocksd has gone in the middle. One that told nothing has outlasted the library's patience,
 * or nobody runs. */
static bool is_cut_off(const struct show *show, const struct flocks_error *failure)
{
    return failure && failure->code == RPC_UNAVAILABLE && !failure->is_not_running &&
           show->has_told && tells_what_is(show->method);
}

static void take_end(
    const void *typed, void *data, struct flocks_stream *stream, const struct flocks_error *failure)
{
    (void)typed;
    (void)stream;
    struct show *show = data;
    show->has_ended = true;
    if (show->outcome != OUTCOME_DONE)
        return;
    show->is_cut_off = is_cut_off(show, failure);
    if (!show->is_cut_off)
        show->outcome = daemon_report_end(show->cli, failure);
}

/* Until it ends, whatever for. False: nobody reads any more. */
static bool follow_once(
    struct watch *watch, struct show *show, const ProtobufCMessage *request, int64_t deadline_at)
{
    static const struct flocks_stream_hooks hooks = {.message = take_message, .ended = take_end};
    struct flocks_error *failure = NULL;
    struct rpc_options options = {.timeout_ms = 0};
    if (deadline_at != CLOCK_NEVER) {
        int64_t left_ms = deadline_at - clock_monotonic_ms();
        options.timeout_ms = left_ms > 0 ? left_ms : 1;
    }
    show->has_told = show->has_ended = show->is_cut_off = false;
    struct flocks_stream *stream = flocks_client_watch(
        watch->client, show->method, &options, request, &hooks, NULL, show, &failure);
    if (!stream)
        show->outcome = daemon_report_end(show->cli, failure);
    flocks_error_free(failure);
    bool is_read = true;
    while (stream && is_read && !show->has_ended && show->outcome == OUTCOME_DONE)
        is_read = watch_wait(watch, CLOCK_NEVER) != WATCH_READER_GONE;
    flocks_stream_close(stream);
    return is_read;
}

/* False: nobody reads any more. */
static bool pause_before_next(struct watch *watch)
{
    int64_t again_at = clock_add_ms(clock_monotonic_ms(), FLOCKS_CLIENT_FIRST_RETRY_MS);
    enum watch_wake wake = WATCH_NEWS;
    while (wake != WATCH_DUE && wake != WATCH_READER_GONE)
        wake = watch_wait(watch, again_at);
    return wake != WATCH_READER_GONE;
}

static enum outcome follow(struct watch *watch, struct show *show, const ProtobufCMessage *request)
{
    int64_t timeout_ms = cli_timeout_ms(show->cli, 0);
    int64_t deadline_at =
        timeout_ms > 0 ? clock_add_ms(clock_monotonic_ms(), timeout_ms) : CLOCK_NEVER;
    bool is_read = follow_once(watch, show, request, deadline_at);
    while (is_read && show->is_cut_off && pause_before_next(watch))
        is_read = follow_once(watch, show, request, deadline_at);
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

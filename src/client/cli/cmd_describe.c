/* `flocks describe`: the API as this command was built with, from the generated tables. Asks no
 * daemon. */
#include <stdio.h>

#include "client/cli/cli.h"
#include "client/cli/describe_json.h"
#include "client/cli/describe_text.h"
#include "client/cli/report.h"
#include "daemon.catalog.h"

enum {
    /* Two lists of pointers to every type. */
    ARENA_BYTES = 256 * 1024
};

static enum outcome print_json(const struct cli *cli, const struct definitions *definitions)
{
    struct error error = ERROR_INIT;
    struct buffer text;
    buffer_init(&text, REPORT_JSON_MAX_BYTES);
    int result = describe_json(definitions, &text);
    if (result == 0)
        result = buffer_append_text(&text, "\n");
    enum outcome outcome = OUTCOME_DONE;
    if (result < 0) {
        error_set(&error, STATUS_RESOURCE_EXHAUSTED, "no memory to write the description");
        outcome = report_error(cli, &error);
    } else if (report_write(buffer_data(&text), buffer_length(&text)) == REPORT_WRITE_FAILED) {
        outcome = OUTCOME_FAILED;
    }
    buffer_deinit(&text);
    return outcome;
}

static enum outcome describe(
    const struct cli *cli, const struct symbol *symbol, struct arena *arena)
{
    struct error error = ERROR_INIT;
    struct definitions definitions;
    if (definitions_of(&daemon_catalog, symbol, arena, &definitions, &error) < 0)
        return report_error(cli, &error);
    if (cli->json)
        return print_json(cli, &definitions);
    if (symbol)
        describe_text_symbol(symbol, &definitions, cli->color, stdout);
    else
        describe_text_overview(&daemon_catalog, cli->color, stdout);
    return OUTCOME_DONE;
}

static enum outcome run_describe(const struct cli *cli)
{
    const struct options *options = &cli->options;
    struct error error = ERROR_INIT;
    struct symbol symbol;
    struct arena arena;
    if (options->n_operands > 1) {
        error_set(&error, STATUS_INVALID_ARGUMENT, "describe takes one symbol, not %zu",
            options->n_operands);
        return report_error(cli, &error);
    }
    if (options->n_operands == 1 &&
        symbol_find(&daemon_catalog, options->operands[0], &symbol, &error) < 0)
        return report_error(cli, &error);
    arena_init(&arena, ARENA_BYTES);
    enum outcome outcome = describe(cli, options->n_operands == 1 ? &symbol : NULL, &arena);
    arena_deinit(&arena);
    return outcome;
}

static const enum option_id describe_options[] = {OPTION_END};

const struct command command_describe = {
    .name = "describe",
    .summary = "tell what the API has: calls, messages, fields",
    .operands = "[SYMBOL]",
    .details =
        "Without SYMBOL: every service and its methods, a line each. With one: its definition as "
        "in the\n"
        ".proto files, with comments, defaults, ranges, units and what is required or secret, and "
        "the types\n"
        "that it names. SYMBOL is a service, method, message, field, enum or value: in full\n"
        "(flocks.v1.ServiceStatus.state), by its last parts (ServiceStatus.state) or by a part of "
        "its name.\n"
        "It is the API that this command was built with; no daemon is asked. With --json: lists "
        "of\n"
        "services, messages and enums, as flocks(1) tells.",
    .options = describe_options,
    .operand = OPERAND_SYMBOL,
    .run = run_describe,
};

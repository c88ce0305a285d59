/* `flocks config`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flocks/v1/supervisor.info.h"

#include "client/cli/cli.h"
#include "client/cli/config_change.h"
#include "client/cli/config_view.h"
#include "client/cli/daemon.h"
#include "client/cli/instance.h"
#include "client/cli/report.h"
#include "common/config/config.h"

/* ---- show ---- */

static int print_config(const struct cli *cli, const flocks_get_config_response *response,
    struct arena *arena, struct error *error)
{
    const struct config_view view = {.message = response->config,
        .origins = response->origins,
        .n_origins = response->n_origins,
        .with_origins = cli_flag(cli, OPTION_ORIGINS, true),
        .color = cli->color};
    if (!response->config)
        return error_set(error, STATUS_INTERNAL, "the daemon answered without a configuration");
    return config_view_print(&view, arena, stdout, error);
}

static enum outcome show(const struct cli *cli, const flocks_get_config_response *response)
{
    struct error error = ERROR_INIT;
    struct arena arena;
    if (cli->json)
        return report_message(cli, &flocks_get_config_response_info, &response->base, OUTCOME_DONE);
    arena_init(&arena, CONFIG_ARENA_BYTES);
    int result = print_config(cli, response, &arena, &error);
    arena_deinit(&arena);
    return result < 0 ? report_error(cli, &error) : OUTCOME_DONE;
}

/* ---- without a daemon ---- */

/* Showing is possible on another machine; validating looks at this one's programs and directories
 * too. */
static int load(const struct cli *cli, const char *file, bool validates, struct arena *arena,
    struct config *out, struct mistakes *mistakes, struct error *error)
{
    const struct config_request request = {.root = cli->paths.root,
        .file = file ? file : cli->paths.config,
        .file_is_named = file || cli->config_is_named,
        .skip_host_checks = !validates};
    return config_load(&request, arena, out, mistakes, error);
}

static int make_response(const struct config *config, struct arena *arena,
    flocks_get_config_response *out, struct error *error)
{
    out->config = config_masked(config->message, arena);
    out->origins = config_all_origins(
        config->message, config->origins, config->n_origins, arena, &out->n_origins);
    out->digest = config->digest;
    if (!out->config || !out->origins)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the configuration");
    return 0;
}

/* `file` NULL: the one of this root. Only what `validates` is told when it does. */
static enum outcome run_on_file(const struct cli *cli, const char *file, bool validates)
{
    struct error error = ERROR_INIT;
    struct arena arena;
    struct mistakes mistakes;
    struct config config;
    flocks_get_config_response response = FLOCKS_GET_CONFIG_RESPONSE_INIT;
    enum outcome outcome = OUTCOME_DONE;
    arena_init(&arena, CONFIG_ARENA_BYTES);
    mistakes_init(&mistakes);
    int result = load(cli, file, validates, &arena, &config, &mistakes, &error);
    if (result == CONFIG_OK)
        result = make_response(&config, &arena, &response, &error);
    if (result == CONFIG_MISTAKEN)
        outcome = report_mistakes(cli, &mistakes);
    else if (result < 0)
        outcome = report_error(cli, &error);
    else if (!validates || cli->json)
        outcome = show(cli, &response);
    else if (cli->notes)
        fprintf(cli->notes, "flocks: %s: %zu service%s, no mistakes\n",
            config.file ? config.file : "built-in configuration", config.message->n_services,
            config.message->n_services == 1 ? "" : "s");
    mistakes_deinit(&mistakes);
    arena_deinit(&arena);
    return outcome;
}

static enum outcome run_show(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    struct daemon daemon;
    CLEANUP(daemon_free_config) const flocks_get_config_response *response = NULL;
    int result = daemon_open(&daemon, cli, DAEMON_ANSWER_MS, &error);
    if (result == 0)
        result = daemon_get_config(&daemon, &response, &error);
    enum outcome outcome = OUTCOME_DONE;
    if (result == DAEMON_NOT_RUNNING)
        outcome = run_on_file(cli, NULL, false);
    else if (result < 0 || !response)
        outcome = daemon_report(&daemon, &error);
    else
        outcome = show(cli, response);
    daemon_close(&daemon);
    return outcome;
}

static enum outcome run_validate(const struct cli *cli)
{
    const struct options *options = &cli->options;
    if (options->n_operands == 1)
        return run_on_file(cli, NULL, true);
    /* The configuration's own `directory` values are relative to the file, so its path must be
     * whole. */
    char *file = realpath(options->operands[1], NULL);
    if (!file) {
        struct error error = ERROR_INIT;
        error_set(&error, STATUS_NOT_FOUND, "there is no file %s", options->operands[1]);
        return report_error(cli, &error);
    }
    enum outcome outcome = run_on_file(cli, file, true);
    free(file);
    return outcome;
}

/* NULL: none was named. */
static const char *named_file(const struct cli *cli)
{
    return cli->options.n_operands > 1 ? cli->options.operands[1] : NULL;
}

static enum outcome run_plan(const struct cli *cli)
{
    return config_plan(cli, named_file(cli));
}

static enum outcome run_apply(const struct cli *cli)
{
    return config_apply(cli, named_file(cli));
}

/* What stands behind `config`; the first is what `config` alone means. */
static const char *const words[] = {"show", "validate", "plan", "apply", NULL};
static const struct verb {
    size_t n_operands_max; /* itself among them */
    enum outcome (*run)(const struct cli *cli);
} verbs[] = {{1, run_show}, {2, run_validate}, {2, run_plan}, {2, run_apply}};
_Static_assert(ARRAY_LENGTH(verbs) + 1 == ARRAY_LENGTH(words), "a row for each word");

static enum outcome run_config(const struct cli *cli)
{
    const struct options *options = &cli->options;
    struct error error = ERROR_INIT;
    if (options->n_operands == 0)
        return verbs[0].run(cli);
    for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++)
        if (strcmp(options->operands[0], words[i]) == 0 &&
            options->n_operands <= verbs[i].n_operands_max)
            return verbs[i].run(cli);
    error_set(&error, STATUS_INVALID_ARGUMENT,
        "config takes `show`, or `validate`, `plan` or `apply` and a file");
    error_set_hint(&error, "see `flocks config --help`");
    return report_error(cli, &error);
}

static const enum option_id config_options_accepted[] = {
    OPTION_ORIGINS, OPTION_EXIT_CODE, OPTION_PLAN, OPTION_YES, OPTION_END};

const struct command command_config = {
    .name = "config",
    .summary = "show, check or change the configuration",
    .operands = "[show | validate [FILE] | plan [FILE] | apply [FILE]]",
    .details = "show (the default): every value that is in force, with its origin: of the running "
               "daemon, or of what\n"
               "would be started. validate: looks for mistakes and names all of them with file, "
               "line, column and\n"
               "remedy, without a daemon. plan: what applying FILE (none: the file that the daemon "
               "reads) changes in\n"
               "the running daemon, and which services that restarts, starts or stops. apply: does "
               "that, after it\n"
               "has asked; a plan that something has overtaken is refused. Secret values are shown "
               "as ***.",
    .options = config_options_accepted,
    .operand = OPERAND_WORDS_AND_FILE,
    .words = words,
    .run = run_config,
};

/* `flocks status`. Its fast path, the daemon up, reads no file and loads no schema. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flocks/v1/supervisor.info.h"

#include "client/cli/cli.h"
#include "client/cli/daemon.h"
#include "client/cli/leftovers.h"
#include "client/cli/report.h"
#include "client/cli/status_view.h"
#include "client/cli/status_watch.h"
#include "common/base/clock.h"
#include "common/config/config.h"
#include "common/schema/nearest.h"

/* `upgrade`: one that goes on, NULL for none. */
static enum outcome show(const struct cli *cli, const flocks_get_status_response *status,
    const flocks_upgrade_progress *upgrade, enum outcome outcome)
{
    if (cli->json)
        return report_message(cli, &flocks_get_status_response_info, &status->base, outcome);
    const struct status_view view = {.status = status,
        .upgrade = upgrade,
        .paths = &cli->paths,
        .now_s = clock_wall_ns() / 1000000000,
        .color = cli->color};
    if (!cli->quiet && !status_view_print(&view, stdout))
        return outcome_worse(outcome, OUTCOME_FAILED);
    return outcome;
}

/* ---- no daemon: the same message, made here ---- */

static bool is_asked_for(const struct cli *cli, const char *name)
{
    for (size_t i = 0; i < cli->options.n_operands; i++)
        if (strcmp(cli->options.operands[i], name) == 0)
            return true;
    return cli->options.n_operands == 0;
}

static flocks_service_status *make_service(const struct cli *cli, const char *name,
    const flocks_service_config *config, struct arena *arena)
{
    flocks_service_status *service = arena_calloc(arena, 1, sizeof(*service));
    char *log_path = arena_printf(arena, "%s/%s.log", cli->paths.logs, name);
    if (!service || !log_path)
        return NULL;
    *service = (flocks_service_status)FLOCKS_SERVICE_STATUS_INIT;
    service->name = name;
    service->state = FLOCKS_SERVICE_STATE_STOPPED;
    service->host = config->host;
    service->port = config->port;
    service->log_path = log_path;
    return service;
}

static int add_services(const struct cli *cli, const flocks_config *config, struct arena *arena,
    flocks_get_status_response *out, struct error *error)
{
    /* An array of pointers. */
    // NOLINTNEXTLINE(bugprone-sizeof-expression)
    out->services = arena_calloc(arena, config->n_services, sizeof(*out->services));
    if (!out->services)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the status");
    for (size_t i = 0; i < config->n_services; i++) {
        const char *name = config->services[i]->key;
        if (!is_asked_for(cli, name))
            continue;
        flocks_service_status *service = make_service(cli, name, config->services[i]->value, arena);
        if (!service)
            return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the status");
        out->services[out->n_services++] = service;
    }
    return 0;
}

/* Names that the configuration does not have, as the daemon would refuse them. */
static int check_names(const struct cli *cli, const flocks_config *config, struct error *error)
{
    const struct options *options = &cli->options;
    for (size_t i = 0; i < options->n_operands; i++) {
        struct nearest nearest;
        if (config_find_service(config, options->operands[i]))
            continue;
        error_set(error, STATUS_NOT_FOUND, "no such service: %s", options->operands[i]);
        error->reason = FLOCKS_ERROR_REASON_UNKNOWN_SERVICE;
        nearest_init(&nearest, options->operands[i], strlen(options->operands[i]));
        for (size_t j = 0; j < config->n_services; j++)
            nearest_offer(&nearest, config->services[j]->key);
        if (nearest_result(&nearest))
            error_set_hint(error, "did you mean %s?", nearest_result(&nearest));
        return -STATUS_NOT_FOUND;
    }
    return 0;
}

/* Services of the configuration; a configuration with mistakes has none, and says so. */
static int add_configured(const struct cli *cli, struct arena *arena,
    flocks_get_status_response *out, struct error *error)
{
    struct mistakes mistakes;
    struct config config;
    mistakes_init(&mistakes);
    const struct config_request request = {.root = cli->paths.root,
        .file = cli->paths.config,
        .file_is_named = cli->config_is_named,
        .skip_host_checks = true};
    int result = config_load(&request, arena, &config, &mistakes, error);
    if (result == CONFIG_OK)
        result = check_names(cli, config.message, error);
    if (result == CONFIG_OK)
        result = add_services(cli, config.message, arena, out, error);
    else if (result == CONFIG_MISTAKEN && cli->notes)
        fputs("flocks: the configuration has mistakes; `flocks config validate` shows them\n",
            cli->notes);
    mistakes_deinit(&mistakes);
    return result < 0 ? result : 0;
}

static flocks_leftover *make_leftover(const struct leftover *found, struct arena *arena)
{
    flocks_leftover *left = arena_calloc(arena, 1, sizeof(*left));
    flocks_process_id *process = arena_calloc(arena, 1, sizeof(*process));
    char *service = arena_strdup(arena, found->service);
    char *executable = arena_strdup(arena, found->process.executable);
    if (!left || !process || !service || !executable)
        return NULL;
    *left = (flocks_leftover)FLOCKS_LEFTOVER_INIT;
    *process = (flocks_process_id)FLOCKS_PROCESS_ID_INIT;
    process->pid = found->process.pid;
    process->start_ticks = found->process.start_ticks;
    left->process = process;
    left->service = service;
    left->executable = executable;
    return left;
}

static int add_leftovers(const struct cli *cli, struct arena *arena,
    flocks_get_status_response *out, struct error *error)
{
    struct leftover *found = NULL;
    size_t n = 0;
    int result = leftovers_find(&cli->paths, &found, &n, error);
    if (result == 0)
        // NOLINTNEXTLINE(bugprone-sizeof-expression)
        out->leftovers = arena_calloc(arena, n, sizeof(*out->leftovers));
    for (size_t i = 0; result == 0 && out->leftovers && i < n; i++) {
        flocks_leftover *left = make_leftover(&found[i], arena);
        if (!left)
            break;
        out->leftovers[out->n_leftovers++] = left;
    }
    free(found);
    if (result == 0 && out->n_leftovers < n)
        result = error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the status");
    return result;
}

static enum outcome show_down(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    struct arena arena;
    flocks_get_status_response status = FLOCKS_GET_STATUS_RESPONSE_INIT;
    flocks_daemon_status daemon = FLOCKS_DAEMON_STATUS_INIT;
    daemon.state = FLOCKS_DAEMON_STATE_NOT_RUNNING;
    daemon.root = cli->paths.root;
    status.daemon = &daemon;
    arena_init(&arena, CONFIG_ARENA_BYTES);
    int result = add_configured(cli, &arena, &status, &error);
    if (result == 0)
        result = add_leftovers(cli, &arena, &status, &error);
    enum outcome outcome =
        result < 0 ? report_error(cli, &error) : show(cli, &status, NULL, OUTCOME_NOT_RUNNING);
    arena_deinit(&arena);
    return outcome;
}

static enum outcome show_running(struct daemon *daemon, const flocks_get_status_response *status)
{
    const struct cli *cli = daemon->cli;
    CLEANUP(daemon_free_upgrade) const flocks_get_upgrade_response *upgrade = NULL;
    if (!cli->json && !cli->quiet)
        upgrade = daemon_get_present_upgrade(daemon);
    return show(cli, status, upgrade ? upgrade->progress : NULL,
        status_view_judge(status, cli->options.operands, cli->options.n_operands, NULL));
}

static enum outcome run_status(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    struct daemon daemon;
    CLEANUP(daemon_free_status) const flocks_get_status_response *status = NULL;
    if (cli_flag(cli, OPTION_WATCH, false))
        return status_watch(cli);
    const char *const *names = cli->options.operands;
    size_t n_names = cli->options.n_operands;
    int result = daemon_open(&daemon, cli, DAEMON_ANSWER_MS, &error);
    if (result == 0)
        result = daemon_get_status(&daemon, names, n_names, &status, &error);
    enum outcome outcome = OUTCOME_DONE;
    if (result == 0)
        outcome = show_running(&daemon, status);
    else if (result == DAEMON_NOT_RUNNING)
        outcome = show_down(cli);
    else
        outcome = daemon_report(&daemon, &error);
    daemon_close(&daemon);
    return outcome;
}

static const enum option_id status_options[] = {OPTION_WATCH, OPTION_END};

const struct command command_status = {
    .name = "status",
    .summary = "show the daemon and its services",
    .operands = "[SERVICE...]",
    .details = "Shows every service (or those named): state, process, restarts, address, what is "
               "wrong, and where\n"
               "its log is. Exits with 0 when every wanted (or named) service is healthy, 1 when "
               "one is not, 3\n"
               "when no daemon runs; then it shows what is configured, and what an earlier daemon "
               "left behind.\n"
               "--watch: a terminal is drawn over at every change; elsewhere one table, or with "
               "--json one object a\n"
               "line, for each. It asks nothing meanwhile. Ctrl-C ends it with 0.",
    .options = status_options,
    .operand = OPERAND_SERVICES,
    .run = run_status,
};

/* Check first, change afterwards. */
#include "client/cli/startup.h"

#include <poll.h>
#include <string.h>

#include "client/cli/daemon.h"
#include "client/cli/instance.h"
#include "client/cli/launch.h"
#include "client/cli/legacy.h"
#include "client/cli/settle.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/config/config.h"

enum {
    /* Somebody else's start is waited for as long as our own would be. */
    RACE_MS = LAUNCH_READY_MS,
    RACE_PAUSE_MS = 10
};

/* Row of config_options for each settings option. */
static const struct {
    enum option_id id;
    size_t row;
} settings[] = {
    {OPTION_SERVER_HOST, CONFIG_OPTION_SERVER_HOST},
    {OPTION_SERVER_PORT, CONFIG_OPTION_SERVER_PORT},
    {OPTION_WEBUI_HOST, CONFIG_OPTION_WEBUI_HOST},
    {OPTION_WEBUI_PORT, CONFIG_OPTION_WEBUI_PORT},
};

void startup_init(struct startup *startup, const struct cli *cli)
{
    *startup = (struct startup){.cli = cli};
    arena_init(&startup->arena, CONFIG_ARENA_BYTES);
    mistakes_init(&startup->mistakes);
    for (size_t i = 0; i < ARRAY_LENGTH(settings); i++) {
        const char *value = cli_text(cli, settings[i].id);
        if (value)
            startup->command_line[startup->n_command_line++] =
                config_option_setting(&config_options[settings[i].row], value);
    }
}

void startup_deinit(struct startup *startup)
{
    mistakes_deinit(&startup->mistakes);
    arena_deinit(&startup->arena);
}

bool startup_differs(struct startup *startup, const flocks_get_config_response *running)
{
    for (size_t i = 0; i < startup->n_command_line; i++) {
        const struct config_setting *setting = &startup->command_line[i];
        const char *value = running->config
                                ? config_value_text(running->config, setting->path, &startup->arena)
                                : NULL;
        if (!value || strcmp(value, setting->value) != 0)
            return true;
    }
    return false;
}

/* The file that the running values came from; NULL: none, they are built in. */
static const char *running_file(const flocks_get_config_response *running)
{
    for (size_t i = 0; i < running->n_origins; i++)
        if (running->origins[i]->layer == FLOCKS_CONFIG_LAYER_FILE)
            return running->origins[i]->source;
    return NULL;
}

static int inherit_file(
    struct startup *startup, const flocks_get_config_response *running, struct error *error)
{
    const char *file = running_file(running);
    if (!file || startup->cli->config_is_named || strcmp(file, startup->cli->paths.config) == 0)
        return 0;
    startup->config = arena_strdup(&startup->arena, file);
    return startup->config ? 0
                           : error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a path");
}

int startup_inherit(
    struct startup *startup, const flocks_get_config_response *running, struct error *error)
{
    if (!running->config)
        return 0;
    startup->running = config_running_settings(running->config, running->origins,
        running->n_origins, &startup->arena, &startup->n_running);
    if (!startup->running)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the running settings");
    return inherit_file(startup, running, error);
}

/* The texts of --running taken apart, as flocksd will. */
static int parse_running(struct startup *startup, struct config_setting **out, struct error *error)
{
    struct config_setting *parsed =
        arena_calloc(&startup->arena, startup->n_running, sizeof(*parsed));
    if (!parsed)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the running settings");
    for (size_t i = 0; i < startup->n_running; i++) {
        char *text = arena_strdup(&startup->arena, startup->running[i]);
        if (!text)
            return error_set(
                error, STATUS_RESOURCE_EXHAUSTED, "no memory for the running settings");
        int result = config_running_setting(text, &parsed[i], error);
        if (result < 0)
            return result;
    }
    *out = parsed;
    return 0;
}

int startup_check(struct startup *startup, struct error *error)
{
    const struct cli *cli = startup->cli;
    enum log_level level;
    struct config_setting *running = NULL;
    struct config config;
    if (cli_text(cli, OPTION_LOG_LEVEL) &&
        log_level_from_text(cli_text(cli, OPTION_LOG_LEVEL), &level) < 0)
        return error_set(error, STATUS_INVALID_ARGUMENT,
            "--log-level wants debug, info, warn or error, not \"%s\"",
            cli_text(cli, OPTION_LOG_LEVEL));
    int result = parse_running(startup, &running, error);
    if (result < 0)
        return result;
    const struct config_request request = {.root = cli->paths.root,
        .file = startup->config ? startup->config : cli->paths.config,
        .file_is_named = startup->config || cli->config_is_named,
        .running = running,
        .n_running = startup->n_running,
        .command_line = startup->command_line,
        .n_command_line = startup->n_command_line};
    result = config_load(&request, &startup->arena, &config, &startup->mistakes, error);
    return result == CONFIG_MISTAKEN ? STARTUP_MISTAKEN : result;
}

int startup_may_replace(struct daemon *daemon, struct error *error)
{
    CLEANUP(daemon_free_status) const flocks_get_status_response *status = NULL;
    int result = daemon_get_status(daemon, NULL, 0, &status, error);
    if (result != 0)
        return result == DAEMON_NOT_RUNNING ? 0 : result;
    for (size_t i = 0; i < status->n_leases; i++) {
        const flocks_lease *lease = status->leases[i];
        /* That one is a person's business already. */
        if (lease->phase == FLOCKS_UPGRADE_PHASE_ROLLBACK_FAILED)
            continue;
        result = error_set(error, STATUS_ABORTED, "services are under the lease of %s",
            lease->owner[0] != '\0' ? lease->owner : "somebody");
        if (error)
            error->reason = FLOCKS_ERROR_REASON_LEASE_HELD;
        error_set_hint(error, "wait for its end, or end it: flocks update --abort, or flocks stop");
        return result;
    }
    return 0;
}

static void build_arguments(const struct startup *startup, struct launch_arguments *out)
{
    const struct cli *cli = startup->cli;
    out->n = 0;
    out->config = startup->config;
    if (!out->config && cli_text(cli, OPTION_CONFIG))
        out->config = cli->paths.config;
    for (size_t i = 0; i < startup->n_command_line; i++) {
        launch_add(out, startup->command_line[i].source);
        launch_add(out, startup->command_line[i].value);
    }
    for (size_t i = 0; i < startup->n_running; i++) {
        launch_add(out, "--running");
        launch_add(out, startup->running[i]);
    }
    if (cli_flag(cli, OPTION_SKIP_WEBUI_BUILD, false))
        launch_add(out, "--skip-webui-build");
    /* Services that are named are asked for afterwards; the new daemon starts no other by itself.
     */
    if (cli->options.n_operands > 0)
        launch_add(out, "--no-services");
    if (cli_text(cli, OPTION_LOG_LEVEL)) {
        launch_add(out, "--log-level");
        launch_add(out, cli_text(cli, OPTION_LOG_LEVEL));
    }
}

/* A lock that is busy may be another start's, which then is as good as ours, or a look's, which is
 * over at once. */
static int launch_or_join(struct startup *startup, struct error *error)
{
    struct launch_arguments arguments;
    int64_t give_up_at = clock_add_ms(clock_monotonic_ms(), RACE_MS);
    build_arguments(startup, &arguments);
    for (;;) {
        int result = launch_keeper(startup->cli, &arguments, &startup->foreground, error);
        if (result != LAUNCH_BUSY)
            return result;
        struct daemon daemon;
        CLEANUP(daemon_free_status) const flocks_get_status_response *status = NULL;
        result = daemon_open(&daemon, startup->cli, RACE_MS, error);
        if (result == 0)
            result = daemon_get_status(&daemon, NULL, 0, &status, error);
        daemon_close(&daemon);
        if (result != DAEMON_NOT_RUNNING)
            return result;
        if (clock_monotonic_ms() >= give_up_at)
            return error_set(error, STATUS_ABORTED, "instance lock %s is busy, but nobody runs",
                startup->cli->paths.lock);
        poll(NULL, 0, RACE_PAUSE_MS);
    }
}

int startup_launch(struct startup *startup, struct error *error)
{
    const struct cli *cli = startup->cli;
    bool was_repaired = false;
    int result = paths_prepare(&cli->paths, &was_repaired, error);
    if (result < 0)
        return result;
    if (was_repaired && cli->notes)
        fprintf(cli->notes, "flocks: %s was open to other users; its mode is 0700 now\n",
            cli->paths.root);
    result = settle_before_start(&cli->paths, SETTLE_PATIENCE_MS, cli->notes, error);
    if (result == 0)
        result = legacy_clean_up(&cli->paths, cli->notes, error);
    return result < 0 ? result : launch_or_join(startup, error);
}

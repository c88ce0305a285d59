#include "server/daemon/configuration.h"

#include <stdio.h>
#include <string.h>

#include "flocks/v1/types.names.h"

#include "common/base/log.h"

/* The default place may be empty (built-in services); a named file must be there. */
static bool is_named(const struct paths *paths)
{
    char usual[sizeof(paths->config) + sizeof("/flocks.yaml")];
    int written = snprintf(usual, sizeof(usual), "%s/flocks.yaml", paths->root);

    return written < 0 || strcmp(paths->config, usual) != 0;
}

static void log_mistakes(const struct mistakes *mistakes)
{
    for (size_t i = 0; i < mistakes->n; i++) {
        const struct mistake *mistake = &mistakes->items[i];

        log_error("configuration mistake", "at=%s:%u:%u path=%s mistake=%s hint=%s", mistake->file,
            mistake->line, mistake->column, mistake->path, mistake->message, mistake->hint);
    }
}

/* One line for whoever waits for the start; the log has them all. */
static int first_mistake(const struct mistakes *mistakes, struct error *error)
{
    size_t others = mistakes->n - 1 + mistakes->n_dropped;
    int result = config_mistake_error(mistakes, error);

    if (others > 0)
        error_set_hint(error, "%zu more mistakes in logs/daemon.log", others);
    return result;
}

static int load(const struct config_request *request, struct arena *arena, struct config *out,
    struct error *error)
{
    struct mistakes mistakes;
    int result;

    mistakes_init(&mistakes);
    result = config_load(request, arena, out, &mistakes, error);
    if (result == CONFIG_MISTAKEN) {
        log_mistakes(&mistakes);
        result = first_mistake(&mistakes, error);
    }
    mistakes_deinit(&mistakes);
    return result;
}

void configuration_request(
    const struct paths *paths, const struct options *options, struct config_request *out)
{
    *out = (struct config_request){
        .root = paths->root,
        .file = paths->config,
        .file_is_named = is_named(paths),
        .running = options->running,
        .n_running = options->n_running,
        .command_line = options->settings,
        .n_command_line = options->n_settings,
    };
}

int configuration_load(const struct config_request *request, struct arena *arena,
    flocks_get_config_response *out, struct error *error)
{
    struct config config;
    flocks_config *message;
    char *digest;
    int result = load(request, arena, &config, error);

    if (result < 0)
        return result;
    message = arena_alloc(arena, sizeof(*message));
    digest = arena_strdup(arena, config.digest);
    if (!message || !digest)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "the configuration is too large");
    *message = *config.message;
    *out = (flocks_get_config_response)FLOCKS_GET_CONFIG_RESPONSE_INIT;
    out->config = message;
    out->origins = config.origins;
    out->n_origins = config.n_origins;
    out->digest = digest;
    return 0;
}

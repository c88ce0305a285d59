#include "common/config/option.h"

#include <string.h>

/* clang-format off */
const struct config_option config_options[CONFIG_OPTION_COUNT] = {
    [CONFIG_OPTION_SERVER_HOST] = {"server-host", "services.backend.host",
        {"FLOCKS_SERVER_HOST", "FLOCKS_BACKEND_HOST"}, "HOST", "address the backend listens on"},
    [CONFIG_OPTION_SERVER_PORT] = {"server-port", "services.backend.port",
        {"FLOCKS_SERVER_PORT", "FLOCKS_BACKEND_PORT"}, "PORT", "port of the backend"},
    [CONFIG_OPTION_WEBUI_HOST] = {"webui-host", "services.webui.host",
        {"FLOCKS_WEBUI_HOST", "FLOCKS_FRONTEND_HOST"}, "HOST", "address the WebUI listens on"},
    [CONFIG_OPTION_WEBUI_PORT] = {"webui-port", "services.webui.port",
        {"FLOCKS_WEBUI_PORT", "FLOCKS_FRONTEND_PORT"}, "PORT", "port of the WebUI"},
};
/* clang-format on */

/* With the dashes, as people know the option. */
static const char *const sources[CONFIG_OPTION_COUNT] = {
    [CONFIG_OPTION_SERVER_HOST] = "--server-host",
    [CONFIG_OPTION_SERVER_PORT] = "--server-port",
    [CONFIG_OPTION_WEBUI_HOST] = "--webui-host",
    [CONFIG_OPTION_WEBUI_PORT] = "--webui-port",
};

const struct config_option *config_option_find(const char *name)
{
    if (strncmp(name, "--", 2) == 0)
        name += 2;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        if (strcmp(config_options[i].option, name) == 0)
            return &config_options[i];
    }
    return NULL;
}

struct config_setting config_option_setting(const struct config_option *option, const char *value)
{
    return (struct config_setting){option->path, value, sources[option - config_options]};
}

int config_running_setting(char *text, struct config_setting *out, struct error *error)
{
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        int result = error_set(error, STATUS_INVALID_ARGUMENT, "'%s' is no PATH=VALUE", text);
        error_set_hint(error, "write --running services.backend.port=8000");
        return result;
    }
    *equals = '\0';
    *out = (struct config_setting){text, equals + 1, "running daemon"};
    return 0;
}

/* The settings options that flocks and flocksd share: option, environment names and configuration
 * path, one row each. */
#ifndef FLOCKS_CONFIG_OPTION_H
#define FLOCKS_CONFIG_OPTION_H

#include <stddef.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

/* One value from outside the file. Texts are borrowed. */
struct config_setting {
    const char *path;  /* "services.backend.port" */
    const char *value; /* as flocks.yaml would have it */
    /* Shown to people: "--server-port", "FLOCKS_SERVER_PORT", "running daemon". */
    const char *source;
};

enum { CONFIG_OPTION_ENVIRONMENT_NAMES = 2 };

struct config_option {
    const char *option; /* "server-host", without the dashes */
    const char *path;
    /* The first that is set and not empty wins. */
    const char *environment[CONFIG_OPTION_ENVIRONMENT_NAMES];
    const char *value_name; /* "HOST" */
    const char *help;
};

enum {
    CONFIG_OPTION_SERVER_HOST,
    CONFIG_OPTION_SERVER_PORT,
    CONFIG_OPTION_WEBUI_HOST,
    CONFIG_OPTION_WEBUI_PORT,
    CONFIG_OPTION_COUNT
};

extern const struct config_option config_options[CONFIG_OPTION_COUNT];

/* Row of "server-host" (with or without leading "--"); NULL: no such option. */
const struct config_option *config_option_find(const char *name);

/* The setting that `--<option> value` means. */
struct config_setting config_option_setting(const struct config_option *option, const char *value);

/* "PATH=VALUE" of --running; the text is cut in place and must outlive *out.
 * -STATUS_INVALID_ARGUMENT without '='. */
NODISCARD int config_running_setting(char *text, struct config_setting *out, struct error *error);

#endif

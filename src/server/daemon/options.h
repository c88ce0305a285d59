/* The command line of flocksd. It is started by flocks-keeper only, which passes on what `flocks`
 * was given. */
#ifndef FLOCKS_DAEMON_OPTIONS_H
#define FLOCKS_DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/config/option.h"

enum {
    /* Settings options and --running values together; more are refused. */
    OPTIONS_SETTINGS_MAX = 64
};

/* Plain value; texts are argv's. */
struct options {
    const char *root;   /* NULL: not given */
    const char *config; /* NULL: not given */
    int keeper_fd;
    bool skip_webui_build;
    bool starts_nothing; /* --no-services: whoever started us asks for some by name */
    bool ends_leftovers; /* --end-leftovers: nothing is served; see daemon_end_leftovers */
    bool wants_version;
    bool wants_help;
    enum log_level log_level;
    size_t n_settings;
    struct config_setting settings[OPTIONS_SETTINGS_MAX];
    size_t n_running;
    struct config_setting running[OPTIONS_SETTINGS_MAX];
    /* All of them but root, config and keeper-fd, as they were given: for the next flocksd. Ends in
     * NULL. Main's. */
    char **heirloom;
};

/* Copies of what the next flocksd is to be given, ending in NULL; NULL: no memory. Call before
 * options_parse, which cuts texts. For the life of the process. */
NODISCARD char **options_bequeath(char *const *argv);

/* `argv` is changed (values of --running are cut) and must outlive *out. Options are "--name value"
 * or
 * "--name=value". -STATUS_INVALID_ARGUMENT: unknown, without a value, too many, no keeper. */
NODISCARD int options_parse(char **argv, struct options *out, struct error *error);

#endif

#include "server/daemon/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One argument taken apart; `value` is NULL when there is none. */
struct argument {
    char name[64];
    char *value;
    bool is_joined; /* "--name=value" */
};

static int split(char *const *argv, struct argument *out, struct error *error)
{
    const char *text = argv[0];
    char *equals = strchr(argv[0], '=');
    size_t len = equals ? (size_t)(equals - text) : strlen(text);

    if (strncmp(text, "--", 2) != 0 || len <= 2 || len - 2 >= sizeof(out->name))
        return error_set(error, STATUS_INVALID_ARGUMENT, "unknown argument '%s'", text);
    memcpy(out->name, text + 2, len - 2);
    out->name[len - 2] = '\0';
    out->is_joined = equals != NULL;
    out->value = equals ? equals + 1 : argv[1];
    return 0;
}

static int take_descriptor(const char *text, int *out, struct error *error)
{
    char *end;
    long number;

    errno = 0;
    number = strtol(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text || number < 3 || number > 1 << 20)
        return error_set(error, STATUS_INVALID_ARGUMENT, "--keeper-fd: no descriptor: '%s'", text);
    *out = (int)number;
    return 0;
}

static int take_running(char *text, struct options *out, struct error *error)
{
    int result;

    if (out->n_running == OPTIONS_SETTINGS_MAX)
        return error_set(error, STATUS_INVALID_ARGUMENT, "more than %d values of --running",
            OPTIONS_SETTINGS_MAX);
    result = config_running_setting(text, &out->running[out->n_running], error);
    if (result == 0)
        out->n_running++;
    return result;
}

static int take_setting(const struct argument *argument, struct options *out, struct error *error)
{
    const struct config_option *option = config_option_find(argument->name);

    if (!option)
        return error_set(error, STATUS_INVALID_ARGUMENT, "unknown option --%s", argument->name);
    if (out->n_settings == OPTIONS_SETTINGS_MAX)
        return error_set(
            error, STATUS_INVALID_ARGUMENT, "more than %d settings", OPTIONS_SETTINGS_MAX);
    out->settings[out->n_settings++] = config_option_setting(option, argument->value);
    return 0;
}

static int take_valued(const struct argument *argument, struct options *out, struct error *error)
{
    if (!argument->value)
        return error_set(error, STATUS_INVALID_ARGUMENT, "--%s needs a value", argument->name);
    if (strcmp(argument->name, "root") == 0) {
        out->root = argument->value;
        return 0;
    }
    if (strcmp(argument->name, "config") == 0) {
        out->config = argument->value;
        return 0;
    }
    if (strcmp(argument->name, "keeper-fd") == 0)
        return take_descriptor(argument->value, &out->keeper_fd, error);
    if (strcmp(argument->name, "running") == 0)
        return take_running(argument->value, out, error);
    if (strcmp(argument->name, "log-level") == 0) {
        if (log_level_from_text(argument->value, &out->log_level) == 0)
            return 0;
        return error_set(
            error, STATUS_INVALID_ARGUMENT, "--log-level: no level: '%s'", argument->value);
    }
    return take_setting(argument, out, error);
}

static bool take_flag(const struct argument *argument, struct options *out)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {
        {"skip-webui-build", &out->skip_webui_build},
        {"no-services", &out->starts_nothing},
        {"end-leftovers", &out->ends_leftovers},
        {"version", &out->wants_version},
        {"help", &out->wants_help},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        if (argument->is_joined || strcmp(argument->name, flags[i].name) != 0)
            continue;
        *flags[i].flag = true;
        return true;
    }
    return false;
}

/* How many arguments were used; negative: refused. */
static int take(char *const *argv, struct options *out, struct error *error)
{
    struct argument argument = {.value = NULL};
    int result = split(argv, &argument, error);

    if (result < 0)
        return result;
    if (take_flag(&argument, out))
        return 1;
    result = take_valued(&argument, out, error);
    if (result < 0)
        return result;
    return argument.is_joined ? 1 : 2;
}

static bool is_own(const char *text)
{
    static const char *const own[] = {"--root", "--config", "--keeper-fd"};

    for (size_t i = 0; i < ARRAY_LENGTH(own); i++) {
        if (strcmp(text, own[i]) == 0)
            return true;
    }
    return false;
}

static void free_texts(char **texts)
{
    for (size_t i = 0; texts[i]; i++)
        free(texts[i]);
    free(texts);
}

char **options_bequeath(char *const *argv)
{
    size_t n = 0;
    size_t n_kept = 0;
    char **kept;

    while (argv[n])
        n++;
    kept = calloc(n + 1, sizeof(*kept));
    for (size_t i = 1; kept && i < n; i++) {
        if (is_own(argv[i])) {
            i++;
            continue;
        }
        kept[n_kept] = strdup(argv[i]);
        if (!kept[n_kept++]) {
            free_texts(kept);
            return NULL;
        }
    }
    return kept;
}

int options_parse(char **argv, struct options *out, struct error *error)
{
    int result;

    *out = (struct options){.keeper_fd = -1, .log_level = LOG_LEVEL_INFO};
    for (char **at = argv + 1; *at;) {
        int used = take(at, out, error);

        if (used < 0)
            return used;
        at += used;
    }
    if (out->keeper_fd >= 0 || out->ends_leftovers || out->wants_version || out->wants_help)
        return 0;
    result = error_set(
        error, STATUS_INVALID_ARGUMENT, "flocksd is started by flocks-keeper (no --keeper-fd)");
    error_set_hint(error, "run `flocks start`");
    return result;
}

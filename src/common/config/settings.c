/* The layers above the file: running daemon, environment, command line. */
#include <string.h>

#include "flocks/v1/config.info.h"

#include "common/config/draft.h"
#include "common/config/environment.h"
#include "common/config/value_path.h"
#include "common/schema/schema_value.h"

/* Environment names of values that have no option. */
static const struct config_setting environment_only[] = {
    {"daemon.port", NULL, "FLOCKS_CONTROL_PORT"},
};

static void refuse_path(
    struct draft *draft, const struct config_setting *setting, enum value_path_result result)
{
    struct mistake_place place = {setting->source, 0, 0, setting->path};
    struct mistake *mistake = NULL;
    switch (result) {
    case VALUE_PATH_FOUND:
        break;
    case VALUE_PATH_UNKNOWN:
        mistake = mistakes_add(draft->mistakes, &place, "there is no such key");
        mistake_set_hint(draft->mistakes, mistake, "see flocks.yaml(5)");
        break;
    case VALUE_PATH_ABSENT:
        mistake = mistakes_add(draft->mistakes, &place, "the configuration has no such service");
        mistake_set_hint(draft->mistakes, mistake, "add it to %s, or leave %s out", draft->file,
            setting->source);
        break;
    case VALUE_PATH_NOT_SINGLE:
        mistake = mistakes_add(draft->mistakes, &place, "is not a single value");
        mistake_set_hint(draft->mistakes, mistake, "set it in the file");
        break;
    }
}

/* 0 says in the file that a service has no port; whoever sets one here means a port. */
static bool is_no_port(const struct schema_field *field, union schema_value value)
{
    return strcmp(field->info->name, "port") == 0 && value.unsigned_number == 0;
}

static void set_value(struct draft *draft, const struct config_setting *setting,
    enum flocks_config_layer layer, const struct value_place *place)
{
    struct error error = ERROR_INIT;
    union schema_value value;
    int result = schema_value_parse(
        &place->field, setting->value, strlen(setting->value), draft->arena, &value, &error);
    if (result == -STATUS_RESOURCE_EXHAUSTED) {
        draft->is_out_of_memory = true;
        return;
    }
    if (result == 0 && is_no_port(&place->field, value))
        result = error_set(&error, STATUS_INVALID_ARGUMENT,
            "must be a port from 1 to 65535, not '%s'", setting->value);
    if (result != 0) {
        struct mistake_place where = {setting->source, 0, 0, setting->path};
        mistake_set_hint(draft->mistakes, mistakes_add(draft->mistakes, &where, "%s", error.text),
            "%s", error.hint);
        return;
    }
    schema_set(schema_message_writable(place->message), &place->field, value);
    const char *path = arena_strdup(draft->arena, setting->path);
    const char *source = arena_strdup(draft->arena, setting->source);
    if (path == NULL || source == NULL)
        draft->is_out_of_memory = true;
    else
        draft_set_origin(draft, path, layer, source);
}

/* `may_be_absent`: a value for a service that the file does not have is passed over. */
static void apply(struct draft *draft, const struct config_setting *setting,
    enum flocks_config_layer layer, bool may_be_absent)
{
    struct value_place place;
    enum value_path_result result =
        value_path_find(&flocks_config_info, &draft->message->base, setting->path, &place);
    if (result == VALUE_PATH_FOUND)
        set_value(draft, setting, layer, &place);
    else if (result != VALUE_PATH_ABSENT || !may_be_absent)
        refuse_path(draft, setting, result);
}

static bool apply_variable(struct draft *draft, const char *path, const char *name)
{
    const char *value = environment_get(draft->environment, name, strlen(name));
    if (value == NULL || value[0] == '\0')
        return false;
    struct config_setting setting = {path, value, name};
    apply(draft, &setting, FLOCKS_CONFIG_LAYER_ENVIRONMENT, true);
    return true;
}

static void apply_environment(struct draft *draft)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct config_option *option = &config_options[i];
        bool is_set = false;
        for (size_t j = 0; j < CONFIG_OPTION_ENVIRONMENT_NAMES && !is_set; j++)
            is_set = apply_variable(draft, option->path, option->environment[j]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(environment_only); i++)
        (void)apply_variable(draft, environment_only[i].path, environment_only[i].source);
}

void settings_apply(struct draft *draft)
{
    const struct config_request *request = draft->request;
    for (size_t i = 0; i < request->n_running; i++)
        apply(draft, &request->running[i], FLOCKS_CONFIG_LAYER_RUNNING, true);
    apply_environment(draft);
    for (size_t i = 0; i < request->n_command_line; i++)
        apply(draft, &request->command_line[i], FLOCKS_CONFIG_LAYER_COMMAND_LINE,
            request->is_running);
}

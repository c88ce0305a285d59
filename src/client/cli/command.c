/* The list of commands, and the small questions that all of them ask of a run. */
#include <string.h>

#include "client/cli/cli.h"
#include "common/base/attributes.h"

const struct command *const commands[] = {&command_start, &command_stop, &command_restart,
    &command_status, &command_why, &command_events, &command_logs, &command_config, &command_update,
    &command_wait, &command_cancel, &command_call, &command_describe, &command_selftest,
    &command_completion, &command_version};
const size_t n_commands = ARRAY_LENGTH(commands);

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < n_commands; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return strcmp(command_complete.name, name) == 0 ? &command_complete : NULL;
}

bool cli_flag(const struct cli *cli, enum option_id id, bool otherwise)
{
    const struct option_value *value = &cli->options.values[id];
    return value->given ? value->on : otherwise;
}

const char *cli_text(const struct cli *cli, enum option_id id)
{
    return cli->options.values[id].text;
}

int64_t cli_timeout_ms(const struct cli *cli, int64_t otherwise)
{
    const struct option_value *value = &cli->options.values[OPTION_TIMEOUT];
    return value->given ? value->number : otherwise;
}

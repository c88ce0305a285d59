#include "client/cli/update_plan.h"

#include <stdlib.h>
#include <string.h>

/* Which options mean something beside which mode; the modes exclude each other. */
static const struct {
    enum option_id id;
    bool with[UPDATE_MODE_ABORT + 1];
} rows[] = {
    {OPTION_TO, {[UPDATE_MODE_APPLY] = true, [UPDATE_MODE_CHECK] = true}},
    {OPTION_FROM,
        {[UPDATE_MODE_APPLY] = true, [UPDATE_MODE_CHECK] = true, [UPDATE_MODE_LIST] = true}},
    {OPTION_REGION,
        {[UPDATE_MODE_APPLY] = true, [UPDATE_MODE_CHECK] = true, [UPDATE_MODE_LIST] = true}},
    {OPTION_FORCE, {[UPDATE_MODE_APPLY] = true, [UPDATE_MODE_CHECK] = true}},
    {OPTION_YES, {[UPDATE_MODE_APPLY] = true, [UPDATE_MODE_ROLL_BACK] = true}},
    {OPTION_EXIT_CODE, {[UPDATE_MODE_CHECK] = true}},
};

static const struct {
    enum option_id id;
    enum update_mode mode;
} modes[] = {
    {OPTION_CHECK, UPDATE_MODE_CHECK},
    {OPTION_LIST, UPDATE_MODE_LIST},
    {OPTION_ROLLBACK, UPDATE_MODE_ROLL_BACK},
    {OPTION_ABORT, UPDATE_MODE_ABORT},
};

static int choose_mode(
    const struct cli *cli, enum option_id *out_id, struct update_plan *out, struct error *error)
{
    *out_id = OPTION_END;
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        if (!cli_flag(cli, modes[i].id, false))
            continue;
        if (*out_id != OPTION_END)
            return error_set(error, STATUS_INVALID_ARGUMENT, "--%s and --%s do not go together",
                option_row(*out_id)->name, option_row(modes[i].id)->name);
        *out_id = modes[i].id;
        out->mode = modes[i].mode;
    }
    return 0;
}

static int check_options(
    const struct cli *cli, enum option_id mode_id, enum update_mode mode, struct error *error)
{
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (!cli->options.values[rows[i].id].given || rows[i].with[mode])
            continue;
        const char *name = option_row(rows[i].id)->name;
        if (mode_id == OPTION_END)
            return error_set(
                error, STATUS_INVALID_ARGUMENT, "--%s means something with --check only", name);
        return error_set(error, STATUS_INVALID_ARGUMENT, "--%s does not go together with --%s",
            name, option_row(mode_id)->name);
    }
    return 0;
}

int update_plan_make(const struct cli *cli, struct update_plan *out, struct error *error)
{
    enum option_id mode_id = OPTION_END;
    *out = (struct update_plan){.mode = UPDATE_MODE_APPLY,
        .version = cli_text(cli, OPTION_TO),
        .source = cli_text(cli, OPTION_FROM),
        .region = cli_text(cli, OPTION_REGION),
        .force = cli_flag(cli, OPTION_FORCE, false)};
    int result = choose_mode(cli, &mode_id, out, error);
    if (result == 0)
        result = check_options(cli, mode_id, out->mode, error);
    /* Whoever opens it may stand in another directory. */
    if (result == 0 && out->source && realpath(out->source, out->path))
        out->source = out->path;
    return result;
}

void update_plan_add(const struct update_plan *plan, struct update_arguments *arguments)
{
    update_arguments_add_value(arguments, "--to", plan->version);
    update_arguments_add_value(arguments, "--from", plan->source);
    update_arguments_add_value(arguments, "--region", plan->region);
    if (plan->mode == UPDATE_MODE_LIST)
        update_arguments_add(arguments, "--list");
    if (plan->mode == UPDATE_MODE_ROLL_BACK)
        update_arguments_add(arguments, "--rollback");
    if (plan->force)
        update_arguments_add(arguments, "--force");
}

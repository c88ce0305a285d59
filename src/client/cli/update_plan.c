#include "client/cli/update_plan.h"

#include <stdlib.h>
#include <string.h>

/* The modes exclude each other. */
static const struct {
    enum option_id id;
    enum update_mode mode;
} modes[] = {
    {OPTION_CHECK, UPDATE_MODE_CHECK},
    {OPTION_LIST, UPDATE_MODE_LIST},
    {OPTION_ABORT, UPDATE_MODE_ABORT},
};

#define WITH(mode) (1U << UPDATE_MODE_##mode)

/* Which options mean something in which mode, and beside --rollback. */
static const struct {
    enum option_id id;
    unsigned modes;
    bool with_rollback;
} rows[] = {
    {OPTION_ROLLBACK, WITH(APPLY) | WITH(CHECK), true},
    {OPTION_TO, WITH(APPLY) | WITH(CHECK), false},
    {OPTION_FROM, WITH(APPLY) | WITH(CHECK) | WITH(LIST), false},
    {OPTION_REGION, WITH(APPLY) | WITH(CHECK) | WITH(LIST), false},
    {OPTION_FORCE, WITH(APPLY) | WITH(CHECK), false},
    {OPTION_YES, WITH(APPLY), true},
    {OPTION_EXIT_CODE, WITH(CHECK), true},
};

static bool is_given(const struct cli *cli, enum option_id id)
{
    return cli->options.values[id].given;
}

static int refuse_both(enum option_id a, enum option_id b, struct error *error)
{
    return error_set(error, STATUS_INVALID_ARGUMENT, "--%s and --%s do not go together",
        option_row(a)->name, option_row(b)->name);
}

/* *out_id: the option that chose it, OPTION_END for none. */
static int choose_mode(
    const struct cli *cli, enum option_id *out_id, struct update_plan *out, struct error *error)
{
    *out_id = OPTION_END;
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        if (!is_given(cli, modes[i].id))
            continue;
        if (*out_id != OPTION_END)
            return refuse_both(*out_id, modes[i].id, error);
        *out_id = modes[i].id;
        out->mode = modes[i].mode;
    }
    return 0;
}

static int check_options(const struct cli *cli, enum option_id mode_id,
    const struct update_plan *plan, struct error *error)
{
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (!is_given(cli, rows[i].id))
            continue;
        if ((rows[i].modes & (1U << plan->mode)) == 0 && mode_id != OPTION_END)
            return refuse_both(rows[i].id, mode_id, error);
        if ((rows[i].modes & (1U << plan->mode)) == 0)
            return error_set(error, STATUS_INVALID_ARGUMENT, "--%s is for --check",
                option_row(rows[i].id)->name);
        if (plan->roll_back && !rows[i].with_rollback)
            return refuse_both(rows[i].id, OPTION_ROLLBACK, error);
    }
    return 0;
}

int update_plan_make(const struct cli *cli, struct update_plan *out, struct error *error)
{
    enum option_id mode_id = OPTION_END;
    *out = (struct update_plan){.mode = UPDATE_MODE_APPLY,
        .roll_back = cli_flag(cli, OPTION_ROLLBACK, false),
        .version = cli_text(cli, OPTION_TO),
        .source = cli_text(cli, OPTION_FROM),
        .region = cli_text(cli, OPTION_REGION),
        .force = cli_flag(cli, OPTION_FORCE, false)};
    int result = choose_mode(cli, &mode_id, out, error);
    if (result == 0)
        result = check_options(cli, mode_id, out, error);
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
    if (plan->roll_back)
        update_arguments_add(arguments, "--rollback");
    if (plan->force)
        update_arguments_add(arguments, "--force");
}

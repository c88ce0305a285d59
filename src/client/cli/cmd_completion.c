/* `flocks completion`, and the hidden command that its scripts ask. The scripts know no word of the
 * command line; all words come from the same tables as the help, of the program that is installed.
 */
#include <stdio.h>
#include <string.h>

#include "client/cli/candidates.h"
#include "client/cli/cli.h"
#include "client/cli/completion_scripts.h"
#include "client/cli/report.h"
#include "daemon.catalog.h"

static const char *const shells[] = {"bash", "zsh", "fish", NULL};

static const struct completion_script *find_script(const char *shell)
{
    for (size_t i = 0; i < n_completion_scripts; i++)
        if (strcmp(completion_scripts[i].shell, shell) == 0)
            return &completion_scripts[i];
    return NULL;
}

static enum outcome run_completion(const struct cli *cli)
{
    const struct options *options = &cli->options;
    struct error error = ERROR_INIT;
    const struct completion_script *script =
        options->n_operands == 1 ? find_script(options->operands[0]) : NULL;
    if (!script) {
        error_set(&error, STATUS_INVALID_ARGUMENT, "completion takes bash, zsh or fish");
        error_set_hint(&error, "see `flocks completion --help`");
        return report_error(cli, &error);
    }
    return report_write(script->text, script->len) == REPORT_WRITE_FAILED ? OUTCOME_FAILED
                                                                          : OUTCOME_DONE;
}

static const enum option_id completion_options[] = {OPTION_END};

const struct command command_completion = {
    .name = "completion",
    .summary = "print the completion script of a shell",
    .operands = "bash|zsh|fish",
    .details = "Prints the completion of this command for a shell. Packages install it; without "
               "one: `source\n"
               "<(flocks completion bash)` in ~/.bashrc, the same with zsh in ~/.zshrc behind "
               "compinit, `flocks\n"
               "completion fish | source` in ~/.config/fish/config.fish. It knows commands, "
               "options and files, the\n"
               "services of the running daemon or of the configuration, and the names of the API.",
    .options = completion_options,
    .operand = OPERAND_WORD,
    .words = shells,
    .run = run_completion,
};

/* ---- what the scripts ask ---- */

static enum outcome run_complete(const struct cli *cli)
{
    /* Large. */
    static struct complete complete;
    complete_look(cli->options.operands, cli->options.n_operands, &complete);
    candidates_print(cli, &complete, &daemon_catalog, stdout);
    return OUTCOME_DONE;
}

static const enum option_id complete_options_accepted[] = {OPTION_END};

const struct command command_complete = {
    .name = "__complete",
    .summary = "",
    .operands = "-- WORD...",
    .details = "Asked by the completions of shells: what may the last word become?",
    .options = complete_options_accepted,
    .run = run_complete,
};

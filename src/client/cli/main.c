/* `flocks`: reads the command line, runs one command, ends. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/context.h"
#include "client/cli/help.h"
#include "client/cli/interrupt.h"
#include "client/cli/report.h"
#include "client/cli/terminal.h"
#include "common/base/fd.h"
#include "common/schema/nearest.h"

/* Besides the common ones, before the command's name. */
static const enum option_id program_options[] = {OPTION_VERSION, OPTION_END};

static void choose_output(struct cli *cli)
{
    bool no_color = cli_flag(cli, OPTION_NO_COLOR, false);
    cli->json = cli_flag(cli, OPTION_JSON, false);
    cli->quiet = cli_flag(cli, OPTION_QUIET, false);
    cli->notes = cli->quiet ? NULL : stderr;
    cli->color = terminal_has_color(stdout, no_color);
    cli->color_notes = terminal_has_color(stderr, no_color);
    cli->live = cli->notes && terminal_is_live(stderr);
}

/* For a command line that could not be read to its end. */
static bool has_word(int argc, char **argv, const char *word)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], word) == 0)
            return true;
    return false;
}

static int refuse_command(const char *name, struct error *error)
{
    struct nearest nearest;
    nearest_init(&nearest, name, strlen(name));
    for (size_t i = 0; i < n_commands; i++)
        nearest_offer(&nearest, commands[i]->name);
    const char *near = nearest_result(&nearest);
    int result = error_set(error, STATUS_INVALID_ARGUMENT, "there is no command \"%s\"", name);
    if (near)
        error_set_hint(error, "did you mean `flocks %s`?", near);
    else
        error_set_hint(error, "`flocks --help` lists them");
    return result;
}

/* Everything that a command line says. 1: answered already (help, version). */
static int parse(struct cli *cli, int argc, char **argv, struct error *error)
{
    int used = 0;
    int result = options_parse(program_options, argc - 1, argv + 1, &used, &cli->options, error);
    if (result < 0)
        return result;
    if (cli_flag(cli, OPTION_VERSION, false)) {
        printf("flocks %s\n", FLOCKS_VERSION);
        return 1;
    }
    if (cli_flag(cli, OPTION_HELP, false) || used == argc - 1) {
        help_print_program(stdout);
        return 1;
    }
    cli->command = command_find(argv[1 + used]);
    if (!cli->command)
        return refuse_command(argv[1 + used], error);
    result = options_parse(
        cli->command->options, argc - used - 2, argv + used + 2, NULL, &cli->options, error);
    if (result < 0)
        return result;
    if (cli_flag(cli, OPTION_HELP, false)) {
        help_print_command(cli->command, stdout);
        return 1;
    }
    if (!cli->command->operands && cli->options.n_operands > 0)
        return error_set(error, STATUS_INVALID_ARGUMENT, "%s takes no argument \"%s\"",
            cli->command->name, cli->options.operands[0]);
    return 0;
}

static enum outcome run(struct cli *cli, int argc, char **argv)
{
    struct error error = ERROR_INIT;
    int result = parse(cli, argc, argv, &error);
    choose_output(cli);
    cli->json = cli->json || (result < 0 && has_word(argc, argv, "--json"));
    if (result > 0)
        return OUTCOME_DONE;
    if (result == 0)
        result = context_resolve(cli, &error);
    if (result == 0)
        return cli->command->run(cli);
    enum outcome outcome = report_error(cli, &error);
    if (cli->command && !cli->json)
        help_print_usage(cli->command, stderr);
    return outcome;
}

/* Whoever runs us with a standard descriptor closed must not find a socket in its place. */
static void fill_standard_descriptors(void)
{
    int fd = 0;
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR | O_NOCTTY);
    fd_close(&fd);
}

int main(int argc, char **argv)
{
    /* Large, and all zero at first. */
    static struct cli cli;
    fill_standard_descriptors();
    interrupt_exit_with("\nflocks: interrupted\n", "");
    enum outcome outcome = run(&cli, argc, argv);
    return outcome_exit_code(report_flush() ? outcome : outcome_worse(outcome, OUTCOME_FAILED));
}

/* Layout of the help texts. */
#include "client/cli/help.h"

#include <string.h>

enum { OPTION_WIDTH = 24, COMMAND_WIDTH = 10 };

static void print_option(enum option_id id, FILE *stream)
{
    const struct option_row *row = option_row(id);
    char name[64];
    (void)snprintf(name, sizeof(name), "--%s%s%s%s", row->kind == OPTION_KIND_SWITCH ? "[no-]" : "",
        row->name, row->value_name ? " " : "", row->value_name ? row->value_name : "");
    if (row->letter)
        fprintf(stream, "  -%c, %-*s %s\n", row->letter, OPTION_WIDTH, name, row->help);
    else
        fprintf(stream, "      %-*s %s\n", OPTION_WIDTH, name, row->help);
}

static void print_options(const char *heading, const enum option_id *ids, FILE *stream)
{
    if (*ids == OPTION_END)
        return;
    fprintf(stream, "\n%s\n", heading);
    for (; *ids != OPTION_END; ids++)
        print_option(*ids, stream);
}

void help_print_program(FILE *stream)
{
    fputs("Supervises the services of a local product.\n\n"
          "usage: flocks [options] COMMAND ...\n\nCommands\n",
        stream);
    for (size_t i = 0; i < n_commands; i++)
        fprintf(stream, "  %-*s %s\n", COMMAND_WIDTH, commands[i]->name, commands[i]->summary);
    print_options("Options of every command", options_common, stream);
    print_option(OPTION_VERSION, stream);
    fputs("\nExit codes\n", stream);
    for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
        fprintf(stream, "  %3d  %s\n", outcome_exit_code((enum outcome)outcome),
            outcome_text((enum outcome)outcome));
    fputs("\n`flocks COMMAND --help` says more; so does flocks(1).\n", stream);
}

void help_print_usage(const struct command *command, FILE *stream)
{
    fprintf(stream, "usage: flocks %s%s%s [options]\n", command->name, command->operands ? " " : "",
        command->operands ? command->operands : "");
}

void help_print_command(const struct command *command, FILE *stream)
{
    help_print_usage(command, stream);
    fprintf(stream, "\n%s\n", command->details);
    print_options("Options", command->options, stream);
    print_options("Options of every command", options_common, stream);
}

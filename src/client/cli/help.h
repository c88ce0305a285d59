/* Help, made from the command rows, the option table and the outcome table. */
#ifndef FLOCKS_CLI_HELP_H
#define FLOCKS_CLI_HELP_H

#include <stdio.h>

#include "client/cli/cli.h"

/* Commands, common options, exit codes. */
void help_print_program(FILE *stream);
/* One command with its own options. */
void help_print_command(const struct command *command, FILE *stream);
/* "usage: flocks start [SERVICE...] [options]" */
void help_print_usage(const struct command *command, FILE *stream);

#endif

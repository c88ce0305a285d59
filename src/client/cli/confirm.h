/* A person in front of a terminal is asked; elsewhere nobody is. */
#ifndef FLOCKS_CLI_CONFIRM_H
#define FLOCKS_CLI_CONFIRM_H

#include <stdbool.h>

#include "client/cli/cli.h"

/* Whether there is somebody to be asked: a terminal both ways, and no program that reads JSON. */
bool confirm_has_person(const struct cli *cli);
/* "<question> [y/N] "; whether the answer is yes. */
bool confirm_ask(const char *question);

#endif

/* The command line of flocks-update. */
#ifndef FLOCKS_UPGRADE_OPTIONS_H
#define FLOCKS_UPGRADE_OPTIONS_H

#include <stdbool.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum update_command {
    UPDATE_COMMAND_NONE,
    UPDATE_COMMAND_CHECK,
    UPDATE_COMMAND_APPLY,
    UPDATE_COMMAND_RECOVER
};

/* Texts are of argv; NULL where they were not given. */
struct update_options {
    enum update_command command;
    bool help;
    bool version;
    const char *root;
    const char *config;
    const char *socket;
    const char *region;
    const char *from;
    const char *to;
    const char *upgrade_id;
    const char *owner;
    bool list;
    bool roll_back;
    bool force;
};

/* -STATUS_INVALID_ARGUMENT: unknown, incomplete, not of this command, or in contradiction. */
NODISCARD int update_options_parse(
    int argc, char **argv, struct update_options *out, struct error *error);

/* The whole help, ending in a newline. Static storage. */
const char *update_options_help(void);

#endif

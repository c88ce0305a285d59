/* `flocks config plan` and `flocks config apply`. */
#ifndef FLOCKS_CLI_CONFIG_CHANGE_H
#define FLOCKS_CLI_CONFIG_CHANGE_H

#include "client/cli/cli.h"

enum {
    /* As the schema's max_bytes of the request's text; a larger file is refused here. */
    CONFIG_CHANGE_TEXT_MAX_BYTES = 256 * 1024
};

/* `file` NULL: the one that the daemon reads. Both have told everything when they answer. */
enum outcome config_plan(const struct cli *cli, const char *file);
enum outcome config_apply(const struct cli *cli, const char *file);

#endif

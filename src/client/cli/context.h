/* Where the instance of a command line lies: what --root, --config, --socket and the environment
 * say. */
#ifndef FLOCKS_CLI_CONTEXT_H
#define FLOCKS_CLI_CONTEXT_H

#include "client/cli/cli.h"
#include "common/base/error.h"

/* Sets `paths` and `config_is_named` by the options that were read; touches nothing on disk. */
NODISCARD int context_resolve(struct cli *cli, struct error *error);

#endif

/* `flocks update --abort`: the upgrade that goes on is undone, whoever began it. */
#ifndef FLOCKS_CLI_UPDATE_ABORT_H
#define FLOCKS_CLI_UPDATE_ABORT_H

#include "client/cli/cli.h"

/* Asks the daemon, or without one the updater itself, and waits until it is over. */
enum outcome update_abort(const struct cli *cli);

#endif

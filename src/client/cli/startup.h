/* A daemon where there was none, with the settings of this command line: what `flocks start` and
 * `flocks restart` share. */
#ifndef FLOCKS_CLI_STARTUP_H
#define FLOCKS_CLI_STARTUP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "flocks/v1/supervisor.names.h"

#include "client/cli/cli.h"
#include "client/cli/daemon.h"
#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/config/option.h"
#include "common/schema/mistake.h"

/* Embedded by value; between startup_init and startup_deinit. */
struct startup {
    const struct cli *cli;
    struct arena arena;
    struct mistakes mistakes;
    /* Settings given on this command line. */
    struct config_setting command_line[CONFIG_OPTION_COUNT];
    size_t n_command_line;
    /* The configuration file of a daemon that ran before, where this command line names none; in
     * the arena. NULL: the one of cli->paths. */
    const char *config;
    /* "PATH=VALUE" of a daemon that ran before; in the arena. */
    const char **running;
    size_t n_running;
    /* The keeper with --foreground, 0 else. */
    pid_t foreground;
};

void startup_init(struct startup *startup, const struct cli *cli);
void startup_deinit(struct startup *startup);

/* True when a setting of this command line is not what `running` runs with. Without settings:
 * false. */
bool startup_differs(struct startup *startup, const flocks_get_config_response *running);
/* Keeps what the running daemon was told on its own command line and by its environment, its
 * configuration file among it. */
NODISCARD int startup_inherit(
    struct startup *startup, const flocks_get_config_response *running, struct error *error);

/* The configuration has mistakes; they are in `mistakes`, and nothing was changed. */
#define STARTUP_MISTAKEN 1
/* Looks at the whole configuration as flocksd will. 0, STARTUP_MISTAKEN or negative. */
NODISCARD int startup_check(struct startup *startup, struct error *error);
/* Before a running daemon is ended for another one. -STATUS_ABORTED (LEASE_HELD): services are
 * under a lease, and to start them is its commit's or its roll-back's. 0 also where none runs. */
NODISCARD int startup_may_replace(struct daemon *daemon, struct error *error);
/* Prepares the root, ends an upgrade that was left unfinished (settle.h) and what a Python
 * supervisor left there, and runs a keeper. Answers 0 when a
 * daemon is ready, ours or one that somebody else started at the same time. */
NODISCARD int startup_launch(struct startup *startup, struct error *error);

#endif

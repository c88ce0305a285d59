/* Services started or restarted by a running daemon, followed and judged: the end of `flocks start`
 * and `flocks restart`. */
#ifndef FLOCKS_CLI_RUN_SERVICES_H
#define FLOCKS_CLI_RUN_SERVICES_H

#include "client/cli/daemon.h"

/* StartServices or RestartServices with the names of the command line, followed to its end; then
 * the status table, or the response as JSON. Answers the exit: of the operation, and of the
 * services' health. Everything has been told. */
enum outcome run_services(struct daemon *daemon, enum flocks_supervisor_method method);

#endif

/* flocksd put together: link, state, supervisor, API and control socket on one loop, and their end
 * in order. */
#ifndef FLOCKS_DAEMON_DAEMON_H
#define FLOCKS_DAEMON_DAEMON_H

#include "server/daemon/options.h"

enum daemon_exit {
    DAEMON_EXIT_DONE = 0,
    DAEMON_EXIT_FAILED = 1,
    /* Command line or configuration: running it again changes nothing. */
    DAEMON_EXIT_USAGE = 2,
    /* daemon_end_leftovers: there was something, and it has been ended. */
    DAEMON_EXIT_ENDED = 3
};

/* Runs until the services have ended. Failures are logged, and told to the keeper for whoever
 * started it. */
enum daemon_exit daemon_run(const struct options *options);

/* Ends what an instance that was killed has left, for `flocks stop`, which holds the lock
 * meanwhile: no keeper, no services. FAILED: it could not, and standard output says why. */
enum daemon_exit daemon_end_leftovers(const struct options *options);

#endif

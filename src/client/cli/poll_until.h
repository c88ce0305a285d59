/* ppoll(2) until a moment, with signals that are let in only there. */
#ifndef FLOCKS_CLI_POLL_UNTIL_H
#define FLOCKS_CLI_POLL_UNTIL_H

#include <poll.h>
#include <signal.h>
#include <stdint.h>

/* How many of `fds` have something; 0: `due_at` has come (monotonic ms, CLOCK_NEVER for none); -1:
 * a signal, also when a descriptor is ready all the time. `mask` NULL: signals are as they are. */
int poll_until(struct pollfd *fds, nfds_t n, int64_t due_at, const sigset_t *mask);

#endif

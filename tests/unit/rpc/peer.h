/* A flocks.v1.SupervisorService in a child process,
 * behind a socket: what a blocking client talks to. */
#ifndef FLOCKS_TESTS_PEER_H
#define FLOCKS_TESTS_PEER_H

#include <sys/types.h>

/* GetStatus answers event_token "token"; with services[0] "#<n>" one of
 * n bytes. StopServices fails with NOT_FOUND and a detail. GetOperation
 * is never answered. Shutdown ends the process without an answer. */

/* Serves one connected socket, which is consumed in the parent. */
pid_t peer_serve(int fd);
/* Accepts on `listener`; the first `n_dropped` connections are closed unread. */
pid_t peer_accept(int listener, int n_dropped);
/* Ends the child, checks that nothing went wrong in it. */
void peer_end(pid_t pid);

#endif

/* A flocks.v1.SupervisorService in a child process, on a socket that outlives it, as the keeper
 * holds one: what libflocks talks to. */
#ifndef FLOCKS_TESTS_DAEMON_DOUBLE_H
#define FLOCKS_TESTS_DAEMON_DOUBLE_H

#include <stddef.h>
#include <sys/types.h>

/* What one life of the daemon does.
 *
 * GetStatus answers event_token "token". StopServices fails with NOT_FOUND and a detail.
 * GetOperation is never answered. WatchEvents counts: tokens from `after` + 1 to `last`, then OK
 * (`last` 0: waits for ever behind the token "1"). ReadLogs does so too, with `daemon` in the
 * request as a reason to fail with ABORTED after the first. WatchOperation says revision 1 and
 * waits. Shutdown ends the process without an answer. */
struct daemon_script {
    unsigned last;
    /* Says so many messages of streams in all, then nothing more; 0: no limit. */
    unsigned n_said_max;
    /* Connections that are closed unread before. */
    int n_dropped;
};

/* A directory and a path in it; nobody listens yet. For set-up and teardown. */
void double_make_place(void);
void double_remove_place(void);
const char *double_path(void);
/* Binds and listens at the path. */
void double_listen(void);
/* Nobody listens any more: the next connection is refused. */
void double_stop_listening(void);

/* A daemon on the listening socket; one at a time. */
void double_run(const struct daemon_script *script);
/* kill -9, if one runs. */
void double_kill(void);

#endif

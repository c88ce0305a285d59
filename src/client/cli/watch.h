/* A daemon watched by a driven client: one loop over its descriptor, the signals of the terminal
 * and the reader of our output. What streams bring is handled by their hooks, from inside
 * watch_wait. */
#ifndef FLOCKS_CLI_WATCH_H
#define FLOCKS_CLI_WATCH_H

#include <signal.h>
#include <stdint.h>

#include "flocks/calls.h"

#include "client/cli/cli.h"
#include "common/base/error.h"

/* Embedded by value. */
struct watch {
    const struct cli *cli;
    struct flocks_client *client; /* for the streams */
    /* Signals that are let in while waiting; NULL: as they are. */
    const sigset_t *mask;
    /* End when nobody reads standard output any more. */
    bool needs_reader;
};

/* Touches nothing yet. */
NODISCARD int watch_open(struct watch *watch, const struct cli *cli, struct error *error);
/* Its streams must have been closed before. */
void watch_close(struct watch *watch);

enum watch_wake {
    WATCH_NEWS,       /* hooks may have run */
    WATCH_DUE,        /* `due_at` has come */
    WATCH_SIGNAL,     /* interrupt_take says which */
    WATCH_READER_GONE /* of standard output */
};
/* Sleeps until one of them, runs the client's hooks. `due_at`: monotonic ms, CLOCK_NEVER for
 * none. */
enum watch_wake watch_wait(struct watch *watch, int64_t due_at);

/* Begins WatchEvents of these services (none: all), behind `after` ("": with a snapshot), until
 * --timeout if it was given. The stream is the caller's to close. */
NODISCARD int watch_begin_events(struct watch *watch, const char *const *names, size_t n_names,
    const char *after, const struct flocks_client_watch_events_hooks *hooks, void *data,
    struct flocks_stream **out, struct error *error);
/* What a stream's end means: 0 for OK, DAEMON_NOT_RUNNING, or negative with `error` set. */
NODISCARD int watch_end_of(const struct flocks_error *failure, struct error *error);

/* Nobody answers: to be told like an end. */
int watch_refuse_late(const struct watch *watch, struct error *error);
/* Tells how the watching ended, `result` as of watch_end_of. */
enum outcome watch_report_end(const struct cli *cli, int result, struct error *error);

#endif

/* Calls that are made one after the other, on one connection or on many in turn. */
#ifndef FLOCKS_BENCH_CALLS_H
#define FLOCKS_BENCH_CALLS_H

#include <stdbool.h>
#include <stddef.h>

#include "crpc/client.h"

enum { CALLS_CONNECTIONS_MAX = 8192 };

struct calls_plan {
    const char *path;
    size_t n_calls;
    size_t n_connections;
    /* Nothing is measured, only done. */
    bool is_quiet;
    /* One call; not 0 ends the run. Its message is printed by the callee. */
    int (*call)(struct rpc_client *client, void *data);
    void *data;
};

/* Connects, warms up, calls, and prints one time a line, in nanoseconds. The program's exit code.
 */
int calls_run(const struct calls_plan *plan);

/* Prints what `error` says, frees it; 1. */
int calls_failed(struct rpc_error *error);

#endif

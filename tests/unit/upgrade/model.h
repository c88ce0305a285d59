/* A server as the updater sees it, in memory that outlives the processes that use it: it keeps a
 * lease by docs/leases.md, and fails, or has its caller die, where it is told to. */
#ifndef FLOCKS_TESTS_UPGRADE_MODEL_H
#define FLOCKS_TESTS_UPGRADE_MODEL_H

#include <stdbool.h>

#include "client/upgrade/server.h"
#include "common/base/error.h"

enum model_call {
    MODEL_BEGIN,
    MODEL_RENEW,
    MODEL_STOP,
    MODEL_OPERATION,
    MODEL_COMMIT,
    MODEL_LEASE,
    MODEL_ABORT,
    MODEL_REPLACE,
    MODEL_CALLS
};

struct model {
    /* No instance runs: every call answers so, and its lock is free ... */
    bool is_gone;
    /* ... but for so many attempts to take it. */
    int busy_locks;
    /* The new version does not pass the gate. */
    bool gate_fails;
    /* Services that do not stop. */
    bool stop_fails;
    /* What a call answers once, in place of doing anything; STATUS_OK: it does its work. */
    enum status_code refusals[MODEL_CALLS];
    enum flocks_error_reason refusal_reason;
    /* Raised when that call is made: the person's end. -1: none. */
    int abort_at;
    int abort_fd;

    struct update_lease lease;
    struct link_set links;
    char upgrade_id[UPDATE_ID_SIZE];
    int looks;
    /* Services that were paused, and what was told of versions: "backend=1.1.0 ". */
    char paused[256];
    char versions[256];
    bool holding_page;
    /* Where `current` led when services were started last; "": not since the stop. */
    char serves[64];
    char replaced[512];
    int calls[MODEL_CALLS];
};

/* Shared with children. Static storage, zeroed anew. */
struct model *model_new(void);
struct update_server model_server(struct model *model);
/* The process that holds the lease is gone: the server rolls back, some time. */
void model_lose_owner(struct model *model);

/* ---- dying ---- */

/* The process ends with MODEL_DEAD at the `n`-th moment from now (from 1; 0: never): before and
 * after each call, and each call of the system that others can see the effect of. */
enum { MODEL_DEAD = 42 };
void model_die_at(int n);
/* Moments so far since then. */
int model_moments(void);

#endif

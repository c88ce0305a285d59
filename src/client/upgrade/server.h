/* The server of a root as an upgrade sees it: what is asked of it, one function each. A table, so
 * that tests can have a server that fails when they want. */
#ifndef FLOCKS_UPGRADE_SERVER_H
#define FLOCKS_UPGRADE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flocks/v1/config.names.h"
#include "flocks/v1/types.names.h"

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/release/link_switch.h"
#include "common/release/upgrade_journal.h"

enum {
    /* One call, repetitions included, and also where the daemon is being replaced meanwhile. */
    UPDATE_CALL_MS = 20 * 1000,
    /* A call that only waits for news. */
    UPDATE_NEWS_MS = 1000,
    /* As the schema's max_bytes of an id, and the end. */
    UPDATE_ID_SIZE = 33,
    UPDATE_REASON_SIZE = 256
};

/* Positive condition of every call: no instance runs, and the lock of instances is free. */
#define UPDATE_SERVER_NONE 1

/* Plain value. */
struct update_lease {
    char id[UPDATE_ID_SIZE];
    enum flocks_upgrade_phase phase;
    /* Of the commit or the roll-back; "". */
    char operation_id[UPDATE_ID_SIZE];
    /* Why it ended, or what goes on, for people. */
    char message[UPDATE_REASON_SIZE];
};

/* Plain value. */
struct update_operation {
    bool has_ended;
    bool has_succeeded;
    /* Of the present step, for people. */
    char step[UPDATE_REASON_SIZE];
    uint32_t revision;
    /* Of one that has ended and has not succeeded. */
    struct error failure;
};

/* All borrowed. */
struct update_begin {
    const char *upgrade_id;
    const char *owner;
    const char *to;
    int64_t ttl_ms;
    /* None: all. */
    const char *const *services;
    size_t n_services;
    bool holding_page;
    const struct link_set *links;
};

struct update_expected_version {
    const char *service;
    const char *version;
};

struct update_commit {
    const char *lease_id;
    const struct update_expected_version *versions;
    size_t n_versions;
    int64_t start_timeout_ms;
    int64_t observe_ms;
};

struct update_programs {
    /* Absolute; "": it stays. */
    const char *flocksd;
    const char *keeper;
    /* "": any. */
    const char *version;
};

/* Plain value. */
struct update_running {
    int32_t flocksd_pid;
    int32_t keeper_pid;
};

/* Each answers 0, UPDATE_SERVER_NONE, or negative; within UPDATE_CALL_MS or a little more. */
struct update_server_calls {
    /* What runs: names and version sources count. In the arena. */
    int (*config)(void *self, struct arena *arena, const flocks_config **out, struct error *error);
    /* Idempotent by upgrade_id. */
    int (*begin)(void *self, const struct update_begin *begin, struct update_lease *out,
        struct error *error);
    int (*renew)(void *self, const char *lease_id, struct error *error);
    /* All under the lease. */
    int (*stop)(
        void *self, const char *lease_id, char out_operation[UPDATE_ID_SIZE], struct error *error);
    /* News behind `revision`, or after UPDATE_NEWS_MS the present state. */
    int (*operation)(void *self, const char *id, uint32_t revision, struct update_operation *out,
        struct error *error);
    int (*commit)(void *self, const struct update_commit *commit, struct update_lease *out,
        struct error *error);
    /* -STATUS_NOT_FOUND: it knows no such lease. */
    int (*lease)(void *self, const char *lease_id, struct update_lease *out, struct error *error);
    /* The lease that update_begin took for that upgrade, while it lasts. -STATUS_NOT_FOUND. */
    int (*find)(void *self, const char *upgrade_id, struct update_lease *out, struct error *error);
    int (*abort)(void *self, const char *lease_id, const char *reason, struct error *error);
    int (*replace)(void *self, const struct update_programs *programs,
        char out_operation[UPDATE_ID_SIZE], struct error *error);
    int (*running)(void *self, struct update_running *out, struct error *error);
    /* Whether an instance lives, as its lock says. */
    int (*lives)(void *self, bool *out, struct error *error);
    /* The lock of instances, so that nobody starts meanwhile; the caller closes *out_fd. As
     * instance_hold: INSTANCE_LIVES. */
    int (*hold)(void *self, int *out_fd, struct error *error);
};

struct update_server {
    const struct update_server_calls *calls;
    void *self;
};

#endif

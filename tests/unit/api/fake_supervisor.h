/* A supervisor that does what the test says, in place of the real one. */
#ifndef TEST_API_FAKE_SUPERVISOR_H
#define TEST_API_FAKE_SUPERVISOR_H

#include <stdbool.h>

#include "server/supervise/supervisor.h"
#include "server/supervise/supervisor_leases.h"
#include "server/supervise/supervisor_upgrades.h"

#define FAKE_LEASE_ID "fedcba9876543210fedcba9876543210"
#define FAKE_OPERATION_ID "0123456789abcdef0123456789abcdef"

struct supervisor {
    /* What supervisor_begin got last, and how often it was called. */
    struct supervisor_request request;
    int begun;
    char lease_id[SUPERVISOR_LEASE_ID_SIZE]; /* of that request */
    bool refuses_for_lease;                  /* it answers LEASE_HELD with the one lease */
    /* BeginUpgrade waits until the test calls `lease_done`. */
    void (*lease_done)(void *data, const struct error *error);
    void *lease_data;
    struct supervisor_lease_request lease_request;
    int64_t renewed_ttl_ms;
    char replaced[128];
    struct supervisor_commit commit;
    int lease_waits_cancelled;
    /* AbortUpgrade's id: reports are answered with `abort` from then on. Streams of WatchUpgrade:
     * as many answers as there are `items`, then the end if it is over. */
    char aborted[SUPERVISOR_UPGRADE_ID_SIZE];
    int upgrade_watches;
    /* StartUpdate waits until the test calls `update_done`. */
    void (*update_done)(void *data, const struct error *error);
    void *update_data;
    bool is_upgrade_over;
    /* The one operation there is. */
    enum flocks_operation_state state;
    uint32_t revision;
    /* The one wait, if `done` is set. */
    enum supervisor_wait_for wait_for;
    void (*done)(void *data);
    void *data;
    int waits_cancelled;
    /* Operations cancelled; what there is to say to watchers, and who they are. */
    int cancelled;
    uint32_t items;
    int watches;
    void (*wake)(void *data);
    void *wake_data;
    /* Of the only service. */
    const char *log_path;
    /* Where backend.log, late.log and daemon.log are; what was written to them; whether there is a
     * service "late". */
    const char *logs;
    uint64_t written[3];
    bool has_late;
    uint64_t changes;
    /* Who is told of health; it begins well. */
    const struct supervisor_health_follower *follower;
};

/* The operation changes: revision and state; whoever waits for that is told. */
void fake_supervisor_change(struct supervisor *supervisor, enum flocks_operation_state state);

/* One more item for a watcher. */
void fake_supervisor_say(struct supervisor *supervisor);

#endif

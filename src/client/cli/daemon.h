/* The daemon of this root as a command talks to it: one deadline for the whole command, failures
 * told once. */
#ifndef FLOCKS_CLI_DAEMON_H
#define FLOCKS_CLI_DAEMON_H

#include <stdint.h>

#include "flocks/client.h"
#include "flocks/v1/supervisor.methods.h"
#include "flocks/v1/supervisor.names.h"
#include "flocks/v1/upgrade.names.h"

#include "client/cli/cli.h"
#include "common/base/error.h"

enum {
    /* Looking (status, config, version), and the first answer to anything else. */
    DAEMON_ANSWER_MS = 5 * 1000,
    /* Waiting for work, where --timeout does not say otherwise; the work has its own bounds. */
    DAEMON_WORK_MS = 15 * 60 * 1000,
    /* As the schema's max_bytes of an operation's id, and the end. */
    DAEMON_OPERATION_ID_SIZE = 33
};

/* Embedded by value. */
struct daemon {
    const struct cli *cli;
    struct flocks_client *client;
    /* Of the last call, NULL: it went well. */
    struct flocks_error *failure;
    int64_t deadline_at; /* of the whole command, monotonic ms */
    /* The last one that was followed; "": none. For the failure that ends the following. */
    char operation_id[DAEMON_OPERATION_ID_SIZE];
};

/* Touches nothing yet. -STATUS_RESOURCE_EXHAUSTED. */
NODISCARD int daemon_open(
    struct daemon *daemon, const struct cli *cli, int64_t timeout_ms, struct error *error);
void daemon_close(struct daemon *daemon);

/* A client of this root's socket that knows when nobody will answer; NULL and *error. For
 * those that need one of their own. */
struct flocks_client *daemon_new_client(const struct cli *cli, struct error *error);

/* Positive condition: nobody holds the instance lock, so nobody will answer. */
enum { DAEMON_NOT_RUNNING = 1 };

/* One call, bounded by `limit_ms` and the command's deadline. 0: *out is the caller's
 * (rpc_message_free), of the method's response type. DAEMON_NOT_RUNNING, or negative. */
NODISCARD int daemon_call(struct daemon *daemon, enum flocks_supervisor_method method,
    int64_t limit_ms, const ProtobufCMessage *request, const ProtobufCMessage **out,
    struct error *error);

/* The same for any row of the method tables; bounded by the command's deadline alone. */
NODISCARD int daemon_call_method(struct daemon *daemon, const struct rpc_method *method,
    const ProtobufCMessage *request, const ProtobufCMessage **out, struct error *error);

/* Those that several commands make. */
NODISCARD int daemon_get_status(struct daemon *daemon, const char *const *names, size_t n_names,
    const flocks_get_status_response **out, struct error *error);
NODISCARD int daemon_get_config(
    struct daemon *daemon, const flocks_get_config_response **out, struct error *error);

/* Whether an upgrade may be going on: its maker holds the lock of this root, and looking there is
 * much cheaper than a call. True also where it cannot be said. */
bool daemon_may_be_upgrading(const struct cli *cli);
/* The upgrade that is going on, for showing: NULL where there is none, or the daemon does not tell.
 * The caller's, for CLEANUP(daemon_free_upgrade). */
const flocks_get_upgrade_response *daemon_get_present_upgrade(struct daemon *daemon);

/* For CLEANUP(). */
void daemon_free_upgrade(const flocks_get_upgrade_response **response);
void daemon_free_status(const flocks_get_status_response **response);
void daemon_free_config(const flocks_get_config_response **response);

/* What the client library says, as an error of this program. Answers -code. */
int daemon_take_failure(const struct flocks_error *failure, struct error *error);

/* Tells a failed call: with the server's typed detail, and for "not known" with both sides'
 * revisions. */
enum outcome daemon_report(struct daemon *daemon, struct error *error);
/* The same of a stream's end, with what its hook was told. */
enum outcome daemon_report_end(const struct cli *cli, const struct flocks_error *failure);

#endif

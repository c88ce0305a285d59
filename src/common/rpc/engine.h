/* Server, connection and call as they know each other; private to the files of these names.
 *
 *     server --calls--> call <--calls-- connection --session--> session call
 *
 * A call is born in its connection and dies when its handler has finished it. When the caller goes
 * away first it loses its connection and lives on as an orphan of the server. */
#ifndef CRPC_ENGINE_H
#define CRPC_ENGINE_H

#include "common/base/arena.h"
#include "common/base/list.h"
#include "crpc/server.h"
#include "common/rpc/session.h"

struct rpc_server {
    struct rpc_server_hooks hooks;
    const struct rpc_service **services;
    size_t n_services;
    bool is_shut;
    size_t n_calls;
    struct list orphans;   /* rpc_call.in_owner */
    struct list deadlines; /* rpc_call.in_deadlines, soonest first */
};

struct rpc_connection {
    struct rpc_server *server;
    struct rpc_session *session;
    struct rpc_peer peer;
    void (*output_ready)(void *data);
    void *output_data;
    struct list calls; /* rpc_call.in_owner */
    size_t n_calls;
    /* Inside one of its own functions: whoever called will look at the output afterwards. */
    bool is_active;
    bool has_ended;
    const char *close_reason;
    int64_t now_ms;
    /* When the output reached the stall bound; INT64_MAX: it is below. */
    int64_t stalled_since;
};

struct rpc_call {
    struct rpc_server *server;
    /* NULL: the caller is gone. */
    struct rpc_connection *connection;
    /* NULL: an answer would be dropped. */
    struct rpc_session_call *session_call;
    struct list in_owner;     /* connection->calls or server->orphans */
    struct list in_deadlines; /* server->deadlines, while it waits for its handler */
    const struct rpc_service *service;
    const struct rpc_method *method;
    struct rpc_peer peer;
    int64_t deadline_at;
    struct arena arena;
    void (*cancelled)(void *data);
    void *cancelled_data;
    /* The engine is still at work on it, below the handler: it must not be freed yet. */
    bool is_held;
    bool is_finished;
};

/* ---- call.c ---- */

/* In connection->calls and bound to `session_call`; NULL without memory. */
struct rpc_call *rpc_call_new(
    struct rpc_connection *connection, struct rpc_session_call *session_call);
/* Decodes `message`, asks the admit hook and runs the handler. `call` may be gone afterwards. */
void rpc_call_run(struct rpc_call *call, struct rpc_bytes message);
/* Ends the call with an error of the engine's own
 * making, its detail from the application's hook. */
void rpc_call_refuse(struct rpc_call *call, enum rpc_refusal refusal, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The caller is gone: the cancel hook runs; answers are dropped from now on. */
void rpc_call_abandon(struct rpc_call *call);
/* The deadline has passed: the cancel hook may answer, else the engine does. */
void rpc_call_expire(struct rpc_call *call);
/* Frees the call wherever it is. */
void rpc_call_destroy(struct rpc_call *call);

/* ---- connection.c ---- */

/* Output may have appeared from outside: tells the
 * transport unless the connection itself is at work. */
void rpc_connection_note_output(struct rpc_connection *connection, bool had_output);

/* ---- server.c ---- */

/* rpc_find_method_fn over the services of a server. */
const struct rpc_method *rpc_server_find(
    const void *server, struct rpc_bytes service, struct rpc_bytes method);
/* The service that `method` is a row of. */
const struct rpc_service *rpc_server_service_of(
    const struct rpc_server *server, const struct rpc_method *method);

#endif

/* A server's connection and a client's session joined
 * in memory: no socket, and the time is an argument. */
#ifndef FLOCKS_TESTS_WIRE_PAIR_H
#define FLOCKS_TESTS_WIRE_PAIR_H

#include "flocks/v1/supervisor.methods.h"
#include "flocks/v1/supervisor.names.h"
#include "flocks/v1/supervisor.server.h"

#include "crpc/server.h"
#include "common/rpc/session.h"

struct wire_pair {
    struct rpc_server *server;
    struct rpc_connection *connection;
    struct rpc_session *client;
    struct rpc_service service;
    int n_output_ready;
    int64_t now_ms;
};

/* How a call ended, as its caller saw it. */
struct wire_end {
    bool has_ended;
    enum rpc_code code;
    char text[RPC_STATUS_TEXT_MAX + 1];
    /* Reason of the typed detail, 0 if there was none. */
    int reason;
    size_t message_len;
};

/* The server serves flocks.v1.SupervisorService with `handlers`; engine-made errors carry an
 * ErrorDetail whose reason is 1 + the refusal. */
void wire_pair_open(
    struct wire_pair *pair, const struct flocks_supervisor_handlers *handlers, void *self);
void wire_pair_close(struct wire_pair *pair);

/* Begins a call with the request's bytes; nothing moves yet. `end` is filled when it ends. */
struct rpc_session_call *wire_pair_call(struct wire_pair *pair, const struct rpc_method *method,
    int64_t timeout_ms, const void *bytes, size_t len, struct wire_end *end);
/* Moves bytes both ways until nothing moves. */
void wire_pair_move(struct wire_pair *pair);
/* The two above. */
struct wire_end wire_pair_ask(
    struct wire_pair *pair, enum flocks_supervisor_method method, const void *bytes, size_t len);

#endif

/* A server's connection and a client's session joined
 * in memory: no socket, and the time is an argument. */
#ifndef FLOCKS_TESTS_WIRE_PAIR_H
#define FLOCKS_TESTS_WIRE_PAIR_H

#include "flocks/v1/supervisor.methods.h"
#include "flocks/v1/supervisor.names.h"
#include "flocks/v1/supervisor.server.h"

#include "common/rpc/session.h"
#include "crpc/server.h"

struct wire_pair {
    struct rpc_server *server;
    struct rpc_connection *connection;
    struct rpc_session *client;
    struct rpc_service service;
    int n_output_ready;
    /* The server's admit hook; NULL: there is none. */
    bool (*admit)(void *data, struct rpc_call *call, const ProtobufCMessage *request);
    void *admit_data;
    /* What the client is told; NULL: nobody looks. */
    void (*on_message)(void *data, const struct rpc_session_call *call, struct rpc_bytes message);
    void *on_message_data;
    int64_t now_ms;
};

/* How a call ended, as its caller saw it. */
struct wire_end {
    bool has_ended;
    enum rpc_code code;
    char text[RPC_STATUS_TEXT_MAX + 1];
    /* Reason of the typed detail, 0 if there was none. */
    int reason;
    /* Of the last message, and how many there were. */
    size_t message_len;
    int n_messages;
};

/* The server serves flocks.v1.SupervisorService with `handlers`; engine-made errors carry an
 * ErrorDetail whose reason is 1 + the refusal. */
void wire_pair_open(
    struct wire_pair *pair, const struct flocks_supervisor_handlers *handlers, void *self);
/* The same, with any service. */
void wire_pair_open_service(struct wire_pair *pair, const struct rpc_service *service);
/* The same, with several, which are borrowed. */
void wire_pair_open_services(
    struct wire_pair *pair, const struct rpc_service *services, size_t n_services);
void wire_pair_close(struct wire_pair *pair);

/* Begins a call with the request's bytes, which a method whose client streams has not; nothing
 * moves yet. `end` is filled when it ends. */
struct rpc_session_call *wire_pair_call(struct wire_pair *pair, const struct rpc_method *method,
    int64_t timeout_ms, const void *bytes, size_t len, struct wire_end *end);
/* One message of a client that streams. */
void wire_pair_send(struct rpc_session_call *call, const void *bytes, size_t len);
/* From the client to the server only: once. */
void wire_pair_push(struct wire_pair *pair);
/* From the server to the client only: once, and at most `max_len` bytes. Answers how many. */
size_t wire_pair_pull(struct wire_pair *pair, size_t max_len);
/* Moves bytes both ways until nothing moves. */
void wire_pair_move(struct wire_pair *pair);
/* The two above. */
struct wire_end wire_pair_ask(
    struct wire_pair *pair, enum flocks_supervisor_method method, const void *bytes, size_t len);

#endif

/* The server side of the engine, sans I/O: services, connections, calls and their deadlines.
 *
 * Everything runs on one thread. The engine never sees a socket, a loop or a clock: bytes and the
 * time (CLOCK_MONOTONIC, milliseconds) are arguments. A transport does, per turn of its loop:
 *
 *     read at most rpc_connection_read_max(connection) bytes
 *     rpc_connection_receive(connection, bytes, len, now);     runs handlers of all whole frames
 *     bytes = rpc_connection_output(connection, &len);         asks streams; one write for all
 *     rpc_connection_sent(connection, written, now);
 *     unsigned wants = rpc_connection_wants(connection);       read on? write on? close?
 *     arm one timer for rpc_server_next_tick(server);          then rpc_server_tick(server, now)
 *
 * Handlers may answer at any later time; the connection's output hook then tells its transport. For
 * programs without a transport of their own there is crpc/listener.h. */
#ifndef CRPC_SERVER_H
#define CRPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crpc/crpc.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rpc_server;
struct rpc_connection;

/* Why the engine itself ends a call, without a handler's word. */
enum rpc_refusal {
    /* Unknown service or method, a NULL handler, or a kind that is not served. UNIMPLEMENTED. */
    RPC_REFUSAL_NOT_IMPLEMENTED,
    /* A mutating request has a field that we do not know. UNIMPLEMENTED. */
    RPC_REFUSAL_UNKNOWN_FIELD,
    /* Text that is not UTF-8 or has a NUL in it. INVALID_ARGUMENT. */
    RPC_REFUSAL_BAD_TEXT,
    /* Bytes that are no message, nested too deeply, or against the protocol. INVALID_ARGUMENT. */
    RPC_REFUSAL_MALFORMED,
    /* A bound of limits.h. RESOURCE_EXHAUSTED. */
    RPC_REFUSAL_LIMIT,
    /* The deadline passed. DEADLINE_EXCEEDED. */
    RPC_REFUSAL_DEADLINE,
    /* rpc_server_shut was called. UNAVAILABLE. */
    RPC_REFUSAL_SHUTTING_DOWN,
    /* An enum field has a number that we do not know. INVALID_ARGUMENT. */
    RPC_REFUSAL_UNKNOWN_VALUE,
    /* The response cannot be encoded. INTERNAL. */
    RPC_REFUSAL_INTERNAL
};

struct rpc_refusal_facts {
    enum rpc_refusal refusal;
    enum rpc_code code;
    /* The status message, NUL-terminated. */
    const char *message;
    /* NULL when the method is unknown. */
    const struct rpc_method *method;
};

/* What the application adds; every function may be NULL. `data` is handed to all of them. */
struct rpc_server_hooks {
    void *data;
    /* The typed detail of an error that the engine makes,
     * or NULL. Borrowed until the hook's next call. */
    const ProtobufCMessage *(*refusal_detail)(void *data, const struct rpc_refusal_facts *facts);
    /* Before every handler; where the client streams with `request` NULL, and then before every
     * message with it. False: the hook has ended the call (rpc_call_fail), nothing else is run. */
    bool (*admit)(void *data, struct rpc_call *call, const ProtobufCMessage *request);
};

/* `hooks` is copied. NULL without memory. */
struct rpc_server *rpc_server_new(const struct rpc_server_hooks *hooks);
/* All connections must have been freed. Calls whose handlers have not finished them die here: their
 * owners must not touch them any more. NULL is fine. */
void rpc_server_free(struct rpc_server *server);

/* `service` is borrowed and outlives the server. RPC_ALREADY_EXISTS when its name is taken,
 * RPC_RESOURCE_EXHAUSTED without memory. Only before the first connection. */
__attribute__((warn_unused_result)) enum rpc_code rpc_server_add(
    struct rpc_server *server, const struct rpc_service *service);

/* From now on every new call is answered UNAVAILABLE; calls in flight go on. */
void rpc_server_shut(struct rpc_server *server);

/* Ends the calls whose deadline has passed: their cancel hook runs and may still answer; if it does
 * not, the caller gets DEADLINE_EXCEEDED. */
void rpc_server_tick(struct rpc_server *server, int64_t now_ms);
/* When rpc_server_tick has something to do; INT64_MAX: never. Changes with every call. */
int64_t rpc_server_next_tick(const struct rpc_server *server);
/* Calls in flight, those without a caller included. */
size_t rpc_server_n_calls(const struct rpc_server *server);

/* ---- connections ---- */

/* A connection of `peer`, whom the transport has identified. Its first byte chooses the protocol:
 * ttrpc, or gRPC over HTTP/2; anything else makes it want to close. NULL without memory. */
struct rpc_connection *rpc_connection_new(struct rpc_server *server, const struct rpc_peer *peer);
/* The connection is gone: cancel hooks of its calls run; the calls themselves live until their
 * handlers finish them. Not from inside a handler or a hook of this engine. NULL is fine. */
void rpc_connection_free(struct rpc_connection *connection);
/* `ready` runs when the connection had nothing to write and now has, has a stream to ask, or has to
 * be closed, and it is not inside one of its own functions. It may only take a note: nothing of the
 * connection may be called from it. NULL: nobody is told. */
void rpc_connection_on_output(
    struct rpc_connection *connection, void (*ready)(void *data), void *data);

/* `enter` is asked for every call of this connection before anything else is said about it (even
 * that its method is unknown) or decoded; metadata is there to be read, unless it was not valid.
 * `authority` is HTTP/2's :authority or host as the peer wrote it, "" over ttrpc. False: it has
 * ended the call (rpc_call_fail). NULL: all calls pass. */
void rpc_connection_set_gate(struct rpc_connection *connection,
    bool (*enter)(void *data, struct rpc_call *call, const char *authority), void *data);
/* The graceful end: an HTTP/2 peer gets GOAWAY, first as a notice and, a round trip later, with the
 * last call that is served; a ttrpc peer's new calls are answered UNAVAILABLE. Calls in flight go
 * on; when none is left and all is written, rpc_connection_wants answers CLOSE. Idempotent; not
 * from inside a handler. Afterwards look at output and wants as after a receive. With
 * rpc_server_shut: the calls that cross the notice are still served. */
void rpc_connection_shut(struct rpc_connection *connection, int64_t now_ms);

/* Takes all `len` bytes; frames may be cut anywhere. Runs the handlers of every whole request. */
void rpc_connection_receive(
    struct rpc_connection *connection, const uint8_t *bytes, size_t len, int64_t now_ms);
/* How much to read for that in one turn of the loop, at most: RPC_RECEIVE_BYTES_MAX, and less where
 * few bytes of this peer ask for much. NULL: a peer of whom nothing is known yet. */
size_t rpc_connection_read_max(const struct rpc_connection *connection);
/* The peer will send no more (EOF): calls in flight are cancelled as if the connection were lost,
 * and rpc_connection_wants answers CLOSE once the output is written. */
void rpc_connection_receive_end(struct rpc_connection *connection);

/* What is to be written, borrowed until the next call on this connection or its calls; NULL when
 * *out_len is 0. First asks the streams that are awake for messages, in turn, while less than
 * RPC_OUTPUT_SOFT_BYTES wait and for RPC_TURN_MESSAGES_MAX at most. Not from inside a handler. */
const uint8_t *rpc_connection_output(struct rpc_connection *connection, size_t *out_len);
/* The first `len` bytes of the output have been written. Runs the handlers of requests that had to
 * wait for room. */
void rpc_connection_sent(struct rpc_connection *connection, size_t len, int64_t now_ms);

/* RPC_WANTS_* together. READ is absent while too much output waits; WRITE is also there when a
 * stream is to be asked. CLOSE: close now. */
unsigned rpc_connection_wants(const struct rpc_connection *connection);
/* Constant text for the log: why CLOSE is wanted; "" when it is not. */
const char *rpc_connection_close_reason(const struct rpc_connection *connection);

/* Time passes: half a frame for too long, or output stalled for too long, makes wants answer CLOSE.
 * Answers when to come again, INT64_MAX: after the next receive or sent. */
int64_t rpc_connection_tick(struct rpc_connection *connection, int64_t now_ms);
/* Ends streams of messages to the client that have said all there is and wait to be woken, as a
 * server that ends cannot wait for what may come: UNAVAILABLE (RPC_REFUSAL_SHUTTING_DOWN) with
 * `text`. Not from inside a handler. */
void rpc_connection_end_waiting_streams(struct rpc_connection *connection, const char *text);
/* Ends every call of this connection for its caller in that way. Cancel hooks of its unary calls
 * run, and these calls live until their handlers finish them. Not from inside a handler. */
void rpc_connection_end_calls(struct rpc_connection *connection, const char *text);
/* Calls in flight on this connection. */
size_t rpc_connection_n_calls(const struct rpc_connection *connection);
/* Memory that the peer makes us hold: cut frames, output, messages that wait, and what its calls
 * have allocated. A transport keeps the sum of all connections below RPC_HELD_BYTES_MAX. */
size_t rpc_connection_held_bytes(const struct rpc_connection *connection);

#ifdef __cplusplus
}
#endif
#endif

/* One connection on the loop: a socket, its peer, and the engine's object from the first byte on.
 *
 * In one turn it reads once and, with everything that was answered meanwhile, writes once. It
 * decides nothing about other connections, nor when its turn is. */
#ifndef FLOCKS_TRANSPORT_CONNECTION_H
#define FLOCKS_TRANSPORT_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/list.h"
#include "common/base/token.h"
#include "common/rpc/population.h"
#include "crpc/server.h"
#include "server/transport/complaints.h"
#include "server/transport/gate.h"

struct connection;

/* What all connections of a transport share. Embedded in it; outlives every connection. */
struct connection_shared {
    uv_loop_t *loop;
    struct rpc_server *server;
    struct population population;
    struct list connections;
    /* Those to be settled before the loop waits again. */
    struct list unsettled;
    /* Of these, those who have more to say than one turn takes: behind the others, so that a short
     * call never waits for somebody's long ones. */
    struct list noisy;
    uint8_t *read_buffer; /* RPC_RECEIVE_BYTES_MAX */
    /* What opens the gate of connections over TCP. */
    struct token token;
    /* The typed detail of a call that the gate refuses. NULL: there is none. */
    const ProtobufCMessage *(*gate_detail)(enum gate_verdict verdict);
    /* Something is unsettled: the loop must not wait before connection_settle. */
    void (*noted)(void *data);
    /* A peer that has to be told about in the log. */
    void (*complain)(
        void *data, enum complaint_kind kind, const struct rpc_peer *peer, const char *text);
    /* A connection over TCP has shown the token. May close it. */
    void (*entered)(void *data, struct connection *connection);
    void *data;
};

struct connection {
    struct list link;      /* in shared.connections */
    struct list unsettled; /* in shared.unsettled or shared.noisy, or alone */
    struct population_member member;
    struct connection_shared *shared;
    uv_poll_t poll;
    int fd;
    int polled_events;
    bool is_closing;
    /* Something has come, or the end: read in its turn. */
    bool is_readable;
    /* The last read was as large as it may be. */
    bool is_noisy;
    /* The peer sends no more: closing is what it wants. */
    bool has_ended;
    bool is_tcp;
    bool is_http2;
    /* Over TCP: a call has passed the gate; and that has been told. */
    bool has_entered;
    bool has_told_entering;
    /* To be closed when its calls have ended; at `ends_at` they are, and soon after it is. */
    bool is_shut;
    bool has_begun_end;
    bool has_ended_calls;
    /* All is said, and the peer has been told so; what it still sends is thrown away until it
     * closes, at `ends_at` at the latest. */
    bool is_lingering;
    int64_t shut_until;
    int64_t ends_at;
    const char *shut_text;
    struct rpc_peer peer;
    /* NULL until the first byte. */
    struct rpc_connection *rpc;
    int64_t opened_at;
    int64_t active_at;
};

/* Of whom a connection is. */
struct connection_origin {
    struct rpc_peer peer;
    /* Its pid, or its place in crowd.h. */
    int32_t crowd;
    bool is_tcp;
};

/* `fd` (non-blocking) is consumed, also on failure. */
NODISCARD int connection_open(struct connection_shared *shared, int fd,
    const struct connection_origin *origin, struct error *error);
/* What has come is still heard. Then no call is taken but those that were on their way, streams
 * that wait are ended, and the connection is closed when none is left, at the latest a little after
 * `ends_at`, when calls in flight are answered UNAVAILABLE with the constant `text`. Idempotent. */
void connection_shut(struct connection *connection, int64_t ends_at, const char *text);
/* Closes the socket at once, ends its calls, leaves all lists; the memory dies from the loop.
 * Idempotent. Not from inside a handler. */
void connection_close(struct connection *connection);

/* To be settled in one of the next turns of the loop, behind those that wait for theirs. */
void connection_note(struct connection *connection);
/* The connection's turn: reads once, writes what waits, reads on or not, closes if that is due.
 * Returns when to come again, CLOCK_NEVER if the connection is closed. */
int64_t connection_settle(struct connection *connection, int64_t now_ms);

#endif

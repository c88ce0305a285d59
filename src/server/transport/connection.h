/* One connection on the loop: a socket, its peer, and the engine's object once the door is known.
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
#include "common/rpc/population.h"
#include "crpc/server.h"
#include "server/transport/complaints.h"

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
    /* Something is unsettled: the loop must not wait before connection_settle. */
    void (*noted)(void *data);
    /* A peer that has to be told about in the log. */
    void (*complain)(
        void *data, enum complaint_kind kind, const struct rpc_peer *peer, const char *text);
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
    struct rpc_peer peer;
    /* NULL until the first byte. */
    struct rpc_connection *rpc;
    int64_t active_at;
};

/* `fd` (non-blocking) is consumed, also on failure. */
NODISCARD int connection_open(
    struct connection_shared *shared, int fd, const struct rpc_peer *peer, struct error *error);
/* Closes the socket at once, ends its calls, leaves all lists; the memory dies from the loop.
 * Idempotent. Not from inside a handler. */
void connection_close(struct connection *connection);

/* To be settled in one of the next turns of the loop, behind those that wait for theirs. */
void connection_note(struct connection *connection);
/* The connection's turn: reads once, writes what waits, reads on or not, closes if that is due.
 * Returns when to come again, CLOCK_NEVER if the connection is closed. */
int64_t connection_settle(struct connection *connection, int64_t now_ms);

#endif

/* The control socket and the loopback addresses beside it: listeners, who may enter, and the
 * connections on the loop.
 *
 * Bytes and identities only. It gets services to serve and knows neither what they mean nor what
 * stands behind them. It never binds or removes the unix socket (the keeper does) and never stops
 * accepting. */
#ifndef FLOCKS_TRANSPORT_TRANSPORT_H
#define FLOCKS_TRANSPORT_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/token.h"
#include "crpc/server.h"
#include "server/transport/gate.h"

struct transport;

/* All borrowed for the call but for what is said. */
struct transport_setup {
    uv_loop_t *loop; /* outlives the transport */
    /* Listening unix stream socket; stays the caller's and outlives the transport. Made
     * non-blocking. */
    int listen_fd;
    /* Who may enter besides root. */
    uid_t owner;
    /* The services outlive the transport. */
    const struct rpc_service *const *services;
    size_t n_services;
    /* Of the server; copied. */
    const struct rpc_server_hooks *hooks;
    /* The typed detail of a call over TCP that is refused before anything else is said about it.
     * NULL: without one. */
    const ProtobufCMessage *(*gate_detail)(enum gate_verdict verdict);
    /* Connections in all; 0: as many as limits.h and the process's descriptor limit allow. */
    size_t connections_max;
    /* Descriptors that others of this process hold all the time, so that the limit leaves less. */
    size_t descriptors_kept;
};

/* Serves from the next turn of the loop on. Raises the soft limit of descriptors to the hard one.
 */
NODISCARD int transport_open(
    const struct transport_setup *setup, struct transport **out, struct error *error);

/* Serves a listening socket of loopback.h too (consumed, also on failure): calls there need the
 * token, which is from now on that of all of them. At most LOOPBACK_COUNT at a time. */
NODISCARD int transport_add_tcp(
    struct transport *transport, int fd, const struct token *token, struct error *error);
/* Closes these sockets; connections over TCP end with their calls, as in transport_shut. */
void transport_end_tcp(struct transport *transport);

/* Every call that comes from now on is answered UNAVAILABLE. */
void transport_refuse_calls(struct transport *transport);
/* Makes room for a successor, or for the end: accepts no more (who connects to the unix socket
 * waits in its queue, which is the keeper's), and ends every connection in order. HTTP/2 clients
 * are told to go elsewhere (GOAWAY), calls in flight are given `ms`, then UNAVAILABLE; streams that
 * only wait for what may come are ended at once. `emptied` runs once, from the loop, when no
 * connection is left; it may close the transport. Callers read the constant `text`. Once. */
void transport_shut(struct transport *transport, int64_t ms, const char *text,
    void (*emptied)(void *data), void *data);

/* Accepts no more, writes what the sockets take at once, closes every connection (cancel hooks of
 * calls in flight run) and forgets the calls. The memory dies later, from the loop. Not from inside
 * a handler. NULL is accepted. */
void transport_close(struct transport *transport);

/* Connections now, for status and tests. */
size_t transport_connections(const struct transport *transport);

#endif

/* The control socket: the listener, who may enter, the doors, and the connections on the loop.
 *
 * Bytes and identities only. It gets services to serve and knows neither what they mean nor what
 * stands behind them. It never binds or removes a socket (the keeper does) and never stops
 * accepting. */
#ifndef FLOCKS_TRANSPORT_TRANSPORT_H
#define FLOCKS_TRANSPORT_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "crpc/server.h"

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
    /* Connections in all; 0: as many as limits.h and the process's descriptor limit allow. */
    size_t connections_max;
    /* Descriptors that others of this process hold all the time, so that the limit leaves less. */
    size_t descriptors_kept;
};

/* Serves from the next turn of the loop on. Raises the soft limit of descriptors to the hard one.
 */
NODISCARD int transport_open(
    const struct transport_setup *setup, struct transport **out, struct error *error);

/* Accepts no more, writes what the sockets take at once, closes every connection (cancel hooks of
 * calls in flight run) and forgets the calls. The memory dies later, from the loop. Not from inside
 * a handler. NULL is accepted. */
void transport_close(struct transport *transport);

/* Connections now, for status and tests. */
size_t transport_connections(const struct transport *transport);

#endif

/* What the kernel tells of TCP sockets that are gone: the destroy multicast of NETLINK_SOCK_DIAG,
 * unprivileged, within a millisecond of the close. A filter in the kernel lets through what may
 * have been a listener on one of our ports: everything with a remote end stays out, however many
 * connections end a second. A message proves nothing: a socket that was bound and never listened
 * makes one, too. Source: sock_diag(7), Linux net/core/sock_diag.c. */
#ifndef FLOCKS_SUPERVISE_PORT_EVENTS_H
#define FLOCKS_SUPERVISE_PORT_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* Ports that one filter tells apart. Of more, the sockets without a remote end are let through
     * for every port of the machine, and sorted out here. */
    PORT_EVENTS_FILTERED_MAX = 1024,
    /* Every port there is. */
    PORT_EVENTS_PORTS = 65536
};

enum port_events_condition {
    /* Nothing (more) to be told now. */
    PORT_EVENTS_NONE = 1,
    /* Some messages did not fit (ENOBUFS): anything may have happened to any port. */
    PORT_EVENTS_OVERRUN = 2
};

struct port_events;

/* UNAVAILABLE where this kernel or sandbox has none. Tells nothing before port_events_watch. */
NODISCARD int port_events_new(struct port_events **out, struct error *error);
void port_events_free(struct port_events *events);
/* Readable when there is something to be told. Owned by `events`. */
int port_events_fd(const struct port_events *events);

/* From now on these `n` ports, in host order, instead of the ones before; more than once is once.
 * What was let through earlier is still told if its port is among them. Negative: the ones before
 * stay. */
NODISCARD int port_events_watch(
    struct port_events *events, const uint16_t *ports, size_t n, struct error *error);
/* The port of a socket that is gone. 0, PORT_EVENTS_NONE, PORT_EVENTS_OVERRUN, or negative: nothing
 * will be told any more. Never waits, and looks at a bounded number of messages: after
 * PORT_EVENTS_NONE the descriptor may still be readable. */
NODISCARD int port_events_next(struct port_events *events, uint16_t *out_port, struct error *error);

#endif

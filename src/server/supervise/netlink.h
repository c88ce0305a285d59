/* NETLINK_SOCK_DIAG: what the kernel says about TCP sockets, unprivileged. One socket per process,
 * request and answer at once; never waits (the kernel answers within sendmsg). Source:
 * sock_diag(7). What it tells unasked is port_events.h's. */
#ifndef FLOCKS_SUPERVISE_NETLINK_H
#define FLOCKS_SUPERVISE_NETLINK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "server/supervise/endpoint.h"
#include "server/supervise/tcp_listener.h"

struct netlink;

/* Opens the diagnosis socket. UNAVAILABLE when this kernel or sandbox has none. */
NODISCARD int netlink_new(struct netlink **out, struct error *error);
void netlink_free(struct netlink *netlink);

/* The listening socket that a connection to `address` would reach, by the kernel's own choice
 * (exact lookup, not a dump): 0, TCP_LISTENER_NONE, or negative. Of a REUSEPORT group it is one
 * member. */
NODISCARD int netlink_find_listener(struct netlink *netlink, const union endpoint_address *address,
    struct tcp_listener *out, struct error *error);

/* Every socket that listens on exactly the address, port and family of `first`, `first` among them;
 * at most `capacity` are stored, *out_count counts all. One entry unless SO_REUSEPORT is in use. */
NODISCARD int netlink_list_group(struct netlink *netlink, const struct tcp_listener *first,
    struct tcp_listener *out, size_t capacity, size_t *out_count, struct error *error);

/* Every socket of `family` that listens on `port`, whatever its address; counts as above. */
NODISCARD int netlink_list_port(struct netlink *netlink, sa_family_t family, uint16_t port,
    struct tcp_listener *out, size_t capacity, size_t *out_count, struct error *error);

#endif

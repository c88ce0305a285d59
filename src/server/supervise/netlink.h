/* NETLINK_SOCK_DIAG: what the kernel says about TCP sockets, unprivileged. One socket per process,
 * request and answer at once; never waits (the kernel answers within sendmsg). Source:
 * sock_diag(7).
 *
 * The destroy multicast (SKNLGRP_INET_TCP_DESTROY) will be a second socket of this module. */
#ifndef FLOCKS_SUPERVISE_NETLINK_H
#define FLOCKS_SUPERVISE_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "server/supervise/endpoint.h"

enum {
    /* Members of one REUSEPORT group that are looked at. More: the listener is unverifiable. */
    NETLINK_LISTENERS_MAX = 64
};

/* Positive answer of the lookups: nothing listens there. */
enum netlink_condition { NETLINK_NOT_FOUND = 1 };

/* One listening socket. */
struct netlink_listener {
    uint64_t inode;
    /* Kernel's identity of the socket, never reused while the machine is up. */
    uint64_t cookie;
    uid_t uid;
    union endpoint_address bound;
    /* Interface it is bound to, 0 = any. */
    uint32_t interface;
};

struct netlink;

/* Opens the diagnosis socket. UNAVAILABLE when this kernel or sandbox has none. */
NODISCARD int netlink_new(struct netlink **out, struct error *error);
void netlink_free(struct netlink *netlink);

/* The listening socket that a connection to `address` would reach, by the kernel's own choice
 * (exact lookup, not a dump): 0, NETLINK_NOT_FOUND, or negative. Of a REUSEPORT group it is one
 * member. */
NODISCARD int netlink_find_listener(struct netlink *netlink, const union endpoint_address *address,
    struct netlink_listener *out, struct error *error);

/* Every socket that listens on exactly the address, port and family of `first`, `first` among them;
 * at most `capacity` are stored, *out_count counts all. One entry unless SO_REUSEPORT is in use. */
NODISCARD int netlink_list_group(struct netlink *netlink, const struct netlink_listener *first,
    struct netlink_listener *out, size_t capacity, size_t *out_count, struct error *error);

#endif

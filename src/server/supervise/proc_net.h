/* The listening sockets of this network namespace out of /proc/net/tcp and tcp6, for systems
 * without NETLINK_SOCK_DIAG. Coarser than that: which of several sockets a connection would reach
 * is worked out here, and an IPv6 wildcard socket counts as dual-stack, because the table does not
 * say. */
#ifndef FLOCKS_SUPERVISE_PROC_NET_H
#define FLOCKS_SUPERVISE_PROC_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "server/supervise/tcp_listener.h"

enum {
    /* So long one reading serves every question: the table is one for all ports. */
    PROC_NET_FRESH_MS = 5,
    /* Listening sockets of the machine that are read; with more, lookups fail. */
    PROC_NET_LISTENERS_MAX = 16384
};

struct proc_net;

/* `directory`: "/proc/net". UNAVAILABLE where its tcp cannot be read. */
NODISCARD int proc_net_new(const char *directory, struct proc_net **out, struct error *error);
void proc_net_free(struct proc_net *table);

/* The sockets among which a connection to `address` would be given to one; at most `capacity` are
 * stored, *out_count counts all. 0, TCP_LISTENER_NONE or negative. */
NODISCARD int proc_net_find(struct proc_net *table, const union endpoint_address *address,
    int64_t now, struct tcp_listener *out, size_t capacity, size_t *out_count, struct error *error);
/* Every socket of `family` that listens on `port`. 0 or negative. */
NODISCARD int proc_net_list_port(struct proc_net *table, sa_family_t family, uint16_t port,
    int64_t now, struct tcp_listener *out, size_t capacity, size_t *out_count, struct error *error);

/* One line of the tables, without its newline. False: not a listening socket. Pure. */
NODISCARD bool proc_net_parse(const char *line, sa_family_t family, struct tcp_listener *out);

#endif

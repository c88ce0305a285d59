/* What the kernel says of one listening TCP socket, whichever way it was asked. */
#ifndef FLOCKS_SUPERVISE_TCP_LISTENER_H
#define FLOCKS_SUPERVISE_TCP_LISTENER_H

#include <stdint.h>
#include <sys/types.h>

#include "server/supervise/endpoint.h"

enum {
    /* Sockets that may answer on one port that are looked at: the members of a REUSEPORT group, and
     * those on other addresses of a wildcard host. More: the listener is unverifiable. */
    TCP_LISTENERS_MAX = 64
};

struct tcp_listener {
    uint64_t inode;
    uid_t uid;
    union endpoint_address bound;
    /* Interface it is bound to; 0: any, or not known. */
    uint32_t interface;
};

/* Positive answer of the lookups: nothing listens there. */
enum tcp_listener_condition { TCP_LISTENER_NONE = 1 };

#endif

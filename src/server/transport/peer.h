/* Who is at the other end of a unix socket, as the kernel says, and whether it may speak. */
#ifndef FLOCKS_TRANSPORT_PEER_H
#define FLOCKS_TRANSPORT_PEER_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "crpc/crpc.h"

/* SO_PEERCRED: the process that connected, at the time it did (unix(7)). */
NODISCARD int peer_identify(int fd, struct rpc_peer *out, struct error *error);

/* The owner of the instance, and root. */
bool peer_may_enter(const struct rpc_peer *peer, uid_t owner);

#endif

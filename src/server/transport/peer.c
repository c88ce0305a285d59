#include "server/transport/peer.h"

#include <errno.h>
#include <sys/socket.h>

int peer_identify(int fd, struct rpc_peer *out, struct error *error)
{
    struct ucred credentials;
    socklen_t len = sizeof(credentials);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) != 0)
        return error_set_errno(error, errno, "ask who connected");
    out->pid = credentials.pid;
    out->uid = credentials.uid;
    out->gid = credentials.gid;
    return 0;
}

bool peer_may_enter(const struct rpc_peer *peer, uid_t owner)
{
    return peer->uid == owner || peer->uid == 0;
}

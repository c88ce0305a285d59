/* What a failed connect(2) on a unix socket means to a caller; for every client, with or without a
 * heap. */
#ifndef CRPC_CONNECT_CODE_H
#define CRPC_CONNECT_CODE_H

#include <errno.h>

#include "crpc/code.h"

/* EAGAIN: the send time-out passed while the backlog was full. */
static inline enum rpc_code rpc_code_of_connect(int error_number)
{
    switch (error_number) {
    case EACCES:
    case EPERM:
        return RPC_PERMISSION_DENIED;
    case EAGAIN:
        return RPC_DEADLINE_EXCEEDED;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
        return RPC_RESOURCE_EXHAUSTED;
    default:
        return RPC_UNAVAILABLE;
    }
}

#endif

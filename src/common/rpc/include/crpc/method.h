/* A row of the generated method tables; both sides of a call know it. */
#ifndef CRPC_METHOD_H
#define CRPC_METHOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crpc/info.h"

#ifdef __cplusplus
extern "C" {
#endif

enum rpc_kind { RPC_UNARY, RPC_SERVER_STREAM, RPC_CLIENT_STREAM, RPC_BIDI };

struct rpc_method {
    const char *service; /* "flocks.v1.SupervisorService" */
    const char *name;    /* "GetStatus" */
    enum rpc_kind kind;
    bool mutates;            /* (method).mutates: requests with unknown fields are refused */
    bool idempotent;         /* (method).idempotent: a client may repeat it */
    int64_t max_deadline_ms; /* (method).max_deadline; 0: no rule */
    const char *comment;
    const struct crpc_message_info *request;
    const struct crpc_message_info *response;
};

/* What a connection asks of whoever does its I/O. */
enum { RPC_WANTS_READ = 1, RPC_WANTS_WRITE = 2, RPC_WANTS_CLOSE = 4 };

/* A message that was given to a stream which may have no use for it yet. */
enum rpc_take {
    /* It has been dealt with, and its memory may go. */
    RPC_TAKE_DONE,
    /* Not now: the same message is given again after the stream was woken. Meanwhile nothing more
     * is given, and the bounds RPC_INBOUND_* hold for what arrives. */
    RPC_TAKE_LATER
};

#ifdef __cplusplus
}
#endif
#endif

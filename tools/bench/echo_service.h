/* bench.v1 as the typed handlers of a C program serve it. */
#ifndef FLOCKS_BENCH_ECHO_SERVICE_H
#define FLOCKS_BENCH_ECHO_SERVICE_H

#include "crpc/call.h"

/* Static; for rpc_server_add. */
const struct rpc_service *echo_service(void);
const struct rpc_service *stream_service(void);

#endif

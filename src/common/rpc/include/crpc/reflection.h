/* grpc.reflection.v1 and v1alpha, ready to be served: clients without your .proto files (buf curl,
 * grpcurl and others) list the services, see their types, and call them.
 *
 *     #include "store.index.h"                       crpc_generate(... INDEX store)
 *
 *     static const struct crpc_index *const indexes[] = {&store_index, NULL};
 *     struct rpc_service reflection = rpc_reflection_service(RPC_REFLECTION_V1, indexes);
 *     code = rpc_listener_add(listener, &reflection);
 *
 * Which services there are is what the server that is asked serves at that moment, whatever the
 * indexes say; what they look like is looked up in the indexes, which protoc-gen-crpc has made at
 * build time: no descriptor is parsed, and only what is asked for is read from the program's file.
 *
 * An answer has the file and all that it imports; what was sent before on the same stream is left
 * out. A stream answers one request at a time and holds no more than that one: a client that sends
 * without reading is bounded like any other (RPC_INBOUND_*). */
#ifndef CRPC_REFLECTION_H
#define CRPC_REFLECTION_H

#include "crpc/call.h"
#include "crpc/index.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One service under two names; older clients know the second one only. */
enum rpc_reflection_version { RPC_REFLECTION_V1, RPC_REFLECTION_V1ALPHA };

/* To be added to any number of servers. `indexes` ends with NULL and is borrowed as long as they
 * serve; the first one that knows a name answers. The descriptors of this service and of
 * crpc/health.h are known without being among them. */
struct rpc_service rpc_reflection_service(
    enum rpc_reflection_version version, const struct crpc_index *const *indexes);

#ifdef __cplusplus
}
#endif
#endif

/* An engine that only takes notes, for tests of what generated stubs ask of the real one. It stands
 * before the real one in the link, so that nothing of that is pulled in. */
#ifndef TESTS_UNIT_CRPC_FAKE_ENGINE_H
#define TESTS_UNIT_CRPC_FAKE_ENGINE_H

#include "crpc/crpc.h"

/* What the last function was given; a test begins with fake_engine_reset. */
struct fake_engine {
    /* Name of the engine's function that ran last. */
    const char *function;
    struct rpc_call *call;
    struct rpc_stream *stream;
    const struct rpc_method *method;
    /* NULL where there was none. */
    const ProtobufCMessage *sent;
    const struct rpc_stream_hooks *hooks;
    const struct rpc_watch_hooks *watch_hooks;
    const void *source;
    void *data;
    rpc_deliver_fn deliver;
    rpc_typed_fn typed;
    /* What functions of a client hand out. */
    const ProtobufCMessage *canned;
};

extern struct fake_engine fake_engine;
void fake_engine_reset(void);
/* Two handles that are never looked into. */
struct rpc_call *fake_call(void);
struct rpc_stream *fake_stream(void);

#endif

/* Ends that the server gives calls because it ends itself: with a typed refusal, so that the caller
 * knows that another one will answer. */
#include <assert.h>

#include "common/rpc/engine.h"

/* One at a time, from the front: an end may end others. `ends` says which; those that it passes
 * over are put aside. */
static void end_those(
    struct rpc_connection *connection, bool (*ends)(const struct rpc_call *call), const char *text)
{
    struct list others;
    list_init(&others);
    list_move_all(&others, &connection->calls);
    while (!list_is_empty(&others)) {
        struct rpc_call *call = CONTAINER_OF(others.next, struct rpc_call, in_owner);
        list_remove(&call->in_owner);
        list_append(&connection->calls, &call->in_owner);
        if (ends(call))
            rpc_call_dismiss(call, RPC_REFUSAL_SHUTTING_DOWN, text);
    }
}

static bool is_any(const struct rpc_call *call)
{
    (void)call;
    return true;
}

/* The stream has said everything that there is to say. */
static bool is_waiting(const struct rpc_call *call)
{
    const struct rpc_call_stream *stream = call->stream;
    return stream != NULL && rpc_call_stream_has_begun(stream) &&
           rpc_method_gives_stream(call->method) && !stream->wants_pull &&
           rpc_inbox_is_empty(&stream->inbox);
}

void rpc_connection_end_waiting_streams(struct rpc_connection *connection, const char *text)
{
    assert(!connection->is_active);
    end_those(connection, is_waiting, text);
}

void rpc_connection_end_calls(struct rpc_connection *connection, const char *text)
{
    assert(!connection->is_active);
    end_those(connection, is_any, text);
}

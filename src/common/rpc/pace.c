#include "common/rpc/pace.h"

#include "crpc/limits.h"

void rpc_pace_init(struct rpc_pace *pace)
{
    pace->bytes = RPC_RECEIVE_BYTES_FIRST;
}

size_t rpc_pace_bytes(const struct rpc_pace *pace)
{
    return pace->bytes;
}

static size_t clamp(size_t bytes)
{
    if (bytes < RPC_RECEIVE_BYTES_MIN)
        return RPC_RECEIVE_BYTES_MIN;
    return bytes < RPC_RECEIVE_BYTES_MAX ? bytes : RPC_RECEIVE_BYTES_MAX;
}

void rpc_pace_learn(struct rpc_pace *pace, size_t received, size_t answered)
{
    if (answered > RPC_TURN_ANSWER_BYTES)
        pace->bytes = clamp(received * RPC_TURN_ANSWER_BYTES / answered);
    else if (received >= pace->bytes && answered <= RPC_TURN_ANSWER_BYTES / 2)
        pace->bytes = clamp(pace->bytes * 2);
}

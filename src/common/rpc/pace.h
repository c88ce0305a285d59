/* How much to receive from one connection at once: less where few bytes ask for much.
 *
 * All frames of one receive are handled before anything else is looked at, and a peer that asks for
 * large answers without end would keep everybody else waiting. Its answers are what its requests
 * cost, near enough; the rest of them wait in its socket. Pure: no clock. */
#ifndef CRPC_PACE_H
#define CRPC_PACE_H

#include <stddef.h>

/* Private; by value. */
struct rpc_pace {
    size_t bytes;
};

void rpc_pace_init(struct rpc_pace *pace);
/* The most to receive next, RPC_RECEIVE_BYTES_MIN to RPC_RECEIVE_BYTES_MAX. */
size_t rpc_pace_bytes(const struct rpc_pace *pace);
/* `received` bytes have led to `answered` bytes of answers. */
void rpc_pace_learn(struct rpc_pace *pace, size_t received, size_t answered);

#endif

/* Messages that have come for a stream and could not be given yet, oldest first. Copies; how many
 * there may be is the session's to bound (RPC_INBOUND_*). */
#ifndef CRPC_INBOX_H
#define CRPC_INBOX_H

#include <stdbool.h>

#include "common/rpc/envelope.h"

struct rpc_inbox_message;

/* Embedded by value; private. */
struct rpc_inbox {
    struct rpc_inbox_message *first;
    struct rpc_inbox_message *last; /* undefined when there is no first */
};

void rpc_inbox_init(struct rpc_inbox *inbox);
/* Forgets all messages. */
void rpc_inbox_clear(struct rpc_inbox *inbox);
bool rpc_inbox_is_empty(const struct rpc_inbox *inbox);
/* False: no memory, and nothing was put. */
bool rpc_inbox_put(struct rpc_inbox *inbox, struct rpc_bytes message);
/* The oldest one, borrowed until it is dropped. The inbox must not be empty. */
struct rpc_bytes rpc_inbox_first(const struct rpc_inbox *inbox);
void rpc_inbox_drop_first(struct rpc_inbox *inbox);

#endif

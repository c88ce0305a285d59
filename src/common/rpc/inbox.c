#include "common/rpc/inbox.h"

#include <stdlib.h>
#include <string.h>

struct rpc_inbox_message {
    struct rpc_inbox_message *next;
    size_t len;
    uint8_t bytes[];
};

void rpc_inbox_init(struct rpc_inbox *inbox)
{
    *inbox = (struct rpc_inbox){.first = NULL};
}

void rpc_inbox_clear(struct rpc_inbox *inbox)
{
    while (!rpc_inbox_is_empty(inbox))
        rpc_inbox_drop_first(inbox);
}

bool rpc_inbox_is_empty(const struct rpc_inbox *inbox)
{
    return inbox->first == NULL;
}

bool rpc_inbox_put(struct rpc_inbox *inbox, struct rpc_bytes message)
{
    struct rpc_inbox_message *copy = malloc(sizeof *copy + message.len);
    if (copy == NULL)
        return false;
    *copy = (struct rpc_inbox_message){.len = message.len};
    if (message.len > 0)
        memcpy(copy->bytes, message.data, message.len);
    if (inbox->first == NULL)
        inbox->first = copy;
    else
        inbox->last->next = copy;
    inbox->last = copy;
    return true;
}

struct rpc_bytes rpc_inbox_first(const struct rpc_inbox *inbox)
{
    return (struct rpc_bytes){.data = inbox->first->bytes, .len = inbox->first->len};
}

void rpc_inbox_drop_first(struct rpc_inbox *inbox)
{
    struct rpc_inbox_message *oldest = inbox->first;
    inbox->first = oldest->next;
    free(oldest);
}

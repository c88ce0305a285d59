#include "common/rpc/inbox.h"

#include <stdlib.h>
#include <string.h>

struct message {
    struct list in_inbox; /* rpc_inbox.messages */
    size_t len;
    uint8_t bytes[];
};

void rpc_inbox_init(struct rpc_inbox *inbox)
{
    list_init(&inbox->messages);
}

void rpc_inbox_clear(struct rpc_inbox *inbox)
{
    while (!rpc_inbox_is_empty(inbox))
        rpc_inbox_drop_first(inbox);
}

bool rpc_inbox_is_empty(const struct rpc_inbox *inbox)
{
    return list_is_empty(&inbox->messages);
}

bool rpc_inbox_put(struct rpc_inbox *inbox, struct rpc_bytes message)
{
    struct message *copy = malloc(sizeof *copy + message.len);
    if (copy == NULL)
        return false;
    copy->len = message.len;
    if (message.len > 0)
        memcpy(copy->bytes, message.data, message.len);
    list_append(&inbox->messages, &copy->in_inbox);
    return true;
}

static struct message *first(const struct rpc_inbox *inbox)
{
    return CONTAINER_OF(inbox->messages.next, struct message, in_inbox);
}

struct rpc_bytes rpc_inbox_first(const struct rpc_inbox *inbox)
{
    const struct message *oldest = first(inbox);
    return (struct rpc_bytes){.data = oldest->bytes, .len = oldest->len};
}

void rpc_inbox_drop_first(struct rpc_inbox *inbox)
{
    struct message *oldest = first(inbox);
    list_remove(&oldest->in_inbox);
    free(oldest);
}

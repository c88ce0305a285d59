#include "tests/interop/server/tally.h"

static struct tally_waiter *waiter_of(struct list *link)
{
    return CONTAINER_OF(link, struct tally_waiter, link);
}

void tally_init(struct tally *tally)
{
    *tally = (struct tally){0};
    list_init(&tally->waiting);
}

void tally_begin(struct tally *tally)
{
    tally->begun++;
}

void tally_end(struct tally *tally, enum rpc_code code)
{
    tally->ended++;
    if (code == RPC_CANCELLED)
        tally->cancelled++;
    if (code == RPC_DEADLINE_EXCEEDED)
        tally->expired++;
    LIST_FOR_EACH_SAFE(link, &tally->waiting)
    {
        struct tally_waiter *waiter = waiter_of(link);
        if (tally->ended < waiter->until_ended)
            continue;
        tally_stop_waiting(waiter);
        waiter->heard(waiter);
    }
}

void tally_wait(struct tally *tally, struct tally_waiter *waiter)
{
    list_append(&tally->waiting, &waiter->link);
}

void tally_stop_waiting(struct tally_waiter *waiter)
{
    list_remove(&waiter->link);
}

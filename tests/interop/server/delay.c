#include "tests/interop/server/delay.h"

static struct delay *delay_of(struct list *link)
{
    return CONTAINER_OF(link, struct delay, link);
}

void delays_init(struct delays *delays)
{
    list_init(&delays->pending);
}

int64_t delays_next_at(const struct delays *delays)
{
    int64_t next_at = INT64_MAX;
    LIST_FOR_EACH(link, &delays->pending)
    {
        const struct delay *delay = delay_of(link);
        if (delay->ends_at_ns < next_at)
            next_at = delay->ends_at_ns;
    }
    return next_at;
}

void delays_run(struct delays *delays, int64_t now_ns)
{
    struct list due;
    list_init(&due);
    LIST_FOR_EACH_SAFE(link, &delays->pending)
    {
        if (delay_of(link)->ends_at_ns > now_ns)
            continue;
        list_remove(link);
        list_append(&due, link);
    }
    while (!list_is_empty(&due)) {
        struct delay *delay = delay_of(due.next);
        list_remove(&delay->link);
        delay->ended(delay);
    }
}

void delay_init(struct delay *delay, void (*ended)(struct delay *delay))
{
    *delay = (struct delay){.ended = ended};
    list_init(&delay->link);
}

void delay_begin(struct delay *delay, struct delays *delays, int64_t ends_at_ns)
{
    delay->ends_at_ns = ends_at_ns;
    list_append(&delays->pending, &delay->link);
}

bool delay_is_pending(const struct delay *delay)
{
    return !list_is_empty(&delay->link);
}

void delay_cancel(struct delay *delay)
{
    list_remove(&delay->link);
}

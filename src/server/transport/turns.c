#include "common/base/clock.h"
#include "crpc/limits.h"
#include "server/transport/crowd.h"
#include "server/transport/limits.h"
#include "server/transport/transport_private.h"

static struct connection *connection_of_unsettled(struct list *link)
{
    return CONTAINER_OF(link, struct connection, unsettled);
}

static void on_timer(uv_timer_t *timer);

/* Cut frames, unread answers: each connection is within its own bounds, all together are not. */
static void lighten(struct transport *transport)
{
    struct population_member *heaviest;

    while ((heaviest = crowd_too_heavy(&transport->shared.population)) != NULL)
        newcomers_evict(transport, heaviest, "its connections hold too much memory");
}

/* The work is done in on_check and on_prepare; an active idle handle only keeps the loop from
 * waiting. */
static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

void turns_noted(void *data)
{
    struct transport *transport = data;

    /* Fails only without a callback. */
    (void)uv_idle_start(&transport->idle, on_idle);
}

void turns_wake_at(struct transport *transport, int64_t at_ms, int64_t now_ms)
{
    if (at_ms >= transport->timer_at)
        return;
    transport->timer_at = at_ms;
    uv_update_time(transport->shared.loop);
    /* Fails only for a closing timer. */
    (void)uv_timer_start(
        &transport->timer, on_timer, at_ms > now_ms ? (uint64_t)(at_ms - now_ms) : 0, 0);
}

/* One turn each for those in `list`, until `end_at`; the first has its turn in any case. What
 * streams note while they are asked waits for the next turn: two that wake each other must not keep
 * the loop for themselves. Those whose turn did not come stay in front of those noted meanwhile. */
static void take_turns(struct transport *transport, struct list *list, int64_t end_at)
{
    int64_t now_ms = clock_monotonic_ms();
    struct list due;

    list_init(&due);
    list_move_all(&due, list);
    while (!list_is_empty(&due)) {
        turns_wake_at(
            transport, connection_settle(connection_of_unsettled(due.next), now_ms), now_ms);
        lighten(transport);
        now_ms = clock_monotonic_ms();
        transport->is_out_of_time = now_ms >= end_at;
        if (transport->is_out_of_time)
            break;
    }
    list_move_all(&due, list);
    list_move_all(list, &due);
}

static bool is_settled(const struct transport *transport)
{
    return list_is_empty(&transport->shared.unsettled) && list_is_empty(&transport->shared.noisy);
}

static bool is_empty(const struct transport *transport)
{
    return list_is_empty(&transport->shared.connections);
}

/* Nothing keeps the loop from waiting: everybody has had a turn, and nobody is to be told. */
static void rest_if_done(struct transport *transport)
{
    if (is_settled(transport) && !(transport->emptied && is_empty(transport)))
        (void)uv_idle_stop(&transport->idle);
}

void turns_settle_until(struct transport *transport, int64_t end_at)
{
    take_turns(transport, &transport->shared.unsettled, end_at);
    take_turns(transport, &transport->shared.noisy, end_at);
    rest_if_done(transport);
    turns_wake_at(transport, rpc_server_next_tick(transport->shared.server), clock_monotonic_ms());
}

static void settle(struct transport *transport)
{
    if (!is_settled(transport))
        turns_settle_until(transport, clock_add_ms(clock_monotonic_ms(), TRANSPORT_TURN_MS));
    else
        /* What was noted has been closed since. */
        rest_if_done(transport);
}

/* The last thing in a turn: who is told may close the transport. */
static void tell_if_empty(struct transport *transport)
{
    void (*emptied)(void *data) = transport->emptied;

    if (!emptied || !is_empty(transport))
        return;
    transport->emptied = NULL;
    emptied(transport->emptied_data);
}

void turns_on_check(uv_check_t *check)
{
    struct transport *transport = check->data;

    transport->is_out_of_time = false;
    settle(transport);
    tell_if_empty(transport);
}

void turns_on_prepare(uv_prepare_t *prepare)
{
    struct transport *transport = prepare->data;

    if (!transport->is_out_of_time)
        settle(transport);
}

static void on_timer(uv_timer_t *timer)
{
    struct transport *transport = timer->data;

    transport->timer_at = CLOCK_NEVER;
    rpc_server_tick(transport->shared.server, clock_monotonic_ms());
    /* Every connection says anew when it wants to be looked at. */
    LIST_FOR_EACH(link, &transport->shared.connections)
    connection_note(transport_connection_of(link));
}

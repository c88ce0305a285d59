/* One turn of a listener: what has come, what is due, what is to be written, and the end. */
#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/rpc/listener_parts.h"

/* What epoll hands over at once; the rest comes in the next turn. */
enum { EVENTS_PER_TURN = 64 };

static struct listener_connection *connection_of(struct list *link)
{
    return CONTAINER_OF(link, struct listener_connection, link);
}

static struct listener_connection *connection_of_unsettled(struct list *link)
{
    return CONTAINER_OF(link, struct listener_connection, unsettled);
}

/* ---- being woken ---- */

static void write_wake(const struct rpc_listener *listener)
{
    /* Its counter is never read: after 2^64 - 2 writes there would be no room. */
    (void)!eventfd_write(listener->wake_fd, 1);
}

void listener_wake(struct rpc_listener *listener)
{
    if (listener->is_woken)
        return;
    listener->is_woken = true;
    write_wake(listener);
}

void rpc_listener_stop(struct rpc_listener *listener)
{
    int saved = errno;
    atomic_fetch_add(&listener->stops, 1);
    write_wake(listener);
    errno = saved;
}

/* ---- time ---- */

static void wake_at(struct rpc_listener *listener, int64_t at_ms)
{
    if (at_ms < listener->timer_at)
        listener->timer_at = at_ms;
}

static void resume_accepting(struct rpc_listener *listener)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener->listen_fd};
    if (epoll_ctl(listener->epoll_fd, EPOLL_CTL_MOD, listener->listen_fd, &event) == 0)
        listener->accept_at = CLOCK_NEVER;
    else
        listener->accept_at = clock_add_ms(listener->accept_at, RPC_LISTENER_PAUSE_MS);
}

static void note_all(struct rpc_listener *listener)
{
    LIST_FOR_EACH(link, &listener->connections)
    {
        listener_connection_note(connection_of(link));
    }
}

static void run_timers(struct rpc_listener *listener, int64_t now_ms)
{
    if (now_ms < listener->timer_at)
        return;
    listener->timer_at = CLOCK_NEVER;
    rpc_server_tick(listener->server, now_ms);
    if (now_ms >= listener->accept_at)
        resume_accepting(listener);
    /* Every connection says anew when it wants to be looked at. */
    note_all(listener);
}

/* ---- the end ---- */

static void close_all(struct rpc_listener *listener)
{
    while (!list_is_empty(&listener->connections))
        listener_connection_close(connection_of(listener->connections.next));
}

static void shut(struct rpc_listener *listener, int64_t now_ms)
{
    listener->is_shut = true;
    listener->shut_at = clock_add_ms(now_ms, listener->options.shut_ms);
    listener_close_socket(listener);
    rpc_server_shut(listener->server);
    note_all(listener);
}

/* What was asked for before this turn. */
static void look_at_stops(struct rpc_listener *listener, int64_t now_ms)
{
    unsigned stops = atomic_load(&listener->stops);
    if (stops > 0 && !listener->is_shut)
        shut(listener, now_ms);
    if (stops <= 1 && now_ms < listener->shut_at)
        return;
    close_all(listener);
    listener->is_over = true;
}

/* Calls whose caller has gone are waited for, too. */
static bool is_over(const struct rpc_listener *listener)
{
    return listener->is_over || (listener->is_shut && list_is_empty(&listener->connections) &&
                                    rpc_server_n_calls(listener->server) == 0);
}

/* ---- the turn ---- */

static void dispatch(struct rpc_listener *listener, const struct epoll_event *event, int64_t now_ms)
{
    if (event->data.ptr == &listener->wake_fd)
        return;
    if (event->data.ptr != &listener->listen_fd)
        listener_connection_on_event(event->data.ptr, event->events, now_ms);
    else if (listener->listen_fd >= 0)
        listener_accept(listener, now_ms);
}

/* Those noted meanwhile wait for the next turn, or two streams that wake each other would never let
 * it come. */
static void settle_all(struct rpc_listener *listener, int64_t now_ms)
{
    struct list now;
    list_init(&now);
    list_move_all(&now, &listener->unsettled);
    while (!list_is_empty(&now)) {
        wake_at(listener, listener_connection_settle(connection_of_unsettled(now.next), now_ms));
        listener_lighten(listener);
    }
}

static void take_turn(struct rpc_listener *listener, const struct epoll_event *events, int n_events)
{
    int64_t now_ms = clock_monotonic_ms();
    listener->is_in_turn = true;
    listener->is_woken = false;
    for (int i = 0; i < n_events; i++)
        dispatch(listener, &events[i], now_ms);
    look_at_stops(listener, now_ms);
    run_timers(listener, now_ms);
    settle_all(listener, now_ms);
    listener->is_in_turn = false;
    listener_connection_free_closed(listener);
    wake_at(listener, rpc_server_next_tick(listener->server));
    wake_at(listener, listener->accept_at);
    wake_at(listener, listener->shut_at);
    if (!list_is_empty(&listener->unsettled))
        listener_wake(listener);
}

static enum rpc_result turn(struct rpc_listener *listener, int timeout_ms, struct rpc_error **error)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int n_events = epoll_wait(listener->epoll_fd, events, EVENTS_PER_TURN, timeout_ms);
    if (n_events < 0 && errno != EINTR)
        return listener_fail(error, errno, "waiting for connections", NULL);
    take_turn(listener, events, n_events);
    return is_over(listener) ? RPC_END : RPC_DONE;
}

int64_t rpc_listener_next_at(const struct rpc_listener *listener)
{
    return listener->timer_at;
}

enum rpc_result rpc_listener_process(struct rpc_listener *listener, struct rpc_error **error)
{
    return turn(listener, 0, error);
}

static int timeout_ms_until(int64_t at_ms)
{
    if (at_ms == CLOCK_NEVER)
        return -1;
    int64_t left_ms = at_ms - clock_monotonic_ms();
    if (left_ms <= 0)
        return 0;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

enum rpc_result rpc_listener_run(struct rpc_listener *listener, struct rpc_error **error)
{
    enum rpc_result result;
    do {
        result = turn(listener, timeout_ms_until(listener->timer_at), error);
    } while (result == RPC_DONE);
    return result == RPC_END ? RPC_DONE : RPC_ERROR;
}

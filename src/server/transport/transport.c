#include "server/transport/transport.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "crpc/limits.h"
#include "server/transport/connection.h"
#include "server/transport/descriptors.h"
#include "server/transport/limits.h"
#include "server/transport/listener.h"
#include "server/transport/peer.h"

struct transport {
    struct connection_shared shared;
    struct listener *listener;
    struct complaints complaints;
    /* After the loop has heard of everything: the clients' turns. */
    uv_check_t check;
    /* Before the loop waits: the turns of those noted since. */
    uv_prepare_t prepare;
    /* Runs while a connection is unsettled: what is answered in somebody else's prepare, after ours
     * has run, must not lie until the next event. */
    uv_idle_t idle;
    uv_timer_t timer;
    int64_t timer_at;
    int open_handles;
    /* The last turns took all their time: the others wait until the loop has heard of everything.
     */
    bool is_out_of_time;
    uid_t owner;
    size_t connections_max;
};

static struct connection *connection_of(struct list *link)
{
    return CONTAINER_OF(link, struct connection, link);
}

static struct connection *connection_of_unsettled(struct list *link)
{
    return CONTAINER_OF(link, struct connection, unsettled);
}

static struct connection *connection_of_member(struct population_member *member)
{
    return CONTAINER_OF(member, struct connection, member);
}

/* ---- telling ---- */

static void complain(
    void *data, enum complaint_kind kind, const struct rpc_peer *peer, const char *text)
{
    struct transport *transport = data;
    uint64_t left_out;

    if (!complaints_admit(&transport->complaints, kind, peer->pid, clock_monotonic_ms(), &left_out))
        return;
    log_warn("connection refused or closed", "pid=%d uid=%u unmentioned=%llu reason=%s",
        (int)peer->pid, (unsigned)peer->uid, (unsigned long long)left_out, text);
}

/* ---- turns of the loop ---- */

static void on_timer(uv_timer_t *timer);

static void evict(struct transport *transport, struct population_member *member, const char *reason)
{
    struct connection *connection = connection_of_member(member);

    complain(transport, COMPLAINT_CROWD, &connection->peer, reason);
    connection_close(connection);
}

/* Cut frames, unread answers: each connection is within its own bounds, all together are not. */
static void lighten(struct transport *transport)
{
    struct population *population = &transport->shared.population;

    while (population_held(population) > RPC_HELD_BYTES_MAX)
        evict(transport, population_heaviest(population), "its connections hold too much memory");
}

/* The work is done in on_check and on_prepare; an active idle handle only keeps the loop from
 * waiting. */
static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

static void on_noted(void *data)
{
    struct transport *transport = data;

    /* Fails only without a callback. */
    (void)uv_idle_start(&transport->idle, on_idle);
}

static void wake_at(struct transport *transport, int64_t at_ms, int64_t now_ms)
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
        wake_at(transport, connection_settle(connection_of_unsettled(due.next), now_ms), now_ms);
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

static void settle_until(struct transport *transport, int64_t end_at)
{
    take_turns(transport, &transport->shared.unsettled, end_at);
    take_turns(transport, &transport->shared.noisy, end_at);
    if (is_settled(transport))
        (void)uv_idle_stop(&transport->idle);
    wake_at(transport, rpc_server_next_tick(transport->shared.server), clock_monotonic_ms());
}

static void settle(struct transport *transport)
{
    if (!is_settled(transport))
        settle_until(transport, clock_add_ms(clock_monotonic_ms(), TRANSPORT_TURN_MS));
    else
        /* What was noted has been closed since: nothing keeps the loop from waiting. */
        (void)uv_idle_stop(&transport->idle);
}

static void on_check(uv_check_t *check)
{
    struct transport *transport = check->data;

    transport->is_out_of_time = false;
    settle(transport);
}

static void on_prepare(uv_prepare_t *prepare)
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
    connection_note(connection_of(link));
}

/* ---- newcomers ---- */

/* False: there is no room for one more of this peer. */
static bool admit(struct transport *transport, const struct rpc_peer *peer)
{
    struct population *population = &transport->shared.population;
    struct population_member *victim;

    if (population_count_of(population, peer->pid) >= TRANSPORT_CONNECTIONS_PER_PID)
        victim = population_victim_of(population, peer->pid);
    else if (population_count(population) >= transport->connections_max)
        victim = population_victim(population, peer->pid);
    else
        return true;
    if (!victim)
        return false;
    evict(transport, victim, "too many connections");
    return true;
}

/* Takes *fd if the peer may enter and there is room. Negative: no memory. */
static int let_in(
    struct transport *transport, const struct rpc_peer *peer, int *fd, struct error *error)
{
    if (!peer_may_enter(peer, transport->owner)) {
        complain(transport, COMPLAINT_UID, peer, "another user");
        return 0;
    }
    if (!admit(transport, peer)) {
        complain(transport, COMPLAINT_CROWD, peer, "too many connections, all of them with calls");
        return 0;
    }
    return connection_open(&transport->shared, fd_take(fd), peer, error);
}

static void on_accepted(void *data, int fd)
{
    CLEANUP(fd_close) int newcomer_fd = fd;
    struct error error = ERROR_INIT;
    struct rpc_peer peer;

    if (peer_identify(newcomer_fd, &peer, &error) < 0 ||
        let_in(data, &peer, &newcomer_fd, &error) < 0)
        log_warn("connection refused", "error=%s", error.text);
}

static bool on_make_room(void *data)
{
    struct transport *transport = data;
    struct population_member *victim = population_victim(&transport->shared.population, 0);

    if (!victim)
        return false;
    evict(transport, victim, "too many connections");
    return true;
}

static void on_turned_away(void *data)
{
    complain(data, COMPLAINT_CROWD, &(struct rpc_peer){.uid = UINT32_MAX}, "no descriptor left");
}

static const struct listener_events listener_events = {
    .accepted = on_accepted,
    .make_room = on_make_room,
    .turned_away = on_turned_away,
};

/* ---- life ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct transport *transport = handle->data;

    if (--transport->open_handles > 0)
        return;
    free(transport->shared.read_buffer);
    free(transport);
}

static int open_server(
    struct transport *transport, const struct transport_setup *setup, struct error *error)
{
    transport->shared.server = rpc_server_new(setup->hooks);
    if (!transport->shared.server)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the server");
    for (size_t i = 0; i < setup->n_services; i++) {
        enum rpc_code code = rpc_server_add(transport->shared.server, setup->services[i]);

        if (code != RPC_OK)
            return error_set(
                error, (enum status_code)code, "cannot serve %s", setup->services[i]->name);
    }
    return 0;
}

static int choose_connections_max(
    struct transport *transport, const struct transport_setup *setup, struct error *error)
{
    size_t descriptors;
    int result = descriptors_raise_limit(&descriptors, error);

    if (result < 0)
        return result;
    descriptors -= setup->descriptors_kept < descriptors ? setup->descriptors_kept : descriptors;
    transport->connections_max = descriptors_connections_max(descriptors);
    if (setup->connections_max > 0 && setup->connections_max < transport->connections_max)
        transport->connections_max = setup->connections_max;
    return 0;
}

static int open_all(
    struct transport *transport, const struct transport_setup *setup, struct error *error)
{
    int result = choose_connections_max(transport, setup, error);

    if (result == 0)
        result = open_server(transport, setup, error);
    if (result == 0)
        result = listener_open(setup->loop, setup->listen_fd, &listener_events, transport,
            &transport->listener, error);
    return result;
}

/* The parts that cannot fail but for memory, so that transport_close may always be used after it.
 */
static struct transport *transport_new(const struct transport_setup *setup)
{
    struct transport *transport = calloc(1, sizeof(*transport));

    if (!transport)
        return NULL;
    transport->shared.read_buffer = malloc(RPC_RECEIVE_BYTES_MAX);
    if (!transport->shared.read_buffer) {
        free(transport);
        return NULL;
    }
    transport->shared.loop = setup->loop;
    transport->shared.complain = complain;
    transport->shared.noted = on_noted;
    transport->shared.data = transport;
    list_init(&transport->shared.connections);
    list_init(&transport->shared.unsettled);
    list_init(&transport->shared.noisy);
    population_init(&transport->shared.population);
    transport->owner = setup->owner;
    transport->timer_at = CLOCK_NEVER;
    return transport;
}

/* Neither init nor start of these can fail in libuv 1.44 with a callback given. */
static void open_handles(struct transport *transport)
{
    (void)uv_check_init(transport->shared.loop, &transport->check);
    (void)uv_prepare_init(transport->shared.loop, &transport->prepare);
    (void)uv_idle_init(transport->shared.loop, &transport->idle);
    (void)uv_timer_init(transport->shared.loop, &transport->timer);
    transport->check.data = transport;
    transport->prepare.data = transport;
    transport->idle.data = transport;
    transport->timer.data = transport;
    transport->open_handles = 4;
    (void)uv_check_start(&transport->check, on_check);
    (void)uv_prepare_start(&transport->prepare, on_prepare);
    uv_unref((uv_handle_t *)&transport->check);
    uv_unref((uv_handle_t *)&transport->prepare);
    uv_unref((uv_handle_t *)&transport->timer);
}

int transport_open(const struct transport_setup *setup, struct transport **out, struct error *error)
{
    struct transport *transport = transport_new(setup);
    int result;

    if (!transport)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the control socket");
    open_handles(transport);
    result = open_all(transport, setup, error);
    if (result < 0) {
        transport_close(transport);
        return result;
    }
    *out = transport;
    return 0;
}

/* What has come meanwhile is not read any more. */
static void write_last_answers(struct transport *transport)
{
    LIST_FOR_EACH(link, &transport->shared.connections)
    connection_of(link)->is_readable = false;
    settle_until(transport, CLOCK_NEVER);
}

void transport_close(struct transport *transport)
{
    if (!transport)
        return;
    listener_close(transport->listener);
    if (transport->shared.server)
        write_last_answers(transport);
    while (!list_is_empty(&transport->shared.connections))
        connection_close(connection_of(transport->shared.connections.next));
    population_deinit(&transport->shared.population);
    rpc_server_free(transport->shared.server);
    uv_close((uv_handle_t *)&transport->check, on_handle_closed);
    uv_close((uv_handle_t *)&transport->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&transport->idle, on_handle_closed);
    uv_close((uv_handle_t *)&transport->timer, on_handle_closed);
}

size_t transport_connections(const struct transport *transport)
{
    return population_count(&transport->shared.population);
}

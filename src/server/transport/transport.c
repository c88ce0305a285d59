#include "server/transport/transport.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "crpc/limits.h"
#include "server/transport/descriptors.h"
#include "server/transport/limits.h"
#include "server/transport/transport_private.h"

struct connection *transport_connection_of(struct list *link)
{
    return CONTAINER_OF(link, struct connection, link);
}

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
        result = newcomers_open_door(transport, 0, setup->listen_fd, error);
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
    transport->shared.gate_detail = setup->gate_detail;
    transport->shared.complain = newcomers_complain;
    transport->shared.entered = newcomers_entered;
    transport->shared.noted = turns_noted;
    transport->shared.data = transport;
    for (size_t i = 0; i < TRANSPORT_DOORS; i++)
        transport->doors[i] = (struct transport_door){.transport = transport, .tcp_fd = -1};
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
    (void)uv_check_start(&transport->check, turns_on_check);
    (void)uv_prepare_start(&transport->prepare, turns_on_prepare);
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

/* ---- doors ---- */

static void close_doors(struct transport *transport, size_t first)
{
    for (size_t i = first; i < TRANSPORT_DOORS; i++)
        newcomers_close_door(&transport->doors[i]);
}

static int add_tcp(struct transport *transport, int *fd, struct error *error)
{
    for (size_t i = 1; i < TRANSPORT_DOORS; i++) {
        struct transport_door *door = &transport->doors[i];
        int result;

        if (door->listener)
            continue;
        door->tcp_fd = fd_take(fd);
        result = newcomers_open_door(transport, i, door->tcp_fd, error);
        if (result < 0)
            newcomers_close_door(door);
        return result;
    }
    return error_set(error, STATUS_INTERNAL, "no place for another listening socket");
}

int transport_add_tcp(
    struct transport *transport, int fd, const struct token *token, struct error *error)
{
    CLEANUP(fd_close) int listen_fd = fd;

    transport->shared.token = *token;
    return add_tcp(transport, &listen_fd, error);
}

static void shut_connections(
    struct transport *transport, bool only_tcp, int64_t ms, const char *text)
{
    int64_t ends_at = clock_add_ms(clock_monotonic_ms(), ms);

    LIST_FOR_EACH(link, &transport->shared.connections)
    {
        struct connection *connection = transport_connection_of(link);

        if (connection->is_tcp || !only_tcp)
            connection_shut(connection, ends_at, text);
    }
}

void transport_end_tcp(struct transport *transport)
{
    close_doors(transport, 1);
    shut_connections(transport, true, TRANSPORT_HAND_OVER_MS, "TCP is not served any more");
}

void transport_refuse_calls(struct transport *transport)
{
    rpc_server_shut(transport->shared.server);
}

void transport_shut(struct transport *transport, int64_t ms, const char *text,
    void (*emptied)(void *data), void *data)
{
    close_doors(transport, 0);
    transport->emptied = emptied;
    transport->emptied_data = data;
    shut_connections(transport, false, ms, text);
    /* So that the loop comes round although there may be nobody left. */
    turns_noted(transport);
}

/* ---- the end ---- */

/* What has come meanwhile is not read any more. */
static void write_last_answers(struct transport *transport)
{
    LIST_FOR_EACH(link, &transport->shared.connections)
    transport_connection_of(link)->is_readable = false;
    turns_settle_until(transport, CLOCK_NEVER);
}

void transport_close(struct transport *transport)
{
    if (!transport)
        return;
    close_doors(transport, 0);
    if (transport->shared.server)
        write_last_answers(transport);
    while (!list_is_empty(&transport->shared.connections))
        connection_close(transport_connection_of(transport->shared.connections.next));
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

/* What all services' ports share: how they are looked at, and what the kernel tells of them. */
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/supervise/supervisor_private.h"

enum {
    /* Messages taken in one turn of the loop; the rest waits for the next one. */
    EVENTS_PER_TURN = 64
};

/* ---- beginning and end ---- */

void supervisor_ports_init(struct supervisor *supervisor, enum listener_means means)
{
    struct supervisor_ports *ports = &supervisor->ports;
    struct error error = ERROR_INIT;

    if (listener_finder_new(means, &ports->finder, &error) < 0) {
        log_warn("ports cannot be verified on this system", "error=\"%s\"", error.text);
        ports->finder = NULL;
        return;
    }
    if (listener_finder_means(ports->finder) != LISTENER_BY_NETLINK)
        log_warn("ports are looked up in /proc/net only", "error=\"%s\"", error.text);
    else if (port_events_new(&ports->events, &error) < 0)
        log_warn("ports are looked at every second", "error=\"%s\"", error.text);
    ports->is_stale = true;
}

void supervisor_ports_deinit(struct supervisor *supervisor)
{
    port_events_free(supervisor->ports.events);
    listener_finder_free(supervisor->ports.finder);
}

/* ---- news ---- */

/* Every port of every service, SERVICE_PORTS_MAX of each at most. NULL: no memory. */
static uint16_t *collect_ports(const struct supervisor *supervisor, size_t *out_n)
{
    uint16_t *ports;
    size_t n = 0;

    for (uint32_t i = 0; i < supervisor->n_services; i++)
        n += supervisor->services[i]->n_ports;
    ports = calloc(n + 1, sizeof *ports);
    *out_n = 0;
    for (uint32_t i = 0; ports != NULL && i < supervisor->n_services; i++) {
        const struct service *service = supervisor->services[i];

        for (size_t k = 0; k < service->n_ports; k++)
            ports[(*out_n)++] = endpoint_address_port(&service->ports[k].endpoint.addresses[0]);
    }
    return ports;
}

/* Without news of its ports a service must be looked at every second, so all are without. */
static void give_up_events(struct supervisor *supervisor, const char *why)
{
    struct supervisor_ports *ports = &supervisor->ports;

    log_warn("ports are looked at every second", "error=\"%s\"", why);
    (void)uv_poll_stop(&ports->poll);
    port_events_free(ports->events);
    ports->events = NULL;
    supervisor_ports_look(supervisor);
}

void supervisor_ports_update(struct supervisor *supervisor)
{
    struct supervisor_ports *ports = &supervisor->ports;
    struct error error = ERROR_INIT;
    uint16_t *numbers;
    size_t n = 0;
    int result = 0;

    if (!ports->is_stale || ports->events == NULL)
        return;
    ports->is_stale = false;
    numbers = collect_ports(supervisor, &n);
    if (numbers == NULL)
        result = error_set(&error, STATUS_RESOURCE_EXHAUSTED, "no memory for a list of ports");
    else
        result = port_events_watch(ports->events, numbers, n, &error);
    free(numbers);
    if (result < 0)
        give_up_events(supervisor, error.text);
}

static bool is_wanted(const struct service *service, const uint16_t *numbers, size_t n)
{
    for (size_t i = 0; i < service->n_ports; i++) {
        uint16_t number = endpoint_address_port(&service->ports[i].endpoint.addresses[0]);

        for (size_t k = 0; k < n; k++) {
            if (numbers[k] == number)
                return true;
        }
    }
    return false;
}

/* An alarm may change any service, so they are found by their slots. */
static void alarm_services(struct supervisor *supervisor, const uint16_t *numbers, size_t n)
{
    int64_t now = clock_monotonic_ms();

    for (uint32_t slot = 0; slot < SUPERVISOR_SERVICES_MAX; slot++) {
        struct service *service = supervisor_at(supervisor, slot);

        if (service != NULL && is_wanted(service, numbers, n))
            service_ports_alarm(service, now);
    }
}

void supervisor_ports_look(struct supervisor *supervisor)
{
    for (uint32_t slot = 0; slot < SUPERVISOR_SERVICES_MAX; slot++) {
        struct service *service = supervisor_at(supervisor, slot);

        if (service != NULL && service_ports_are_watched(service)) {
            service->listening.due_at = clock_monotonic_ms();
            service_arm(service);
        }
    }
}

static void on_events(uv_poll_t *poll, int status, int flags)
{
    struct supervisor *supervisor = poll->data;
    struct error error = ERROR_INIT;
    uint16_t numbers[EVENTS_PER_TURN];
    size_t n = 0;
    int result = 0;

    (void)status;
    (void)flags;
    while (n < EVENTS_PER_TURN && result == 0) {
        result = port_events_next(supervisor->ports.events, &numbers[n], &error);
        if (result == 0)
            n++;
    }
    if (!supervisor->is_reconciled)
        return;
    if (n > 0)
        alarm_services(supervisor, numbers, n);
    if (result == PORT_EVENTS_OVERRUN)
        supervisor_ports_look(supervisor);
    if (result < 0)
        give_up_events(supervisor, error.text);
}

/* ---- holders ---- */

static void on_search(uv_timer_t *timer)
{
    struct supervisor *supervisor = timer->data;
    int64_t now = clock_monotonic_ms();

    if (listener_finder_turn(supervisor->ports.finder)) {
        for (uint32_t slot = 0; slot < SUPERVISOR_SERVICES_MAX; slot++) {
            struct service *service = supervisor_at(supervisor, slot);

            if (service != NULL)
                service_ports_named(service, now);
        }
    }
    supervisor_ports_search(supervisor);
}

void supervisor_ports_search(struct supervisor *supervisor)
{
    struct supervisor_ports *ports = &supervisor->ports;

    if (!ports->is_open || uv_is_active((uv_handle_t *)&ports->search) ||
        !listener_finder_is_searching(ports->finder))
        return;
    (void)uv_timer_start(&ports->search, on_search, HOLDER_SEARCH_PAUSE_MS, 0);
}

/* ---- handles ---- */

void supervisor_ports_open(struct supervisor *supervisor)
{
    struct supervisor_ports *ports = &supervisor->ports;

    ports->is_open = true;
    (void)uv_timer_init(supervisor->loop, &ports->search);
    ports->search.data = supervisor;
    supervisor->n_handles++;
    if (ports->events == NULL)
        return;
    if (uv_poll_init(supervisor->loop, &ports->poll, port_events_fd(ports->events)) != 0) {
        log_warn("ports are looked at every second", "error=\"the loop takes no more\"");
        port_events_free(ports->events);
        ports->events = NULL;
        return;
    }
    ports->poll.data = supervisor;
    ports->has_poll = true;
    supervisor->n_handles++;
    (void)uv_poll_start(&ports->poll, UV_READABLE, on_events);
}

void supervisor_ports_close(struct supervisor *supervisor)
{
    struct supervisor_ports *ports = &supervisor->ports;

    ports->is_open = false;
    supervisor_close_handle(supervisor, (uv_handle_t *)&ports->search);
    if (ports->has_poll)
        supervisor_close_handle(supervisor, (uv_handle_t *)&ports->poll);
}

/* A service's ports: whose they are before it starts, until it is ready and while it serves. Turns
 * looks into the machine's events; judges nothing but what the listener's grace says. */
#include "common/base/clock.h"
#include "server/supervise/service.h"
#include "server/supervise/supervisor_private.h"

static int64_t duration_ms(const Google__Protobuf__Duration *duration)
{
    return duration != NULL ? duration->seconds * 1000 + duration->nanos / 1000000 : 0;
}

/* ---- looks ---- */

static uint32_t state_of(enum listener_answer answer)
{
    switch (answer) {
    case LISTENER_NONE:
        return FLOCKS_LISTENER_STATE_NONE;
    case LISTENER_OURS:
        return FLOCKS_LISTENER_STATE_OURS;
    case LISTENER_FOREIGN:
        return FLOCKS_LISTENER_STATE_FOREIGN;
    case LISTENER_UNVERIFIABLE:
        return FLOCKS_LISTENER_STATE_UNVERIFIABLE;
    }
    return FLOCKS_LISTENER_STATE_UNSPECIFIED;
}

static void remember(
    struct service *service, size_t index, const struct listener_observation *observation)
{
    service->listening.state = state_of(observation->answer);
    service->listening.port = endpoint_address_port(&service->ports[index].endpoint.addresses[0]);
    service->listening.holder = observation->holder;
}

static void forget(struct service *service)
{
    service->listening.state = FLOCKS_LISTENER_STATE_UNSPECIFIED;
    service->listening.port = 0;
    service->listening.holder = (struct listener_holder){0};
}

/* The worst of all its ports, in words unless OURS. A look that failed says nothing, and is taken
 * as it was. */
static enum listener_answer look(struct service *service, const struct process_identity *identity,
    char *out_message, size_t out_size)
{
    struct supervisor *supervisor = service->owner;
    enum listener_answer worst = LISTENER_OURS;

    for (size_t i = 0; i < service->n_ports; i++) {
        struct listener_observation seen;
        int result = listener_lookup(supervisor->netlink, supervisor->scan,
            &service->ports[i].endpoint, identity, &service->ports[i].cache, &seen, NULL);

        if (result != 0)
            continue;
        if (i == 0 && seen.answer == LISTENER_OURS)
            service->address = seen.address;
        if (i == 0)
            remember(service, i, &seen);
        if (seen.answer == LISTENER_FOREIGN ||
            (seen.answer == LISTENER_NONE && worst != LISTENER_FOREIGN)) {
            worst = seen.answer;
            remember(service, i, &seen);
            listener_describe(&seen, out_message, out_size);
        }
    }
    return worst;
}

static bool can_look(const struct service *service)
{
    return service->n_ports > 0 && service->owner->netlink != NULL;
}

/* ---- before a start ---- */

bool service_ports_are_free(struct service *service, char *out_message, size_t out_size)
{
    if (!can_look(service) || look(service, NULL, out_message, out_size) == LISTENER_FOREIGN)
        return !can_look(service);
    forget(service);
    return true;
}

/* ---- while it starts ---- */

bool service_ports_begin_starting(struct service *service, int64_t now)
{
    forget(service);
    service->listening.lost_at = CLOCK_NEVER;
    service->listening.due_at = CLOCK_NEVER;
    if (!can_look(service))
        return false;
    service->listening.due_at = now + SERVICE_PORT_POLL_MS;
    return true;
}

bool service_ports_poll(struct service *service, int64_t now, char *out_message, size_t out_size)
{
    if (look(service, &service->identity, out_message, out_size) == LISTENER_OURS) {
        service->listening.due_at = CLOCK_NEVER;
        return true;
    }
    service->listening.due_at = now + SERVICE_PORT_POLL_MS;
    return false;
}

/* ---- while it serves ---- */

void service_ports_begin_serving(struct service *service, int64_t now)
{
    service->listening.lost_at = CLOCK_NEVER;
    service->listening.due_at = can_look(service) ? now + SERVICE_PORT_CHECK_MS : CLOCK_NEVER;
}

static void lose(struct service *service, const char *message, int64_t now)
{
    const flocks_listener_config *config = service->config->listener;
    int64_t grace = config != NULL ? duration_ms(config->grace) : 0;
    bool restarts = config == NULL || config->restart;
    struct service_listening *listening = &service->listening;

    if (listening->lost_at == CLOCK_NEVER) {
        listening->lost_at = now;
        service_observe(
            service, SERVICE_EVENT_UNHEALTHY, FLOCKS_STATE_REASON_LISTENER_LOST, message);
    }
    listening->due_at = now + SERVICE_PORT_CHECK_MS;
    if (!restarts)
        return;
    if (now - listening->lost_at >= grace) {
        service_observe(
            service, SERVICE_EVENT_UNRESPONSIVE, FLOCKS_STATE_REASON_LISTENER_LOST, message);
        return;
    }
    if (listening->lost_at + grace < listening->due_at)
        listening->due_at = listening->lost_at + grace;
}

void service_ports_check(struct service *service, int64_t now)
{
    char message[SERVICE_MESSAGE_SIZE] = "";

    if (!can_look(service))
        return;
    service->listening.due_at = now + SERVICE_PORT_CHECK_MS;
    if (look(service, &service->identity, message, sizeof message) == LISTENER_OURS) {
        service->listening.lost_at = CLOCK_NEVER;
        service_watch_recover(service);
        return;
    }
    lose(service, message, now);
}

void service_ports_end(struct service *service)
{
    forget(service);
    service->listening.due_at = CLOCK_NEVER;
    service->listening.lost_at = CLOCK_NEVER;
}

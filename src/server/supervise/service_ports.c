/* A service's ports: whose they are before it starts, until it is ready and while it serves. Turns
 * looks into the machine's events; judges nothing but what the listener's grace says. */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/supervise/port_trial.h"
#include "server/supervise/proc_file.h"
#include "server/supervise/service.h"
#include "server/supervise/supervisor_private.h"

static int64_t duration_ms(const Google__Protobuf__Duration *duration)
{
    return duration != NULL ? duration->seconds * 1000 + duration->nanos / 1000000 : 0;
}

/* Whatever looks are made with. */
static struct listener_finder *finder(const struct service *service)
{
    return service->owner->ports.finder;
}

/* ---- what is shown ---- */

static void show(struct service *service, const struct service_listening *seen)
{
    struct service_listening *listening = &service->listening;
    bool is_same = listening->state == seen->state && listening->port == seen->port &&
                   listening->is_search_pending == seen->is_search_pending &&
                   listening->holder.pid == seen->holder.pid &&
                   listening->holder.uid == seen->holder.uid;

    if (is_same)
        return;
    listening->state = seen->state;
    listening->port = seen->port;
    listening->holder = seen->holder;
    listening->is_search_pending = seen->is_search_pending;
    if (seen->state == FLOCKS_LISTENER_STATE_FOREIGN && !seen->is_search_pending)
        log_warn("port held by another process", "name=%s port=%u pid=%d uid=%u executable=%s",
            service->name, (unsigned)seen->port, (int)seen->holder.pid, (unsigned)seen->holder.uid,
            seen->holder.executable);
    supervisor_status_changed(service);
}

static void forget(struct service *service)
{
    const struct service_listening nothing = {.state = FLOCKS_LISTENER_STATE_UNSPECIFIED};

    show(service, &nothing);
}

/* ---- whose process the holder is ---- */

/* The service whose present run has started a process with this invocation; NULL: none. */
static const struct service *find_invocation(
    const struct supervisor *supervisor, const char *invocation)
{
    for (uint32_t i = 0; i < supervisor->n_services; i++) {
        const struct service *service = supervisor->services[i];

        if (service_facts_has_run(&service->facts) &&
            strcmp(service->identity.invocation, invocation) == 0)
            return service;
    }
    return NULL;
}

/* What we know of the holder besides its name: another service, or what one of us has left. */
static void describe_origin(const struct service *service, pid_t holder, char *out, size_t out_size)
{
    char invocation[PROCESS_INVOCATION_LENGTH + 1];
    char name[SERVICE_MESSAGE_SIZE / 4];
    char root[PATH_MAX];
    const struct service *other;

    out[0] = '\0';
    if (proc_invocation_read(holder, invocation) != 0 || invocation[0] == '\0')
        return;
    other = find_invocation(service->owner, invocation);
    if (other != NULL) {
        (void)snprintf(out, out_size, ", which is service %s", other->name);
        return;
    }
    if (proc_variable_read(holder, "FLOCKS_SERVICE", name, sizeof name) != 0 ||
        proc_variable_read(holder, "FLOCKS_ROOT", root, sizeof root) != 0)
        return;
    if (strcmp(root, service->owner->root) == 0)
        (void)snprintf(out, out_size, ", left over from an earlier run of service %s", name);
    else
        (void)snprintf(out, out_size, ", service %s of the flocks in %s", name, root);
}

static void describe(const struct service *service, const struct listener_observation *seen,
    char *out, size_t out_size)
{
    size_t len;

    listener_describe(seen, out, out_size);
    len = strlen(out);
    if (seen->answer == LISTENER_FOREIGN && seen->holder.visible)
        describe_origin(service, seen->holder.pid, out + len, out_size - len);
}

/* ---- looks ---- */

enum look {
    LOOK_WELL,
    /* Who holds them has to be found out first. */
    LOOK_POSTPONED,
    /* Descriptors or memory were short: it says nothing. */
    LOOK_FAILED,
    /* Nobody's, or not its own; why, is in words. */
    LOOK_BAD
};

static bool trusts_unverifiable(const struct service *service)
{
    const flocks_listener_config *config = service->config->listener;

    return config == NULL || flocks_unverifiable_listener_from((int)config->unverifiable) !=
                                 FLOCKS_UNVERIFIABLE_LISTENER_DISTRUST;
}

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

static unsigned badness(enum listener_answer answer)
{
    static const unsigned order[] = {[LISTENER_OURS] = 0,
        [LISTENER_UNVERIFIABLE] = 1,
        [LISTENER_NONE] = 2,
        [LISTENER_FOREIGN] = 3};

    return order[answer];
}

/* Before a start nobody else can have the port that the holding page answers on. */
static size_t first_port(const struct service *service, const struct process_identity *identity)
{
    return identity == NULL && supervisor_page_has_port(service) ? 1 : 0;
}

/* The worst of all its ports, in words unless it is well. */
static enum look look_with_finder(struct service *service, const struct process_identity *identity,
    char *out_message, size_t out_size)
{
    struct listener_observation worst = {.answer = LISTENER_OURS};
    struct service_listening shown = {.state = FLOCKS_LISTENER_STATE_UNSPECIFIED};
    enum look unless_bad = LOOK_WELL;
    bool is_postponed = false;
    bool has_failed = false;

    for (size_t i = first_port(service, identity); i < service->n_ports; i++) {
        struct service_port *port = &service->ports[i];
        struct listener_observation seen;
        int result =
            listener_lookup(finder(service), &port->endpoint, identity, &port->cache, &seen, NULL);

        has_failed = has_failed || result < 0;
        is_postponed = is_postponed || result == LISTENER_POSTPONED;
        if (result != 0)
            continue;
        if (i == 0 && seen.answer != LISTENER_NONE && seen.answer != LISTENER_FOREIGN)
            service->address = seen.address;
        if (shown.port != 0 && badness(seen.answer) <= badness(worst.answer))
            continue;
        worst = seen;
        shown.state = state_of(seen.answer);
        shown.port = endpoint_address_port(&port->endpoint.addresses[0]);
        shown.holder = seen.holder;
        shown.is_search_pending = seen.is_search_pending;
    }
    if (is_postponed || has_failed)
        unless_bad = is_postponed ? LOOK_POSTPONED : LOOK_FAILED;
    supervisor_ports_search(service->owner);
    if (shown.port != 0)
        show(service, &shown);
    if (worst.answer == LISTENER_OURS ||
        (worst.answer == LISTENER_UNVERIFIABLE && trusts_unverifiable(service)))
        return unless_bad;
    describe(service, &worst, out_message, out_size);
    return LOOK_BAD;
}

/* Nobody can say whose sockets are whose: whether something listens has to be enough. */
static enum look look_without(struct service *service, char *out_message, size_t out_size)
{
    struct service_listening shown = {.state = FLOCKS_LISTENER_STATE_UNCHECKED};
    enum look look = LOOK_WELL;

    for (size_t i = 0; i < service->n_ports && look != LOOK_BAD; i++) {
        const struct endpoint *endpoint = &service->ports[i].endpoint;
        enum port_trial trial = PORT_TRIAL_FREE;

        for (size_t k = 0; k < endpoint->count && trial == PORT_TRIAL_FREE; k++) {
            trial = port_trial_connect(&endpoint->addresses[k]);
            if (i == 0 && trial == PORT_TRIAL_TAKEN)
                service->address = endpoint->addresses[k];
        }
        shown.port = endpoint_address_port(&endpoint->addresses[0]);
        if (trial == PORT_TRIAL_UNKNOWN)
            look = LOOK_POSTPONED;
        if (trial == PORT_TRIAL_FREE) {
            const struct listener_observation seen = {
                .answer = LISTENER_NONE, .address = endpoint->addresses[0]};

            shown.state = FLOCKS_LISTENER_STATE_NONE;
            listener_describe(&seen, out_message, out_size);
            look = LOOK_BAD;
        }
    }
    show(service, &shown);
    return look;
}

static enum look look(struct service *service, char *out_message, size_t out_size)
{
    if (finder(service) == NULL)
        return look_without(service, out_message, out_size);
    return look_with_finder(service, &service->identity, out_message, out_size);
}

bool service_ports_are_own(struct service *service)
{
    char message[SERVICE_MESSAGE_SIZE];

    return service->n_ports == 0 || look(service, message, sizeof message) == LOOK_WELL;
}

/* ---- before a start ---- */

/* Free of listeners, but nobody could bind it: it is bound by a socket that does not listen, or is
 * the near end of a connection. Without a finder it may be anything. */
static bool is_bound(struct service *service, char *out_message, size_t out_size)
{
    for (size_t i = first_port(service, NULL); i < service->n_ports; i++) {
        const struct endpoint *endpoint = &service->ports[i].endpoint;
        struct service_listening shown = {.state = FLOCKS_LISTENER_STATE_FOREIGN,
            .port = endpoint_address_port(&endpoint->addresses[0])};
        char address[ENDPOINT_TEXT_MAX];

        if (port_trial_bind(endpoint, finder(service) != NULL) != PORT_TRIAL_TAKEN)
            continue;
        endpoint_address_text(&endpoint->addresses[0], address);
        (void)snprintf(out_message, out_size, "%s is in use by %s", address,
            finder(service) != NULL ? "a socket that does not listen"
                                    : "somebody (this system does not say by whom)");
        show(service, &shown);
        return true;
    }
    return false;
}

bool service_ports_are_free(struct service *service, char *out_message, size_t out_size)
{
    if (service->n_ports == 0)
        return true;
    if (finder(service) != NULL &&
        look_with_finder(service, NULL, out_message, out_size) == LOOK_BAD &&
        service->listening.state == FLOCKS_LISTENER_STATE_FOREIGN)
        return false;
    if (is_bound(service, out_message, out_size))
        return false;
    forget(service);
    return true;
}

/* ---- while it starts ---- */

bool service_ports_begin_starting(struct service *service, int64_t now)
{
    forget(service);
    service->listening.lost_at = CLOCK_NEVER;
    service->listening.due_at = service->n_ports > 0 ? now + SERVICE_PORT_POLL_MS : CLOCK_NEVER;
    return service->n_ports > 0;
}

static bool restarts(const struct service *service)
{
    return service->config->listener == NULL || service->config->listener->restart;
}

static int64_t grace_ms(const struct service *service)
{
    const flocks_listener_config *config = service->config->listener;

    return config != NULL ? duration_ms(config->grace) : 0;
}

/* Somebody was faster. It cannot become ready any more unless that one goes; so it does not go on
 * forever, but ends and waits for the port. */
static void judge_start(struct service *service, const char *message, int64_t now)
{
    struct service_listening *listening = &service->listening;

    if (listening->state != FLOCKS_LISTENER_STATE_FOREIGN || !restarts(service)) {
        listening->lost_at = CLOCK_NEVER;
        return;
    }
    if (listening->lost_at == CLOCK_NEVER)
        listening->lost_at = now;
    if (now - listening->lost_at >= grace_ms(service))
        service_observe(
            service, SERVICE_EVENT_UNRESPONSIVE, FLOCKS_STATE_REASON_PORT_HELD, message);
}

bool service_ports_poll(struct service *service, int64_t now, char *out_message, size_t out_size)
{
    enum look seen = look(service, out_message, out_size);

    if (seen == LOOK_WELL) {
        service->listening.lost_at = CLOCK_NEVER;
        service->listening.due_at = CLOCK_NEVER;
        return true;
    }
    service->listening.due_at = now + SERVICE_PORT_POLL_MS;
    if (seen == LOOK_BAD)
        judge_start(service, out_message, now);
    return false;
}

/* ---- while it serves ---- */

static bool has_frequent_probe(const struct service *service)
{
    return service->watch.has_probe &&
           service->watch.schedule.policy.period_ms <= SERVICE_PORT_SLOW_MS;
}

/* When a port that is well is looked at again. Where the kernel tells of the end of a listener only
 * shutdown() has to be found out: by the look that goes with every probe, else by a slow one, of
 * all services in the same moment. */
static int64_t next_look_at(const struct service *service, int64_t now)
{
    if (service->n_ports == 0)
        return CLOCK_NEVER;
    if (service->owner->ports.events == NULL)
        return now + SERVICE_PORT_CHECK_MS;
    if (has_frequent_probe(service))
        return CLOCK_NEVER;
    return (now / SERVICE_PORT_SLOW_MS + 1) * SERVICE_PORT_SLOW_MS;
}

void service_ports_begin_serving(struct service *service, int64_t now)
{
    /* Looked at once more: nothing was heard while it started, or while no flocksd ran. */
    service->listening.due_at = service->n_ports > 0 ? now : CLOCK_NEVER;
}

/* Nothing tells of a listener that comes back. */
static int64_t lost_look_ms(int64_t lost_for_ms)
{
    int64_t wait_ms = lost_for_ms / SERVICE_PORT_LOST_SHARE;

    if (wait_ms < SERVICE_PORT_POLL_MS)
        return SERVICE_PORT_POLL_MS;
    return wait_ms < SERVICE_PORT_CHECK_MS ? wait_ms : SERVICE_PORT_CHECK_MS;
}

static void lose(struct service *service, const char *message, int64_t now)
{
    struct service_listening *listening = &service->listening;
    int64_t ends_at;

    if (listening->lost_at == CLOCK_NEVER) {
        listening->lost_at = now;
        service_observe(
            service, SERVICE_EVENT_UNHEALTHY, FLOCKS_STATE_REASON_LISTENER_LOST, message);
    }
    listening->due_at = now + lost_look_ms(now - listening->lost_at);
    if (!restarts(service))
        return;
    ends_at = listening->lost_at + grace_ms(service);
    if (now >= ends_at)
        service_observe(
            service, SERVICE_EVENT_UNRESPONSIVE, FLOCKS_STATE_REASON_LISTENER_LOST, message);
    else if (ends_at < listening->due_at)
        listening->due_at = ends_at;
}

void service_ports_check(struct service *service, int64_t now)
{
    char message[SERVICE_MESSAGE_SIZE] = "";

    /* One that says it is stopping may close them. */
    if (service->n_ports == 0 || service->notified.stopping)
        return;
    switch (look(service, message, sizeof message)) {
    case LOOK_POSTPONED:
        service->listening.due_at = now + SERVICE_PORT_POLL_MS;
        return;
    case LOOK_FAILED:
        service->listening.due_at = now + SERVICE_PORT_CHECK_MS;
        return;
    case LOOK_WELL:
        service->listening.due_at = next_look_at(service, now);
        service->listening.lost_at = CLOCK_NEVER;
        service_watch_recover(service);
        return;
    case LOOK_BAD:
        lose(service, message, now);
        return;
    }
}

/* ---- news ---- */

bool service_ports_are_watched(const struct service *service)
{
    return service->n_ports > 0 && service->watch.phase == WATCH_SERVING &&
           !service->notified.stopping;
}

/* Sockets on its port that come and go without end, by whomever, must not keep us busy. */
static bool may_look_now(struct service_listening *listening, int64_t now)
{
    if (now - listening->alarms_since >= SERVICE_PORT_ALARMS_MS) {
        listening->alarms_since = now;
        listening->n_alarms = 0;
    }
    return listening->n_alarms++ < SERVICE_PORT_ALARMS_MAX;
}

void service_ports_alarm(struct service *service, int64_t now)
{
    struct service_listening *listening = &service->listening;
    int64_t later = listening->alarms_since + SERVICE_PORT_ALARMS_MS;
    bool is_held = service->facts.state == SERVICE_WAITING &&
                   service->facts.reason == FLOCKS_STATE_REASON_PORT_HELD;

    if (!is_held && !service_ports_are_watched(service))
        return;
    if (may_look_now(listening, now)) {
        if (is_held)
            service_recheck(service);
        else
            service_ports_check(service, now);
    } else if (!is_held && later < listening->due_at) {
        listening->due_at = later;
    }
    service_arm(service);
}

void service_ports_named(struct service *service, int64_t now)
{
    if (service->listening.is_search_pending)
        service_ports_alarm(service, now);
}

void service_ports_end(struct service *service)
{
    forget(service);
    service->listening.due_at = CLOCK_NEVER;
    service->listening.lost_at = CLOCK_NEVER;
}

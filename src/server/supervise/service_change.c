/* A service and its configuration: made of one, and changed to another, at once or when its run is
 * over. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/supervise/service.h"
#include "server/supervise/supervisor_private.h"

/* The spec's shell is empty afterwards. */
static void take_spec(struct service *service, struct service_spec *spec)
{
    service->config = spec->config;
    service->policy = spec->policy;
    service->ports = spec->ports;
    service->n_ports = spec->n_ports;
    service->after = spec->after;
    service->n_after = spec->config->n_after;
    if (spec->n_ports > 0)
        service->address = spec->ports[0].endpoint.addresses[0];
    service->owner->ports.is_stale = true;
    *spec = (struct service_spec){.config = NULL};
}

static void free_spec(struct service *service)
{
    struct service_spec old = {
        .config = service->config, .ports = service->ports, .after = service->after};

    service_spec_deinit(&old);
}

int service_init(struct service *service, struct supervisor *owner, uint32_t slot, const char *name,
    struct service_spec *spec, struct error *error)
{
    *service = (struct service){.owner = owner,
        .name = strdup(name),
        .slot = slot,
        .facts = service_machine_initial(clock_monotonic_ms()),
        .since_wall_ns = clock_wall_ns(),
        .task_slot = SERVICE_NO_SLOT,
        .told_state = SERVICE_STOPPED};
    service->listening.lost_at = CLOCK_NEVER;
    list_init(&service->launch);
    service_end_init(service);
    service_task_init(service);
    list_init(&service->news.link);
    service->news.state = SERVICE_STOPPED;
    take_spec(service, spec);
    return service->name != NULL ? 0 : error_set_errno(error, ENOMEM, "make service %s", name);
}

void service_deinit(struct service *service)
{
    service_watch_end(service);
    sweep_cancel(&service->sweep);
    sweep_cancel(&service->task.sweep);
    signalled_clear(&service->signalled);
    probe_history_clear(&service->history);
    packed_clear(&service->packed);
    list_remove(&service->news.link);
    service_spec_deinit(&service->next);
    free_spec(service);
    free(service->name);
}

/* ---- changing ---- */

static void adopt(struct service *service, struct service_spec *spec)
{
    struct error error = ERROR_INIT;

    supervisor_unlink_service(service);
    free_spec(service);
    take_spec(service, spec);
    (void)supervisor_link_service(service);
    supervisor_claim_task_slot(service);
    supervisor_release_task_slot(service);
    service->config_revision++;
    service->owner->ports.is_stale = true;
    if (supervisor_register_output(service, &error) < 0)
        log_error("output not captured", "name=%s error=\"%s\"", service->name, error.text);
}

void service_change(struct service *service, struct service_spec *spec, bool while_running)
{
    bool runs = service_facts_has_run(&service->facts);

    service_spec_deinit(&service->next);
    service->config_revision++;
    if (runs && !while_running) {
        service->next = *spec;
        *spec = (struct service_spec){.config = NULL};
        return;
    }
    if (runs)
        service_watch_pause(service);
    adopt(service, spec);
    if (runs)
        service_watch_go_on(service, clock_monotonic_ms());
}

void service_take_next(struct service *service)
{
    if (service->next.config == NULL || service_facts_has_run(&service->facts))
        return;
    adopt(service, &service->next);
    service->owner->has_changes = true;
}

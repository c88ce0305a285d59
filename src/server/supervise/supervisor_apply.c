/* What becomes of services when the configuration changes. */
#include "common/base/log.h"
#include "server/supervise/supervisor_private.h"

/* ---- letting go ---- */

static void on_forgotten(void *data, int result, const struct error *error)
{
    if (result < 0 && result != -STATUS_UNAVAILABLE)
        log_error(
            "output not closed", "slot=%u error=\"%s\"", (unsigned)(uintptr_t)data, error->text);
}

/* An exec probe that has been killed is waited for: its slot is not free before. */
static bool may_go(const struct service *service)
{
    return service->is_retiring && service->facts.state == SERVICE_STOPPED &&
           !service->task_alive &&
           operations_active_step(&service->owner->operations, service->slot) == NULL;
}

static void let_go(struct service *service)
{
    struct supervisor *supervisor = service->owner;
    struct error error = ERROR_INIT;

    log_info("service removed", "name=%s slot=%u", service->name, (unsigned)service->slot);
    supervisor_take_out_service(service);
    if (keeper_link_forget(supervisor->link, service->slot, on_forgotten,
            (void *)(uintptr_t)service->slot, &error) < 0)
        log_error("output not closed", "name=%s error=\"%s\"", service->name, error.text);
    supervisor_close_service(service);
    supervisor_mark_dirty(supervisor);
}

void supervisor_settle_changes(struct supervisor *supervisor)
{
    if (!supervisor->is_reconciled)
        return;
    while (supervisor->has_changes) {
        supervisor->has_changes = false;
        for (uint32_t i = 0; i < supervisor->n_services; i++)
            supervisor_advance(supervisor->services[i]);
    }
    for (uint32_t i = supervisor->n_services; i > 0; i--) {
        if (may_go(supervisor->services[i - 1]))
            let_go(supervisor->services[i - 1]);
    }
}

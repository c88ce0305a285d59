/* When the holding page is open: while a service that an upgrade's lease holds is wanted and
 * nothing of it runs. It is closed in the same breath in which that service is spawned. */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/supervise/holding_page.h"
#include "server/supervise/lease_private.h"

enum {
    /* Who has the port is asked again after this: it is somebody whom the service waits for, too.
     */
    PAGE_BUSY_MS = 100,
    /* ... and after this what is not likely to change: no such address, not allowed. */
    PAGE_FAILED_MS = 2000
};

/* ---- the rule ---- */

/* Its set is proven empty, and it is meant to be back. A prepare step is not the service yet. */
static bool is_absent(const struct service *service)
{
    enum service_state state = service->facts.state;

    if (state == SERVICE_PREPARING)
        return true;
    return (state == SERVICE_PAUSED || state == SERVICE_WAITING || state == SERVICE_BACKOFF) &&
           !service_facts_has_run(&service->facts);
}

static bool wants_page(const struct lease *lease, const struct service *service)
{
    return lease->holding_page && lease->facts.phase != LEASE_OPENING && service->facts.wanted &&
           service->config->port != 0 && is_absent(service);
}

/* ---- opening and closing ---- */

static void tell_lease(const struct supervisor *supervisor)
{
    struct lease *lease = leases_find(&supervisor->leases, supervisor->page.lease_id);

    if (lease != NULL)
        lease_changed(lease);
}

static void close_page(struct supervisor *supervisor, const char *why)
{
    struct supervisor_page *page = &supervisor->page;

    if (page->page == NULL)
        return;
    holding_page_close(&page->page);
    log_info("holding page closed", "name=%s reason=\"%s\"", page->service, why);
    tell_lease(supervisor);
}

static void note_failure(struct supervisor_page *page, int result, const struct error *error)
{
    bool is_busy = result == HOLDING_PAGE_BUSY;

    page->retry_at = clock_add_ms(clock_monotonic_ms(), is_busy ? PAGE_BUSY_MS : PAGE_FAILED_MS);
    if (!page->is_failing)
        log_warn("holding page not open", "name=%s error=\"%s\"", page->service,
            is_busy ? "the port is in use" : error->text);
    page->is_failing = true;
}

static void open_page(
    struct supervisor *supervisor, const struct lease *lease, const struct service *service)
{
    struct supervisor_page *page = &supervisor->page;
    struct error error = ERROR_INIT;
    char text[ENDPOINT_TEXT_MAX];
    int result;

    if (clock_monotonic_ms() < page->retry_at)
        return;
    result = holding_page_open(supervisor->loop, service->config->host,
        (uint16_t)service->config->port, &page->page, &error);
    if (result != 0) {
        note_failure(page, result, &error);
        return;
    }
    page->is_failing = false;
    (void)snprintf(page->lease_id, sizeof page->lease_id, "%s", lease->id);
    endpoint_address_text(holding_page_address(page->page), text);
    log_info("holding page open", "name=%s address=%s lease=%s", page->service, text, lease->id);
    tell_lease(supervisor);
}

static void on_timer(uv_timer_t *timer)
{
    /* The loop is awake: its turn looks. */
    (void)timer;
}

static void arm(struct supervisor *supervisor)
{
    struct supervisor_page *page = &supervisor->page;
    int64_t wait = page->retry_at - clock_monotonic_ms();

    uv_update_time(supervisor->loop);
    (void)uv_timer_start(&page->timer, on_timer, wait > 0 ? (uint64_t)wait : 0, 0);
}

void supervisor_page_turn(struct supervisor *supervisor)
{
    struct supervisor_page *page = &supervisor->page;
    const struct service *service;
    const struct lease *lease;

    if (!supervisor->is_reconciled || supervisor->is_closing || page->service[0] == '\0' ||
        (page->page == NULL && list_is_empty(&supervisor->leases.all)))
        return;
    service = supervisor_find(supervisor, page->service);
    lease = service != NULL ? leases_holding(&supervisor->leases, service->name) : NULL;
    if (lease == NULL || !wants_page(lease, service)) {
        close_page(supervisor, "it is not wanted any more");
        page->retry_at = 0;
        page->is_failing = false;
        (void)uv_timer_stop(&page->timer);
        return;
    }
    if (page->page == NULL)
        open_page(supervisor, lease, service);
    if (page->page == NULL)
        arm(supervisor);
    else
        holding_page_say(page->page,
            lease->facts.phase == LEASE_ROLLBACK_FAILED ? HOLDING_STUCK : HOLDING_UPDATING);
}

bool supervisor_page_has_port(const struct service *service)
{
    const struct supervisor_page *page = &service->owner->page;

    return page->page != NULL && strcmp(page->service, service->name) == 0;
}

void supervisor_page_yield(const struct service *service)
{
    if (supervisor_page_has_port(service))
        close_page(service->owner, "its service starts");
}

const union endpoint_address *supervisor_page_of(const struct lease *lease)
{
    const struct supervisor *supervisor = lease->supervisor;
    const struct supervisor_page *page = &supervisor->page;

    if (page->page == NULL || strcmp(page->lease_id, lease->id) != 0)
        return NULL;
    return holding_page_address(page->page);
}

/* ---- beginning and end ---- */

void supervisor_page_choose(struct supervisor *supervisor, const flocks_config *config)
{
    struct supervisor_page *page = &supervisor->page;
    const char *name = config->update != NULL ? config->update->holding_page : "";

    if (strcmp(page->service, name) == 0)
        return;
    close_page(supervisor, "another service is configured");
    (void)snprintf(page->service, sizeof page->service, "%s", name);
}

void supervisor_page_begin(struct supervisor *supervisor)
{
    (void)uv_timer_init(supervisor->loop, &supervisor->page.timer);
    supervisor->n_handles++;
}

void supervisor_page_end(struct supervisor *supervisor)
{
    holding_page_close(&supervisor->page.page);
    supervisor_close_handle(supervisor, (uv_handle_t *)&supervisor->page.timer);
}

/* The keeper's news, and what it had when this flocksd began. */
#include <signal.h>
#include <stdio.h>

#include "common/base/log.h"
#include "server/supervise/supervisor_private.h"

/* ---- events ---- */

static void on_exited(void *data, const struct keeper_exit *exit)
{
    struct supervisor *supervisor = data;
    struct service *owner;

    /* Told again after a take-over, but what came of it is in the state. */
    if (exit->sequence <= supervisor->exits_done)
        return;
    supervisor->exits_done = exit->sequence;
    supervisor_mark_dirty(supervisor);
    if (exit->stray) {
        supervisor->are_strays_reaped = true;
    } else if (supervisor_at(supervisor, exit->slot) != NULL) {
        service_exited(supervisor_at(supervisor, exit->slot), exit);
    } else {
        owner = supervisor_task_owner(supervisor, exit->slot);
        if (owner != NULL)
            service_task_exited(owner, exit);
    }
}

static void shut_down(struct supervisor *supervisor)
{
    const struct supervisor_request request = {
        .kind = FLOCKS_OPERATION_KIND_SHUTDOWN, .requester_pid = supervisor->keeper_pid};
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    struct error error = ERROR_INIT;

    if (supervisor_begin(supervisor, &request, id, &error) < 0)
        log_error("shutdown refused", "error=\"%s\"", error.text);
}

static void on_shutdown_requested(void *data, int signal_number)
{
    log_info("shutdown asked for by a signal to the keeper", "signal=%d", signal_number);
    shut_down(data);
}

static void on_lost(void *data, const struct error *error)
{
    struct supervisor *supervisor = data;

    if (supervisor->is_lost || supervisor->has_ended)
        return;
    log_error("keeper lost", "error=\"%s\"", error->text);
    supervisor->is_lost = true;
    supervisor_daemon_changed(supervisor);
    supervisor_save(supervisor);
    if (supervisor->lost != NULL)
        supervisor->lost(supervisor->data, error);
    else
        supervisor_abandon(supervisor);
}

void supervisor_abandon(struct supervisor *supervisor)
{
    log_error("ending the services without a keeper", "count=%u", (unsigned)supervisor->n_services);
    for (uint32_t i = 0; i < supervisor->n_services; i++)
        service_kill(supervisor->services[i]);
    supervisor_end(supervisor);
}

static const struct keeper_link_events link_events = {.exited = on_exited,
    .shutdown_requested = on_shutdown_requested,
    .replaced = supervisor_replaced,
    .lost = on_lost};

/* ---- what the keeper has ---- */

static const struct keeper_child *find_child(
    const struct keeper_child *children, size_t n_children, uint32_t slot, uint32_t run)
{
    for (size_t i = 0; i < n_children; i++) {
        if (children[i].slot == slot && (run == 0 || children[i].generation == run))
            return &children[i];
    }
    return NULL;
}

/* An exec check whose service is no more. */
static void kill_probe(struct supervisor *supervisor, const struct keeper_child *child)
{
    struct process_identity identity = {
        .leader = {.pid = child->pid, .start_ticks = child->start_ticks},
        .mark = child->rttime_mark};

    log_info("earlier probe killed", "pid=%d slot=%u", (int)child->pid, (unsigned)child->slot);
    (void)!keeper_link_signal(supervisor->link, child->slot, child->generation, SIGKILL,
        KEEPER_SCOPE_GROUP, NULL, NULL, NULL);
    service_note_invocation(&identity, child->invocation);
    sweeper_bury(supervisor->sweeper, &identity, "an earlier probe");
}

static void reconcile_service(
    struct service *service, const struct keeper_child *children, size_t n_children)
{
    const struct service_facts *facts = &service->facts;
    const struct keeper_child *child;

    if (service_facts_has_run(facts)) {
        child = find_child(children, n_children, service->slot, facts->run);
        service_resume(service, child);
        return;
    }
    child = find_child(children, n_children, service->slot, 0);
    if (child != NULL && child->generation > facts->last_run)
        service_adopt(service, child);
    else
        service_resume(service, NULL);
}

/* Exec checks of the flocksd before, with what they started: nobody waits for their results. */
static void end_checks(
    struct supervisor *supervisor, const struct keeper_child *children, size_t n_children)
{
    for (size_t i = 0; i < n_children; i++) {
        struct service *owner = supervisor_task_owner(supervisor, children[i].slot);

        if (supervisor_at(supervisor, children[i].slot) != NULL)
            continue;
        if (owner != NULL)
            service_task_adopt(owner, &children[i]);
        else if (!children[i].exited)
            kill_probe(supervisor, &children[i]);
    }
    for (uint32_t i = 0; i < supervisor->n_services; i++)
        service_task_adopt(supervisor->services[i], NULL);
}

static void reconcile(
    struct supervisor *supervisor, const struct keeper_child *children, size_t n_children)
{
    supervisor->is_reconciled = true;
    end_checks(supervisor, children, n_children);
    supervisor_daemon_changed(supervisor);
    for (uint32_t i = 0; i < supervisor->n_services; i++)
        reconcile_service(supervisor->services[i], children, n_children);
    for (uint32_t i = 0; i < supervisor->n_services; i++) {
        supervisor_status_changed(supervisor->services[i]);
        service_arm(supervisor->services[i]);
        supervisor_advance(supervisor->services[i]);
    }
    supervisor_resume_replacement(supervisor);
    supervisor_hear_begin(supervisor);
    leases_resume(supervisor);
}

static void on_listed(void *data, int result, const struct keeper_child *children,
    size_t n_children, const struct error *error)
{
    struct supervisor *supervisor = data;
    struct error watch_error = ERROR_INIT;

    if (supervisor->is_closing)
        return;
    if (result < 0) {
        on_lost(supervisor, error);
        return;
    }
    reconcile(supervisor, children, n_children);
    supervisor_mark_dirty(supervisor);
    if (keeper_link_watch(supervisor->link, &link_events, supervisor, &watch_error) < 0)
        on_lost(supervisor, &watch_error);
}

int supervisor_reconcile(struct supervisor *supervisor, struct error *error)
{
    return keeper_link_list(supervisor->link, on_listed, supervisor, error);
}

#include "server/supervise/supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/schema/message.h"
#include "server/supervise/leftovers.h"
#include "server/supervise/supervisor_private.h"

void supervisor_mark_dirty(struct supervisor *supervisor)
{
    supervisor->is_dirty = true;
}

size_t supervisor_count(const struct supervisor *supervisor)
{
    return supervisor->n_services;
}

void supervisor_mark_stale(struct supervisor *supervisor, int64_t now)
{
    if (now - supervisor->saved_at >= SUPERVISOR_STALE_MS)
        supervisor_mark_dirty(supervisor);
}

/* ---- the loop ---- */

/* Spawns that wait for the state to be written: one that was asked for and not written would be a
 * process that the next flocksd knows nothing of. */
static bool launch_services(struct supervisor *supervisor)
{
    struct list due;
    bool any = !list_is_empty(&supervisor->launches);

    list_init(&due);
    list_move_all(&due, &supervisor->launches);
    while (!list_is_empty(&due)) {
        struct service *service = CONTAINER_OF(due.next, struct service, launch);

        list_remove(&service->launch);
        service_launch(service);
    }
    return any;
}

/* Until the services of a fresh start have been asked to start, the configuration is the better
 * thing to begin from. */
static bool has_something_to_keep(const struct supervisor *supervisor)
{
    return !supervisor->is_fresh || supervisor->is_reconciled;
}

static void save_once(struct supervisor *supervisor)
{
    supervisor->saved_at = clock_monotonic_ms();
    supervisor_write_events(supervisor);
    state_save(supervisor);
    supervisor_tell_events(supervisor);
}

void supervisor_settle_events(struct supervisor *supervisor)
{
    if (has_something_to_keep(supervisor) && supervisor_has_news(supervisor))
        save_once(supervisor);
}

/* A spawn that fails at once changes the state again, and after a few asks for the next one only
 * when some time has passed: this ends. While the keeper spawns it is left alone: the answer will
 * change the state again, and acknowledges what led to the spawn, too. */
void supervisor_save(struct supervisor *supervisor)
{
    supervisor_ports_update(supervisor);
    while (supervisor->is_dirty && has_something_to_keep(supervisor)) {
        supervisor->is_dirty = false;
        save_once(supervisor);
        if (!launch_services(supervisor))
            keeper_link_acknowledge(supervisor->link, supervisor->exits_done);
    }
}

/* However many orphans were reaped in this turn, any of them may have been a set's last. */
static void hurry_endings(struct supervisor *supervisor)
{
    if (!supervisor->are_strays_reaped)
        return;
    supervisor->are_strays_reaped = false;
    for (uint32_t i = 0; i < supervisor->n_services; i++) {
        if (supervisor->services[i]->facts.state == SERVICE_STOPPING)
            service_hurry_end(supervisor->services[i]);
    }
}

/* What was changed in this turn is written once, before the loop sleeps; only then are processes
 * asked for that it speaks of, may the keeper forget the exits that led to it, and do clients hear,
 * who may change something again.
 */
static void on_prepare(uv_prepare_t *prepare)
{
    struct supervisor *supervisor = prepare->data;

    hurry_endings(supervisor);
    leases_turn(supervisor);
    supervisor_expire_operations(supervisor);
    supervisor_settle_changes(supervisor);
    supervisor_page_turn(supervisor);
    supervisor_save(supervisor);
    leases_tell_waiters(supervisor);
    upgrades_tell(supervisor);
    supervisor_tell_waiters(supervisor);
    if (supervisor->is_closing)
        return;
    supervisor_settle_changes(supervisor);
    supervisor_page_turn(supervisor);
    supervisor_save(supervisor);
}

/* ---- making it ---- */

int supervisor_keep_config(
    struct supervisor *supervisor, const flocks_get_config_response *config, struct error *error)
{
    size_t len = protobuf_c_message_get_packed_size(&config->base);
    uint8_t *packed;

    if (config->config == NULL)
        return error_set(error, STATUS_INVALID_ARGUMENT, "there is no configuration");
    packed = malloc(len + 1);
    if (packed == NULL)
        return error_set_errno(error, ENOMEM, "keep the configuration");
    supervisor->packed_config_len = protobuf_c_message_pack(&config->base, packed);
    free(supervisor->packed_config);
    supervisor->packed_config = packed;
    (void)snprintf(
        supervisor->config_digest, sizeof supervisor->config_digest, "%s", config->digest);
    supervisor_page_choose(supervisor, config->config);
    return 0;
}

/* What its mark betrays, then what is in its group. */
static int end_leftovers(const struct supervisor *supervisor, struct error *error)
{
    int result = leftovers_end(supervisor->run, &(size_t){0}, error);

    if (result == 0)
        cgroup_home_clear(&supervisor->cgroups);
    return result;
}

static uint64_t count_strays(void *data, uint64_t mark)
{
    const struct supervisor *supervisor = data;

    return keeper_link_strays_of(supervisor->link, mark);
}

static int make_observers(struct supervisor *supervisor, struct error *error)
{
    const struct sweeper_setup sweeper = {
        .loop = supervisor->loop, .strays = count_strays, .data = supervisor};
    int result = process_scan_new(&supervisor->scan, error);

    cgroup_home_open(supervisor->root, &supervisor->cgroups);
    supervisor->oom_kills = machine_oom_kills();
    if (result == 0)
        result = sweeper_new(&sweeper, &supervisor->sweeper, error);
    if (result < 0)
        return result;
    supervisor->sessions = calloc(1, sizeof *supervisor->sessions);
    if (supervisor->sessions == NULL)
        return error_set_errno(error, ENOMEM, "make the table of sessions");
    process_sessions_init(supervisor->sessions);
    (void)process_sessions_add(supervisor->sessions, getsid(0));
    (void)process_sessions_add(supervisor->sessions, getsid(supervisor->keeper_pid));
    supervisor_ports_init(supervisor, LISTENER_BY_NETLINK);
    return 0;
}

/* No handle is open yet: memory only. */
static void supervisor_free(struct supervisor *supervisor)
{
    for (uint32_t i = 0; i < supervisor->n_services; i++)
        supervisor_free_service(supervisor->services[i]);
    leases_deinit(&supervisor->leases);
    upgrades_deinit(&supervisor->upgrades);
    supervisor_close_events(supervisor);
    if (supervisor->operations.queues != NULL)
        operations_deinit(&supervisor->operations);
    state_store_close(supervisor->store);
    supervisor_ports_deinit(supervisor);
    process_scan_free(supervisor->scan);
    cgroup_home_close(&supervisor->cgroups);
    if (supervisor->sessions != NULL)
        process_sessions_deinit(supervisor->sessions);
    free(supervisor->sessions);
    free(supervisor->packed_config);
    free(supervisor->services);
    free(supervisor->slots);
    free(supervisor->task_owners);
    free(supervisor);
}

static void set_basics(struct supervisor *supervisor, const struct supervisor_setup *setup)
{
    supervisor->loop = setup->loop;
    supervisor->link = setup->link;
    supervisor->ended = setup->ended;
    supervisor->lost = setup->lost;
    supervisor->configured = setup->configured;
    supervisor->replace = setup->replace;
    if (setup->replacement != NULL)
        (void)snprintf(
            supervisor->replacement, sizeof supervisor->replacement, "%s", setup->replacement);
    supervisor->data = setup->data;
    supervisor->keeper_pid = setup->keeper_pid;
    supervisor->earlier_keepers = setup->earlier_keepers;
    supervisor->takeovers = setup->earlier_starts;
    supervisor->started_wall_ns = clock_wall_ns();
    supervisor->config_request = setup->config_request;
    list_init(&supervisor->jobs);
    supervisor->is_fresh = setup->config != NULL;
    (void)snprintf(supervisor->keeper_version, sizeof supervisor->keeper_version, "%s",
        setup->keeper_version != NULL ? setup->keeper_version : "");
    (void)snprintf(supervisor->root, sizeof supervisor->root, "%s", setup->paths->root);
    (void)snprintf(supervisor->socket, sizeof supervisor->socket, "%s", setup->paths->socket);
    (void)snprintf(supervisor->run, sizeof supervisor->run, "%s", setup->paths->run);
    (void)snprintf(supervisor->logs, sizeof supervisor->logs, "%s", setup->paths->logs);
    supervisor->notify_fd = setup->notify_fd;
    (void)snprintf(
        supervisor->notify_path, sizeof supervisor->notify_path, "%s", setup->paths->notify);
    list_init(&supervisor->spawns);
    list_init(&supervisor->launches);
    list_init(&supervisor->news.services);
    list_init(&supervisor->news.leases);
    list_init(&supervisor->news.watches);
    supervisor->news.kept = EVENTS_KEPT_NONE;
    supervisor->pid = (int32_t)getpid();
    leases_init(&supervisor->leases);
    upgrades_init(&supervisor->upgrades);
    list_init(&supervisor->upgrade_watches);
    list_init(&supervisor->upgrade_starts);
    list_init(&supervisor->care.children);
    supervisor->care.due_at = CLOCK_NEVER;
}

static int make_fresh(
    struct supervisor *supervisor, const flocks_get_config_response *config, struct error *error)
{
    int result = supervisor_keep_config(supervisor, config, error);

    if (result == 0)
        result = supervisor_make_services(supervisor, config->config, error);
    return result == 0 ? leases_begin_afresh(supervisor, error) : result;
}

static int make_contents(
    struct supervisor *supervisor, const struct supervisor_setup *setup, struct error *error)
{
    uint32_t instance = (uint32_t)(supervisor->started_wall_ns / 1000000000);
    int result = state_store_open(setup->state_fd, &supervisor->store, error);

    if (result == 0)
        result = make_observers(supervisor, error);
    if (result == 0)
        result = operations_init(&supervisor->operations, SUPERVISOR_SERVICES_MAX, instance, error);
    if (result < 0)
        return result;
    result = setup->config != NULL ? make_fresh(supervisor, setup->config, error)
                                   : state_load(supervisor, error);
    return result == 0 ? supervisor_open_events(supervisor, error) : result;
}

void supervisor_open_service(struct service *service)
{
    (void)uv_timer_init(service->owner->loop, &service->timer);
    service->timer.data = service;
    service->owner->n_handles++;
}

static void open_handles(struct supervisor *supervisor)
{
    for (uint32_t i = 0; i < supervisor->n_services; i++)
        supervisor_open_service(supervisor->services[i]);
    (void)uv_timer_init(supervisor->loop, &supervisor->operations_timer);
    supervisor->operations_timer.data = supervisor;
    (void)uv_prepare_init(supervisor->loop, &supervisor->prepare);
    supervisor->prepare.data = supervisor;
    (void)uv_prepare_start(&supervisor->prepare, on_prepare);
    supervisor_ports_open(supervisor);
    supervisor_page_begin(supervisor);
    leases_open(supervisor);
    upgrades_open(supervisor);
    supervisor->n_handles += 5; /* and the sweeper */
    supervisor_file_open(supervisor);
}

bool supervisor_has_state(int state_fd)
{
    struct state_store *store = NULL;
    const uint8_t *bytes;
    size_t len;
    bool has;

    if (state_store_open(state_fd, &store, NULL) < 0)
        return false;
    has = state_store_read(store, &bytes, &len) == 0;
    state_store_close(store);
    return has;
}

int supervisor_new(
    const struct supervisor_setup *setup, struct supervisor **out, struct error *error)
{
    struct supervisor *supervisor = calloc(1, sizeof *supervisor);
    int result;

    if (supervisor == NULL)
        return error_set_errno(error, ENOMEM, "make the supervisor");
    set_basics(supervisor, setup);
    result = make_contents(supervisor, setup, error);
    if (result == 0 && supervisor->is_fresh)
        result = end_leftovers(supervisor, error);
    if (result == 0)
        result = supervisor_register_outputs(supervisor, error);
    if (result == 0)
        result = supervisor_reconcile(supervisor, error);
    if (result < 0) {
        /* Its handles close by themselves. */
        if (supervisor->sweeper != NULL)
            sweeper_close(supervisor->sweeper, NULL, NULL);
        supervisor_free(supervisor);
        return result;
    }
    open_handles(supervisor);
    supervisor_mark_dirty(supervisor);
    *out = supervisor;
    return 0;
}

/* ---- the end ---- */

void supervisor_handle_closed(struct supervisor *supervisor)
{
    void (*closed)(void *data) = supervisor->closed;
    void *data = supervisor->closed_data;

    if (--supervisor->n_handles > 0)
        return;
    supervisor_free(supervisor);
    if (closed != NULL)
        closed(data);
}

static void on_handle_closed(uv_handle_t *handle)
{
    supervisor_handle_closed(handle->data);
}

static void on_sweeper_closed(void *data)
{
    supervisor_handle_closed(data);
}

static void on_service_closed(uv_handle_t *handle)
{
    struct service *service = handle->data;
    struct supervisor *supervisor = service->owner;

    free(service);
    supervisor_handle_closed(supervisor);
}

void supervisor_close_service(struct service *service)
{
    LIST_FOR_EACH(link, &service->owner->spawns)
    {
        struct spawn_call *call = CONTAINER_OF(link, struct spawn_call, link);

        if (call->service == service)
            call->service = NULL;
    }
    list_remove(&service->launch);
    service_deinit(service);
    service->timer.data = service;
    uv_close((uv_handle_t *)&service->timer, on_service_closed);
}

void supervisor_close_handle(struct supervisor *supervisor, uv_handle_t *handle)
{
    handle->data = supervisor;
    uv_close(handle, on_handle_closed);
}

/* Answers that are still to come find nobody. */
static void detach_spawns(struct supervisor *supervisor)
{
    LIST_FOR_EACH_SAFE(link, &supervisor->spawns)
    {
        CONTAINER_OF(link, struct spawn_call, link)->service = NULL;
        list_remove(link);
    }
}

/* The next flocksd tells what this one has written. */
static void save_last(struct supervisor *supervisor)
{
    supervisor_write_events(supervisor);
    state_save(supervisor);
}

void supervisor_close(struct supervisor *supervisor, void (*closed)(void *data), void *data)
{
    if (supervisor == NULL || supervisor->is_closing)
        return;
    if (supervisor->is_dirty && has_something_to_keep(supervisor))
        save_last(supervisor);
    supervisor->is_closing = true;
    supervisor->closed = closed;
    supervisor->closed_data = data;
    detach_spawns(supervisor);
    supervisor_drop_waits(supervisor);
    supervisor_hear_end(supervisor);
    supervisor_drop_watches(supervisor);
    leases_close(supervisor);
    upgrades_close(supervisor);
    supervisor_drop_jobs(supervisor);
    supervisor_drop_replacement(supervisor);
    supervisor_file_close(supervisor);
    for (uint32_t i = 0; i < supervisor->n_services; i++) {
        service_watch_end(supervisor->services[i]);
        supervisor_close_handle(supervisor, (uv_handle_t *)&supervisor->services[i]->timer);
    }
    supervisor_page_end(supervisor);
    supervisor_ports_close(supervisor);
    supervisor_close_handle(supervisor, (uv_handle_t *)&supervisor->operations_timer);
    supervisor_close_handle(supervisor, (uv_handle_t *)&supervisor->lease_timer);
    supervisor_close_handle(supervisor, (uv_handle_t *)&supervisor->care.timer);
    supervisor_close_handle(supervisor, (uv_handle_t *)&supervisor->prepare);
    sweeper_close(supervisor->sweeper, on_sweeper_closed, supervisor);
}

void supervisor_end(struct supervisor *supervisor)
{
    if (supervisor->has_ended)
        return;
    supervisor->has_ended = true;
    if (supervisor->ended != NULL)
        supervisor->ended(supervisor->data);
}

int supervisor_get_config(const struct supervisor *supervisor, struct arena *arena,
    flocks_get_config_response **out, struct error *error)
{
    *out = (flocks_get_config_response *)schema_message_unpack(
        &flocks__v1__get_config_response__descriptor, supervisor->packed_config,
        supervisor->packed_config_len, arena);
    if (*out == NULL)
        return error_set(
            error, STATUS_RESOURCE_EXHAUSTED, "the configuration is larger than one call may use");
    return 0;
}

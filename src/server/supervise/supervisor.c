#include "server/supervise/supervisor.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "server/supervise/leftovers.h"
#include "server/supervise/supervisor_private.h"

void supervisor_mark_dirty(struct supervisor *supervisor)
{
    supervisor->is_dirty = true;
}

struct service *supervisor_find(const struct supervisor *supervisor, const char *name)
{
    uint32_t low = 0;
    uint32_t high = supervisor->n_services;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(supervisor->services[middle]->name, name);

        if (order == 0)
            return supervisor->services[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
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

/* A spawn that fails at once changes the state again, and after a few asks for the next one only
 * when some time has passed: this ends. While the keeper spawns it is left alone: the answer will
 * change the state again, and acknowledges what led to the spawn, too. */
void supervisor_save(struct supervisor *supervisor)
{
    while (supervisor->is_dirty && has_something_to_keep(supervisor)) {
        supervisor->is_dirty = false;
        state_save(supervisor);
        if (!launch_services(supervisor))
            keeper_link_acknowledge(supervisor->link, supervisor->exits_done);
    }
}

/* What was changed in this turn is written once, before the loop sleeps; only then are processes
 * asked for that it speaks of, may the keeper forget the exits that led to it, and do clients hear,
 * who may change something again.
 */
static void on_prepare(uv_prepare_t *prepare)
{
    struct supervisor *supervisor = prepare->data;

    supervisor_expire_operations(supervisor);
    supervisor_save(supervisor);
    supervisor_tell_waiters(supervisor);
    if (!supervisor->is_closing)
        supervisor_save(supervisor);
}

/* ---- the keeper's events ---- */

static struct service *task_owner(const struct supervisor *supervisor, uint32_t slot)
{
    uint32_t index = KEEPER_SLOT_DAEMON - 1 - slot;

    return index < supervisor->n_tasks ? supervisor->task_owners[index] : NULL;
}

static void recheck_endings(struct supervisor *supervisor)
{
    for (uint32_t i = 0; i < supervisor->n_services; i++) {
        if (supervisor->services[i]->facts.state == SERVICE_STOPPING)
            service_recheck(supervisor->services[i]);
    }
}

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
        recheck_endings(supervisor);
    } else if (supervisor_at(supervisor, exit->slot) != NULL) {
        service_exited(supervisor_at(supervisor, exit->slot), exit);
    } else {
        owner = task_owner(supervisor, exit->slot);
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

    log_error("keeper lost: ending the services", "error=\"%s\"", error->text);
    supervisor->is_lost = true;
    for (uint32_t i = 0; i < supervisor->n_services; i++)
        service_kill(supervisor->services[i]);
    supervisor_end(supervisor);
}

static const struct keeper_link_events link_events = {
    .exited = on_exited, .shutdown_requested = on_shutdown_requested, .lost = on_lost};

/* ---- making it ---- */

static int copy_config(
    struct supervisor *supervisor, const flocks_get_config_response *config, struct error *error)
{
    supervisor->packed_config_len = protobuf_c_message_get_packed_size(&config->base);
    supervisor->packed_config = malloc(supervisor->packed_config_len + 1);
    if (supervisor->packed_config == NULL)
        return error_set_errno(error, ENOMEM, "keep the configuration");
    (void)protobuf_c_message_pack(&config->base, supervisor->packed_config);
    supervisor->config = (flocks_get_config_response *)protobuf_c_message_unpack(
        config->base.descriptor, NULL, supervisor->packed_config_len, supervisor->packed_config);
    if (supervisor->config == NULL || supervisor->config->config == NULL)
        return error_set(error, STATUS_INVALID_ARGUMENT, "there is no configuration");
    return 0;
}

static int by_name(const void *left, const void *right)
{
    const flocks_config_services_entry *const *a = left;
    const flocks_config_services_entry *const *b = right;

    return strcmp((*a)->key, (*b)->key);
}

static bool has_exec_probe(const flocks_service_config *config)
{
    const flocks_probes *probes = config->probes;
    const flocks_probe *const roles[] = {probes != NULL ? probes->startup : NULL,
        probes != NULL ? probes->ready : NULL, probes != NULL ? probes->alive : NULL};

    for (size_t i = 0; i < ARRAY_LENGTH(roles); i++) {
        if (roles[i] != NULL && roles[i]->check_case == FLOCKS__V1__PROBE__CHECK_EXEC)
            return true;
    }
    return false;
}

/* Exec probes run in the keeper's slots from the top down, services from the bottom up. */
static int give_task_slots(struct supervisor *supervisor, struct error *error)
{
    supervisor->task_owners = calloc(supervisor->n_services + 1, sizeof(struct service *));
    if (supervisor->task_owners == NULL)
        return error_set_errno(error, ENOMEM, "make the table of probes");
    for (uint32_t i = 0; i < supervisor->n_services; i++) {
        if (!has_exec_probe(supervisor->services[i]->config))
            continue;
        supervisor->services[i]->task_slot = KEEPER_SLOT_DAEMON - 1 - supervisor->n_tasks;
        supervisor->task_owners[supervisor->n_tasks++] = supervisor->services[i];
    }
    if (supervisor->n_services + supervisor->n_tasks > SUPERVISOR_SERVICES_MAX)
        return error_set(error, STATUS_INVALID_ARGUMENT,
            "%u services and %u exec probes are more than %d", (unsigned)supervisor->n_services,
            (unsigned)supervisor->n_tasks, (int)SUPERVISOR_SERVICES_MAX);
    return 0;
}

static int append_slot(uint32_t **slots, size_t *n, uint32_t slot, struct error *error)
{
    uint32_t *grown = realloc(*slots, (*n + 1) * sizeof *grown);

    if (grown == NULL)
        return error_set_errno(error, ENOMEM, "note what waits for what");
    grown[(*n)++] = slot;
    *slots = grown;
    return 0;
}

static int link_dependencies(
    struct supervisor *supervisor, struct service *service, struct error *error)
{
    int result = 0;

    assert(service->config != NULL);
    for (size_t i = 0; i < service->config->n_after && result == 0; i++) {
        struct service *other = supervisor_find(supervisor, service->config->after[i]);

        if (other == NULL)
            return error_set(error, STATUS_INVALID_ARGUMENT, "service %s: after unknown %s",
                service->name, service->config->after[i]);
        result = append_slot(&service->after, &service->n_after, other->slot, error);
        if (result == 0)
            result = append_slot(&other->dependents, &other->n_dependents, service->slot, error);
    }
    return result;
}

static int make_service(struct supervisor *supervisor, uint32_t slot,
    const flocks_config_services_entry *entry, struct error *error)
{
    struct service *service;
    int result;

    if (entry->value == NULL)
        return error_set(error, STATUS_INVALID_ARGUMENT, "service %s is empty", entry->key);
    service = calloc(1, sizeof *service);
    if (service == NULL)
        return error_set_errno(error, ENOMEM, "make service %s", entry->key);
    result = service_init(service, supervisor, slot, entry->key, entry->value, error);
    if (result < 0) {
        free(service);
        return result;
    }
    supervisor->services[supervisor->n_services++] = service;
    supervisor->slots[slot] = service;
    return 0;
}

static int make_services(struct supervisor *supervisor, struct error *error)
{
    flocks_config *config = supervisor->config->config;
    int result = 0;

    if (config->n_services > SUPERVISOR_SERVICES_MAX)
        return error_set(error, STATUS_INVALID_ARGUMENT, "%zu services are more than %d",
            config->n_services, (int)SUPERVISOR_SERVICES_MAX);
    if (config->n_services > 0)
        qsort(
            config->services, config->n_services, sizeof(flocks_config_services_entry *), by_name);
    supervisor->services = calloc(config->n_services + 1, sizeof(struct service *));
    supervisor->slots = calloc(config->n_services + 1, sizeof(struct service *));
    if (supervisor->services == NULL || supervisor->slots == NULL)
        return error_set_errno(error, ENOMEM, "make the services");
    supervisor->n_slots = (uint32_t)config->n_services;
    for (uint32_t slot = 0; slot < config->n_services && result == 0; slot++)
        result = make_service(supervisor, slot, config->services[slot], error);
    for (uint32_t i = 0; i < supervisor->n_services && result == 0; i++)
        result = link_dependencies(supervisor, supervisor->services[i], error);
    if (result == 0)
        result = give_task_slots(supervisor, error);
    return result;
}

static int make_observers(struct supervisor *supervisor, struct error *error)
{
    int result = process_scan_new(&supervisor->scan, error);

    if (result < 0)
        return result;
    supervisor->sessions = calloc(1, sizeof *supervisor->sessions);
    if (supervisor->sessions == NULL)
        return error_set_errno(error, ENOMEM, "make the table of sessions");
    process_sessions_init(supervisor->sessions);
    (void)process_sessions_add(supervisor->sessions, getsid(0));
    (void)process_sessions_add(supervisor->sessions, getsid(supervisor->keeper_pid));
    if (netlink_new(&supervisor->netlink, error) < 0) {
        log_warn("ports cannot be verified on this system", "error=\"%s\"",
            error != NULL ? error->text : "");
        supervisor->netlink = NULL;
    }
    return 0;
}

static void service_free(struct service *service)
{
    service_deinit(service);
    free(service);
}

/* No handle is open yet: memory only. */
static void supervisor_free(struct supervisor *supervisor)
{
    for (uint32_t i = 0; i < supervisor->n_services; i++)
        service_free(supervisor->services[i]);
    if (supervisor->operations.queues != NULL)
        operations_deinit(&supervisor->operations);
    state_store_close(supervisor->store);
    if (supervisor->config != NULL)
        protobuf_c_message_free_unpacked(&supervisor->config->base, NULL);
    netlink_free(supervisor->netlink);
    process_scan_free(supervisor->scan);
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
    supervisor->data = setup->data;
    supervisor->keeper_pid = setup->keeper_pid;
    supervisor->takeovers = setup->earlier_starts;
    supervisor->started_wall_ns = clock_wall_ns();
    supervisor->is_fresh = setup->config != NULL;
    (void)snprintf(supervisor->keeper_version, sizeof supervisor->keeper_version, "%s",
        setup->keeper_version != NULL ? setup->keeper_version : "");
    (void)snprintf(supervisor->root, sizeof supervisor->root, "%s", setup->paths->root);
    (void)snprintf(supervisor->run, sizeof supervisor->run, "%s", setup->paths->run);
    (void)snprintf(supervisor->logs, sizeof supervisor->logs, "%s", setup->paths->logs);
    list_init(&supervisor->spawns);
    list_init(&supervisor->launches);
}

static int make_contents(
    struct supervisor *supervisor, const struct supervisor_setup *setup, struct error *error)
{
    flocks_get_config_response *stored = NULL;
    uint32_t instance = (uint32_t)(supervisor->started_wall_ns / 1000000000);
    int result = state_store_open(setup->state_fd, &supervisor->store, error);

    if (result == 0 && setup->config == NULL)
        result = state_load_config(supervisor->store, &stored, error);
    if (result == 0)
        result = copy_config(supervisor, stored != NULL ? stored : setup->config, error);
    if (stored != NULL)
        protobuf_c_message_free_unpacked(&stored->base, NULL);
    if (result == 0)
        result = make_observers(supervisor, error);
    if (result == 0)
        result = make_services(supervisor, error);
    if (result == 0)
        result = operations_init(&supervisor->operations, supervisor->n_slots, instance, error);
    if (result == 0 && setup->config == NULL)
        result = state_load(supervisor, error);
    return result;
}

static void open_handles(struct supervisor *supervisor)
{
    for (uint32_t i = 0; i < supervisor->n_services; i++) {
        (void)uv_timer_init(supervisor->loop, &supervisor->services[i]->timer);
        supervisor->services[i]->timer.data = supervisor->services[i];
    }
    (void)uv_timer_init(supervisor->loop, &supervisor->operations_timer);
    supervisor->operations_timer.data = supervisor;
    (void)uv_prepare_init(supervisor->loop, &supervisor->prepare);
    supervisor->prepare.data = supervisor;
    (void)uv_prepare_start(&supervisor->prepare, on_prepare);
    supervisor->n_handles = supervisor->n_services + 2;
}

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

/* A probe of the flocksd before, with what it started: nobody waits for its result. */
static void kill_probe(struct supervisor *supervisor, const struct keeper_child *child)
{
    log_info("earlier probe killed", "pid=%d slot=%u", (int)child->pid, (unsigned)child->slot);
    (void)!keeper_link_signal(supervisor->link, child->slot, child->generation, SIGKILL,
        KEEPER_SCOPE_GROUP, NULL, NULL, NULL);
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

static void reconcile(
    struct supervisor *supervisor, const struct keeper_child *children, size_t n_children)
{
    for (size_t i = 0; i < n_children; i++) {
        if (supervisor_at(supervisor, children[i].slot) == NULL && !children[i].exited)
            kill_probe(supervisor, &children[i]);
    }
    supervisor->is_reconciled = true;
    for (uint32_t i = 0; i < supervisor->n_services; i++)
        reconcile_service(supervisor->services[i], children, n_children);
    for (uint32_t i = 0; i < supervisor->n_services; i++) {
        service_arm(supervisor->services[i]);
        supervisor_advance(supervisor->services[i]);
    }
}

static void on_listed(void *data, int result, const struct keeper_child *children,
    size_t n_children, const struct error *error)
{
    struct supervisor *supervisor = data;
    struct error watch_error = ERROR_INIT;

    /* The link was closed, perhaps after us. */
    if (result == -STATUS_UNAVAILABLE || supervisor->is_closing)
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

static void on_registered(void *data, int result, const struct error *error)
{
    const struct service *service = data;

    if (result < 0 && result != -STATUS_UNAVAILABLE)
        log_error("output not captured", "name=%s error=\"%s\"", service->name, error->text);
}

/* Idempotent, so a take-over does it too: the flocksd before may have died in the middle. */
static int register_outputs(struct supervisor *supervisor, struct error *error)
{
    int result = 0;

    for (uint32_t i = 0; i < supervisor->n_services && result == 0; i++) {
        struct service *service = supervisor->services[i];
        const flocks_logs_config *logs = service->config->logs;
        char path[PATH_MAX];
        struct keeper_output output = {.slot = service->slot, .log_path = path};

        supervisor_log_path(supervisor, service, path, sizeof path);
        output.max_size = logs != NULL ? logs->max_size : 0;
        output.keep = logs != NULL ? logs->keep : 0;
        result =
            keeper_link_register_output(supervisor->link, &output, on_registered, service, error);
    }
    return result;
}

void supervisor_log_path(
    const struct supervisor *supervisor, const struct service *service, char *out, size_t out_size)
{
    /* A path that is cut is one that the keeper refuses. */
    if (snprintf(out, out_size, "%s/%s.log", supervisor->logs, service->name) < 0)
        out[0] = '\0';
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
        leftovers_end(supervisor->run);
    if (result == 0)
        result = register_outputs(supervisor, error);
    if (result == 0)
        result = keeper_link_list(supervisor->link, on_listed, supervisor, error);
    if (result < 0) {
        supervisor_free(supervisor);
        return result;
    }
    open_handles(supervisor);
    supervisor_mark_dirty(supervisor);
    *out = supervisor;
    return 0;
}

/* ---- the end ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct supervisor *supervisor = handle->data;
    void (*closed)(void *data) = supervisor->closed;
    void *data = supervisor->closed_data;

    if (--supervisor->n_handles > 0)
        return;
    supervisor_free(supervisor);
    if (closed != NULL)
        closed(data);
}

static void close_handle(struct supervisor *supervisor, uv_handle_t *handle)
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

void supervisor_close(struct supervisor *supervisor, void (*closed)(void *data), void *data)
{
    if (supervisor == NULL || supervisor->is_closing)
        return;
    if (supervisor->is_dirty && has_something_to_keep(supervisor))
        state_save(supervisor);
    supervisor->is_closing = true;
    supervisor->closed = closed;
    supervisor->closed_data = data;
    detach_spawns(supervisor);
    supervisor_drop_waits(supervisor);
    for (uint32_t i = 0; i < supervisor->n_services; i++) {
        service_watch_end(supervisor->services[i]);
        close_handle(supervisor, (uv_handle_t *)&supervisor->services[i]->timer);
    }
    close_handle(supervisor, (uv_handle_t *)&supervisor->operations_timer);
    close_handle(supervisor, (uv_handle_t *)&supervisor->prepare);
}

void supervisor_end(struct supervisor *supervisor)
{
    if (supervisor->has_ended)
        return;
    supervisor->has_ended = true;
    if (supervisor->ended != NULL)
        supervisor->ended(supervisor->data);
}

const flocks_get_config_response *supervisor_get_config(const struct supervisor *supervisor)
{
    return supervisor->config;
}

/* The services of a supervisor: made, found by name, given their slots and their places in the
 * order, and let go. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/search.h"
#include "server/supervise/supervisor_private.h"

/* ---- by name ---- */

struct service_key {
    const struct supervisor *supervisor;
    const char *name;
};

static int compare_service(const void *data, size_t place)
{
    const struct service_key *key = data;
    return strcmp(key->supervisor->services[place]->name, key->name);
}

/* Index of the first service whose name is not before this one. */
static uint32_t place_of(const struct supervisor *supervisor, const char *name)
{
    const struct service_key key = {.supervisor = supervisor, .name = name};
    return (uint32_t)search_first(&key, supervisor->n_services, compare_service);
}

struct service *supervisor_find(const struct supervisor *supervisor, const char *name)
{
    uint32_t place = place_of(supervisor, name);

    if (place == supervisor->n_services || strcmp(supervisor->services[place]->name, name) != 0)
        return NULL;
    return supervisor->services[place];
}

void supervisor_log_path(
    const struct supervisor *supervisor, const struct service *service, char *out, size_t out_size)
{
    /* A path that is cut is one that the keeper refuses. */
    if (snprintf(out, out_size, "%s/%s.log", supervisor->logs, service->name) < 0)
        out[0] = '\0';
}

/* ---- order ---- */

static bool waits_for(const struct service *service, uint32_t slot)
{
    for (size_t i = 0; i < service->n_after; i++) {
        if (service->after[i] == slot)
            return true;
    }
    return false;
}

const char *supervisor_link_service(struct service *service)
{
    const flocks_service_config *config = service->config;
    const char *unknown = NULL;

    service->n_after = 0;
    for (size_t i = 0; i < config->n_after; i++) {
        struct service *other = supervisor_find(service->owner, config->after[i]);

        if (other == NULL) {
            unknown = config->after[i];
        } else if (!waits_for(service, other->slot)) {
            service->after[service->n_after++] = other->slot;
            other->n_dependents++;
        }
    }
    return unknown;
}

void supervisor_unlink_service(struct service *service)
{
    for (size_t i = 0; i < service->n_after; i++) {
        struct service *other = supervisor_at(service->owner, service->after[i]);

        if (other != NULL)
            other->n_dependents--;
    }
    service->n_after = 0;
}

struct service *supervisor_next_dependent(const struct service *service, uint32_t *at)
{
    const struct supervisor *supervisor = service->owner;

    while (service->n_dependents > 0 && *at < supervisor->n_services) {
        struct service *other = supervisor->services[(*at)++];

        if (waits_for(other, service->slot))
            return other;
    }
    return NULL;
}

static void forget_dependency(struct service *service, uint32_t slot)
{
    size_t n = 0;

    for (size_t i = 0; i < service->n_after; i++) {
        if (service->after[i] != slot)
            service->after[n++] = service->after[i];
    }
    service->n_after = n;
}

/* ---- slots ---- */

static struct service **task_place(const struct supervisor *supervisor, uint32_t slot)
{
    assert(slot < KEEPER_SLOT_DAEMON);
    return &supervisor->task_owners[KEEPER_SLOT_DAEMON - 1 - slot];
}

struct service *supervisor_task_owner(const struct supervisor *supervisor, uint32_t slot)
{
    return slot < KEEPER_SLOT_DAEMON ? *task_place(supervisor, slot) : NULL;
}

static bool is_free(const struct supervisor *supervisor, uint32_t slot)
{
    return supervisor->slots[slot] == NULL && *task_place(supervisor, slot) == NULL;
}

/* Services take slots from the bottom up, exec probes from the top down. There is always one
 * (supervisor_has_room). */
static uint32_t lowest_free(const struct supervisor *supervisor)
{
    uint32_t slot = 0;

    while (slot < SUPERVISOR_SERVICES_MAX && !is_free(supervisor, slot))
        slot++;
    return slot;
}

static uint32_t highest_free(const struct supervisor *supervisor)
{
    uint32_t slot = SUPERVISOR_SERVICES_MAX;

    while (slot > 0 && !is_free(supervisor, slot - 1))
        slot--;
    return slot > 0 ? slot - 1 : SERVICE_NO_SLOT;
}

static bool needs_task_slot(const struct service *service)
{
    const struct service_spec now = {.config = service->config};

    return service_spec_has_exec_probe(&now);
}

bool supervisor_needs_task_slot(const struct service *service)
{
    assert(service != NULL);
    return service->task_slot != SERVICE_NO_SLOT || needs_task_slot(service) ||
           (service->next.config != NULL && service_spec_has_exec_probe(&service->next));
}

uint32_t supervisor_slots_needed(const struct supervisor *supervisor)
{
    uint32_t n = supervisor->n_services;

    for (uint32_t i = 0; i < supervisor->n_services; i++) {
        assert(supervisor->services[i] != NULL);
        n += supervisor_needs_task_slot(supervisor->services[i]);
    }
    return n;
}

static void give_task_slot(struct service *service, uint32_t slot)
{
    struct supervisor *supervisor = service->owner;

    if (slot == SERVICE_NO_SLOT || !is_free(supervisor, slot))
        return;
    service->task_slot = slot;
    *task_place(supervisor, slot) = service;
    if (service->last_task < supervisor->run_floor)
        service->last_task = supervisor->run_floor;
}

void supervisor_claim_task_slot(struct service *service)
{
    if (service->task_slot == SERVICE_NO_SLOT && needs_task_slot(service))
        give_task_slot(service, highest_free(service->owner));
}

static void raise_floor(struct supervisor *supervisor, uint32_t run)
{
    if (supervisor->run_floor < run)
        supervisor->run_floor = run;
}

static void give_up_task_slot(struct service *service)
{
    if (service->task_slot == SERVICE_NO_SLOT)
        return;
    *task_place(service->owner, service->task_slot) = NULL;
    raise_floor(service->owner, service->last_task);
    service->task_slot = SERVICE_NO_SLOT;
}

void supervisor_release_task_slot(struct service *service)
{
    if (!service->task_alive && !needs_task_slot(service))
        give_up_task_slot(service);
}

/* ---- making ---- */

int supervisor_make_tables(struct supervisor *supervisor, struct error *error)
{
    /* Pages of them that nobody touches cost nothing. */
    supervisor->services = calloc(SUPERVISOR_SERVICES_MAX + 1, sizeof(struct service *));
    supervisor->slots = calloc(SUPERVISOR_SERVICES_MAX + 1, sizeof(struct service *));
    supervisor->task_owners = calloc(SUPERVISOR_SERVICES_MAX + 1, sizeof(struct service *));
    if (supervisor->services == NULL || supervisor->slots == NULL ||
        supervisor->task_owners == NULL)
        return error_set_errno(error, ENOMEM, "make the services");
    return 0;
}

int supervisor_make_service(struct supervisor *supervisor, const char *name,
    struct service_spec *spec, struct service **out, struct error *error)
{
    struct service *service = calloc(1, sizeof *service);
    int result;

    if (service == NULL) {
        service_spec_deinit(spec);
        return error_set_errno(error, ENOMEM, "make service %s", name);
    }
    result = service_init(service, supervisor, SERVICE_NO_SLOT, name, spec, error);
    if (result < 0) {
        supervisor_free_service(service);
        return result;
    }
    *out = service;
    return 0;
}

void supervisor_place_service(struct service *service, uint32_t slot)
{
    struct supervisor *supervisor;
    uint32_t place;

    assert(service != NULL);
    supervisor = service->owner;
    place = place_of(supervisor, service->name);
    assert(supervisor->n_services < SUPERVISOR_SERVICES_MAX);
    if (slot >= SUPERVISOR_SERVICES_MAX || !is_free(supervisor, slot))
        slot = lowest_free(supervisor);
    assert(slot < SUPERVISOR_SERVICES_MAX);
    memmove(supervisor->services + place + 1, supervisor->services + place,
        (supervisor->n_services - place) * sizeof(struct service *));
    supervisor->services[place] = service;
    supervisor->n_services++;
    service->slot = slot;
    supervisor->slots[slot] = service;
    service->facts.last_run = supervisor->run_floor;
    supervisor_note_health(service);
    supervisor_services_changed(supervisor);
}

void supervisor_take_out_service(struct service *service)
{
    struct supervisor *supervisor = service->owner;
    uint32_t place = place_of(supervisor, service->name);

    supervisor_forget_health(service);
    supervisor_unlink_service(service);
    for (uint32_t i = 0; i < supervisor->n_services; i++)
        forget_dependency(supervisor->services[i], service->slot);
    raise_floor(supervisor, service->facts.last_run);
    give_up_task_slot(service);
    supervisor->slots[service->slot] = NULL;
    supervisor->n_services--;
    memmove(supervisor->services + place, supervisor->services + place + 1,
        (supervisor->n_services - place) * sizeof(struct service *));
    supervisor_services_changed(supervisor);
}

void supervisor_restore_task_slot(struct service *service, uint32_t slot)
{
    give_task_slot(service, slot);
}

static int by_name(const void *left, const void *right)
{
    const flocks_config_services_entry *const *a = left;
    const flocks_config_services_entry *const *b = right;

    return strcmp((*a)->key, (*b)->key);
}

static int make_of_entry(
    struct supervisor *supervisor, const flocks_config_services_entry *entry, struct error *error)
{
    struct service_spec spec;
    struct service *service = NULL;
    int result;

    if (entry->value == NULL)
        return error_set(error, STATUS_INVALID_ARGUMENT, "service %s is empty", entry->key);
    result = service_spec_init(&spec, entry->key, entry->value, error);
    if (result == 0)
        result = supervisor_make_service(supervisor, entry->key, &spec, &service, error);
    if (result == 0)
        supervisor_place_service(service, SERVICE_NO_SLOT);
    return result;
}

int supervisor_refuse_size(uint32_t n_services, uint32_t n_slots, struct error *error)
{
    return error_set(error, STATUS_INVALID_ARGUMENT,
        "%u services and %u exec probes are more than %d", (unsigned)n_services,
        (unsigned)(n_slots - n_services), (int)SUPERVISOR_SERVICES_MAX);
}

int supervisor_finish_services(struct supervisor *supervisor, bool is_strict, struct error *error)
{
    uint32_t needed = supervisor_slots_needed(supervisor);

    if (needed > SUPERVISOR_SERVICES_MAX)
        return supervisor_refuse_size(supervisor->n_services, needed, error);
    for (uint32_t i = 0; i < supervisor->n_services; i++) {
        struct service *service = supervisor->services[i];
        const char *unknown = supervisor_link_service(service);

        if (unknown != NULL && is_strict)
            return error_set(error, STATUS_INVALID_ARGUMENT, "service %s: after unknown %s",
                service->name, unknown);
        supervisor_claim_task_slot(service);
    }
    return 0;
}

int supervisor_make_services(
    struct supervisor *supervisor, const flocks_config *config, struct error *error)
{
    int result = supervisor_make_tables(supervisor, error);

    if (result == 0 && config->n_services > SUPERVISOR_SERVICES_MAX)
        return error_set(error, STATUS_INVALID_ARGUMENT, "%zu services are more than %d",
            config->n_services, (int)SUPERVISOR_SERVICES_MAX);
    if (config->n_services > 0)
        qsort(
            config->services, config->n_services, sizeof(flocks_config_services_entry *), by_name);
    for (size_t i = 0; i < config->n_services && result == 0; i++)
        result = make_of_entry(supervisor, config->services[i], error);
    return result == 0 ? supervisor_finish_services(supervisor, true, error) : result;
}

void supervisor_free_service(struct service *service)
{
    service_deinit(service);
    free(service);
}

/* ---- output ---- */

static void on_registered(void *data, int result, const struct error *error)
{
    /* The service may be gone meanwhile. */
    if (result < 0 && result != -STATUS_UNAVAILABLE)
        log_error(
            "output not captured", "slot=%u error=\"%s\"", (unsigned)(uintptr_t)data, error->text);
}

int supervisor_register_output(struct service *service, struct error *error)
{
    const flocks_logs_config *logs = service->config->logs;
    char path[PATH_MAX];
    struct keeper_output output = {.slot = service->slot, .log_path = path};

    supervisor_log_path(service->owner, service, path, sizeof path);
    output.max_size = logs != NULL ? logs->max_size : 0;
    output.keep = logs != NULL ? logs->keep : 0;
    return keeper_link_register_output(
        service->owner->link, &output, on_registered, (void *)(uintptr_t)service->slot, error);
}

int supervisor_register_outputs(struct supervisor *supervisor, struct error *error)
{
    int result = 0;

    for (uint32_t i = 0; i < supervisor->n_services && result == 0; i++)
        result = supervisor_register_output(supervisor->services[i], error);
    return result;
}

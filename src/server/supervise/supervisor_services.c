/* The services of a supervisor: made of the configuration, found by name, given their slots. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "server/supervise/supervisor_private.h"

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

void supervisor_log_path(
    const struct supervisor *supervisor, const struct service *service, char *out, size_t out_size)
{
    /* A path that is cut is one that the keeper refuses. */
    if (snprintf(out, out_size, "%s/%s.log", supervisor->logs, service->name) < 0)
        out[0] = '\0';
}

/* ---- making ---- */

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

int supervisor_make_services(struct supervisor *supervisor, struct error *error)
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

void supervisor_free_service(struct service *service)
{
    service_deinit(service);
    free(service);
}

/* ---- output ---- */

static void on_registered(void *data, int result, const struct error *error)
{
    const struct service *service = data;

    if (result < 0 && result != -STATUS_UNAVAILABLE)
        log_error("output not captured", "name=%s error=\"%s\"", service->name, error->text);
}

/* Idempotent, so a take-over does it too: the flocksd before may have died in the middle. */
int supervisor_register_outputs(struct supervisor *supervisor, struct error *error)
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

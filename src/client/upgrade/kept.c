#include "client/upgrade/kept.h"

#include "client/upgrade/preflight.h"
#include "client/upgrade/services.h"
#include "client/upgrade/told.h"

void update_kept_doubt(const struct update_settings *settings, const flocks_config *config,
    const flocks_release *file, bool is_newer, int cancel_fd, bool *out)
{
    for (size_t i = 0; i < config->n_services; i++) {
        const char *name = config->services[i]->key;
        const flocks_service_config *service = config->services[i]->value;
        const char *version = update_services_version(file, name);
        bool is_told = version != NULL && version[0] != '\0' && service->version != NULL;
        out[i] = false;
        if (!update_services_keeps(file, name) ||
            preflight_place(settings, service->directory) == NULL)
            continue;
        out[i] = is_told ? !update_told_is(service, version, cancel_fd) : !is_newer;
    }
}

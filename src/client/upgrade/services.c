#include "client/upgrade/services.h"

#include <string.h>

/* The name of an adopted release whose version nobody told (adopt.h). */
static const char unknown_version[] = "0.0.0";

bool update_services_keeps(const flocks_release *file, const char *service)
{
    for (size_t i = 0; i < file->n_keep_running; i++)
        if (strcmp(file->keep_running[i], "*") == 0 || strcmp(file->keep_running[i], service) == 0)
            return true;
    return false;
}

const char *update_services_version(const flocks_release *file, const char *service)
{
    for (size_t i = 0; i < file->n_versions; i++)
        if (strcmp(file->versions[i]->key, service) == 0)
            return file->versions[i]->value;
    return NULL;
}

/* "": any. NULL: no memory. */
static const char *expected(
    const flocks_release *file, const char *service, const char *version, struct arena *arena)
{
    const char *own = update_services_version(file, service);
    if (own != NULL)
        return own;
    /* Unchanged since a release that nobody names. */
    if (update_services_keeps(file, service))
        return "";
    size_t len = strcspn(version, "+");
    if (len == strlen(unknown_version) && strncmp(version, unknown_version, len) == 0)
        return "";
    return arena_strndup(arena, version, len);
}

int update_services_choose(const flocks_config *config, const char *holding_page,
    const flocks_release *file, const bool *doubted, const char *version, struct arena *arena,
    struct update_services *out, struct error *error)
{
    size_t n = config->n_services;
    *out = (struct update_services){.paused = arena_calloc(arena, n + 1, sizeof(const char *)),
        .versions = arena_calloc(arena, n + 1, sizeof(struct update_expected_version))};
    if (out->paused == NULL || out->versions == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the services");
    for (size_t i = 0; i < n; i++) {
        const char *name = config->services[i]->key;
        if (update_services_keeps(file, name) && (doubted == NULL || !doubted[i]))
            continue;
        out->paused[out->n_paused++] = name;
        out->holding_page = out->holding_page || strcmp(name, holding_page) == 0;
        if (config->services[i]->value->version == NULL)
            continue;
        const char *text = expected(file, name, version, arena);
        if (text == NULL)
            return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the versions");
        if (text[0] != '\0')
            out->versions[out->n_versions++] =
                (struct update_expected_version){.service = name, .version = text};
    }
    return 0;
}

#include "client/upgrade/preflight.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "client/upgrade/settings.h"
#include "common/config/executable.h"

static const char current_name[] = "current";

/* The rest of `path` below `above` ("" is `above` itself); NULL: it lies elsewhere. */
static const char *below(const char *path, const char *above)
{
    size_t len = strlen(above);
    if (strncmp(path, above, len) != 0)
        return NULL;
    if (path[len] == '/')
        return path + len + 1;
    return path[len] == '\0' ? path + len : NULL;
}

const char *preflight_place(const struct update_settings *settings, const char *path)
{
    const flocks_update_config *update = settings->update;
    const char *rest = below(path, settings->paths.root);
    if (rest == NULL)
        return NULL;
    const char *in_current = below(rest, current_name);
    if (in_current != NULL)
        return in_current;
    for (size_t i = 0; i < update->n_adopt; i++) {
        if (below(rest, update->adopt[i]) != NULL)
            return rest;
    }
    return NULL;
}

static int refuse(const char *name, const char *why, const char *what, struct error *error)
{
    int result = error_set(error, STATUS_FAILED_PRECONDITION,
        "checking the release: service %s would not find its %s in it: %s", name, why, what);
    error_set_hint(error,
        "the release does not fit this flocks.yaml: change services.%s, or choose "
        "another release",
        name);
    return result;
}

static int check_program(const flocks_service_config *service, const char *name,
    const char *directory, struct error *error)
{
    char program[PATH_MAX];
    struct error why = ERROR_INIT;
    if (service->n_command == 0 || strchr(service->command[0], '/') == NULL ||
        service->command[0][0] == '/' || service->prepare != NULL)
        return 0;
    if (executable_find(service->command[0], directory, NULL, program, &why) == 0)
        return 0;
    return refuse(name, "program", why.text, error);
}

static int check_service(const struct update_settings *settings,
    const flocks_config_services_entry *entry, const char *release, struct error *error)
{
    char directory[PATH_MAX];
    struct stat status;
    const char *place = preflight_place(settings, entry->value->directory);
    if (place == NULL)
        return 0;
    int written = snprintf(directory, sizeof directory, "%s/%s", release, place);
    if (written < 0 || (size_t)written >= sizeof directory)
        return error_set_errno(error, ENAMETOOLONG, "checking the release");
    if (stat(directory, &status) < 0 || !S_ISDIR(status.st_mode))
        return refuse(entry->key, "directory", place, error);
    return check_program(entry->value, entry->key, directory, error);
}

/* `name` of the root is, or will be, a link into what is current. */
static int check_adopted(const struct update_settings *settings, const char *name,
    const char *release, struct error *error)
{
    char path[PATH_MAX];
    struct stat status;
    int written = snprintf(path, sizeof path, "%s/%s", settings->paths.root, name);
    if (written < 0 || (size_t)written >= sizeof path || lstat(path, &status) < 0)
        return 0;
    written = snprintf(path, sizeof path, "%s/%s", release, name);
    if (written > 0 && (size_t)written < sizeof path && lstat(path, &status) == 0)
        return 0;
    int result = error_set(error, STATUS_FAILED_PRECONDITION,
        "checking the release: it has no %s, which update.adopt says that releases bring", name);
    error_set_hint(error, "take %s out of update.adopt, or choose another release", name);
    return result;
}

int preflight_check(
    const struct update_settings *settings, const char *directory, struct error *error)
{
    const flocks_config *config = settings->config;
    int result = 0;
    for (size_t i = 0; result == 0 && i < settings->update->n_adopt; i++)
        result = check_adopted(settings, settings->update->adopt[i], directory, error);
    for (size_t i = 0; result == 0 && i < config->n_services; i++)
        result = check_service(settings, config->services[i], directory, error);
    return result;
}

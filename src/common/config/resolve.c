/* Relative paths of a service, from the configuration's directory. */
#include <string.h>

#include "common/config/draft.h"

/* `base`/`path`, tidied where that needs no look at the disk: "." and "./x" only. */
static const char *resolve(struct draft *draft, const char *base, const char *path)
{
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    if (path[0] == '/')
        return path;
    bool is_base = path[0] == '\0' || strcmp(path, ".") == 0;
    const char *resolved = is_base ? base : arena_printf(draft->arena, "%s/%s", base, path);
    if (resolved == NULL)
        draft->is_out_of_memory = true;
    return resolved != NULL ? resolved : path;
}

void resolve_paths(struct draft *draft)
{
    for (size_t i = 0; i < draft->message->n_services; i++) {
        flocks_service_config *service = draft->message->services[i]->value;
        service->directory = resolve(draft, draft->directory, service->directory);
        for (size_t j = 0; j < service->n_environment_files; j++) {
            const char **file = &service->environment_files[j];
            *file = resolve(draft, draft->directory, *file);
        }
    }
}

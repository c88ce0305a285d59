#include "common/release/upgrade_paths.h"

#include <stdio.h>
#include <string.h>

#include "common/release/link_switch.h"

int upgrade_paths_resolve(const char *root, struct upgrade_paths *out, struct error *error)
{
    static const struct {
        size_t offset;
        const char *name;
    } places[] = {
        {offsetof(struct upgrade_paths, root), ""},
        {offsetof(struct upgrade_paths, journal), "/run/upgrade.journal"},
        {offsetof(struct upgrade_paths, lock), "/run/upgrade.lock"},
        {offsetof(struct upgrade_paths, result), "/run/upgrade-result.json"},
        {offsetof(struct upgrade_paths, way_back), "/run/upgrade-back"},
        {offsetof(struct upgrade_paths, downloads), "/run/downloads"},
        {offsetof(struct upgrade_paths, log), "/logs/update.log"},
        {offsetof(struct upgrade_paths, current), "/current"},
    };
    /* A link's path must fit into the journal and into BeginUpgrade, too. */
    if (root[0] != '/' || strlen(root) + sizeof "/current" > LINK_TEXT_MAX)
        return error_set(error, STATUS_INVALID_ARGUMENT,
            "the root %.200s is not absolute, or has more than %zu bytes", root,
            LINK_TEXT_MAX - sizeof "/current");
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
        (void)snprintf((char *)out + places[i].offset, PATH_MAX, "%s%s",
            root[1] == '\0' && places[i].name[0] != '\0' ? "" : root, places[i].name);
    return 0;
}

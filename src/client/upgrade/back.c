#include "client/upgrade/back.h"

#include <stdio.h>
#include <string.h>

#include "common/release/way_back.h"

static bool is_there(const struct release_list *list, const char *version)
{
    for (size_t i = 0; i < list->n_entries; i++)
        if (!list->entries[i].is_partial && strcmp(list->entries[i].version.text, version) == 0)
            return true;
    return false;
}

/* The newest that comes after the current one in a list that is sorted. */
static bool find_older(const struct release_list *list, char out[VERSION_TEXT_MAX + 1])
{
    bool is_behind = false;
    for (size_t i = 0; i < list->n_entries; i++) {
        const struct release_entry *entry = &list->entries[i];
        if (is_behind && !entry->is_partial) {
            (void)snprintf(out, VERSION_TEXT_MAX + 1, "%s", entry->version.text);
            return true;
        }
        is_behind = is_behind || entry->is_current;
    }
    return false;
}

int update_back_choose(const struct update_settings *settings, const struct release_dir *dir,
    char out[VERSION_TEXT_MAX + 1], struct error *error)
{
    char current[VERSION_TEXT_MAX + 1];
    struct release_list list;
    int result = release_dir_current(dir, current, error);
    if (result == 0)
        result = release_dir_list(dir, &list, error);
    if (result < 0)
        return result;
    if (result == 0 && way_back_read(settings->places.way_back, current, out) &&
        is_there(&list, out))
        return 0;
    if (result == 0 && find_older(&list, out))
        return 0;
    result = error_set(error, STATUS_NOT_FOUND, "there is no release before %s on the disk",
        current[0] != '\0' ? current : "the first");
    error_set_hint(error, "`flocks update --list` shows what there is; --to VERSION fetches one");
    return result;
}

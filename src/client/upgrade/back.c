#include "client/upgrade/back.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flocks/v1/upgrade.info.h"
#include "flocks/v1/upgrade.names.h"

#include "common/base/arena.h"
#include "common/base/fd.h"
#include "common/schema/json_read.h"

enum { RESULT_BYTES_MAX = 64 * 1024, RESULT_ARENA_BYTES = 1024 * 1024 };

static void free_text(char **text)
{
    free(*text);
}

static bool is_there(const struct release_list *list, const char *version)
{
    for (size_t i = 0; i < list->n_entries; i++)
        if (!list->entries[i].is_partial && strcmp(list->entries[i].version.text, version) == 0)
            return true;
    return false;
}

/* Of run/upgrade-result.json; a hint only, so that one that cannot be read tells nothing. */
static bool read_last(
    const struct update_settings *settings, const char *current, char out[VERSION_TEXT_MAX + 1])
{
    CLEANUP(free_text) char *text = NULL;
    CLEANUP(arena_deinit) struct arena arena;
    size_t len = 0;
    ProtobufCMessage *message = NULL;
    arena_init(&arena, RESULT_ARENA_BYTES);
    if (fd_read_file(settings->places.result, RESULT_BYTES_MAX, &text, &len, NULL) < 0 ||
        json_read(text, len, &flocks_upgrade_progress_info, NULL, &arena, &message, NULL, NULL) < 0)
        return false;
    const flocks_upgrade_progress *last = (const flocks_upgrade_progress *)message;
    if (last->phase != FLOCKS_UPGRADE_PHASE_COMMITTED || strcmp(last->to_version, current) != 0 ||
        !release_name_is_good(last->from_version))
        return false;
    (void)snprintf(out, VERSION_TEXT_MAX + 1, "%s", last->from_version);
    return true;
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
    if (result == 0 && read_last(settings, current, out) && is_there(&list, out))
        return 0;
    if (result == 0 && find_older(&list, out))
        return 0;
    result = error_set(error, STATUS_NOT_FOUND, "there is no release before %s on the disk",
        current[0] != '\0' ? current : "the first");
    error_set_hint(error, "`flocks update --list` shows what there is; --to VERSION fetches one");
    return result;
}

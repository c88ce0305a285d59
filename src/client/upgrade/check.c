#include "client/upgrade/check.h"

#include <stdlib.h>
#include <string.h>

#include "flocks/v1/upgrade.info.h"
#include "flocks/v1/upgrade.names.h"

#include "client/upgrade/back.h"
#include "client/upgrade/find.h"
#include "common/base/arena.h"
#include "common/base/utf8.h"
#include "common/schema/json_write.h"

enum {
    /* As `releases` in upgrade.proto. */
    CHECK_RELEASES_MAX = 1024,
    CHECK_NOTES_MAX = 16384,
    CHECK_ARENA_BYTES = 8 * 1024 * 1024
};

/* What is being put together; texts are those of `found`, or in the arena. */
struct checking {
    const struct update_found *found;
    struct arena arena;
    flocks_update_check check;
};

static flocks_update_release *add(struct checking *checking, const char *version)
{
    flocks_update_check *check = &checking->check;
    for (size_t i = 0; i < check->n_releases; i++)
        if (strcmp(check->releases[i]->version, version) == 0)
            return check->releases[i];
    flocks_update_release *release = arena_alloc(&checking->arena, sizeof *release);
    if (release == NULL || check->n_releases == CHECK_RELEASES_MAX)
        return NULL;
    *release = (flocks_update_release)FLOCKS_UPDATE_RELEASE_INIT;
    release->version = version;
    check->releases[check->n_releases++] = release;
    return release;
}

static void add_available(struct checking *checking)
{
    const struct releases *available = &checking->found->available;
    for (size_t i = 0; i < available->n; i++) {
        const struct release *item = &available->items[i];
        flocks_update_release *release = add(checking, item->version.text);
        if (release == NULL)
            return;
        release->is_available = true;
        release->is_prerelease = item->is_prerelease;
        release->is_withdrawn = item->is_withdrawn;
    }
}

static void add_installed(struct checking *checking)
{
    const struct release_list *installed = &checking->found->installed;
    for (size_t i = 0; i < installed->n_entries; i++) {
        const struct release_entry *entry = &installed->entries[i];
        flocks_update_release *release =
            entry->is_partial ? NULL : add(checking, entry->version.text);
        if (release == NULL)
            continue;
        release->is_installed = true;
        release->is_current = entry->is_current;
        release->is_prerelease = release->is_prerelease || version_is_prerelease(&entry->version);
    }
}

static int compare(const void *a, const void *b)
{
    const flocks_update_release *const *left = a;
    const flocks_update_release *const *right = b;
    struct version one;
    struct version other;
    if (!version_parse((*left)->version, &one) || !version_parse((*right)->version, &other))
        return strcmp((*left)->version, (*right)->version);
    int order = version_compare(&other, &one);
    return order != 0 ? order : strcmp((*right)->version, (*left)->version);
}

static int list(struct checking *checking, bool wants_all, struct error *error)
{
    flocks_update_check *check = &checking->check;
    check->releases =
        arena_calloc(&checking->arena, CHECK_RELEASES_MAX, sizeof(flocks_update_release *));
    if (check->releases == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the releases");
    add_installed(checking);
    if (wants_all)
        add_available(checking);
    qsort((void *)check->releases, check->n_releases, sizeof(void *), compare);
    return 0;
}

static int describe(struct checking *checking, struct error *error)
{
    const struct update_found *found = checking->found;
    flocks_update_check *check = &checking->check;
    check->current_version = found->current;
    check->version = found->version;
    check->is_newer = found->is_newer;
    check->source = found->source_shown != NULL ? found->source_shown : "";
    if (found->choice.asset != NULL) {
        check->asset = found->choice.asset->name;
        check->size = found->choice.asset->size;
    }
    if (found->release != NULL) {
        const char *notes = found->release->notes;
        check->notes =
            arena_strndup(&checking->arena, notes, utf8_cut(notes, strlen(notes), CHECK_NOTES_MAX));
        check->page = found->release->page;
        if (check->notes == NULL)
            return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the notes");
    }
    const union {
        const char *const *constant;
        const char **list;
    } failures = {.constant = found->failures};
    check->n_failures = found->n_failures;
    check->failures = failures.list;
    return 0;
}

static int tell(
    const struct update_found *found, bool wants_all, struct buffer *out, struct error *error)
{
    struct checking checking = {.found = found, .check = FLOCKS_UPDATE_CHECK_INIT};
    arena_init(&checking.arena, CHECK_ARENA_BYTES);
    int result = describe(&checking, error);
    if (result == 0)
        result = list(&checking, wants_all, error);
    if (result == 0 &&
        (json_write(&flocks_update_check_info, &checking.check.base, NULL, out) < 0 ||
            buffer_append_text(out, "\n") < 0))
        result = error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the answer");
    arena_deinit(&checking.arena);
    return result;
}

/* The release that `--rollback` would go back to. */
static int choose_back(
    const struct update_settings *settings, char out[VERSION_TEXT_MAX + 1], struct error *error)
{
    struct release_dir dir;
    int result = release_dir_open(settings->places.root, false, &dir, error);
    if (result == RELEASE_DIR_NONE)
        return error_set(error, STATUS_NOT_FOUND, "no release is on the disk");
    if (result < 0)
        return result;
    result = update_back_choose(settings, &dir, out, error);
    release_dir_close(&dir);
    return result;
}

int update_check(const struct update_settings *settings, const struct update_options *options,
    int cancel_fd, struct buffer *out, struct error *error)
{
    char back[VERSION_TEXT_MAX + 1] = "";
    int result = options->roll_back ? choose_back(settings, back, error) : 0;
    if (result < 0)
        return result;
    const struct update_find_request request = {.settings = settings,
        .version = options->roll_back ? back : options->to,
        .from = options->from,
        .force = options->force,
        .is_local = options->roll_back,
        .want_list = options->list,
        .cancel_fd = cancel_fd};
    struct update_found found;
    result = update_find(&request, &found, error);
    if (result >= 0)
        result = tell(&found, options->list, out, error);
    update_found_deinit(&found);
    return result;
}

#include "client/upgrade/find_pick.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "client/upgrade/settings.h"

bool find_pick_is_installed(const struct update_found *found, const char *version)
{
    for (size_t i = 0; i < found->installed.n_entries; i++) {
        const struct release_entry *entry = &found->installed.entries[i];
        if (!entry->is_partial && strcmp(entry->version.text, version) == 0)
            return true;
    }
    return false;
}

/* ---- which ---- */

static int say_none(const struct find_pick *pick, const struct releases *list, struct error *error)
{
    int result = pick->wanted != NULL
                     ? error_set(error, STATUS_NOT_FOUND, "it has no release %s", pick->wanted)
                     : error_set(error, STATUS_NOT_FOUND, "it has no release%s",
                           list->n == 0 ? "" : " that is neither a pre-release nor withdrawn");
    error_set_hint(error, "`flocks update --list` shows what there is");
    return result;
}

static int choose_release(
    const struct find_pick *pick, struct update_found *found, struct error *error)
{
    const flocks_update_config *update = pick->request->settings->update;
    const struct releases *list = &found->available;
    if (pick->wanted != NULL)
        found->release = releases_find(list, pick->wanted);
    else if (pick->is_one_file)
        found->release = list->n == 0 ? NULL : &list->items[0];
    else
        found->release = releases_newest(list, update->prereleases);
    if (found->release == NULL)
        return say_none(pick, list, error);
    if (!release_name_is_good(found->release->version.text))
        return error_set(error, STATUS_INVALID_ARGUMENT, "a release cannot be called '%s'",
            found->release->version.text);
    return 0;
}

/* Whether it is what runs already, or is older although nobody asked for it. */
static bool is_nothing_new(const struct find_pick *pick, const struct update_found *found)
{
    struct version current;
    const struct version *version = &found->release->version;
    if (pick->request->force || !version_parse(found->current, &current))
        return false;
    if (pick->wanted != NULL || pick->is_one_file)
        return strcmp(version->text, found->current) == 0;
    return version_compare(version, &current) <= 0;
}

static bool is_newer(const struct update_found *found)
{
    struct version current;
    return !version_parse(found->current, &current) ||
           version_compare(&found->release->version, &current) > 0;
}

/* ---- under which name ---- */

/* A release is never changed: what is fetched again lies beside it. */
static int choose_name(struct update_found *found, struct error *error)
{
    const char *version = found->version;
    const char *joint = strchr(version, '+') == NULL ? "+reinstall" : ".reinstall";
    memcpy(found->name, version, sizeof found->name);
    for (unsigned n = 1; find_pick_is_installed(found, found->name); n++) {
        int written = snprintf(found->name, sizeof found->name, "%s%s.%u", version, joint, n);
        if (written < 0 || (size_t)written >= sizeof found->name)
            return error_set(error, STATUS_INVALID_ARGUMENT,
                "the version %s is too long to be installed a second time", version);
    }
    return 0;
}

/* ---- whether it can be trusted ---- */

static int check_signed(
    const struct find_pick *pick, struct update_found *found, struct error *error)
{
    const struct release_choice *choice = &found->choice;
    bool is_signed = choice->asset->signature != NULL || choice->checksums_signature != NULL;
    /* A list on this machine may name places on others. */
    bool is_remote = pick->is_remote || choice->places[0][0] != '/';
    for (size_t i = 1; i < choice->n_places; i++)
        is_remote = is_remote || choice->places[i][0] != '/';
    found->needs_signature = is_remote && pick->request->settings->update->require_signature;
    if (is_remote && !is_signed)
        found->warning = "Nobody signed this release (update.require_signature is false)";
    if (!found->needs_signature || is_signed)
        return 0;
    int result = choice->asset->is_source
                     ? error_set(error, STATUS_FAILED_PRECONDITION,
                           "release %s has only the source archive that its host makes, which "
                           "nobody signs",
                           found->version)
                     : error_set(error, STATUS_FAILED_PRECONDITION,
                           "%s of release %s is not signed", choice->asset->name, found->version);
    error_set_hint(error,
        "ask the publisher for %s.minisig; update.require_signature: false in "
        "flocks.yaml takes it unsigned",
        choice->asset->is_source ? "an archive with a NAME" : choice->asset->name);
    return result;
}

static int choose_archive(
    const struct find_pick *pick, struct update_found *found, struct error *error)
{
    const struct update_settings *settings = pick->request->settings;
    int result = release_choose(
        found->release, &settings->platform, settings->region, &found->choice, error);
    if (result < 0)
        return result;
    if (found->release->is_withdrawn)
        found->warning = "Its publisher has withdrawn this release";
    result = choose_name(found, error);
    return result < 0 ? result : check_signed(pick, found, error);
}

int find_pick(const struct find_pick *pick, struct update_found *found, struct error *error)
{
    int result = choose_release(pick, found, error);
    if (result < 0)
        return result;
    assert(found->release != NULL);
    if (is_nothing_new(pick, found))
        return UPDATE_FIND_NOTHING;
    const char *version = found->release->version.text;
    memcpy(found->version, version, sizeof found->version);
    found->is_newer = is_newer(found);
    if (!pick->request->force && find_pick_is_installed(found, version)) {
        memcpy(found->name, version, sizeof found->name);
        found->is_installed = true;
        return 0;
    }
    return choose_archive(pick, found, error);
}

#include "client/upgrade/adopt.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "flocks/v1/upgrade.names.h"

#include "client/upgrade/settings.h"
#include "common/release/adoption.h"

/* What an installation is called that does not say its version. */
static const char nameless[] = "0.0.0";

static const char *const *names_of(const struct update_settings *settings)
{
    return (const char *const *)settings->update->adopt;
}

/* Something else than a link. */
static bool lies_in_root(const struct update_settings *settings, const char *name)
{
    char path[PATH_MAX];
    struct stat status;
    int written = snprintf(path, sizeof path, "%s/%s", settings->paths.root, name);
    return written > 0 && (size_t)written < sizeof path && lstat(path, &status) == 0 &&
           !S_ISLNK(status.st_mode);
}

bool update_adopt_is_due(const struct update_settings *settings)
{
    struct stat status;
    if (lstat(settings->places.current, &status) == 0)
        return false;
    for (size_t i = 0; i < settings->update->n_adopt; i++) {
        if (lies_in_root(settings, settings->update->adopt[i]))
            return true;
    }
    return false;
}

static void tell(const struct update_adopt_request *request)
{
    struct update_progress progress = {.step = FLOCKS_UPGRADE_STEP_ADOPTING,
        .message = "Making the present installation a release"};
    if (request->on_progress != NULL)
        request->on_progress(request->data, &progress);
}

static int adopt(
    const struct update_adopt_request *request, const struct release_dir *dir, struct error *error)
{
    const struct update_settings *settings = request->settings;
    char current[VERSION_TEXT_MAX + 1];
    const char *version = request->version;
    int result = adoption_continue(dir, error);
    if (result != ADOPTION_NOTHING)
        return result;
    /* What is a release already needs no other. */
    result = release_dir_current(dir, current, error);
    if (result != RELEASE_DIR_NONE)
        return result < 0 ? result : UPDATE_ADOPT_NOTHING;
    if (version == NULL || !release_name_is_good(version))
        version = nameless;
    return adoption_run(dir, version, names_of(settings), settings->update->n_adopt, error);
}

int update_adopt(const struct update_adopt_request *request, struct error *error)
{
    struct release_dir dir;
    int result = release_dir_open(request->settings->paths.root, true, &dir, error);
    if (result < 0)
        return result;
    tell(request);
    result = adopt(request, &dir, error);
    release_dir_close(&dir);
    return result;
}

int update_adopt_continue(const struct update_settings *settings, struct error *error)
{
    struct release_dir dir;
    int result = release_dir_open(settings->paths.root, false, &dir, error);
    if (result != 0)
        return result < 0 ? result : UPDATE_ADOPT_NOTHING;
    result = adoption_continue(&dir, error);
    release_dir_close(&dir);
    return result;
}

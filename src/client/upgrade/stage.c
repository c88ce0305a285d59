#include "client/upgrade/stage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "flocks/v1/upgrade.names.h"

#include "client/updater/cancel.h"
#include "client/updater/unpack.h"
#include "client/upgrade/fetch.h"
#include "client/upgrade/install.h"
#include "client/upgrade/preflight.h"
#include "client/upgrade/release_file.h"
#include "client/upgrade/settings.h"
#include "common/base/clock.h"
#include "common/base/fd.h"

enum {
    /* Names that are removed between two looks at whether somebody wants an end. */
    REMOVE_BUDGET = 1000,
    MESSAGE_SIZE = 256,
    TELL_EVERY_MS = 100,
    /* FLOCKS_* of the steps, and a NULL. */
    VARIABLES = 6
};

struct staging {
    const struct update_stage_request *request;
    const struct update_settings *settings;
    const struct update_found *found;
    struct update_staged *out;
    struct release_dir dir;
    /* releases/<name>.partial, or where it lies already. */
    char directory[PATH_MAX];
    struct fetched archive;
    /* Of what is told for each entry of an archive. */
    int64_t next_tell_at;
    struct error *error;
};

static void tell(
    const struct staging *staging, int step, const char *message, uint64_t done, uint64_t total)
{
    const struct update_stage_request *request = staging->request;
    struct update_progress progress = {
        .step = step, .message = message, .bytes_done = done, .bytes_total = total};
    if (request->on_progress != NULL)
        request->on_progress(request->data, &progress);
}

/* ---- the place ---- */

static int remove_partial(const struct staging *staging, struct error *error)
{
    int result = 0;
    do {
        uint32_t budget = REMOVE_BUDGET;
        result = release_dir_remove_partial(&staging->dir, staging->found->name, &budget, error);
    } while (result == RELEASE_DIR_MORE);
    return result;
}

static int take_place(struct staging *staging)
{
    char name[RELEASE_NAME_SIZE];
    struct release_entry entry = {.is_partial = !staging->found->is_installed};
    if (!version_parse(staging->found->name, &entry.version))
        return error_set(staging->error, STATUS_INVALID_ARGUMENT, "a release cannot be called '%s'",
            staging->found->name);
    release_entry_name(&entry, name);
    return release_dir_path(&staging->dir, name, staging->directory, staging->error);
}

/* ---- download, verify ---- */

/* What is known before anything is fetched: so much at least. */
static int check_space(struct staging *staging)
{
    const struct release_choice *choice = &staging->found->choice;
    uint64_t size = choice->asset->size;
    uint64_t needed = choice->places[0][0] == '/' || size > UINT64_MAX / 2 ? size : 2 * size;
    int result = release_dir_check_space(&staging->dir, needed, 0, staging->error);
    return error_add_context(staging->error, result, "checking the disk");
}

static int fetch_archive(struct staging *staging)
{
    const struct fetch_request request = {.settings = staging->settings,
        .found = staging->found,
        .cancel_fd = staging->request->cancel_fd,
        .on_progress = staging->request->on_progress,
        .data = staging->request->data};
    int result = fetch_clear(staging->settings, staging->found->choice.asset->name, staging->error);
    if (result < 0)
        return error_add_context(staging->error, result, "downloading the release");
    result = fetch(&request, &staging->archive, staging->error);
    /* What can be gone on with stays, a file that was whole and wrong goes. */
    bool is_resumable = result == -STATUS_UNAVAILABLE || result == -STATUS_DEADLINE_EXCEEDED ||
                        result == -STATUS_CANCELLED;
    const char *name = staging->found->choice.asset->name;
    if (result < 0)
        (void)!fetch_clear(staging->settings, is_resumable ? name : NULL, NULL);
    return result;
}

/* ---- unpack ---- */

static void tell_unpacking(void *data, const struct unpack_progress *progress)
{
    struct staging *staging = data;
    char message[MESSAGE_SIZE];
    int64_t now = clock_monotonic_ms();
    if (now < staging->next_tell_at)
        return;
    staging->next_tell_at = now + TELL_EVERY_MS;
    (void)snprintf(message, sizeof message, "Unpacking %.200s", staging->found->choice.asset->name);
    tell(staging, FLOCKS_UPGRADE_STEP_UNPACKING, message, progress->bytes_read,
        progress->bytes_total);
}

static int unpack_archive(struct staging *staging)
{
    struct unpack_outcome outcome;
    struct unpack_request request = {.fd = staging->archive.fd,
        .name = staging->found->choice.asset->name,
        .directory = staging->directory,
        .cancel_fd = staging->request->cancel_fd,
        .on_progress = tell_unpacking,
        .data = staging};
    int result =
        release_dir_space(&staging->dir, &request.bytes_free, &request.files_free, staging->error);
    /* 0 would be: as far as it goes. */
    request.bytes_free += request.bytes_free == 0;
    request.files_free += request.files_free == 0;
    if (result == 0)
        result = unpack(&request, &outcome, staging->error);
    return error_add_context(staging->error, result, "unpacking the release");
}

/* ---- read, install, look ---- */

static int check_file(struct staging *staging)
{
    const flocks_release *file = NULL;
    const struct update_found *found = staging->found;
    int result = release_file_read(staging->directory, &staging->out->arena, &file, staging->error);
    if (result == 0)
        result = release_file_check_version(file, found->version, staging->error);
    if (result < 0)
        return error_add_context(staging->error, result, "reading the release");
    staging->out->file = file;
    if (found->is_installed || !found->needs_signature || staging->archive.is_version_told ||
        file->version[0] != '\0')
        return 0;
    result = error_set(staging->error, STATUS_DATA_LOSS,
        "verifying the release: nothing that is signed tells its version, so it may be an old one");
    error_set_hint(staging->error, "its publisher has to tell it in the archive's name, or in "
                                   "`version` of " RELEASE_FILE_NAME);
    return result;
}

static const char *variable(struct staging *staging, const char *name, const char *value)
{
    return arena_printf(&staging->out->arena, "%s=%s", name, value);
}

static int install(struct staging *staging)
{
    char release[PATH_MAX];
    const struct update_found *found = staging->found;
    int result = release_dir_path(&staging->dir, found->name, release, staging->error);
    if (result < 0)
        return result;
    const char *environment[VARIABLES] = {
        variable(staging, "FLOCKS_ROOT", staging->settings->paths.root),
        variable(staging, "FLOCKS_RELEASE", release),
        variable(staging, "FLOCKS_VERSION", found->version),
        variable(staging, "FLOCKS_FROM_VERSION", found->current),
        variable(staging, "FLOCKS_REGION", staging->settings->region), NULL};
    if (arena_is_exhausted(&staging->out->arena))
        return error_set_errno(staging->error, ENOMEM, "installing the release");
    const struct install_request request = {.directory = staging->directory,
        .file = staging->out->file,
        .environment = environment,
        .log_fd = staging->settings->log_fd,
        .log_path = staging->settings->places.log,
        .cancel_fd = staging->request->cancel_fd,
        .on_progress = staging->request->on_progress,
        .data = staging->request->data};
    return install_run(&request, staging->error);
}

static int finish(struct staging *staging)
{
    int result = check_file(staging);
    if (result == 0 && staging->out->file->install_size > 0) {
        result = release_dir_check_space(
            &staging->dir, staging->out->file->install_size, 0, staging->error);
        result = error_add_context(staging->error, result, "installing the release");
    }
    if (result == 0)
        result = install(staging);
    return result == 0 ? preflight_check(staging->settings, staging->directory, staging->error)
                       : result;
}

/* ---- all of it ---- */

static int fill(struct staging *staging)
{
    int result = unpack_archive(staging);
    fd_close(&staging->archive.fd);
    if (result < 0)
        return result;
    /* Its room is for the install steps; nothing is lost if it cannot be removed. */
    (void)!fetch_clear(staging->settings, NULL, NULL);
    return finish(staging);
}

/* What a failure leaves: nothing; the text says what could not be removed. */
static int clean_up(struct staging *staging, int result)
{
    struct error left = ERROR_INIT;
    if (remove_partial(staging, &left) < 0)
        result = error_add_context(
            staging->error, result, "%s is left (%s)", staging->directory, left.text);
    return result;
}

static int stage_new(struct staging *staging)
{
    int result = remove_partial(staging, staging->error);
    if (result < 0)
        return error_add_context(staging->error, result, "removing what an earlier update left");
    result = check_space(staging);
    if (result == 0)
        result = fetch_archive(staging);
    if (result < 0)
        return result;
    staging->out->is_partial = true;
    result = fill(staging);
    if (result == 0)
        return 0;
    (void)!fetch_clear(staging->settings, NULL, NULL);
    return clean_up(staging, result);
}

static int stage_installed(struct staging *staging)
{
    int result = check_file(staging);
    return result == 0 ? preflight_check(staging->settings, staging->directory, staging->error)
                       : result;
}

int update_stage(
    const struct update_stage_request *request, struct update_staged *out, struct error *error)
{
    struct staging staging = {.request = request,
        .settings = request->settings,
        .found = request->found,
        .out = out,
        .archive = {.fd = -1},
        .error = error};
    *out = (struct update_staged){.file = NULL};
    arena_init(&out->arena, RELEASE_FILE_ARENA_BYTES);
    int result = release_dir_open(staging.settings->paths.root, true, &staging.dir, error);
    if (result < 0)
        return result;
    result = take_place(&staging);
    if (result == 0)
        result = staging.found->is_installed ? stage_installed(&staging) : stage_new(&staging);
    release_dir_close(&staging.dir);
    return result;
}

void update_staged_deinit(struct update_staged *staged)
{
    arena_deinit(&staged->arena);
}

int update_downloads_clear(const struct update_settings *settings, struct error *error)
{
    return fetch_clear(settings, NULL, error);
}

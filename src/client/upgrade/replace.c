#include "client/upgrade/replace.h"

#include <limits.h>
#include <stdio.h>

#include "client/updater/cancel.h"
#include "client/upgrade/release_file.h"
#include "common/base/arena.h"
#include "common/base/clock.h"

enum {
    MS_PER_S = 1000,
    /* Between two looks while nobody answers. */
    LOOK_MS = 50
};

static int write_path(
    const char *release, const char *program, char out[PATH_MAX], struct error *error)
{
    out[0] = '\0';
    int len = program[0] != '\0' ? snprintf(out, PATH_MAX, "%s/%s", release, program) : 0;
    return len >= 0 && len < PATH_MAX
               ? 0
               : error_set(error, STATUS_INVALID_ARGUMENT, "the path of %s is too long", program);
}

static int follow(const struct update_server *server, const char *id, struct error *error)
{
    int64_t until_at = clock_add_ms(clock_monotonic_ms(), UPDATE_REPLACE_MS);
    struct update_operation operation = {.failure = ERROR_INIT};
    while (!operation.has_ended) {
        int result =
            server->calls->operation(server->self, id, operation.revision, &operation, error);
        /* While one follows the other nobody answers. */
        bool is_silent = result == UPDATE_SERVER_NONE || result == -STATUS_UNAVAILABLE ||
                         result == -STATUS_DEADLINE_EXCEEDED;
        if (result < 0 && !is_silent)
            return result;
        if (clock_monotonic_ms() >= until_at)
            return error_set(error, STATUS_DEADLINE_EXCEEDED,
                "the new programs did not take over within %d s", UPDATE_REPLACE_MS / MS_PER_S);
        if (is_silent)
            (void)cancel_wait(-1, LOOK_MS);
    }
    if (operation.has_succeeded)
        return 0;
    if (error != NULL)
        *error = operation.failure;
    return -(int)operation.failure.code;
}

static int replace(const struct update_server *server, const char *release,
    const flocks_release_programs *programs, struct error *error)
{
    char flocksd[PATH_MAX];
    char keeper[PATH_MAX];
    char id[UPDATE_ID_SIZE] = "";
    int result = write_path(release, programs->flocksd, flocksd, error);
    if (result == 0)
        result = write_path(release, programs->keeper, keeper, error);
    if (result < 0)
        return result;
    const struct update_programs request = {
        .flocksd = flocksd, .keeper = keeper, .version = programs->version};
    result = server->calls->replace(server->self, &request, id, error);
    if (result == UPDATE_SERVER_NONE)
        return 0;
    return result < 0 ? result : follow(server, id, error);
}

int update_replace(const struct update_settings *settings, const struct update_server *server,
    struct update_reporter *reporter, const char *name, struct error *error)
{
    char release[PATH_MAX];
    const flocks_release *file = NULL;
    CLEANUP(arena_deinit) struct arena arena;
    arena_init(&arena, RELEASE_FILE_ARENA_BYTES);
    int len = snprintf(release, sizeof release, "%s/releases/%s", settings->places.root, name);
    if (len < 0 || (size_t)len >= sizeof release)
        return error_set(error, STATUS_INVALID_ARGUMENT, "the path of %s is too long", name);
    int result = release_file_read(release, &arena, &file, error);
    const flocks_release_programs *programs = result == 0 ? file->programs : NULL;
    if (programs == NULL || (programs->flocksd[0] == '\0' && programs->keeper[0] == '\0'))
        return result;
    if (reporter != NULL)
        update_reporter_step(
            reporter, FLOCKS_UPGRADE_STEP_REPLACING, "Handing over to the programs of %s", name);
    return replace(server, release, programs, error);
}

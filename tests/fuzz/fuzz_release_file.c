/* Any text as flocks-release.yaml: it is read or refused with a text, and what was read can be
 * acted upon: paths that stay below the release, commands that have a program, times and counts
 * within their bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/updater/archive_path.h"
#include "client/upgrade/release_file.h"
#include "common/release/version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check_path(const char *path)
{
    char clean[ARCHIVE_PATH_MAX + 1];
    demand(archive_path_clean(path, clean) == NULL);
}

static void check_step(const flocks_install_step *step)
{
    demand(step->n_command > 0 && step->n_command <= 256 && step->command[0][0] != '\0');
    demand(step->timeout != NULL && step->timeout->seconds >= 1 &&
           step->timeout->seconds <= INT64_C(24) * 60 * 60);
    demand(step->retries <= 10);
    check_path(step->directory);
    for (size_t i = 0; i < step->n_environment; i++) {
        demand(step->environment[i]->key[0] != '\0');
        demand(strchr(step->environment[i]->key, '=') == NULL);
    }
}

static void check_file(const flocks_release *file)
{
    struct version version;
    demand(file->format == RELEASE_FILE_FORMAT);
    demand(file->version[0] == '\0' || version_parse(file->version, &version));
    demand(file->n_install <= 32);
    for (size_t i = 0; i < file->n_install; i++)
        check_step(file->install[i]);
    if (file->programs != NULL && file->programs->flocksd[0] != '\0')
        check_path(file->programs->flocksd);
    if (file->programs != NULL && file->programs->keeper[0] != '\0')
        check_path(file->programs->keeper);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct error error = ERROR_INIT;
    const flocks_release *file = NULL;
    arena_init(&arena, RELEASE_FILE_ARENA_BYTES);
    int result = release_file_parse((const char *)data, size, &arena, &file, &error);
    demand(result <= 0);
    if (result == 0)
        check_file(file);
    else
        demand(error.text[0] != '\0' && error.hint[0] != '\0');
    for (const char *at = error.text; *at != '\0'; at++)
        demand((unsigned char)*at >= ' ');
    arena_deinit(&arena);
    return 0;
}

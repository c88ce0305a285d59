#include "client/upgrade/release_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flocks/v1/release.info.h"

#include "client/updater/archive_path.h"
#include "common/base/fd.h"
#include "common/release/version.h"
#include "common/schema/yaml_read.h"

static void set_hint(struct error *error)
{
    error_set_hint(
        error, "tell whoever published it; " RELEASE_FILE_NAME " is described in docs/releases.md");
}

static int no_memory(struct error *error)
{
    return error_set_errno(error, ENOMEM, "reading " RELEASE_FILE_NAME);
}

/* ---- what the schema cannot say ---- */

/* A path below the release, or "." and "" for its top. NULL, or why not. */
static const char *check_path(const char *path)
{
    char clean[ARCHIVE_PATH_MAX + 1];
    return archive_path_clean(path, clean);
}

static void refuse(struct mistakes *mistakes, const char *path, const char *why)
{
    const struct mistake_place place = {.file = RELEASE_FILE_NAME, .path = path};
    (void)mistakes_add(mistakes, &place, "%s", why);
}

static bool is_variable_name(const char *name)
{
    return name[0] != '\0' && strchr(name, '=') == NULL;
}

static void check_step(struct mistakes *mistakes, const flocks_install_step *step, size_t i)
{
    char path[64];
    const char *why = check_path(step->directory);
    (void)snprintf(path, sizeof path, "install[%zu].directory", i);
    if (why != NULL)
        refuse(mistakes, path, why);
    (void)snprintf(path, sizeof path, "install[%zu].command", i);
    if (step->n_command == 0 || step->command[0][0] == '\0')
        refuse(mistakes, path, "must begin with a program");
    (void)snprintf(path, sizeof path, "install[%zu].environment", i);
    for (size_t k = 0; k < step->n_environment; k++) {
        if (!is_variable_name(step->environment[k]->key))
            refuse(mistakes, path, "must have names without '='");
    }
}

static void check_program(struct mistakes *mistakes, const char *path, const char *program)
{
    const char *why = program[0] == '\0' ? NULL : check_path(program);
    if (why != NULL)
        refuse(mistakes, path, why);
}

static void check_versions(struct mistakes *mistakes, const flocks_release *file)
{
    struct version version;
    if (file->version[0] != '\0' && !version_parse(file->version, &version))
        refuse(mistakes, "version", "must be a version, such as 1.2.3");
}

static void check(struct mistakes *mistakes, const flocks_release *file)
{
    check_versions(mistakes, file);
    for (size_t i = 0; i < file->n_install; i++)
        check_step(mistakes, file->install[i], i);
    if (file->programs != NULL) {
        check_program(mistakes, "programs.flocksd", file->programs->flocksd);
        check_program(mistakes, "programs.keeper", file->programs->keeper);
    }
}

/* ---- reading ---- */

static int say_mistakes(struct mistakes *mistakes, struct error *error)
{
    mistakes_sort(mistakes);
    const struct mistake *first = &mistakes->items[0];
    size_t more = mistakes->n + mistakes->n_dropped - 1;
    char path[ARCHIVE_PATH_SHOWN_SIZE];
    char where[32] = "";
    char others[48] = "";
    /* Keys are in it as they were written. */
    archive_path_show(first->path, path);
    if (first->line > 0)
        (void)snprintf(where, sizeof where, ":%" PRIu32 ":%" PRIu32, first->line, first->column);
    if (more > 0)
        (void)snprintf(others, sizeof others, " (and %zu more)", more);
    int result = error_set(error, STATUS_INVALID_ARGUMENT, "%s%s: %s%s%s%s", RELEASE_FILE_NAME,
        where, path, path[0] == '\0' ? "" : ": ", first->message, others);
    set_hint(error);
    return result;
}

static int say_format(uint32_t format, struct error *error)
{
    int result = error_set(error, STATUS_UNIMPLEMENTED,
        RELEASE_FILE_NAME " has format %" PRIu32 ", and this program knows only %d", format,
        RELEASE_FILE_FORMAT);
    error_set_hint(error, "update flocks itself first");
    return result;
}

static int parse(const char *text, size_t text_len, struct arena *arena, struct mistakes *mistakes,
    const flocks_release **out, struct error *error)
{
    ProtobufCMessage *message = NULL;
    int result = yaml_read(text, text_len, RELEASE_FILE_NAME, &flocks_release_info, arena, &message,
        NULL, mistakes, error);
    const flocks_release *file = (const flocks_release *)message;
    if (result < 0)
        return result;
    /* Before its mistakes: what a later format has added would be some. */
    if (file != NULL && file->format > RELEASE_FILE_FORMAT)
        return say_format(file->format, error);
    if (result == YAML_READ_OK && file != NULL)
        check(mistakes, file);
    if (mistakes->n > 0)
        return say_mistakes(mistakes, error);
    *out = file;
    return file == NULL ? no_memory(error) : 0;
}

int release_file_parse(const char *text, size_t text_len, struct arena *arena,
    const flocks_release **out, struct error *error)
{
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    int result = parse(text, text_len, arena, &mistakes, out, error);
    mistakes_deinit(&mistakes);
    return result;
}

int release_file_read(
    const char *directory, struct arena *arena, const flocks_release **out, struct error *error)
{
    char path[PATH_MAX];
    struct stat status;
    char *text = NULL;
    size_t len = 0;
    int written = snprintf(path, sizeof path, "%s/" RELEASE_FILE_NAME, directory);
    if (written < 0 || (size_t)written >= sizeof path)
        return error_set_errno(error, ENAMETOOLONG, "reading " RELEASE_FILE_NAME);
    if (lstat(path, &status) < 0)
        return errno == ENOENT ? release_file_parse("", 0, arena, out, error)
                               : error_set_errno(error, errno, "reading " RELEASE_FILE_NAME);
    if (!S_ISREG(status.st_mode)) {
        int result =
            error_set(error, STATUS_INVALID_ARGUMENT, RELEASE_FILE_NAME " is no plain file");
        set_hint(error);
        return result;
    }
    int result = fd_read_file(path, YAML_READ_MAX_BYTES, &text, &len, error);
    if (result == 0)
        result = release_file_parse(text, len, arena, out, error);
    free(text);
    return result;
}

int release_file_check_version(const flocks_release *file, const char *version, struct error *error)
{
    struct version told;
    struct version wanted;
    if (file->version[0] == '\0')
        return 0;
    if (version_parse(file->version, &told) && version_parse(version, &wanted) &&
        version_compare(&told, &wanted) == 0)
        return 0;
    int result = error_set(error, STATUS_DATA_LOSS,
        "it was published as version %s, but its " RELEASE_FILE_NAME " says %s", version,
        file->version);
    error_set_hint(error, "do not use it; tell whoever published it");
    return result;
}

#include "common/release/release_use.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROC_PATH_SIZE = 64 };

static int add(struct release_use *use, const char *name, struct error *error)
{
    for (size_t i = 0; i < use->n_named; i++)
        if (strcmp(use->names[i], name) == 0)
            return 0;
    if (use->n_named == RELEASE_DIR_ENTRIES_MAX)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED,
            "processes stand in more than %d releases", (int)RELEASE_DIR_ENTRIES_MAX);
    (void)snprintf(use->names[use->n_named], sizeof use->names[0], "%s", name);
    use->named[use->n_named] = use->names[use->n_named];
    use->n_named++;
    return 0;
}

/* `path`: below <prefix>, which ends in a slash, the release's name is the next component. */
static int add_path(
    struct release_use *use, const char *prefix, const char *path, struct error *error)
{
    char name[RELEASE_NAME_SIZE];
    struct release_entry entry;
    size_t len = strlen(prefix);
    if (strncmp(path, prefix, len) != 0)
        return 0;
    size_t name_len = strcspn(path + len, "/");
    if (name_len >= sizeof name)
        return 0;
    memcpy(name, path + len, name_len);
    name[name_len] = '\0';
    /* proc(5): the name of a directory that was removed has this behind it; it is gone anyway. */
    return release_entry_parse(name, &entry) ? add(use, entry.version.text, error) : 0;
}

static int look_at(
    struct release_use *use, const char *prefix, const char *pid, struct error *error)
{
    static const char *const links[] = {"cwd", "exe"};
    int result = 0;
    for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(links); i++) {
        char name[PROC_PATH_SIZE];
        char path[PATH_MAX];
        (void)snprintf(name, sizeof name, "/proc/%.20s/%s", pid, links[i]);
        ssize_t len = readlink(name, path, sizeof path - 1);
        /* Another user's, or gone. */
        if (len <= 0)
            continue;
        path[len] = '\0';
        result = add_path(use, prefix, path, error);
    }
    return result;
}

static void close_stream(DIR **stream)
{
    if (*stream != NULL)
        (void)closedir(*stream);
}

int release_use_look(const struct release_dir *dir, struct release_use *out, struct error *error)
{
    char root[PATH_MAX];
    char prefix[PATH_MAX + sizeof "/releases/"];
    out->n_named = 0;
    /* The kernel tells resolved paths. */
    if (realpath(dir->root, root) == NULL)
        return error_set_errno(error, errno, "resolving %s", dir->root);
    (void)snprintf(prefix, sizeof prefix, "%s/releases/", root[1] == '\0' ? "" : root);
    CLEANUP(close_stream) DIR *stream = opendir("/proc");
    if (stream == NULL)
        return error_set_errno(error, errno, "reading /proc");
    long own = (long)getpid();
    for (;;) {
        errno = 0;
        /* readdir is safe for a stream that nobody else uses. */
        const struct dirent *found = readdir(stream); /* NOLINT(concurrency-mt-unsafe) */
        if (found == NULL)
            return errno == 0 ? 0 : error_set_errno(error, errno, "reading /proc");
        if (!isdigit((unsigned char)found->d_name[0]) || strtol(found->d_name, NULL, 10) == own)
            continue;
        int result = look_at(out, prefix, found->d_name, error);
        if (result < 0)
            return result;
    }
}

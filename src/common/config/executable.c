#include "common/config/executable.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_SEARCH_PATH "/usr/local/bin:/usr/bin:/bin"

enum verdict { RUNS, IS_ABSENT, IS_REFUSED, IS_NO_FILE };

static enum verdict examine(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return errno == EACCES ? IS_REFUSED : IS_ABSENT;
    if (!S_ISREG(status.st_mode))
        return IS_NO_FILE;
    return access(path, X_OK) == 0 ? RUNS : IS_REFUSED;
}

/* <directory>/<entry>/<name>; parts that are absolute begin anew. False: too long for a path. */
static bool join(const char *directory, const char *entry, size_t entry_len, const char *name,
    char out[PATH_MAX])
{
    bool entry_is_absolute = entry_len > 0 && entry[0] == '/';
    int len = snprintf(out, PATH_MAX, "%s%s%.*s%s%s", entry_is_absolute ? "" : directory,
        entry_is_absolute || entry_len == 0 ? "" : "/", (int)entry_len, entry, "/", name);
    return len > 0 && len < PATH_MAX;
}

static int refuse_absent(const char *name, const char *where, struct error *error)
{
    int result = error_set(error, STATUS_NOT_FOUND, "program '%s' was not found %s", name, where);
    error_set_hint(error, "install it, or write its full path");
    return result;
}

static int refuse_candidate(const char *path, enum verdict verdict, struct error *error)
{
    if (verdict == IS_NO_FILE) {
        int result = error_set(error, STATUS_PERMISSION_DENIED, "'%s' is not a program", path);
        error_set_hint(error, "name a file that can be run");
        return result;
    }
    int result = error_set(error, STATUS_PERMISSION_DENIED, "'%s' may not be executed", path);
    error_set_hint(error, "chmod +x %s", path);
    return result;
}

static int find_by_path(
    const char *name, const char *directory, char out[PATH_MAX], struct error *error)
{
    while (strncmp(name, "./", 2) == 0)
        name += 2;
    if (name[0] == '/' ? strlen(name) >= PATH_MAX : !join(directory, "", 0, name, out))
        return refuse_absent(name, "(its path is too long)", error);
    if (name[0] == '/')
        memcpy(out, name, strlen(name) + 1);
    enum verdict verdict = examine(out);
    if (verdict == RUNS)
        return 0;
    if (verdict != IS_ABSENT)
        return refuse_candidate(out, verdict, error);
    int result = error_set(error, STATUS_NOT_FOUND, "'%s' does not exist", out);
    error_set_hint(error, "correct the path; a relative one is taken from the service's directory");
    return result;
}

static int find_by_search(const char *name, const char *directory, const char *search_path,
    char out[PATH_MAX], struct error *error)
{
    char refused[PATH_MAX] = "";
    enum verdict why = IS_ABSENT;
    for (const char *entry = search_path;;) {
        size_t len = strcspn(entry, ":");
        enum verdict verdict = join(directory, entry, len, name, out) ? examine(out) : IS_ABSENT;
        if (verdict == RUNS)
            return 0;
        if (verdict == IS_REFUSED && why == IS_ABSENT) {
            why = verdict;
            memcpy(refused, out, strlen(out) + 1);
        }
        if (entry[len] == '\0')
            break;
        entry += len + 1;
    }
    if (why != IS_ABSENT)
        return refuse_candidate(refused, why, error);
    return refuse_absent(name, "on PATH", error);
}

int executable_find(const char *name, const char *directory, const char *search_path,
    char out[PATH_MAX], struct error *error)
{
    if (name[0] == '\0')
        return error_set(error, STATUS_NOT_FOUND, "the program's name is empty");
    if (strchr(name, '/') != NULL)
        return find_by_path(name, directory, out, error);
    if (search_path == NULL || search_path[0] == '\0')
        search_path = DEFAULT_SEARCH_PATH;
    return find_by_search(name, directory, search_path, out, error);
}

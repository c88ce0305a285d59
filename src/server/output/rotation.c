#include "server/output/rotation.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_SIZE = PATH_MAX + 8 };

static void name_of(char out[NAME_SIZE], const char *path, uint32_t number)
{
    (void)snprintf(out, NAME_SIZE, "%s.%u", path, number);
}

/* The lowest number that no file has; `keep` when all are taken (its file is the one to go). */
static uint32_t first_gap(const char *path, uint32_t keep)
{
    for (uint32_t number = 1; number < keep; number++) {
        char name[NAME_SIZE];
        name_of(name, path, number);
        struct stat status;
        if (lstat(name, &status) != 0 && errno == ENOENT)
            return number;
    }
    return keep;
}

int rotation_run(const char *path, uint32_t keep)
{
    if (keep == 0)
        return unlink(path) == 0 ? 0 : errno;
    if (keep > ROTATION_KEEP_MAX)
        keep = ROTATION_KEEP_MAX;
    char to[NAME_SIZE];
    name_of(to, path, 1);
    for (uint32_t number = first_gap(path, keep); number > 1; number--) {
        char from[NAME_SIZE];
        name_of(from, path, number - 1);
        name_of(to, path, number);
        if (rename(from, to) != 0)
            return errno;
    }
    name_of(to, path, 1);
    return rename(path, to) == 0 ? 0 : errno;
}

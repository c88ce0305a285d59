#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/release/tree.h"
#include "unit.h"

enum { PATHS = 16, TEXT_SIZE = 64 * 1024 };

static char root[] = "/tmp/flocks-release-XXXXXX";

int place_open(void **state)
{
    (void)state;
    memcpy(root + strlen(root) - 6, "XXXXXX", 6);
    return mkdtemp(root) == NULL ? -1 : 0;
}

int place_close(void **state)
{
    (void)state;
    return tree_remove_path(root, NULL);
}

const char *place_root(void)
{
    return root;
}

const char *place_path(const char *name)
{
    static char paths[PATHS][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % PATHS];
    (void)snprintf(path, PATH_MAX, "%s/%s", root, name);
    return path;
}

void place_make_directory(const char *name)
{
    assert_int_equal(mkdir(place_path(name), 0755), 0);
}

void place_write(const char *name, const char *text)
{
    CLEANUP(fd_close)
    int fd = open(place_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text), NULL), 0);
}

void place_link(const char *name, const char *target)
{
    assert_int_equal(symlink(target, place_path(name)), 0);
}

const char *place_read(const char *name)
{
    static char text[TEXT_SIZE];
    char *found = NULL;
    size_t len = 0;
    text[0] = '\0';
    if (fd_read_file(place_path(name), sizeof text - 1, &found, &len, NULL) == 0)
        memcpy(text, found, len + 1);
    free(found);
    return text;
}

bool place_has(const char *name)
{
    struct stat status;
    return lstat(place_path(name), &status) == 0;
}

size_t place_count(const char *name)
{
    size_t n = 0;
    DIR *stream = opendir(place_path(name));
    assert_non_null(stream);
    while (readdir(stream) != NULL) /* NOLINT(concurrency-mt-unsafe) */
        n++;
    assert_int_equal(closedir(stream), 0);
    return n - 2;
}

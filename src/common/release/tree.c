#include "common/release/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"

enum {
    /* Names that are tried for a directory whose contents move up, and rounds over them. */
    HOIST_NAMES = 16,
    HOIST_ROUNDS = 8,
    REMOVE_ROUNDS = 8
};

int tree_open_directory(int parent_fd, const char *name)
{
    return openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int make_one(int fd, const char *name, mode_t mode, uint32_t made_max, uint32_t *made)
{
    int child = tree_open_directory(fd, name);
    if (child >= 0 || errno != ENOENT)
        return child;
    if (*made >= made_max) {
        errno = EDQUOT;
        return -1;
    }
    if (mkdirat(fd, name, S_IRWXU) < 0)
        return -1;
    ++*made;
    child = tree_open_directory(fd, name);
    /* mkdirat heeds the umask, and what a release says does not. */
    if (child >= 0 && fchmod(child, mode) < 0)
        fd_close(&child);
    return child;
}

int tree_make_directory(
    int root_fd, const char *path, mode_t mode, uint32_t made_max, uint32_t *made)
{
    int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
    while (fd >= 0 && *path != '\0') {
        char name[NAME_MAX + 1];
        size_t len = strcspn(path, "/");
        int child = -1;
        if (len > NAME_MAX) {
            errno = ENAMETOOLONG;
        } else {
            memcpy(name, path, len);
            name[len] = '\0';
            child = make_one(fd, name, mode, made_max, made);
        }
        fd_close(&fd);
        fd = child;
        path += len;
        path += *path == '/';
    }
    return fd;
}

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* A stream over the directory behind `fd`, from its beginning; `fd` stays open. */
static DIR *list_directory(int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    if (directory == NULL)
        fd_close(&copy);
    return directory;
}

/* The next name; NULL at the end, and when reading fails (errno then, else 0). */
static const char *next_name(DIR *directory)
{
    for (;;) {
        errno = 0;
        /* readdir is safe for a stream that nobody else uses. */
        const struct dirent *found = readdir(directory); /* NOLINT(concurrency-mt-unsafe) */
        if (found == NULL || !is_dot(found->d_name))
            return found == NULL ? NULL : found->d_name;
    }
}

/* ---- hoisting ---- */

/* One round: all that a listing shows. 0, or -1 and errno. */
static int move_up(int root_fd, int fd)
{
    DIR *directory = list_directory(fd);
    if (directory == NULL)
        return -1;
    int result = 0;
    const char *name = NULL;
    while (result == 0 && (name = next_name(directory)) != NULL)
        result = renameat(fd, name, root_fd, name);
    int saved = errno;
    (void)closedir(directory);
    errno = saved;
    return result == 0 && saved == 0 ? 0 : -1;
}

/* A name for the directory that nothing in it has. */
static int step_aside(int root_fd, const char *name, char out[NAME_MAX + 1])
{
    CLEANUP(fd_close) int fd = tree_open_directory(root_fd, name);
    if (fd < 0)
        return -1;
    for (int i = 0; i < HOIST_NAMES; i++) {
        struct stat status;
        (void)snprintf(out, NAME_MAX + 1, ".hoisting-%d", i);
        if (fstatat(fd, out, &status, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
            return renameat(root_fd, name, root_fd, out);
    }
    errno = EEXIST;
    return -1;
}

int tree_hoist(int root_fd, const char *name)
{
    char aside[NAME_MAX + 1];
    if (step_aside(root_fd, name, aside) < 0)
        return -1;
    CLEANUP(fd_close) int fd = tree_open_directory(root_fd, aside);
    if (fd < 0)
        return -1;
    for (int i = 0; i < HOIST_ROUNDS; i++) {
        if (move_up(root_fd, fd) < 0)
            return -1;
        /* A listing need not show everything while it changes. */
        if (unlinkat(root_fd, aside, AT_REMOVEDIR) == 0)
            return 0;
        if (errno != ENOTEMPTY && errno != EEXIST)
            return -1;
    }
    return -1;
}

/* ---- removing ---- */

/* Results of this part: 0, TREE_MORE, or -1 and errno. */
struct removal {
    uint32_t left;
    bool is_bounded;
};

static bool spend(struct removal *removal)
{
    if (!removal->is_bounded)
        return true;
    if (removal->left == 0)
        return false;
    removal->left--;
    return true;
}

static int remove_below(struct removal *removal, int fd, unsigned depth);

static int remove_directory(
    struct removal *removal, int parent_fd, const char *name, unsigned depth)
{
    if (depth >= TREE_DEPTH_MAX) {
        errno = ELOOP;
        return -1;
    }
    CLEANUP(fd_close) int fd = tree_open_directory(parent_fd, name);
    if (fd < 0 && errno == EACCES && fchmodat(parent_fd, name, S_IRWXU, 0) == 0)
        fd = tree_open_directory(parent_fd, name);
    if (fd < 0)
        return -1;
    for (int i = 0; i < REMOVE_ROUNDS; i++) {
        int result = remove_below(removal, fd, depth + 1);
        if (result != 0)
            return result;
        if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0)
            return 0;
        if (errno != ENOTEMPTY && errno != EEXIST)
            return -1;
    }
    return -1;
}

static int remove_one(struct removal *removal, int parent_fd, const char *name, unsigned depth)
{
    if (!spend(removal))
        return TREE_MORE;
    if (unlinkat(parent_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    /* Of a directory: EISDIR on Linux, EPERM by POSIX. */
    if (errno != EISDIR && errno != EPERM)
        return -1;
    return remove_directory(removal, parent_fd, name, depth);
}

/* One round over a directory, as deep as TREE_DEPTH_MAX lets it. */
static int remove_below(struct removal *removal, int fd, unsigned depth)
{
    /* Install steps leave directories that nobody may write to (Go's module cache, for one). */
    (void)fchmod(fd, S_IRWXU);
    DIR *directory = list_directory(fd);
    if (directory == NULL)
        return -1;
    int result = 0;
    const char *name = NULL;
    while (result == 0 && (name = next_name(directory)) != NULL)
        result = remove_one(removal, fd, name, depth);
    int saved = errno;
    (void)closedir(directory);
    errno = saved;
    return result == 0 && saved != 0 ? -1 : result;
}

int tree_remove(int parent_fd, const char *name)
{
    struct removal removal = {.is_bounded = false};
    return remove_one(&removal, parent_fd, name, 0);
}

int tree_remove_some(int parent_fd, const char *name, uint32_t *budget)
{
    struct removal removal = {.left = *budget, .is_bounded = true};
    int result = remove_one(&removal, parent_fd, name, 0);
    *budget = removal.left;
    return result;
}

int tree_remove_path(const char *path, struct error *error)
{
    if (tree_remove(AT_FDCWD, path) == 0)
        return 0;
    return error_set_errno(error, errno, "removing %s", path);
}

#include "common/release/release_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/release/tree.h"

static const char releases_name[] = "releases";
static const char current_name[] = "current";

enum {
    RELEASES_MODE = 0755,
    PREFIX_LEN = sizeof releases_name,
    /* "." and "..", in every listing. */
    DOTS = 2
};

static int sync_directory(
    int fd, const struct release_dir *dir, const char *what, struct error *error)
{
    if (fsync(fd) == 0)
        return 0;
    return error_set_errno(error, errno, "writing %s/%s to the disk", dir->root, what);
}

static int make_releases(struct release_dir *dir, struct error *error)
{
    if (mkdirat(dir->root_fd, releases_name, RELEASES_MODE) < 0 && errno != EEXIST)
        return error_set_errno(error, errno, "making %s/%s", dir->root, releases_name);
    dir->releases_fd = tree_open_directory(dir->root_fd, releases_name);
    if (dir->releases_fd < 0)
        return error_set_errno(error, errno, "opening %s/%s", dir->root, releases_name);
    return sync_directory(dir->root_fd, dir, "", error);
}

static int open_releases(struct release_dir *dir, bool make, struct error *error)
{
    dir->releases_fd = tree_open_directory(dir->root_fd, releases_name);
    if (dir->releases_fd >= 0)
        return 0;
    if (errno != ENOENT)
        return error_set_errno(error, errno, "opening %s/%s", dir->root, releases_name);
    return make ? make_releases(dir, error) : RELEASE_DIR_NONE;
}

int release_dir_open(const char *root, bool make, struct release_dir *out, struct error *error)
{
    struct release_dir dir = {.root_fd = -1, .releases_fd = -1};
    if (root[0] != '/')
        return error_set(error, STATUS_INVALID_ARGUMENT, "%s is not an absolute path", root);
    int written = snprintf(dir.root, sizeof dir.root, "%s", root);
    if (written < 0 || (size_t)written >= sizeof dir.root)
        return error_set_errno(error, ENAMETOOLONG, "opening %s", root);
    dir.root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir.root_fd < 0)
        return error_set_errno(error, errno, "opening %s", root);
    int result = open_releases(&dir, make, error);
    if (result != 0) {
        release_dir_close(&dir);
        return result;
    }
    *out = dir;
    return 0;
}

void release_dir_close(struct release_dir *dir)
{
    fd_close(&dir->releases_fd);
    fd_close(&dir->root_fd);
}

/* ---- names ---- */

int release_dir_path(
    const struct release_dir *dir, const char *name, char out[PATH_MAX], struct error *error)
{
    int written = snprintf(out, PATH_MAX, "%s/%s/%s", dir->root, releases_name, name);
    if (written < 0 || written >= PATH_MAX)
        return error_set_errno(error, ENAMETOOLONG, "the path of release %s", name);
    return 0;
}

int release_dir_current_path(const struct release_dir *dir, char out[PATH_MAX], struct error *error)
{
    int written = snprintf(out, PATH_MAX, "%s/%s", dir->root, current_name);
    if (written < 0 || written >= PATH_MAX)
        return error_set_errno(error, ENAMETOOLONG, "the path of %s", current_name);
    return 0;
}

void release_dir_target(const char *version, char out[LINK_TEXT_MAX + 1])
{
    (void)snprintf(out, LINK_TEXT_MAX + 1, "%s/%.*s", releases_name, VERSION_TEXT_MAX, version);
}

static int refuse_name(const char *version, struct error *error)
{
    if (release_name_is_good(version))
        return 0;
    return error_set(error, STATUS_INVALID_ARGUMENT, "a release cannot be called '%.*s'",
        VERSION_TEXT_MAX + 1, version);
}

/* ---- looking ---- */

static bool is_directory(const struct release_dir *dir, const char *name)
{
    struct stat status;
    return fstatat(dir->releases_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(status.st_mode);
}

int release_dir_current(
    const struct release_dir *dir, char out[VERSION_TEXT_MAX + 1], struct error *error)
{
    char path[PATH_MAX];
    char target[LINK_TEXT_MAX + 1];
    out[0] = '\0';
    int result = release_dir_current_path(dir, path, error);
    if (result == 0)
        result = link_read(path, target, error);
    if (result == LINK_NONE)
        return RELEASE_DIR_NONE;
    if (result < 0)
        return result;
    const char *version = target + PREFIX_LEN;
    if (strncmp(target, "releases/", PREFIX_LEN) != 0 || !release_name_is_good(version))
        return error_set(error, STATUS_FAILED_PRECONDITION,
            "%s points to %s, which is no release below %s", path, target, dir->root);
    if (!is_directory(dir, version))
        return error_set(error, STATUS_DATA_LOSS, "%s points to %s, and there is no such directory",
            path, target);
    memcpy(out, version, strlen(version) + 1);
    return 0;
}

static int read_entries(
    const struct release_dir *dir, DIR *stream, struct release_list *out, struct error *error)
{
    size_t n_strangers = 0;
    for (;;) {
        struct release_entry entry;
        errno = 0;
        /* readdir is safe for a stream that nobody else uses. */
        const struct dirent *found = readdir(stream); /* NOLINT(concurrency-mt-unsafe) */
        if (found == NULL && errno != 0)
            return error_set_errno(error, errno, "reading %s/%s", dir->root, releases_name);
        if (found == NULL)
            return 0;
        bool is_release =
            release_entry_parse(found->d_name, &entry) && is_directory(dir, found->d_name);
        if (is_release && out->n_entries == RELEASE_DIR_ENTRIES_MAX)
            break;
        if (is_release)
            out->entries[out->n_entries++] = entry;
        else if (++n_strangers > RELEASE_DIR_STRANGERS_MAX + DOTS)
            break;
    }
    return error_set(
        error, STATUS_RESOURCE_EXHAUSTED, "there is too much in %s/%s", dir->root, releases_name);
}

static void close_stream(DIR **stream)
{
    if (*stream != NULL)
        (void)closedir(*stream);
}

int release_dir_list(const struct release_dir *dir, struct release_list *out, struct error *error)
{
    char current[VERSION_TEXT_MAX + 1];
    out->n_entries = 0;
    int result = release_dir_current(dir, current, error);
    if (result < 0)
        return result;
    int fd = tree_open_directory(dir->releases_fd, ".");
    CLEANUP(close_stream) DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL) {
        result = error_set_errno(error, errno, "reading %s/%s", dir->root, releases_name);
        fd_close(&fd);
        return result;
    }
    result = read_entries(dir, stream, out, error);
    for (size_t i = 0; i < out->n_entries; i++) {
        struct release_entry *entry = &out->entries[i];
        entry->is_current = !entry->is_partial && strcmp(entry->version.text, current) == 0;
    }
    release_entries_sort(out->entries, out->n_entries);
    return result;
}

/* ---- changing ---- */

static void partial_name(const char *version, char out[RELEASE_NAME_SIZE])
{
    (void)snprintf(out, RELEASE_NAME_SIZE, "%s.partial", version);
}

static int sync_tree(const struct release_dir *dir, const char *name, struct error *error)
{
    CLEANUP(fd_close) int fd = tree_open_directory(dir->releases_fd, name);
    if (fd < 0 || syncfs(fd) < 0)
        return error_set_errno(
            error, errno, "writing %s/%s/%s to the disk", dir->root, releases_name, name);
    return 0;
}

int release_dir_publish(const struct release_dir *dir, const char *version, struct error *error)
{
    char partial[RELEASE_NAME_SIZE];
    int result = refuse_name(version, error);
    if (result < 0)
        return result;
    partial_name(version, partial);
    bool has_partial = is_directory(dir, partial);
    bool has_whole = is_directory(dir, version);
    if (has_partial == has_whole)
        return error_set(error, has_whole ? STATUS_ALREADY_EXISTS : STATUS_NOT_FOUND,
            has_whole ? "release %s is in %s/%s, and a partial one of it"
                      : "release %s is not in %s/%s",
            version, dir->root, releases_name);
    if (has_partial)
        result = sync_tree(dir, partial, error);
    /* Whatever else may have the name: rename replaces an empty directory, and no other. */
    if (result == 0 && has_partial &&
        renameat2(dir->releases_fd, partial, dir->releases_fd, version, RENAME_NOREPLACE) < 0)
        result = error_set_errno(
            error, errno, "renaming %s to %s in %s/%s", partial, version, dir->root, releases_name);
    return result < 0 ? result : sync_directory(dir->releases_fd, dir, releases_name, error);
}

/* RELEASE_DIR_MORE, 0, or negative. */
static int remove_tree(
    const struct release_dir *dir, const char *name, uint32_t *budget, struct error *error)
{
    int result = tree_remove_some(dir->releases_fd, name, budget);
    if (result == TREE_MORE)
        return RELEASE_DIR_MORE;
    if (result < 0)
        return error_set_errno(error, errno, "removing %s/%s/%s", dir->root, releases_name, name);
    return 0;
}

int release_dir_remove_partial(
    const struct release_dir *dir, const char *version, uint32_t *budget, struct error *error)
{
    char partial[RELEASE_NAME_SIZE];
    int result = refuse_name(version, error);
    if (result < 0)
        return result;
    partial_name(version, partial);
    result = remove_tree(dir, partial, budget, error);
    return result != 0 ? result : sync_directory(dir->releases_fd, dir, releases_name, error);
}

static int refuse_current(const struct release_dir *dir, const char *version, struct error *error)
{
    char current[VERSION_TEXT_MAX + 1];
    int result = release_dir_current(dir, current, error);
    if (result < 0 || strcmp(current, version) != 0)
        return result < 0 ? result : 0;
    return error_set(error, STATUS_FAILED_PRECONDITION, "release %s is the current one", version);
}

int release_dir_remove(
    const struct release_dir *dir, const char *version, uint32_t *budget, struct error *error)
{
    char partial[RELEASE_NAME_SIZE];
    int result = refuse_name(version, error);
    if (result == 0)
        result = refuse_current(dir, version, error);
    if (result == 0)
        result = release_dir_remove_partial(dir, version, budget, error);
    if (result != 0 || !is_directory(dir, version))
        return result;
    partial_name(version, partial);
    if (renameat2(dir->releases_fd, version, dir->releases_fd, partial, RENAME_NOREPLACE) < 0)
        return error_set_errno(
            error, errno, "renaming %s to %s in %s/%s", version, partial, dir->root, releases_name);
    /* Before anything in it goes: a whole name has a whole tree, on the disk as well. */
    result = sync_directory(dir->releases_fd, dir, releases_name, error);
    return result < 0 ? result : release_dir_remove_partial(dir, version, budget, error);
}

static int remove_entry(const struct release_dir *dir, const struct release_entry *entry,
    uint32_t *budget, struct error *error)
{
    if (entry->is_partial)
        return release_dir_remove_partial(dir, entry->version.text, budget, error);
    return release_dir_remove(dir, entry->version.text, budget, error);
}

int release_dir_retain(const struct release_dir *dir, size_t keep, const char *const *named,
    size_t n_named, uint32_t *budget, struct error *error)
{
    struct release_list list;
    int failed = 0;
    int result = release_dir_list(dir, &list, error);
    bool has_current = false;
    if (result < 0)
        return result;
    for (size_t i = 0; i < list.n_entries; i++)
        has_current = has_current || list.entries[i].is_current;
    if (!has_current)
        return error_set(error, STATUS_FAILED_PRECONDITION,
            "no release below %s is current, so none is removed", dir->root);
    for (size_t i = 0; i < list.n_entries; i++) {
        if (!release_may_go(list.entries, list.n_entries, i, keep, named, n_named))
            continue;
        result = remove_entry(dir, &list.entries[i], budget, error);
        if (result == RELEASE_DIR_MORE)
            return result;
        failed = result < 0 ? result : failed;
    }
    return failed;
}

/* ---- space ---- */

/* What is free for us, files UINT64_MAX where they are not counted. */
static int look_at_space(
    const struct release_dir *dir, uint64_t *out_bytes, uint64_t *out_files, struct error *error)
{
    struct statvfs status;
    if (fstatvfs(dir->releases_fd, &status) < 0)
        return error_set_errno(error, errno, "asking how much space %s has", dir->root);
    uint64_t unit = status.f_frsize;
    *out_bytes =
        unit != 0 && status.f_bavail > UINT64_MAX / unit ? UINT64_MAX : status.f_bavail * unit;
    *out_files = status.f_files == 0 ? UINT64_MAX : status.f_favail;
    return 0;
}

static uint64_t less(uint64_t free, uint64_t margin)
{
    return free > margin ? free - margin : 0;
}

int release_dir_space(
    const struct release_dir *dir, uint64_t *out_bytes, uint64_t *out_files, struct error *error)
{
    int result = look_at_space(dir, out_bytes, out_files, error);
    if (result < 0)
        return result;
    *out_bytes = less(*out_bytes, RELEASE_DIR_MARGIN_BYTES);
    if (*out_files != UINT64_MAX)
        *out_files = less(*out_files, RELEASE_DIR_MARGIN_FILES);
    return 0;
}

int release_dir_check_space(
    const struct release_dir *dir, uint64_t bytes, uint64_t files, struct error *error)
{
    uint64_t free_bytes = 0;
    uint64_t free_files = 0;
    int result = look_at_space(dir, &free_bytes, &free_files, error);
    if (result < 0)
        return result;
    if (free_bytes < RELEASE_DIR_MARGIN_BYTES || free_bytes - RELEASE_DIR_MARGIN_BYTES < bytes) {
        result = error_set(error, STATUS_RESOURCE_EXHAUSTED,
            "%s has %" PRIu64 " MiB free; the release needs %" PRIu64 " MiB, and %" PRIu64
            " MiB have to stay free",
            dir->root, free_bytes >> 20, (bytes + (1U << 20) - 1) >> 20,
            RELEASE_DIR_MARGIN_BYTES >> 20);
        error_set_hint(error, "make room there, or remove old releases");
        return result;
    }
    if (free_files != UINT64_MAX &&
        (free_files < RELEASE_DIR_MARGIN_FILES || free_files - RELEASE_DIR_MARGIN_FILES < files)) {
        result = error_set(error, STATUS_RESOURCE_EXHAUSTED,
            "the file system of %s can hold %" PRIu64 " more files; the release needs %" PRIu64
            ", and %" PRIu64 " have to stay free",
            dir->root, free_files, files, RELEASE_DIR_MARGIN_FILES);
        error_set_hint(error, "remove files there, or old releases");
        return result;
    }
    return 0;
}
